"""Plain files: which band is which, what their numbers are, which of them were observed."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from geoseg.errors import BadDateError, BadOptionError, NotIngestibleError, RadiometryUnknownError, UnknownNameError
from geoseg.sources.local.add import Added, add
from geoseg.sources.local.options import TypedOptions
from geoseg.sources.local.raster import look_at

DAY = "2021-07-20"
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def add_to(path: Path, *paths: Path, **words) -> Added:
    return add(paths, path, TypedOptions(**{"date": DAY, **words}).checked())


def numbers_of(answer: Added) -> list[dict]:
    return answer.items[0]["assets"]["data"]["raster:bands"]


def names_of(answer: Added) -> list[str]:
    return [band["name"] for band in answer.items[0]["assets"]["data"]["eo:bands"]]


# -- bands ----------------------------------------------------------------------------------------------------------


def test_descriptions_name_the_bands_in_any_spelling(made, backscatter, tmp_path):
    path = made("a.tif", backscatter, descriptions=("Gamma0 VH", "VV"))
    assert names_of(add_to(tmp_path / "mine", path, sensor="s1", units="db")) == ["vh", "vv"]


def test_bands_that_contradict_the_descriptions_are_refused(made, backscatter, tmp_path):
    path = made("a.tif", backscatter, descriptions=("VV", "VH"))
    with pytest.raises(NotIngestibleError, match="'vv' where --bands says 'vh'"):
        add_to(tmp_path / "mine", path, sensor="s1", units="db", bands="vh,vv")


@pytest.mark.parametrize("bands", ["vv", "vv,vh,hh"])
def test_too_few_or_too_many_bands_are_refused(made, backscatter, tmp_path, bands):
    with pytest.raises(NotIngestibleError, match="has 2 bands and --bands names"):
        add_to(tmp_path / "mine", made("a.tif", backscatter), sensor="s1", units="db", bands=bands)


def test_colour_tags_name_the_bands_of_aerial_imagery_only(made, tmp_path):
    pixels = np.full((3, 16, 16), 80, np.uint8)
    path = made("a.tif", pixels, colours=(ColorInterp.blue, ColorInterp.green, ColorInterp.red))
    assert names_of(add_to(tmp_path / "mine", path, sensor="aerial")) == ["blue", "green", "red"]
    path = made("b.tif", pixels.astype(np.uint16) * 20, colours=RGB, photometric="RGB")
    with pytest.raises(NotIngestibleError, match="--bands"):
        add_to(tmp_path / "mine", path, sensor="s2", units="reflectance")


def test_one_file_a_polarisation_is_one_item(made, backscatter, tmp_path):
    for band, name in zip(backscatter, ("VV", "VH"), strict=True):
        made(f"scene/S1A_20210720_{name}.tif", band)
    answer = add_to(tmp_path / "mine", tmp_path / "scene", sensor="s1", units="db")
    (item,) = answer.items
    assert item["id"] == "S1A_20210720"
    assert {name: asset["eo:bands"][0]["name"] for name, asset in item["assets"].items()} == {"vv": "vv", "vh": "vh"}


def test_two_files_of_one_name_do_not_overwrite_each_other(made, backscatter, tmp_path):
    for folder in ("one", "two"):
        made(f"{folder}/a.tif", backscatter, descriptions=("vv", "vh"))
    answer = add_to(tmp_path / "mine", tmp_path / "one", tmp_path / "two", sensor="s1", units="db")
    assert [item["id"] for item in answer.items] == ["one_a", "two_a"]
    for folder in ("x/one", "y/one"):
        made(f"{folder}/b.tif", backscatter, descriptions=("vv", "vh"))
    answer = add_to(tmp_path / "other", tmp_path / "x", tmp_path / "y", sensor="s1", units="db")
    assert len(answer.items) == 1
    assert "another file of this run" in answer.refused[0].reason


# -- numbers --------------------------------------------------------------------------------------------------------


def test_linear_power_is_taken_at_its_word_where_the_pixels_allow_it(made, backscatter, tmp_path):
    path = made("a.tif", 10 ** (backscatter / 10), descriptions=("vv", "vh"))
    answer = add_to(tmp_path / "mine", path, sensor="s1", units="linear")
    assert answer.items[0]["properties"]["geoseg:units"] == "linear"
    with pytest.raises(RadiometryUnknownError, match="Is it --units linear"):
        add_to(tmp_path / "mine", path, sensor="s1", units="db")


def test_amplitudes_declared_linear_are_refused(made, tmp_path):
    path = made("a.tif", np.full((1, 16, 16), 180.0, np.float32), descriptions=("vv",))
    with pytest.raises(RadiometryUnknownError, match="uncalibrated amplitudes"):
        add_to(tmp_path / "mine", path, sensor="s1", units="linear")


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(low=st.floats(-35, -8), span=st.floats(1, 20))
def test_plausible_decibels_are_never_taken_for_linear_power(made, tmp_path, low, span):
    pixels = np.linspace(low, min(low + span, -0.5), 256, dtype=np.float32).reshape(1, 16, 16)
    path = made("a.tif", pixels, descriptions=("vv",))
    with pytest.raises(RadiometryUnknownError):
        add_to(tmp_path / "mine", path, sensor="s1", units="linear")
    assert add_to(tmp_path / "mine", path, sensor="s1", units="db").items


def test_reflectance_as_numbers_and_as_fractions(made, surface, tmp_path):
    names = ("blue", "green", "red", "nir")
    whole = made("a.tif", surface(4), descriptions=names)
    parts = made("b.tif", (surface(4) / 10000).astype(np.float32), descriptions=names)
    for path, scale in ((whole, 0.0001), (parts, 1.0)):
        answer = add_to(tmp_path / "mine", path, sensor="s2", units="reflectance")
        assert {band["scale"] for band in numbers_of(answer)} == {scale}
        assert {band["offset"] for band in numbers_of(answer)} == {0.0}


def test_fractions_that_are_digital_numbers_are_refused(made, surface, tmp_path):
    path = made("a.tif", surface(4).astype(np.float32), descriptions=("blue", "green", "red", "nir"))
    with pytest.raises(RadiometryUnknownError, match=r"100 % of its pixels lie outside -0.2..2 reflectance"):
        add_to(tmp_path / "mine", path, sensor="s2", units="reflectance")


@pytest.mark.parametrize(("offset", "expected"), [(-1000, -0.1), (0, 0.0)])
def test_the_sentinel2_offset_can_be_said(made, surface, tmp_path, offset, expected):
    path = made("a.tif", surface(2), descriptions=("B03", "B11"))
    answer = add_to(tmp_path / "mine", path, sensor="s2", s2_offset=offset)
    assert names_of(answer) == ["green", "swir16"]
    assert [(band["scale"], band["offset"]) for band in numbers_of(answer)] == 2 * [(0.0001, expected)]
    assert answer.items[0]["properties"]["geoseg:units"] == "dn"


def test_a_scale_that_the_file_states_is_used(made, tmp_path):
    path = made("a.tif", np.full((1, 16, 16), -1234, np.int16), descriptions=("vv",))
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = (0.01,), (0.5,)
    answer = add_to(tmp_path / "mine", path, sensor="s1", units="db")
    assert (numbers_of(answer)[0]["scale"], numbers_of(answer)[0]["offset"]) == (0.01, 0.5)


def test_sixteen_bit_aerial_imagery_is_refused(made, tmp_path):
    path = made("a.tif", np.full((3, 16, 16), 800, np.uint16), colours=RGB, photometric="RGB")
    with pytest.raises(RadiometryUnknownError, match="8-bit imagery"):
        add_to(tmp_path / "mine", path, sensor="aerial")


# -- observed or not ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "declared", "sensor", "expected", "note"),
    [
        ("float32", None, "s1", "nan", "declares no nodata: NaN, and 0 in all bands, count as not observed"),
        ("float32", -9999.0, "s1", -9999, None),
        ("float32", math.nan, "s1", "nan", None),
        ("uint16", 0, "s2", 0, None),
        ("uint16", 65535, "s2", 65535, None),
        ("uint16", None, "s2", 0, "0 counts as not observed"),
        ("uint8", None, "aerial", None, "every pixel counts as observed"),
        ("uint8", 0, "aerial", 0, None),
    ],
)
def test_nodata_is_what_the_file_says_or_what_the_provider_documents(
    made, tmp_path, dtype, declared, sensor, expected, note
):
    value = {"s1": -12.0, "s2": 900, "aerial": 90}[sensor]
    bands = {"s1": ("vv",), "s2": ("green",), "aerial": ("green",)}[sensor]
    path = made("a.tif", np.full((1, 16, 16), value, dtype), nodata=declared, descriptions=bands)
    units = {"s1": "db", "s2": "reflectance", "aerial": None}[sensor]
    answer = add_to(tmp_path / "mine", path, sensor=sensor, units=units)
    assert numbers_of(answer)[0].get("nodata") == expected
    notes = answer.items[0]["properties"].get("geoseg:notes", [])
    notes = [each for each in notes if "--level" not in each]
    assert (note is None and not notes) or note in notes[0]


def test_an_internal_mask_is_stated(made, tmp_path):
    path = made("a.tif", np.full((3, 16, 16), 90, np.uint8), colours=RGB, photometric="RGB")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as target:
        target.write_mask(np.eye(16, dtype=bool))
    answer = add_to(tmp_path / "mine", path, sensor="aerial")
    assert answer.items[0]["assets"]["data"]["geoseg:mask"] == "internal"
    assert "geoseg:notes" not in answer.items[0]["properties"]


# -- place ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crs", "middle"),
    [
        ("+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84 +units=m", (0, 0, 20, 10)),
        # so near EPSG:25832 that GDAL takes it for that, though its datum is not known
        ("+proj=utm +zone=32 +ellps=GRS80 +units=m", (500_000, 0, 9, 0)),
    ],
)
def test_a_crs_without_a_code_is_written_out(made, backscatter, tmp_path, crs, middle):
    x, y, lon, lat = middle
    path = made("a.tif", backscatter, crs=crs, transform=from_origin(x, y, 10, 10), descriptions=("vv", "vh"))
    item = add_to(tmp_path / "mine", path, sensor="s1", units="db").items[0]
    assert item["properties"]["proj:code"] is None
    with rasterio.open(path) as source:
        assert rasterio.crs.CRS.from_wkt(item["properties"]["proj:wkt2"]) == source.crs
    assert item["bbox"][0] == pytest.approx(lon, abs=1e-5) and item["bbox"][3] == pytest.approx(lat, abs=1e-5)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("crs", [None, "EPSG:32632"])
def test_a_file_without_a_place_is_refused(made, backscatter, tmp_path, crs):
    path = made("a.tif", backscatter, crs=crs, transform=rasterio.Affine.identity(), descriptions=("vv", "vh"))
    with pytest.raises(NotIngestibleError, match="place on Earth is unknown"):
        add_to(tmp_path / "mine", path, sensor="s1", units="db")


@pytest.mark.parametrize("name", ["a.tif", "a.vrt"])
def test_a_file_that_points_elsewhere_is_never_opened(tmp_path, name):
    path = tmp_path / name
    path.write_text(
        "<VRTDataset rasterXSize='1' rasterYSize='1'><VRTRasterBand dataType='Byte' band='1'><SimpleSource>"
        "<SourceFilename>/vsicurl/http://127.0.0.1:9/x.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(NotIngestibleError, match="neither a GeoTIFF nor"):
        add_to(tmp_path / "mine", path, sensor="aerial")


@pytest.mark.parametrize("tiled", [True, False])
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.99])
def test_a_cut_off_file_is_refused_wherever_it_was_cut(made, tmp_path, tiled, kept):
    layout = {"tiled": True, "blockxsize": 64, "blockysize": 64} if tiled else {}
    noise = np.random.default_rng(1).uniform(-25, -5, (2, 256, 256)).astype(np.float32)
    path = made("a.tif", noise, descriptions=("vv", "vh"), compress="deflate", **layout)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(NotIngestibleError, match=r"truncated|damaged"):
        add_to(tmp_path / "mine", path, sensor="s1", units="db")


def test_a_truncated_file_is_known_from_its_header_alone(made):
    """Sampled pixels would not do: they are few, and most of a large file could be gone."""
    path = made("a.tif", np.arange(300 * 300, dtype=np.float32).reshape(1, 300, 300), driver="COG", BLOCKSIZE=128)
    content = path.read_bytes()
    assert look_at(path).shape == (300, 300)
    path.write_bytes(content[:-100])
    with pytest.raises(NotIngestibleError, match="truncated"):
        look_at(path)


def test_an_empty_file_and_a_missing_one_are_refused_by_name(tmp_path):
    (tmp_path / "empty.tif").touch()
    for name, says in (("empty.tif", "neither"), ("gone.tif", "There is no file or folder")):
        with pytest.raises(NotIngestibleError, match=says) as caught:
            add_to(tmp_path / "mine", tmp_path / name, sensor="s1", units="db")
        assert name in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# -- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        ({"sensor": "s3"}, UnknownNameError, "no sensor named 's3'"),
        ({"sensor": "s1", "units": "watts"}, BadOptionError, "db, linear, reflectance or dn"),
        ({"sensor": "s1", "bands": "vv,zz"}, UnknownNameError, "'zz'"),
        ({"sensor": "s1", "bands": "vv,VV"}, BadOptionError, "twice"),
        ({"sensor": "s2", "level": "L3"}, BadOptionError, "--level is surface, toa, L2A or L1C"),
        ({"sensor": "s2", "s2_offset": 10**6}, BadOptionError, "-1000 or 0"),
        ({"sensor": "s1", "date": "2999-01-01"}, BadDateError, "future"),
        ({"sensor": "s1", "date": "2999-01-01T00:00:00Z"}, BadDateError, "future"),
        ({"sensor": "s1", "date": "2018-01-01/2018-01-05"}, BadDateError, "one day"),
        ({"sensor": "s1", "date": "noTon"}, BadDateError, "no instant"),
    ],
)
def test_options_that_cannot_be_are_usage_errors(words, kind, says):
    with pytest.raises(kind, match=says):
        TypedOptions(**words).checked()


@pytest.mark.parametrize(
    "words",
    [
        {"sensor": "s1", "units": "reflectance"},
        {"sensor": "s2", "units": "db"},
        {"sensor": "aerial", "units": "dn"},
        {"sensor": "s1", "units": "db", "s2_offset": 0},
        {"sensor": "s2", "units": "reflectance", "s2_offset": -1000},
    ],
)
def test_units_that_a_sensor_does_not_have_are_usage_errors(made, backscatter, tmp_path, words):
    with pytest.raises(BadOptionError):
        add_to(tmp_path / "mine", made("a.tif", backscatter), **words)
