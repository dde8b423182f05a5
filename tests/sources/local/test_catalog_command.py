"""``geoseg catalog``: exit statuses, what goes to stdout and what to stderr, help that helps."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from affine import Affine
from rasterio.transform import from_origin

from geoseg.cli.catalog import app
from geoseg.cli.main import app as whole
from geoseg.errors import NotIngestibleError, RadiometryUnknownError, SearchFailedError, UnknownNameError
from geoseg.sources.local.store import read_items


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


def test_a_grid_without_area_is_refused_by_name_and_the_rest_is_added(chips, made, backscatter, tmp_path, capsys):
    flat = Affine(0, 0, 500_000, 0, 0, 1_200_000)
    made("chips/flat.tif", backscatter, descriptions=("vv", "vh"), transform=flat)
    assert add(chips, tmp_path / "mine", "-q") == 3
    said = capsys.readouterr()
    assert "Added 2 items; 1 refused" in said.out
    assert "flat.tif has a grid whose pixels have no area" in said.err


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


def test_show_of_a_folder_says_what_each_item_is(chips, made, backscatter, tmp_path, capsys):
    half = backscatter.copy()
    half[:, :, :16] = np.nan
    made("chips/half.tif", half, descriptions=("vv", "vh"))
    add(chips, tmp_path / "mine", "-q")
    capsys.readouterr()
    assert run("show", tmp_path / "mine") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "sensor s1, db" in out
    assert "taken 2018-09-21 12:00:00 UTC" in out
    assert "pixel 10 x 10 m, EPSG:32632" in out
    assert "observed 100 % of its pixels" in out
    assert "observed 50 % of its pixels" in out
    assert run("show", tmp_path / "mine/catalog.json", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["items"]
    assert [(row["id"], row["observed_pct"], row["resolution"]) for row in rows] == [
        ("a", 100, [10, 10]),
        ("b", 100, [10, 10]),
        ("half", 50, [10, 10]),
    ]


def test_a_file_without_a_single_measurement_is_added_with_a_loud_word(chips, made, backscatter, tmp_path, capsys):
    made("chips/none.tif", np.full_like(backscatter, np.nan), descriptions=("vv", "vh"))
    made("chips/zero.tif", np.zeros_like(backscatter), descriptions=("vv", "vh"))
    assert add(chips, tmp_path / "mine", "-q") == 0
    said = capsys.readouterr()
    for name in ("none", "zero"):
        assert f"WARNING: {name} was added, but every pixel of it is nodata or NaN" in said.err
    assert "WARNING: a " not in said.err


def test_one_measurement_between_the_samples_is_found(made, tmp_path, capsys):
    image = np.full((1, 3000, 200), np.nan, np.float32)
    image[0, 600, 20] = -12
    made("big/vv.tif", image, descriptions=("vv",), tiled=True, compress="deflate")
    assert add(tmp_path / "big", tmp_path / "mine", "-q") == 0
    assert "WARNING" not in capsys.readouterr().err
    (item,) = read_items(tmp_path / "mine")
    assert 0 < item["properties"]["geoseg:observed_pct"] <= 0.1


def test_add_ends_with_a_map_command_that_works_as_printed(chips, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert add(chips, "mine", "-q") == 0
    out = capsys.readouterr().out
    assert "Covered: 8.9999,48.7501,9.0044,48.7531  on 2018-09-21" in out
    assert out.rstrip().splitlines()[-2] == "Map it with:"
    words = shlex.split(out.rstrip().splitlines()[-1])
    assert words[:2] == ["geoseg", "map"]
    with pytest.raises(SystemExit) as ended:
        whole([*words[1:], "-q"])
    assert ended.value.code in (0, None)
    assert (tmp_path / "my-own-map/flood.tif").is_file()


def test_scenes_that_lie_apart_are_not_mapped_as_one(made, backscatter, tmp_path, capsys):
    for name, left in (("west", 300_000), ("east", 700_000)):
        made(f"far/{name}.tif", backscatter, descriptions=("vv", "vh"), transform=from_origin(left, 5_400_000, 10, 10))
    assert add(tmp_path / "far", tmp_path / "mine", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    west, _, east, _ = answer["bbox"]
    assert east - west > 5
    box = shlex.split(answer["command"])[3].split(",")
    assert float(box[2]) - float(box[0]) < 0.02


def test_a_picture_without_near_infrared_has_no_command(made, tmp_path, capsys):
    image = np.full((3, 32, 32), 90, np.uint8)
    made("photo.tif", image, descriptions=("red", "green", "blue"))
    assert run("add", tmp_path / "photo.tif", "--sensor", "aerial", "--date", "2018-09-21", "-o", tmp_path / "m") == 0
    assert "name a trained one with `geoseg map --model FOLDER`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("descriptions", "hint"), [(("VV", "VH"), "is it --sensor s1?"), ((), "is it --sensor s1 --units db?")]
)
def test_radar_added_as_optical_is_told_from_it(made, backscatter, tmp_path, descriptions, hint):
    path = made("radar.tif", backscatter, descriptions=descriptions)
    words = ("--sensor", "s2", "--units", "reflectance", "--date", "2018-09-21", "-o", tmp_path / "mine")
    with pytest.raises(NotIngestibleError, match=re.escape(hint)):
        run("add", path, *words)
    if not descriptions:
        with pytest.raises(RadiometryUnknownError, match=re.escape(hint)):
            run("add", path, *words, "--bands", "green,nir")


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
    with pytest.raises(SearchFailedError, match="no file or folder"):
        run("list", tmp_path / "nowhere")


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
