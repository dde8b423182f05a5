"""PlanetScope orders and Sentinel-2 scenes, made up in every layout the providers deliver."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rasterio.enums import ColorInterp

from geoseg.errors import NotIngestibleError, RadiometryUnknownError
from geoseg.sources.local.add import Added, add
from geoseg.sources.local.options import TypedOptions
from geoseg.sources.local.safe_xml import LARGEST_BYTES, read_xml

SCENE = "20230421_093723_45_2479"


def add_to(path: Path, *paths: Path, **words) -> Added:
    return add(paths, path, TypedOptions(**words).checked())


def planet_xml(path: Path, factors: list[float], extra: str = "") -> None:
    bands = "".join(
        f"<ps:bandSpecificMetadata><ps:bandNumber>{number}</ps:bandNumber>"
        f"<ps:reflectanceCoefficient>{factor}</ps:reflectanceCoefficient></ps:bandSpecificMetadata>"
        # file order is what bandNumber says, not the order of the elements
        for number, factor in reversed(list(enumerate(factors, start=1)))
    )
    path.write_text(
        f'<?xml version="1.0"?>{extra}<ps:EarthObservation xmlns:ps="http://schemas.planet.com/ps" xmlns:eop="e" '
        'xmlns:opt="o"><eop:serialIdentifier>2479</eop:serialIdentifier>'
        "<ps:acquisitionDateTime>2023-04-21T09:37:23+00:00</ps:acquisitionDateTime>"
        f"<opt:cloudCoverPercentage>12.5</opt:cloudCoverPercentage>{bands}</ps:EarthObservation>"
    )


# -- PlanetScope ----------------------------------------------------------------------------------------------------


def test_an_eight_band_order_with_udm2(made, surface, tmp_path):
    radiance = made(f"order/{SCENE}_3B_AnalyticMS_8b_clip.tif", surface(8), nodata=0)
    made(f"order/{SCENE}_3B_udm2_clip.tif", np.ones((8, 32, 32), np.uint8))
    factors = [round(2e-5 + k * 1e-6, 8) for k in range(8)]
    planet_xml(radiance.parent / f"{SCENE}_3B_AnalyticMS_8b_metadata_clip.xml", factors)
    (item,) = add_to(tmp_path / "mine", tmp_path / "order", sensor="planetscope").items
    assert item["id"] == SCENE
    data, mask = item["assets"]["data"], item["assets"]["udm2"]
    names = [band["name"] for band in data["eo:bands"]]
    assert names == ["coastal", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"]
    assert [band["scale"] for band in data["raster:bands"]] == factors
    assert mask["eo:bands"][0]["name"] == "clear" and len(mask["raster:bands"]) == 8
    assert "scale" not in mask["raster:bands"][0]
    assert item["properties"]["eo:cloud_cover"] == 12.5
    assert item["properties"]["platform"] == "2479"


def test_surface_reflectance_is_preferred_and_the_other_is_named(made, surface, tmp_path):
    made(f"order/{SCENE}_3B_AnalyticMS.tif", surface(4))
    made(f"order/{SCENE}_3B_AnalyticMS_SR.tif", surface(4))
    made(f"order/{SCENE}_3B_Visual.tif", np.zeros((3, 32, 32), np.uint8))
    (item,) = add_to(tmp_path / "mine", tmp_path / "order", sensor="planetscope").items
    assert item["assets"]["data"]["href"].endswith("_SR.tif")
    assert item["assets"]["data"]["raster:bands"][0] == {
        "data_type": "uint16",
        "nodata": 0,
        "scale": 0.0001,
        "offset": 0.0,
        "unit": "reflectance",
    }
    notes = " | ".join(item["properties"]["geoseg:notes"])
    assert f"not used: {SCENE}_3B_AnalyticMS.tif" in notes and "no UDM" in notes
    assert item["properties"]["datetime"] == "2023-04-21T09:37:23Z"  # of the file's name: nothing else says it


def test_radiance_without_its_xml_is_refused(made, surface, tmp_path):
    path = made(f"order/{SCENE}_3B_AnalyticMS.tif", surface(4))
    with pytest.raises(RadiometryUnknownError, match="reflectanceCoefficient"):
        add_to(tmp_path / "mine", path, sensor="planetscope")


def test_the_orders_stac_item_may_stand_for_the_xml(made, surface, tmp_path):
    path = made(f"order/{SCENE}_3B_AnalyticMS.tif", surface(4))
    scales = [2.0e-5, 2.1e-5, 2.6e-5, 4.1e-5]
    item = {
        "type": "Feature",
        "id": SCENE,
        "properties": {"datetime": "2023-04-21T09:37:23.450Z", "eo:cloud_cover": 30},
        "assets": {"analytic": {"href": f"./{path.name}", "raster:bands": [{"scale": s, "nodata": 0} for s in scales]}},
    }
    (path.parent / f"{SCENE}.json").write_text(json.dumps(item))
    (item,) = add_to(tmp_path / "mine", path, sensor="planetscope").items
    assert [band["scale"] for band in item["assets"]["data"]["raster:bands"]] == scales
    assert item["properties"]["eo:cloud_cover"] == 30


def test_coefficients_of_another_product_are_refused(made, surface, tmp_path):
    path = made(f"order/{SCENE}_3B_AnalyticMS_8b.tif", surface(8))
    planet_xml(path.parent / f"{SCENE}_3B_AnalyticMS_metadata.xml", [2e-5] * 4)
    with pytest.raises(RadiometryUnknownError, match="8 bands and its metadata 4"):
        add_to(tmp_path / "mine", path, sensor="planetscope")


def test_descriptions_against_planets_order_are_refused_and_colour_tags_are_not_looked_at(made, surface, tmp_path):
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)
    path = made(f"a/{SCENE}_3B_AnalyticMS_SR.tif", surface(4), colours=colours)
    (item,) = add_to(tmp_path / "mine", path, sensor="planetscope").items
    assert [band["name"] for band in item["assets"]["data"]["eo:bands"]] == ["blue", "green", "red", "nir"]
    path = made(f"b/{SCENE}_3B_AnalyticMS_SR.tif", surface(4), descriptions=("red", "green", "blue", "nir"))
    with pytest.raises(NotIngestibleError, match="'blue' where another source says 'red'"):
        add_to(tmp_path / "mine", path, sensor="planetscope")


def test_a_mask_of_another_place_is_refused(made, surface, tmp_path):
    from rasterio.transform import from_origin

    made(f"order/{SCENE}_3B_AnalyticMS_SR.tif", surface(4))
    made(f"order/{SCENE}_3B_udm2.tif", np.ones((8, 32, 32), np.uint8), transform=from_origin(0, 0, 3, 3))
    with pytest.raises(NotIngestibleError, match="does not lie on"):
        add_to(tmp_path / "mine", tmp_path / "order", sensor="planetscope")


def test_a_mask_alone_is_no_image(made, tmp_path):
    path = made(f"order/{SCENE}_3B_udm2.tif", np.ones((8, 32, 32), np.uint8))
    with pytest.raises(NotIngestibleError, match="Add the image itself"):
        add_to(tmp_path / "mine", path, sensor="planetscope")


# -- XML that means harm --------------------------------------------------------------------------------------------


def test_an_entity_bomb_is_refused_before_it_goes_off(made, surface, tmp_path):
    path = made(f"order/{SCENE}_3B_AnalyticMS.tif", surface(4))
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    planet_xml(
        path.parent / f"{SCENE}_3B_AnalyticMS_metadata.xml", [2e-5] * 4, f'<!DOCTYPE x [<!ENTITY l0 "ha">{levels}]>'
    )
    with pytest.raises(NotIngestibleError, match="document type"):
        add_to(tmp_path / "mine", path, sensor="planetscope")


def test_a_local_file_is_not_read_through_an_entity(tmp_path):
    (tmp_path / "a.xml").write_text('<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><x>&f;</x>')
    with pytest.raises(NotIngestibleError, match="document type"):
        read_xml(tmp_path / "a.xml")


def test_huge_and_broken_metadata_are_refused(tmp_path):
    huge, broken = tmp_path / "huge.xml", tmp_path / "broken.xml"
    with huge.open("wb") as stream:
        stream.truncate(LARGEST_BYTES + 1)
    broken.write_text("<a><b></a>")
    with pytest.raises(NotIngestibleError, match="more than any metadata"):
        read_xml(huge)
    with pytest.raises(NotIngestibleError, match="no whole XML"):
        read_xml(broken)


@pytest.mark.parametrize("factor", ["abc", "-1", "17", "nan"])
def test_a_coefficient_that_cannot_be_is_refused(made, surface, tmp_path, factor):
    path = made(f"order/{SCENE}_3B_AnalyticMS.tif", surface(4))
    planet_xml(path.parent / f"{SCENE}_3B_AnalyticMS_metadata.xml", [2e-5, 2e-5, 2e-5, factor])
    with pytest.raises(NotIngestibleError, match="value that cannot be"):
        add_to(tmp_path / "mine", path, sensor="planetscope")


@pytest.mark.parametrize("content", ["{", "[" * 100_000, ""])
def test_broken_json_beside_an_image_is_refused(made, surface, tmp_path, content):
    path = made(f"order/{SCENE}_3B_AnalyticMS_SR.tif", surface(4))
    (path.parent / f"{SCENE}.json").write_text(content)
    with pytest.raises(NotIngestibleError, match="no whole JSON"):
        add_to(tmp_path / "mine", path, sensor="planetscope")


# -- Sentinel-2 -----------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(made, surface, tmp_path):
    """A folder with B03, B8A, B11 and SCL, and an item JSON that holds ``properties``."""

    def build(properties: dict | None, name: str = "S2B_32TQM_20230101_0_L2A") -> Path:
        for band in ("B03", "B8A", "B11"):
            made(f"{name}/{band}.tif", surface(1), nodata=0)
        made(f"{name}/SCL.tif", np.full((16, 16), 6, np.uint8), nodata=0)
        made(f"{name}/AOT.tif", surface(1))
        folder = tmp_path / name
        if properties is not None:
            stated = {"datetime": "2023-01-01T10:00:00Z", **properties}
            item = {"type": "Feature", "id": name, "properties": stated, "assets": {}}
            (folder / "item.json").write_text(json.dumps(item))
        return folder

    return build


@pytest.mark.parametrize(
    ("properties", "offset"),
    [
        ({"s2:processing_baseline": "02.14"}, 0.0),
        ({"s2:processing_baseline": "03.01"}, 0.0),
        ({"s2:processing_baseline": "04.00"}, -0.1),
        ({"s2:processing_baseline": "05.09"}, -0.1),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, 0.0),
        ({"s2:processing_baseline": "02.14", "earthsearch:boa_offset_applied": False}, 0.0),
        ({"s2:product_uri": "S2B_MSIL2A_20230101T100000_N0509_R122_T32TQM_20230101T120000.SAFE"}, -0.1),
    ],
)
def test_the_offset_follows_the_baseline(scene, tmp_path, properties, offset):
    (item,) = add_to(tmp_path / "mine", scene(properties), sensor="s2").items
    stated = {name: asset["raster:bands"][0] for name, asset in item["assets"].items()}
    assert set(stated) == {"green", "nir08", "swir16", "scl"}
    assert {band["offset"] for name, band in stated.items() if name != "scl"} == {offset}
    assert {band["scale"] for name, band in stated.items() if name != "scl"} == {0.0001}
    assert "scale" not in stated["scl"]


@pytest.mark.parametrize(
    "properties",
    [
        None,
        {},
        {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False},
        {"s2:processing_baseline": "newest"},
    ],
)
def test_an_offset_that_nobody_can_tell_is_refused_unless_it_is_said(scene, tmp_path, properties):
    folder = scene(properties)
    with pytest.raises(RadiometryUnknownError, match="--s2-offset"):
        add_to(tmp_path / "mine", folder, sensor="s2", date="2023-01-01")


def test_what_the_person_says_of_the_offset_overrules_metadata_and_is_noted(scene, tmp_path):
    folder = scene({"s2:processing_baseline": "05.09"})
    (item,) = add_to(tmp_path / "mine", folder, sensor="s2", s2_offset=0).items
    assert item["assets"]["green"]["raster:bands"][0]["offset"] == 0.0
    assert item["properties"]["geoseg:notes"][0] == "offset 0 as you said; its metadata say -1000"


def test_the_folders_own_name_may_tell(scene, tmp_path):
    folder = scene(None, "S2B_MSIL2A_20230101T100000_N0509_R122_T32TQM_20230101T120000")
    (item,) = add_to(tmp_path / "mine", folder, sensor="s2").items
    assert item["properties"]["datetime"] == "2023-01-01T10:00:00Z"
    assert item["assets"]["green"]["raster:bands"][0]["offset"] == -0.1


def test_a_safe_folder_is_read_at_its_finest_by_its_own_xml(made, surface, tmp_path):
    name = "S2B_MSIL2A_20230101T100000_N0509_R122_T32TQM_20230101T120000.SAFE"
    images = f"{name}/GRANULE/L2A_T32TQM/IMG_DATA"
    jp2 = {"driver": "JP2OpenJPEG", "QUALITY": 100, "REVERSIBLE": "YES"}
    made(f"{images}/R10m/T32TQM_20230101T100000_B03_10m.jp2", surface(1), **jp2)
    made(f"{images}/R20m/T32TQM_20230101T100000_B03_20m.jp2", surface(1), **jp2)
    made(f"{images}/R20m/T32TQM_20230101T100000_B11_20m.jp2", surface(1), **jp2)
    made(f"{images}/R20m/T32TQM_20230101T100000_SCL_20m.jp2", np.full((1, 32, 32), 6, np.uint8), **jp2)
    made(f"{images}/R10m/T32TQM_20230101T100000_TCI_10m.jp2", np.full((3, 32, 32), 60, np.uint8), **jp2)
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{n}">-1000</BOA_ADD_OFFSET>' for n in range(13))
    (tmp_path / name / "MTD_MSIL2A.xml").write_text(
        f'<n1:Level-2A_User_Product xmlns:n1="esa"><PRODUCT_URI>{name}</PRODUCT_URI>'
        "<PRODUCT_START_TIME>2023-01-01T10:00:00.024Z</PRODUCT_START_TIME>"
        "<PROCESSING_BASELINE>05.09</PROCESSING_BASELINE><SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME>"
        "<BOA_QUANTIFICATION_VALUE unit='none'>10000</BOA_QUANTIFICATION_VALUE>"
        f"{offsets}<Cloud_Coverage_Assessment>7.25</Cloud_Coverage_Assessment></n1:Level-2A_User_Product>"
    )
    (item,) = add_to(tmp_path / "mine", tmp_path / name, sensor="s2").items
    assert item["id"] == name.removesuffix(".SAFE")
    assert set(item["assets"]) == {"green", "swir16", "scl"}
    assert item["assets"]["green"]["href"].endswith("_B03_10m.jp2")
    assert item["assets"]["green"]["type"] == "image/jp2"
    assert item["assets"]["green"]["raster:bands"][0]["offset"] == -0.1
    assert item["assets"]["green"]["raster:bands"][0]["scale"] == pytest.approx(0.0001)
    assert item["properties"]["platform"] == "sentinel-2b"
    assert item["properties"]["eo:cloud_cover"] == 7.25


def test_level_1c_is_refused_unless_it_is_meant(made, scene, surface, tmp_path):
    folder = scene({"s2:processing_baseline": "02.14"})
    made(f"{folder.name}/B10.tif", surface(1))
    with pytest.raises(RadiometryUnknownError, match="--level L1C"):
        add_to(tmp_path / "mine", folder, sensor="s2")
    (item,) = add_to(tmp_path / "mine", folder, sensor="s2", level="L1C").items
    assert item["properties"]["geoseg:level"] == "L1C"
    assert "top of the atmosphere" in " ".join(item["properties"]["geoseg:notes"])


def test_two_scenes_in_one_folder_are_two_items(made, surface, tmp_path):
    for day in ("20230101", "20230106"):
        for band in ("B03", "B11"):
            made(f"both/T32TQM_{day}_{band}.tif", surface(1), nodata=0)
    answer = add_to(tmp_path / "mine", tmp_path / "both", sensor="s2", s2_offset=0, date="2023-01-01")
    assert [item["id"] for item in answer.items] == ["T32TQM_20230101", "T32TQM_20230106"]
    assert "no SCL beside it" in answer.items[0]["properties"]["geoseg:notes"][0]


def test_an_id_from_metadata_cannot_leave_the_catalogue(scene, tmp_path):
    folder = scene({"s2:processing_baseline": "02.14"})
    stated = json.loads((folder / "item.json").read_text()) | {"id": "../../../evil"}
    (folder / "item.json").write_text(json.dumps(stated))
    before = {path for path in tmp_path.rglob("*") if "mine" not in path.parts}
    (item,) = add_to(tmp_path / "mine", folder, sensor="s2").items
    assert item["id"] == "evil"
    assert (tmp_path / "mine/local-s2/evil.json").is_file()
    assert before == {path for path in tmp_path.rglob("*") if "mine" not in path.parts}
