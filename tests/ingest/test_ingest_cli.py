"""``geoseg catalog``: exit statuses, what goes to stdout and what to stderr, help that helps."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from geoseg.cli.catalog import app
from geoseg.errors import SearchFailedError, UnknownNameError


def run(*words: object) -> int:
    """The exit status, errors raised as the library raises them."""
    return app([str(word) for word in words], standalone_mode=False) or 0


@pytest.fixture
def chips(made, backscatter, tmp_path):
    for name in ("a", "b"):
        made(f"chips/{name}.tif", backscatter, descriptions=("vv", "vh"))
    return tmp_path / "chips"


def add(chips, mine, *more: object) -> int:
    return run("add", chips, "--sensor", "s1", "--units", "db", "--date", "2018-09-21", "-o", mine, *more)


def test_add_says_what_it_added(chips, tmp_path, capsys):
    assert add(chips, tmp_path / "mine") == 0
    out = capsys.readouterr().out
    assert "Added 2 items. The catalogue holds 2" in out
    assert "vv vh" in out


def test_add_with_a_refused_file_exits_3_and_names_it(chips, tmp_path, capsys):
    (chips / "bad.tif").write_bytes(b"no image")
    assert add(chips, tmp_path / "mine", "-q") == 3
    said = capsys.readouterr()
    assert "Added 2 items; 1 refused" in said.out
    assert said.err.startswith("Not added: ") and "bad.tif" in said.err


def test_add_as_json_is_one_object(chips, tmp_path, capsys):
    (chips / "bad.tif").write_bytes(b"no image")
    assert add(chips, tmp_path / "mine", "--json") == 3
    answer = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in answer["added"]] == ["a", "b"]
    assert answer["added"][0]["bands"] == ["vv", "vh"]
    assert answer["refused"][0]["path"].endswith("bad.tif")
    assert answer["total"] == 2


def test_list_and_show_and_validate_a_persons_own(chips, tmp_path, capsys):
    add(chips, tmp_path / "mine", "-q")
    capsys.readouterr()
    for where in (tmp_path / "mine", tmp_path / "mine/catalog.json"):
        assert run("list", where, "--json") == 0
        assert [row["id"] for row in json.loads(capsys.readouterr().out)["items"]] == ["a", "b"]
    assert run("show", tmp_path / "mine/a") == 0
    assert "dB = DN * 1 + 0" in capsys.readouterr().out
    assert run("show", tmp_path / "mine/local-s1/a.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == "a"
    assert run("validate", tmp_path / "mine") == 0
    assert "2 items, 0 problems" in capsys.readouterr().out
    (chips / "a.tif").unlink()
    assert run("validate", tmp_path / "mine", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert [row["item"] for row in answer["problems"]] == ["a"]


def test_list_and_show_what_is_known(capsys):
    assert run("list") == 0
    assert "planetary-computer/sentinel-2-l2a" in capsys.readouterr().out
    assert run("list", "planetary-computer", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["collections"]
    assert {"name", "sensor", "access", "title"} == set(rows[0])
    assert run("show", "planetary-computer/sentinel-2-l2a", "--json") == 0
    assert json.loads(capsys.readouterr().out)["bands"]["green"] == "B03"
    assert run("show", "s1") == 0
    assert "backscatter" in capsys.readouterr().out


def test_names_that_do_not_exist_are_answered_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="planetary-computer"):
        run("list", "planetary-computr")
    with pytest.raises(UnknownNameError, match="Did you mean"):
        run("show", "planetary-computer/sentinel-2-l2")
    with pytest.raises(SearchFailedError, match=r"no items\.json"):
        run("list", tmp_path)
    with pytest.raises(SearchFailedError, match=r"no items\.json"):
        run("validate", tmp_path)


@pytest.mark.parametrize("verb", ["add", "list", "show", "validate"])
def test_help_has_an_example(verb, capsys):
    run(verb, "--help")
    assert f"geoseg catalog {verb}" in " ".join(capsys.readouterr().out.split())


def test_the_command_loads_nothing_heavy_before_it_runs():
    code = (
        "import geoseg.cli.catalog, sys; "
        "print(*[m for m in ('numpy', 'rasterio', 'torch', 'shapely', 'pyarrow', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
