"""Files as people bring them: a CRS off the Earth, odd TIFF tags, blocks of gigabytes, extra bands, strange names."""

from __future__ import annotations

import struct
import zipfile
from datetime import date

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from geoseg.core import open_raster
from geoseg.core.area import Area
from geoseg.core.request import Dates
from geoseg.errors import GeosegError, NotIngestibleError, RadiometryUnknownError
from geoseg.readers.plan_scene import plan_scene
from geoseg.readers.raster import GridWindow, read_band
from geoseg.sources.local.add import add
from geoseg.sources.local.footprint import check_on_earth
from geoseg.sources.local.naming import bands_given
from geoseg.sources.local.options import TypedOptions
from geoseg.sources.local.suggest_map import covering, first_map
from geoseg.sources.local.validate import validate
from geoseg.sources.search import find_scenes

DAY = "2018-09-21"


PLACE = from_origin(500_000, 1_300_000, 20, 20)


def write(path, pixels, *, crs="EPSG:32632", names=None, colours=None, place=PLACE, **profile):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    size = {"count": count, "height": height, "width": width, "dtype": pixels.dtype}
    with rasterio.open(path, "w", driver="GTiff", **size, crs=crs, transform=place, **profile) as file:
        if colours:
            file.colorinterp = colours
        file.write(pixels)
        if names:
            file.descriptions = names
    return path


def radar(count=2, side=32):
    return np.random.default_rng(3).normal(-12, 1, (count, side, side)).astype("float32")


def optical(count=4, side=32):
    return np.random.default_rng(3).integers(300, 3000, (count, side, side)).astype("uint16")


def added(*paths, out, **words):
    words = {"sensor": "s1", "units": "db", "date": DAY} | words
    return add(list(paths), out, TypedOptions(**words).checked())


# -- places ---------------------------------------------------------------------------------------------------------

NOWHERE = {
    "engineering": 'LOCAL_CS["arbitrary",UNIT["metre",1]]',
    "engineering 2": 'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],'
    'LENGTHUNIT["metre",1]]',
    "Mars": "+proj=eqc +R=3396190 +units=m",
    "the Moon": "+proj=longlat +R=1737400",
    "Jupiter": "+proj=eqc +a=71492000 +b=66854000 +units=m",
}


@pytest.mark.parametrize("name", NOWHERE)
def test_a_crs_off_the_earth_is_one_refusal_and_the_good_files_are_added(tmp_path, name):
    text = NOWHERE[name]
    crs = CRS.from_proj4(text) if text.startswith("+") else CRS.from_wkt(text)
    bad = write(tmp_path / "in" / "bad.tif", radar(), crs=crs, names=("VV", "VH"))
    good = write(tmp_path / "in" / "good.tif", radar(), names=("VV", "VH"))
    answer = added(tmp_path / "in", out=tmp_path / "mine")
    assert [item["id"] for item in answer.items] == [good.stem]
    (refused,) = answer.refused
    assert refused.path == bad and "\n" not in refused.reason and len(refused.reason) < 400


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32755", "EPSG:3413", "EPSG:27700", "ESRI:54009"])
def test_crss_of_the_earth_are_taken(crs):
    check_on_earth(CRS.from_string(crs))


# -- damage ---------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=st.integers(0, 30), field=st.integers(0, 2), value=st.integers(0, 2**32 - 1))
def test_a_damaged_tag_is_a_refusal_or_nothing(tmp_path_factory, entry, field, value):
    """Type, count or value of one entry of the image's directory is replaced."""
    folder = tmp_path_factory.mktemp("tag")
    path = write(folder / "a.tif", radar(), names=("VV", "VH"), tiled=True, blockxsize=16, blockysize=16)
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    place = start + 2 + 12 * (entry % count)
    form, offset = (("<H", 2), ("<I", 4), ("<I", 8))[field]
    struct.pack_into(form, content, place + offset, value % 2**16 if form == "<H" else value)
    path.write_bytes(content)
    try:
        added(path, out=folder / "mine")
    except GeosegError as error:
        assert "\n" not in str(error)


def test_blocks_of_gigabytes_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(open_raster, "LARGEST_BLOCK", 2**20)
    fine = write(tmp_path / "fine.tif", radar(2, 512), names=("VV", "VH"), tiled=True)
    assert added(fine, out=tmp_path / "mine").items
    whole = write(
        tmp_path / "whole.tif",
        radar(2, 512),
        names=("VV", "VH"),
        blockysize=512,
        interleave="pixel",
        compress="deflate",
    )
    with pytest.raises(NotIngestibleError, match="blocks of 512 x 512 pixels, 2 MB each"):
        added(whole, out=tmp_path / "other")


