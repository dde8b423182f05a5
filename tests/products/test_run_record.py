"""The record of a run: complete, plain JSON, and never a secret in it."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pydantic import ValidationError

from geoseg.core.redact import redact, secrets_of
from geoseg.core.request import Request
from geoseg.products.run_record import (
    ModelUsed,
    RunRecord,
    SceneUsed,
    as_json,
    grid_record,
    write_run,
)

TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_%+=/", min_size=12, max_size=60).map(
    "Zq7".__add__
)
"""Begin as no word of the record does: hypothesis also tries the words that it finds in our code."""
GRID = GeoBox.from_bbox((500000, 5000000, 503000, 5002000), "EPSG:32632", resolution=100)


def record(**more):
    request = Request.of(bbox=(9.0, 45.0, 9.04, 45.02), date="2020-10-03", sensor="s2")
    plain = {
        "command": request.command(),
        "request": request.record(),
        "class_1": "water",
        "grid": grid_record(GRID),
        "scenes": (SceneUsed(id="S2A_x", collection="earth-search/sentinel-2-l2a", role="input", code=0),),
        "model": ModelUsed(name="mndwi", card={"name": "mndwi"}, scene_threshold_info={"threshold": float("nan")}),
        "threshold_pct": 50,
        "shares": {"pct": {"water": 12.5}},
        "started": "2020-10-04T00:00:00Z",
    }
    return RunRecord(**(plain | more))


def test_a_record_is_written_whole_and_reads_back(tmp_path):
    path = write_run(tmp_path / "out" / "run.json", record(notes=("Größe & Maß",)))
    back = json.loads(path.read_text(encoding="utf-8"))
    assert back["grid"] == {
        "crs": "EPSG:32632",
        "shape": [20, 30],
        "transform": [100.0, 0.0, 500000.0, 0.0, -100.0, 5002000.0],
        "resolution_m": 100.0,
    }
    assert back["command"].startswith("geoseg map --bbox 9,45,9.04,45.02 --date 2020-10-03 --sensor s2")
    assert back["notes"] == ["Größe & Maß"]
    assert back["model"]["scene_threshold_info"] == {"threshold": None}, "JSON knows no NaN"
    assert {"python", "numpy", "rasterio"} <= set(back["versions"])
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]


def test_a_key_that_the_schema_does_not_know_is_an_error():
    with pytest.raises(ValidationError, match="colour"):
        record(colour="blue")


@given(TOKENS, st.sampled_from(["sig", "X-Amz-Signature", "token", "anything"]), st.sampled_from(["?a=1&", "?", "#"]))
def test_no_query_string_gets_in(token, name, before):
    href = f"https://account.blob.example/c/B04.tif{before}{name}={token}"
    deep = record(
        scenes=(SceneUsed(id="a", collection="c", role="input", hrefs={"red": href, "nir": f"/vsicurl/{href}"}),),
        notes=(f"Could not read {href} at all",),
        model=ModelUsed(name="m", card={"references": [href], href: {"deeper": [[href]]}}),
    )
    text = as_json(deep)
    assert token not in text
    assert f"{name}=" not in text
    assert json.loads(text)["scenes"][0]["hrefs"]["red"] == "https://account.blob.example/c/B04.tif"


@given(
    TOKENS,
    st.sampled_from(
        ["PL_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PC_SDK_SUBSCRIPTION_KEY", "DB_PASSWORD"]
    ),
)
def test_no_secret_of_the_environment_gets_in(token, name):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, token)
        text = as_json(record(notes=(f"failed with {token}", quote(token, safe="")), command=f"geoseg map --x={token}"))
    assert token not in text
    assert quote(token, safe="") not in text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://user:pass@example.org/a", "https://example.org/a"),
        ("s3://bucket/key?versionId=9", "s3://bucket/key"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer [hidden]"),
        ("blob/a.tif?sig=abc%2Fdef&se=2", "blob/a.tif"),
        ("sig=abc%2Fdef&se=2", "sig=[hidden]&se=2"),
        ("is the token: a patch? yes, token: 16", "is the token: a patch? yes, token: 16"),
        ("a plain sentence, 50 % of it: C:/x", "a plain sentence, 50 % of it: C:/x"),
    ],
)
def test_what_a_text_keeps(text, left):
    assert redact(text) == left


def test_members_that_are_secret_by_name_are_hidden():
    assert redact({"token": "short", "Authorization": "x", "tokens": 3}) == {
        "token": "[hidden]",
        "Authorization": "[hidden]",
        "tokens": 3,
    }


def test_ordinary_variables_are_no_secrets():
    assert secrets_of({"HOME": "/home/ann", "PL_API_KEY": "0123456789", "TOKEN": "yes"}) == ("0123456789",)
