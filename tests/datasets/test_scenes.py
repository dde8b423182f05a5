"""Polygons over the scenes of a catalogue become pairs: real Sentinel-1 chips, and made scenes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box

from geoseg.datasets import scenes
from geoseg.datasets.cache import cached
from geoseg.datasets.pair import UNLABELLED, LabelledSet
from geoseg.errors import BadOptionError, NoScenesError, NotTrainableError, ReadError
from geoseg.sources.local.add import add
from geoseg.sources.local.product import Options

UTM = "EPSG:32632"
LEFT, TOP = 500_000.0, 5_300_000.0
SHAPE = (240, 220)


def labelled_scenes(labels: Path, catalogs: list[str], *, date: str | None = None, **pixels: Any) -> LabelledSet:
    """``scenes.labelled_scenes`` with its records as keywords."""
    return scenes.labelled_scenes(scenes.DrawnLabels(labels, date=date), scenes.ScenePixels(tuple(catalogs), **pixels))


def write_scene(path: Path, *, east_px: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A Sentinel-1 scene in dB at 10 m; its pixels."""
    values = np.random.default_rng(east_px).normal(-12, 3, (2, *shape)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"driver": "GTiff", "dtype": "float32", "nodata": np.nan, "count": 2, "crs": UTM}
    transform = from_origin(LEFT + 10 * east_px, TOP, 10, 10)
    with rasterio.open(path, "w", height=shape[0], width=shape[1], transform=transform, **options) as file:
        file.write(values)
        file.descriptions = ("VV", "VH")
    return values


def catalogued(folder: Path, *files: Path, day: int = 1) -> str:
    add(files, folder, Options(sensor="s1", units="db", time=datetime(2024, 5, day, 6, tzinfo=UTC)))
    return str(folder)


def drawn(path: Path, *squares: tuple[int, int, int, str]) -> Path:
    """Squares of (column, row, side, class), in pixels of the scene at ``LEFT``, ``TOP``."""
    shapes = [box(LEFT + 10 * x, TOP - 10 * (y + s), LEFT + 10 * (x + s), TOP - 10 * y) for x, y, s, _ in squares]
    frame = geopandas.GeoDataFrame({"class": [each[3] for each in squares]}, geometry=shapes, crs=UTM)
    frame.to_file(path)
    return path


def test_the_pixels_under_the_labels_are_the_files_own(tmp_path):
    values = write_scene(tmp_path / "a.tif")
    catalog = catalogued(tmp_path / "catalog", tmp_path / "a.tif")
    labels = drawn(tmp_path / "l.gpkg", (10, 20, 15, "water"), (40, 30, 5, "dry"))
    made = labelled_scenes(labels, [catalog], sensor="s1", tile_px=64)
    assert (made.bands, made.unit, made.sensor, made.classes) == (("vv", "vh"), "dB", "s1", ("dry", "water"))
    (pair,) = made.pairs
    image, mask = pair.read()
    assert image.shape == (2, 64, 64) and image.dtype == np.float32 and mask.dtype == np.int16
    column, row = (round(number) for number in ~from_origin(LEFT, TOP, 10, 10) * (pair.place.transform * (0, 0)))
    assert pair.place.crs == UTM and (column, row) != (0, 0)
    wanted = np.full((2, 400, 400), np.nan, np.float32)
    wanted[:, 100 : 100 + SHAPE[0], 100 : 100 + SHAPE[1]] = values
    window = slice(100 + row, 164 + row), slice(100 + column, 164 + column)
    np.testing.assert_array_equal(image, wanted[:, *window])
    said = np.full((400, 400), UNLABELLED)
    said[120:135, 110:125], said[130:135, 140:145] = 1, 0
    np.testing.assert_array_equal(mask, said[window])
    part_image, part_mask = pair.read(slice(5, 30), slice(7, 9))
    np.testing.assert_array_equal(part_image, image[:, 5:30, 7:9])
    np.testing.assert_array_equal(part_mask, mask[5:30, 7:9])
    assert pair.time == datetime(2024, 5, 1, 6, tzinfo=UTC) and pair.gsd_m == 10
    assert pair.latlon == pytest.approx((47.849, 9.004), abs=0.01)