def test_an_archive_is_to_be_unzipped(tmp_path):
    path = tmp_path / "S2A_MSIL2A_20200219T112111_N0214_R037_T29RKH_20200219T130000.SAFE.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/MTD_MSIL2A.xml", "<a/>")
    with pytest.raises(NotIngestibleError, match="unzip it"):
        added(path, out=tmp_path / "mine", sensor="s2", units=None)


# -- bands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sensor", "names", "words", "bands"),
    [
        ("s1", ("VV", "VH", "angle"), {}, ["vv", "vh"]),
        ("s1", ("Sigma0_VV_db", "Sigma0_VH_db"), {}, ["vv", "vh"]),
        ("s1", ("Gamma0_VH_db", "localIncidenceAngle", "Gamma0_VV_db"), {}, ["vh", "vv"]),
        ("s1", (None, None, None), {"bands": "vv,vh,-"}, ["vv", "vh"]),
        ("s1", (None, None, None), {"bands": "-,vh,vv"}, ["vh", "vv"]),
        ("s2", ("B2", "B3", "B4", "B8", "QA60"), {}, ["blue", "green", "red", "nir"]),
        ("s2", ("B2", "B3", "B4", "B8", "SWIR1"), {"bands": "blue,green,red,nir,-"}, ["blue", "green", "red", "nir"]),
    ],
)
def test_bands_that_no_model_reads_are_left_out(tmp_path, sensor, names, words, bands):
    pixels = radar(len(names)) if sensor == "s1" else optical(len(names))
    path = write(tmp_path / "a.tif", pixels, names=tuple(name or "" for name in names))
    more = {"sensor": "s2", "units": "reflectance"} if sensor == "s2" else {}
    (item,) = added(path, out=tmp_path / "mine", **more, **words).items
    named = [band["name"] for band in item["assets"]["data"]["eo:bands"]]
    assert [name for name in named if not name.startswith("unread")] == bands
    assert len(named) == len(names)
    assert validate(tmp_path / "mine")[1] == ()


def test_the_unknown_band_is_named_and_the_way_to_leave_it_out(tmp_path):
    path = write(tmp_path / "a.tif", optical(5), names=("Blue", "Green", "Red", "NIR", "SWIR1"))
    with pytest.raises(NotIngestibleError) as caught:
        added(path, out=tmp_path / "mine", sensor="s2", units="reflectance")
    said = str(caught.value)
    assert "band 5 'SWIR1'" in said and "'Blue'" not in said and "--bands blue,green,red,nir,-" in said
    short = write(tmp_path / "b.tif", radar(3))
    with pytest.raises(NotIngestibleError, match="--bands vv,vh,-"):
        added(short, out=tmp_path / "mine", bands="vv,vh")


def test_a_hyphen_keeps_its_place():
    assert bands_given("vv,-,vh", "s1") == ("vv", "unread_2", "vh")


@pytest.mark.parametrize("bands", ["red,green,blue,nir", "red,green,blue,-"])
def test_near_infrared_that_is_tagged_as_alpha_is_a_contradiction(tmp_path, bands):
    tags = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    pixels = np.full((4, 32, 32), 90, "uint8")
    path = write(tmp_path / "a.tif", pixels, colours=tags, photometric="RGB", ALPHA="YES")
    with pytest.raises(NotIngestibleError, match="band 4 is tagged as alpha") as caught:
        added(path, out=tmp_path / "mine", sensor="aerial", units=None, bands=bands)
    assert "gdal_edit.py -colorinterp_4 undefined" in str(caught.value)
    (item,) = added(path, out=tmp_path / "mine", sensor="aerial", units=None, bands="red,green,blue").items
    assert item["assets"]["data"]["geoseg:mask"] == "alpha"


RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@pytest.mark.parametrize(
    ("tag", "described", "bands", "fix"),
    [
        (ColorInterp.alpha, "nir", None, "-colorinterp_4 undefined"),
        (ColorInterp.alpha, "nir", "red,green,blue,nir", "-colorinterp_4 undefined"),
        (ColorInterp.alpha, None, "red,green,blue,nir", "-colorinterp_4 undefined"),
        (ColorInterp.alpha, None, "red,green,blue,-", "-colorinterp_4 undefined"),
        (ColorInterp.undefined, "alpha", None, "-colorinterp_4 alpha"),
        (ColorInterp.undefined, None, "red,green,blue,alpha", "-colorinterp_4 alpha"),
        (ColorInterp.alpha, "alpha", None, None),
        (ColorInterp.alpha, None, "red,green,blue,alpha", None),
        (ColorInterp.undefined, "nir", None, None),
        (ColorInterp.undefined, None, "red,green,blue,nir", None),
    ],
)
def test_name_and_tag_of_an_alpha_band_agree_or_the_file_is_rejected(tmp_path, tag, described, bands, fix):
    names = ("red", "green", "blue", described) if described else None
    alpha = {"ALPHA": "YES"} if tag == ColorInterp.alpha else {"ALPHA": "NO"}
    pixels = np.full((4, 32, 32), 90, "uint8")
    path = write(tmp_path / "a.tif", pixels, names=names, colours=(*RGB, tag), photometric="RGB", **alpha)
    words = {"sensor": "aerial", "units": None, "bands": bands}
    if fix:
        with pytest.raises(NotIngestibleError, match=f"gdal_edit.py {fix} FILE"):
            added(path, out=tmp_path / "mine", **words)
    else:
        (item,) = added(path, out=tmp_path / "mine", **words).items
        hides = item["assets"]["data"].get("geoseg:mask") == "alpha"
        assert hides == (tag == ColorInterp.alpha)


@pytest.mark.parametrize("bands", ["red,green,blue", "red,green,blue,nir"])
def test_nodata_0_of_a_photograph_is_black_in_all_bands_and_not_in_one(tmp_path, bands):
    count = bands.count(",") + 1
    pixels = np.full((count, 32, 32), 90, "uint8")
    pixels[-1, :16] = 0  # deep water in near infrared, a black roof in blue
    pixels[:, 24:] = 0
    path = write(tmp_path / "a.tif", pixels, nodata=0, photometric="RGB", ALPHA="NO")
    (item,) = added(path, out=tmp_path / "mine", sensor="aerial", units=None, bands=bands).items
    assert item["properties"]["geoseg:observed_pct"] == 75.0
    place, day = Area.from_bbox(tuple(item["bbox"])), Dates(date(2018, 9, 21), date(2018, 9, 21))
    (scene,) = find_scenes(place, day, "aerial", str(tmp_path / "mine")).scenes
    grid = GeoBox((32, 32), from_origin(500_000, 1_300_000, 20, 20), "EPSG:32632")
    for name in ("red", bands.rsplit(",", 1)[-1]):
        read = read_band(str(path), plan_scene(scene, [name]).bands[0], GridWindow(grid, (0, 32), (0, 32)))
        assert np.isfinite(read[:24]).all()
        assert np.isnan(read[24:]).all()


def test_a_file_across_the_antimeridian_gets_a_map_command_for_one_side(tmp_path):
    zone, east = 32760, 1_000 * 819.9  # longitude 180 in UTM zone 60 south, 16.8 degrees south
    place = from_origin(east - 2000, 8_141_000, 20, 20)
    path = write(tmp_path / "a.tif", radar(side=200), crs=f"EPSG:{zone}", names=("VV", "VH"), place=place)
    (item,) = added(path, out=tmp_path / "mine").items
    east_of, west_of = covering([item])
    assert 179.9 < east_of[0] < east_of[2] == 180 and west_of[0] == -180 < west_of[2] < -179.9
    request = first_map([item], tmp_path / "mine" / "catalog.json")
    assert request is not None
    found = find_scenes(request.area, request.dates, "s1", str(tmp_path / "mine"))
    assert [scene.id for scene in found.scenes] == ["a"]


# -- names ----------------------------------------------------------------------------------------------------------

LETTERS = st.text(
    st.sampled_from("ab _-.,;:%#?&=+@!~'()[]{}|<>\"\\$*^`é日")
    | st.characters(codec="utf-8", exclude_categories=("C", "Z")),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=LETTERS, below=LETTERS | st.sampled_from(["vsizip", "a.vrt", "%2e", "file:", "s3:", "https:"]))
def test_what_is_added_can_be_mapped(tmp_path_factory, name, below):
    """Whatever file and folder are called: `catalog add` refuses the name, or a search finds the scene."""
    name, below = name.replace("/", "_"), below.replace("/", "_").strip(". ") or "x"
    folder = tmp_path_factory.mktemp("names")
    path = write(folder / below / f"x{name}.tif", radar(), names=("VV", "VH"))
    try:
        (item,) = added(path, out=folder / "mine").items
    except NotIngestibleError as error:
        assert "cannot be read under this name" in str(error) or "names no" in str(error)
        return
    west, south, east, north = item["bbox"]
    day = Dates(date(2018, 9, 21), date(2018, 9, 21))
    for door in ("catalog.json", "items.parquet"):
        found = find_scenes(Area.from_bbox((west, south, east, north)), day, "s1", str(folder / "mine" / door))
        (scene,) = found.scenes
        assert scene.item["assets"]["data"]["href"] == str(path)


