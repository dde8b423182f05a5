"""A scene that cannot be read is left out of a map that has others, and ``geoseg scenes`` says the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from tests.support.made_scenes import INSIDE, ORIGIN, SHAPE, UTM

ASK = ("--bbox", INSIDE, "--date", "2024-05-01", "--sensor", "s2")
BANDS = ("green", "nir", "swir16")
DARK, BRIGHT = 500, 3000
FOOTPRINT = [[8.99, 47.82], [9.04, 47.82], [9.04, 47.86], [8.99, 47.86], [8.99, 47.82]]


def write_band(path: Path, number: int) -> Path:
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "height": SHAPE[0], "width": SHAPE[1], "nodata": 0}
    with rasterio.open(path, "w", crs=UTM, transform=from_origin(*ORIGIN, 10, 10), **profile) as file:
        file.write(np.full((1, *SHAPE), number, np.uint16))
    return path


def scene(folder: Path, name: str, *, applied: bool = True, bands: tuple[str, ...] = BANDS) -> dict[str, object]:
    """An item as Earth Search has them, of water everywhere."""
    assets = {
        band: {
            "href": str(write_band(folder / f"{name}_{band}.tif", BRIGHT if band == "green" else DARK)),
            "type": "image/tiff; application=geotiff",
            "roles": ["data", "reflectance"],
            "eo:bands": [{"name": band, "common_name": band}],
        }
        for band in bands
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": name,
        "collection": "sentinel-2-l2a",
        "bbox": [8.99, 47.82, 9.04, 47.86],
        "geometry": {"type": "Polygon", "coordinates": [FOOTPRINT]},
        "properties": {
            "datetime": "2024-05-01T10:30:00Z",
            "platform": "sentinel-2a",
            "s2:processing_baseline": "05.10",
            "geoseg:collection": "earth-search/sentinel-2-l2a",
            "earthsearch:boa_offset_applied": applied,
        },
        "links": [],
        "assets": assets,
    }


@pytest.fixture
def items(tmp_path):
    """One scene that can be read, one whose numbers cannot be decided, one without short-wave infrared."""
    good = scene(tmp_path, "S2A_32TMT_20240501_0_L2A")
    undecidable = scene(tmp_path, "S2A_32TMT_20240501_1_L2A", applied=False)
    return [undecidable, good, scene(tmp_path, "S2A_32TMU_20240501_0_L2A", bands=("green", "nir"))]


@pytest.fixture
def listed(tmp_path):
    def write(items):
        path = tmp_path / "items.json"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": items}), encoding="utf-8")
        return path

    return write


def test_one_bad_scene_does_not_stop_a_map(items, listed, geoseg, tmp_path):
    catalog = listed(items)
    said = geoseg("scenes", "--catalog", catalog, *ASK, "--model", "mndwi", "--json")
    assert said.status == 0, said.err
    listed_as = said.record
    reasons = {each["id"]: each["reason"] for each in listed_as["rejected"]}
    assert [each["id"] for each in listed_as["scenes"]] == ["S2A_32TMT_20240501_0_L2A"]
    assert set(reasons) == {"S2A_32TMT_20240501_1_L2A", "S2A_32TMU_20240501_0_L2A"}
    assert "may be wrong by it" in reasons["S2A_32TMT_20240501_1_L2A"]
    assert "no band 'swir16'" in reasons["S2A_32TMU_20240501_0_L2A"]

    said = geoseg("map", "--catalog", catalog, *ASK, "--model", "mndwi", "--out", tmp_path / "out", "--json")
    assert said.status == 0, said.err
    assert said.record["shares_pct"]["water"] == 100
    run = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert [each["id"] for each in run["scenes"]] == ["S2A_32TMT_20240501_0_L2A"]
    assert {each["id"]: each["reason"] for each in run["rejected"]} == reasons


def test_what_is_left_out_depends_on_the_model(items, listed, geoseg):
    said = geoseg("scenes", "--catalog", listed(items), *ASK, "--model", "ndwi", "--json")
    assert {each["id"] for each in said.record["scenes"]} == {"S2A_32TMT_20240501_0_L2A", "S2A_32TMU_20240501_0_L2A"}


@pytest.mark.parametrize("verb", ["map", "scenes"])
def test_where_all_are_bad_that_is_said_in_one_line(verb, items, listed, geoseg, tmp_path):
    bad = listed([item for item in items if item["id"] != "S2A_32TMT_20240501_0_L2A"])
    out = ("--out", tmp_path / "out") if verb == "map" else ()
    said = geoseg(verb, "--catalog", bad, *ASK, "--model", "mndwi", *out)
    assert said.status == 1
    assert len(said.errors) == 1
    assert "S2A_32TMT_20240501_1_L2A" in said.errors[0]


def test_a_model_that_is_not_there_is_refused(items, listed, geoseg):
    said = geoseg("scenes", "--catalog", listed(items), *ASK, "--model", "mndvi")
    assert said.status != 0
    assert len(said.errors) == 1
    assert "mndwi" in said.errors[0]


@pytest.mark.parametrize("verb", ["list", "validate"])
def test_what_another_program_made_is_not_called_damaged(verb, items, listed, geoseg, tmp_path):
    """A FeatureCollection and a static catalogue that ``scenes`` searches: what list and validate read is said."""
    path = listed(items)
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "theirs", "links": []}), "utf-8")
    elsewhere = path.rename(tmp_path / "theirs.json")
    for place in (elsewhere, tmp_path / "catalog.json", tmp_path):
        said = geoseg("catalog", verb, place)
        assert said.status == 1
        assert len(said.errors) == 1
        assert f"{place} has no items.json made by `geoseg catalog add`" in said.errors[0]
    elsewhere.rename(path)  # as the demo's folder is: an items.json beside the door, made by another
    assert "has no items.json made by" in geoseg("catalog", verb, tmp_path).err


def test_a_damaged_catalogue_of_ours_is_called_damaged(lagoon, geoseg):
    (lagoon / "items.json").write_text("[", encoding="utf-8")
    assert "Make the catalogue again" in geoseg("catalog", "list", lagoon).err


def test_a_printed_result_says_how_many_were_left_out_and_why(geoseg, items, listed, tmp_path):
    items = listed(items)
    said = geoseg("map", *ASK, "--catalog", items, "--model", "mndwi", "--out", tmp_path / "out", "--json")
    left = said.record["rejected"]
    assert len(left) == 2
    note = next(note for note in said.record["notes"] if "rejected" in note)
    assert note.startswith(f"2 scenes rejected: {left[0]['id']} (")
    assert note.endswith(", and 1 more: see run.json.")
    assert geoseg("map", *ASK, "--catalog", items, "--model", "mndwi", "--out", tmp_path / "two").err.count(note) == 1