def test_arrays_are_named_after_what_they_are_read_from(tmp_path):
    write_scene(tmp_path / "a.tif")
    catalog = catalogued(tmp_path / "catalog", tmp_path / "a.tif")
    labels = drawn(tmp_path / "l.gpkg", (10, 20, 15, "water"), (40, 30, 5, "dry"))

    def names() -> tuple[str, str]:
        (pair,) = labelled_scenes(labels, [catalog], sensor="s1").pairs
        return pair.image.name, pair.mask.name

    first = names()
    assert names() == first
    labels.unlink()
    drawn(labels, (10, 20, 15, "water"), (40, 30, 6, "dry"))
    second = names()
    assert (second[0] == first[0], second[1] == first[1]) == (True, False)
    write_scene(tmp_path / "a.tif")
    third = names()
    assert (third[0] == first[0], third[1] == second[1]) == (False, True)


def test_only_windows_with_labels_become_pairs(tmp_path):
    write_scene(tmp_path / "a.tif", shape=(600, 600))
    catalog = catalogued(tmp_path / "catalog", tmp_path / "a.tif")
    labels = drawn(tmp_path / "l.gpkg", (10, 10, 12, "water"), (560, 570, 12, "dry"))
    made = labelled_scenes(labels, [catalog], sensor="s1", tile_px=32, bands=("vh",))
    counts = [np.unique(mask[mask >= 0], return_counts=True) for mask in (pair.read()[1] for pair in made.pairs)]
    assert 2 <= len(made.pairs) <= 8 and len({pair.id for pair in made.pairs}) == len(made.pairs)
    assert sum(int(number[index == 1].sum()) for index, number in counts) == 144
    assert sum(int(number.sum()) for _, number in counts) == 288
    assert made.bands == ("vh",) and made.pairs[0].image.shape[0] == 1
    assert len(made.regions) == 1


def test_real_chips_on_three_continents(tmp_path, data):
    chips = data / "sen1floods11" / "S1Hand"
    options = Options(sensor="s1", units="db", time=datetime(2018, 9, 21, tzinfo=UTC))
    add([chips], tmp_path / "catalog", options)
    shapes, values, known = [], [], {}
    for name in ("Mekong", "Spain", "Somalia"):
        path = next(chips.glob(f"{name}*"))
        with rasterio.open(path) as file:
            known[path.stem] = file.read()
            west, south, east, north = file.bounds
            wide, tall = (east - west) / 8, (north - south) / 8
            shapes += [box(west + wide, north - 2 * tall, west + 2 * wide, north - tall)]
            shapes += [box(east - 2 * wide, south + tall, east - wide, south + 2 * tall)]
            values += ["water", "dry"]
    labels = tmp_path / "l.geojson"
    geopandas.GeoDataFrame({"class": values}, geometry=shapes, crs="EPSG:4326").to_file(labels)
    made = labelled_scenes(labels, [str(tmp_path / "catalog")], sensor="s1", tile_px=256)
    assert len(made.regions) == len({pair.place.crs for pair in made.pairs}) == 3
    for pair in made.pairs:
        image, mask = pair.read()
        assert (mask >= 0).any()
        seen = image[:, mask >= 0]
        assert np.isfinite(seen).mean() > 0.95 and np.nanmin(seen) > -45 and np.nanmax(seen) < 25
    # the same ground, moved to UTM: the mean power over a square is the file's own
    reads = [pair.read() for pair in made.pairs if "Spain" in pair.region]
    moved = np.concatenate([image[:, mask == 1] for image, mask in reads], axis=1)
    file = next(values for name, values in known.items() if "Spain" in name)[:, 64:128, 64:128]
    assert moved.shape[1] > 3000
    np.testing.assert_allclose((10 ** (moved / 10)).mean(axis=1), (10 ** (file / 10)).mean(axis=(1, 2)), rtol=0.02)


def test_polygons_beside_every_scene(tmp_path):
    write_scene(tmp_path / "a.tif")
    catalog = catalogued(tmp_path / "catalog", tmp_path / "a.tif")
    labels = drawn(tmp_path / "l.gpkg", (900, 10, 12, "water"), (930, 10, 12, "dry"))
    with pytest.raises(
        NoScenesError, match=r"None of the 2 polygons of .* lies in a scene of s1. .* covers 9\.0000,47"
    ):
        labelled_scenes(labels, [catalog], sensor="s1")
    mixed = drawn(tmp_path / "m.gpkg", (10, 10, 12, "water"), (30, 10, 12, "dry"), (930, 10, 12, "dry"))
    made = labelled_scenes(mixed, [catalog], sensor="s1", tile_px=64)
    assert any("1 of 3 polygons" in note and "outside every scene" in note for note in made.notes)