@pytest.mark.parametrize("ending", ["VV", "VH"])
def test_layers_that_hyp3_delivers_with_a_scene_are_left_out_with_a_note(tmp_path, ending):
    scene = "S1A_IW_20180921T053211_DVP_RTC30_G_gduned_1A2B"
    names = [f"{scene}_{each}.tif" for each in (ending, "inc_map", "ls_map", "dem", "rgb", "area", "scatarea")]
    for name in names:
        write(tmp_path / "in" / name, radar(count=1))
    answer = added(tmp_path / "in", out=tmp_path / "mine", units=None, date=None)
    (item,) = answer.items
    assert not answer.refused
    assert [asset["href"] for asset in item["assets"].values()] == [str(tmp_path / "in" / names[0])]
    (note,) = (each for each in item["properties"]["geoseg:notes"] if each.startswith("left out"))
    assert all(name in note for name in names[1:])


@pytest.mark.parametrize(
    ("name", "description", "expected"),
    [
        ("S1A_IW_20180921T053211_DVP_RTC30_G_gduned_1A2B_VV", None, "db"),
        ("S1A_IW_20180921T053211_DVP_RTC20_G_spwfcm_1A2B_VV", None, "linear"),
        ("S1A_IW_20180921T053211_DVP_RTC30_G_gauned_1A2B_VV", None, None),
        ("Sigma0_VV_db", None, "db"),
        ("a", "Gamma0_VV_db", "db"),
        ("a", "Sigma0_VV", None),
        ("flood_db", "VV", None),  # not the name of a known product
    ],
)
def test_units_come_from_names_that_state_them_and_a_contradiction_is_rejected(tmp_path, name, description, expected):
    numbers = np.abs(radar(count=1)) / 100 if expected == "linear" else radar(count=1)
    path = write(tmp_path / f"{name}.tif", numbers, names=(description,) if description else None)
    if expected is None:
        with pytest.raises(RadiometryUnknownError, match=r"amplitude|--units"):
            added(path, out=tmp_path / "mine", units=None)
        return
    (item,) = added(path, out=tmp_path / "mine", units=None).items
    assert item["properties"]["geoseg:units"] == expected
    other = {"db": "linear", "linear": "db"}[expected]
    with pytest.raises(RadiometryUnknownError, match=f"--units says {other}, its name says {expected}"):
        added(path, out=tmp_path / "mine", units=other)


@pytest.mark.parametrize("encoded", ["scene%20two.tif", "./scene%20two.tif", "../in/scene%20two.tif"])
def test_percent_encoded_hrefs_of_local_items_are_decoded(tmp_path, encoded):
    path = write(tmp_path / "in" / "scene two.tif", radar(), names=("VV", "VH"))
    added(path, out=tmp_path / "in")
    item = tmp_path / "in" / "local-s1" / "scene_two.json"
    text = item.read_text().replace("../scene two.tif", encoded if encoded.startswith("../") else f"../{encoded}")
    item.write_text(text.replace("../in/", "../../in/"))
    west, south, east, north = Area.from_bbox((8.9, 11.7, 9.1, 11.8)).bbox
    day = Dates(date(2018, 9, 21), date(2018, 9, 21))
    found = find_scenes(Area.from_bbox((west, south, east, north)), day, "s1", str(item))
    assert found.scenes[0].item["assets"]["data"]["href"] == str(path)


# -- what providers deliver -----------------------------------------------------------------------------------------


def names_of(item):
    return [band["name"] for asset in item["assets"].values() if "data" in asset["roles"] for band in asset["eo:bands"]]


def test_two_days_of_a_planet_composite_are_two_scenes_with_their_masks(tmp_path):
    usable = np.zeros((8, 32, 32), "uint8")
    for day in ("2024-05-06", "2024-05-07"):
        write(tmp_path / "in" / day / "composite.tif", optical(), nodata=0)
        write(tmp_path / "in" / day / "composite_udm2.tif", usable)
    words = {"sensor": "planetscope", "units": "reflectance", "bands": "blue,green,red,nir", "date": "2024-05-06"}
    answer = added(tmp_path / "in", out=tmp_path / "mine", **words)
    assert answer.refused == ()
    days = {item["id"]: item["properties"]["datetime"][:10] for item in answer.items}
    assert days == {"2024-05-06_composite": "2024-05-06", "2024-05-07_composite": "2024-05-07"}
    assert all(set(item["assets"]) == {"data", "udm2"} for item in answer.items)
    again = added(tmp_path / "in" / "2024-05-07", out=tmp_path / "mine", **words)
    assert (again.total, again.replaced) == (2, ("2024-05-07_composite",))


