"""Real PlanetScope and Sentinel-2 through the command; what is hidden there is not observed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import maximum_filter
from skimage.io import imread

from tests.support.made_scenes import codes, looked_up

HIDDEN_SCL = (0, 1, 3, 8, 9, 10)
"""No data, saturated, cloud shadow, cloud of medium and high probability, cirrus."""
L2A = "sentinel2_l2a/S2A_29RKH_20200219_0_L2A"


@pytest.fixture(scope="module")
def mapped(geoseg, tmp_path_factory):
    """Map the whole of one item of a catalogue."""

    def map_item(catalog: Path, name: str, *words: object) -> dict[str, object]:
        items = geoseg("catalog", "list", catalog, "--json").record["items"]
        item = next(each for each in items if each["id"].startswith(name))
        box = "--bbox=" + ",".join(str(number) for number in item["bbox"])
        where = ("--catalog", catalog, box, "--date", item["datetime"][:10], "--sensor", item["sensor"])
        said = geoseg("map", *where, *words, "--out", tmp_path_factory.mktemp(name), "--json")
        assert said.status == 0, said.err
        return {**said.record, "json": json.loads(Path(said.record["run"]).read_text())}

    return map_item


@pytest.fixture(scope="module")
def harvey(mapped, planetscope):
    return mapped(planetscope, "20170831", "--model", "ndwi", "--resolution", "50")


@pytest.fixture(scope="module")
def deering(mapped, planetscope):
    return mapped(planetscope, "20160909", "--model", "ndwi")


@pytest.fixture(scope="module")
def maghreb(mapped, sentinel2):
    return mapped(sentinel2, "S2A_29RKH", "--model", "mndwi", "--resolution", "200")


def test_harvey_radiance_becomes_reflectance_and_a_map(harvey, data):
    """Water and land by the sign of NDWI, computed here from the radiance and the factors in the metadata XML."""
    folder = data / "planetscope" / "harvey"
    factors = radiance_factors(folder / "20170831_172754_101c_3B_AnalyticMS_metadata.xml")
    image, sure = looked_up(folder / "20170831_172754_101c_3B_AnalyticMS.tif", harvey["flood"], outside=0)
    green, nir = image[1] * factors[2], image[3] * factors[4]
    with np.errstate(invalid="ignore"):
        ndwi = (green - nir) / (green + nir)
    mask = codes(harvey["flood"])
    clear = sure & (mask != 255) & (np.abs(ndwi) > 0.15)
    assert clear.sum() > 50_000
    assert ((mask == 1) == (ndwi > 0))[clear].mean() > 0.98
    assert (mask == 1).sum() > 500


def radiance_factors(path: Path) -> dict[int, float]:
    """Band number -> reflectanceCoefficient, read with nothing but a text search."""
    text, found = path.read_text(), {}
    for part in text.split("<ps:bandNumber>")[1:]:
        coefficient = part.split("<ps:reflectanceCoefficient>")[1].split("<")[0]
        found[int(part.split("<")[0])] = float(coefficient)
    return found


def test_deering_says_nothing_outside_its_26_per_cent(deering, data):
    """Not observed: nodata 0, every bit of the UDM, and the rim that the visible bands did not see; nothing else."""
    folder = data / "planetscope" / "deering"
    image, sure = looked_up(folder / "20160909_213104_0e19_3B_AnalyticMS_SR_clip.tif", deering["flood"], outside=0)
    udm, _ = looked_up(folder / "20160909_213104_0e19_3B_AnalyticMS_DN_udm_clip.tif", deering["flood"], outside=1)
    rim = maximum_filter((image[:3] == 1).all(axis=0), 5)
    hidden = (image[[1, 3]] == 0).any(axis=0) | (udm[0] != 0) | rim
    inside = sure & ~maximum_filter(~sure, 5)
    assert rim[inside].sum() > 10_000
    assert ((codes(deering["flood"]) == 255) == hidden)[inside].all()
    water = codes(deering["flood"]) == 1
    assert not (water & maximum_filter(rim, 9)).any(), "ringing beside the rim is no water"
    assert water.sum() > 900
    assert 70 < deering["shares_pct"]["not_observed"] < 78
    assert any("not observed" in note for note in deering["notes"])


def test_8_band_clips_map(mapped, planetscope, data):
    record = mapped(planetscope, "20230518", "--model", "ndwi")
    image, sure = looked_up(data / "planetscope" / "superdove_8band" / "20230518_Allen.tif", record["flood"], outside=0)
    green, nir = image[3], image[7]
    mask = codes(record["flood"])
    ndwi = (green - nir) / np.maximum(green + nir, 1)
    clear = sure & (mask != 255) & (np.abs(ndwi) > 0.1)
    assert ((mask == 1) == (ndwi > 0))[clear].all()
    assert clear.sum() > 20_000


def test_clouds_are_not_observed(maghreb, data):
    """Mapped on the classification's own grid: 255 on every cloud and shadow of it, and on missing data only."""
    scl, sure = looked_up(data / L2A / "SCL.tif", maghreb["flood"], outside=0)
    mask, hidden = codes(maghreb["flood"]), np.isin(scl[0], HIDDEN_SCL)
    assert sure.mean() > 0.99
    assert (mask[sure & hidden] == 255).all()
    swir, _ = looked_up(data / L2A / "B11.tif", maghreb["flood"], outside=0)
    assert (mask[sure & ~hidden & (swir[0] > 0)] != 255).mean() > 0.999
    assert np.isin(scl[0], (8, 9)).sum() > 100


def test_the_run_record_tells_everything(harvey, planetscope):
    run = harvey["json"]
    assert run["request"]["sensor"] == "planetscope"
    assert run["model"]["name"] == "ndwi"
    assert run["class_1"] == "water"
    (scene,) = run["scenes"]
    assert (scene["id"], scene["role"], scene["code"]) == ("20170831_172754_101c", "input", 0)
    assert set(scene["hrefs"]) == {"green", "nir"}
    assert all(len(digest) == 64 for digest in scene["sha256"].values())
    assert {"geoseg", "torch", "rasterio", "numpy"} <= set(run["versions"])
    assert set(run["seconds"]) == {"search", "map", "mask", "write"}
    assert run["shares"]["total_km2"] == pytest.approx(sum(run["shares"]["km2"].values()), rel=1e-6)


def test_previews_are_pictures(harvey, deering, maghreb):
    for record in (harvey, deering, maghreb):
        picture = imread(record["preview"])
        assert picture.ndim == 3
        assert min(picture.shape[:2]) > 300
        assert len(np.unique(picture.reshape(-1, picture.shape[2])[::97], axis=0)) > 20