def test_labels_of_one_day_are_not_another_days(tmp_path):
    write_scene(tmp_path / "a.tif")
    write_scene(tmp_path / "b.tif")
    catalog = catalogued(tmp_path / "catalog", tmp_path / "a.tif")
    catalogued(tmp_path / "catalog", tmp_path / "b.tif", day=13)
    labels = drawn(tmp_path / "l.gpkg", (10, 20, 15, "water"), (40, 30, 5, "dry"))
    with pytest.raises(BadOptionError, match=r"Several passes \(2024-05-01, 2024-05-13\) show the same .* --date"):
        labelled_scenes(labels, [catalog], sensor="s1")
    (pair,) = labelled_scenes(labels, [catalog], sensor="s1", date="2024-05-13").pairs
    assert pair.time.day == 13
    both = labelled_scenes(labels, [catalog, catalog], sensor="s1", date="2024-05-01/2024-05-13")
    assert [pair.time.day for pair in both.pairs] == [1, 13] and len(both.regions) == 1


def test_a_dead_scene_is_left_out_and_named(tmp_path):
    write_scene(tmp_path / "a.tif")
    write_scene(tmp_path / "dead.tif", east_px=300)
    catalog = catalogued(tmp_path / "catalog", tmp_path / "a.tif", tmp_path / "dead.tif")
    labels = drawn(tmp_path / "l.gpkg", (10, 20, 15, "water"), (40, 30, 5, "dry"), (350, 30, 9, "dry"))
    assert len(labelled_scenes(labels, [catalog], sensor="s1", tile_px=128).regions) == 2
    (tmp_path / "dead.tif").write_bytes((tmp_path / "dead.tif").read_bytes()[:5000])
    made = labelled_scenes(labels, [catalog], sensor="s1", tile_px=128)
    assert len(made.regions) == 1 and any("dead" in note and "left out" in note for note in made.notes)
    (tmp_path / "a.tif").unlink()
    with pytest.raises(ReadError, match=r"No scene under .* can be read. .*a"):
        labelled_scenes(labels, [catalog], sensor="s1")


def test_labels_that_teach_nothing(tmp_path):
    write_scene(tmp_path / "a.tif")
    catalog = catalogued(tmp_path / "catalog", tmp_path / "a.tif")
    one = drawn(tmp_path / "one.gpkg", (10, 20, 15, "water"))
    with pytest.raises(NotTrainableError, match="labels only 'water'"):
        labelled_scenes(one, [catalog], sensor="s1")
    outside = drawn(tmp_path / "outside.gpkg", (10, 20, 15, "water"), (500, 20, 15, "dry"))
    with pytest.raises(NotTrainableError, match="labels only 'water'"):
        labelled_scenes(outside, [catalog], sensor="s1")
    over = drawn(tmp_path / "over.gpkg", (10, 20, 15, "water"), (40, 20, 15, "dry"), (50, 20, 15, "water"))
    made = labelled_scenes(over, [catalog], sensor="s1")
    assert any("overlap on 75 pixels" in note for note in made.notes)


def test_a_cached_scene_is_not_read_again(tmp_path):
    write_scene(tmp_path / "a.tif")
    catalog = catalogued(tmp_path / "catalog", tmp_path / "a.tif")
    labels = drawn(tmp_path / "l.gpkg", (10, 20, 15, "water"), (40, 30, 5, "dry"))
    made = labelled_scenes(labels, [catalog], sensor="s1", tile_px=64)
    image, mask = made.pairs[0].read()
    kept = cached(made, tmp_path / "cache")
    kept.pairs[0].read(slice(0, 5))
    (tmp_path / "a.tif").unlink()
    again = kept.pairs[0].read()
    np.testing.assert_array_equal(again[0], image)
    np.testing.assert_array_equal(again[1], mask)


@pytest.mark.parametrize(
    ("resolution_m", "said"),
    [
        (1e9, "up to 1000, not 1e"),
        (0.0, "above 0"),
        (float("nan"), "above 0"),
        (1e-4, r"At 0.0001 m a pixel .* is over 20,000 megapixels. Choose a coarser --resolution"),
    ],
)
def test_absurd_pixels_are_refused_before_any_is_made(tmp_path, resolution_m, said):
    write_scene(tmp_path / "a.tif")
    catalog = catalogued(tmp_path / "catalog", tmp_path / "a.tif")
    labels = drawn(tmp_path / "l.gpkg", (10, 20, 15, "water"), (40, 30, 5, "dry"))
    with pytest.raises(BadOptionError, match=said):
        labelled_scenes(labels, [catalog], sensor="s1", resolution_m=resolution_m)