def test_a_second_file_of_one_name_does_not_replace_the_first(tmp_path):
    for folder in ("a", "b"):
        write(tmp_path / folder / "scene.tif", radar(), names=("VV", "VH"))
        answer = added(tmp_path / folder, out=tmp_path / "mine")
    assert answer.total == 2 and [item["id"] for item in answer.items] == ["b_scene"]


@pytest.mark.parametrize(
    ("sensor", "files", "bands"),
    [
        ("s2", [f"2018-09-21-00:00_2018-09-21-23:59_Sentinel-2_L2A_{b}_(Raw).tiff" for b in ("B02", "B03", "B08")],
         {"blue", "green", "nir"}),
        ("s2", ["blue.tif", "green.tif", "swir16.tif"], {"blue", "green", "swir16"}),
        ("s2", ["scene_red.tif", "scene_nir.tif"], {"red", "nir"}),
        ("s1", ["x_VV.tif", "x_VH.tif"], {"vv", "vh"}),
        ("s1", ["Sigma0_VV_db.tif", "Sigma0_VH_db.tif"], {"vv", "vh"}),
        ("planetscope", ["a-blue.tif", "a-nir.tif"], {"blue", "nir"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("typed", [False, True])
def test_files_of_one_band_each_are_one_scene(tmp_path, sensor, files, bands, typed):
    for name in files:
        write(tmp_path / "in" / name, (radar(1) if sensor == "s1" else optical(1)))
    words = {} if sensor == "s1" else {"units": "reflectance"}
    if typed:
        words["bands"] = ",".join(sorted(bands))
    (item,) = added(tmp_path / "in", out=tmp_path / "mine", sensor=sensor, **words).items
    assert set(names_of(item)) == bands


def test_two_scenes_of_one_band_each_stay_two(tmp_path):
    for scene in ("a", "b"):
        for band in ("blue", "green"):
            write(tmp_path / "in" / f"{scene}_{band}.tif", optical(1))
    answer = added(tmp_path / "in", out=tmp_path / "mine", sensor="s2", units="reflectance")
    assert {item["id"]: names_of(item) for item in answer.items} == {"a": ["blue", "green"], "b": ["blue", "green"]}


@pytest.mark.parametrize(
    ("sensor", "name", "time"),
    [
        ("aerial", "m_3008501_ne_16_1_20131013", "2013-10-13T12:00:00Z"),
        ("aerial", "m_3008501_ne_16_060_20191113_20200115", "2019-11-13T12:00:00Z"),
        ("s1", "S1A_IW_20180921T053211_DVP_RTC30_G_gpuned_1A2B_VV", "2018-09-21T05:32:11Z"),
        ("aerial", "2018-06-01/photo", "2018-06-01T12:00:00Z"),
    ],
)
def test_the_date_is_in_the_name(tmp_path, sensor, name, time):
    pixels = 10 ** (radar(1) / 10) if sensor == "s1" else np.full((3, 32, 32), 90, "uint8")
    path = write(tmp_path / f"{name}.tif", pixels)
    words = {"units": "linear"} if sensor == "s1" else {"bands": "red,green,blue", "units": None}
    (item,) = added(path, out=tmp_path / "mine", sensor=sensor, date=None, **words).items
    assert item["properties"]["datetime"] == time


@pytest.mark.parametrize("name", ["m_3008501_ne_16_1_20139913", "scene_20180921", "m_30_20131013"])
def test_other_numbers_in_a_name_are_no_date(tmp_path, name):
    path = write(tmp_path / f"{name}.tif", np.full((3, 32, 32), 90, "uint8"))
    with pytest.raises(NotIngestibleError, match="--date"):
        added(path, out=tmp_path / "mine", sensor="aerial", units=None, date=None, bands="red,green,blue")


@pytest.mark.parametrize(
    ("sensor", "options"), [("s1", ["--units", "--bands", "--date"]), ("s2", ["--s2-offset", "--bands", "--date"])]
)
def test_all_that_is_missing_is_asked_for_at_once(tmp_path, sensor, options):
    path = write(tmp_path / "a.tif", radar(2) if sensor == "s1" else optical(2))
    with pytest.raises(GeosegError) as caught:
        added(path, out=tmp_path / "mine", sensor=sensor, units=None, date=None)
    assert all(option in str(caught.value) for option in options)
    assert str(caught.value).count(str(path)) == 1
