"""What a request is resolved to before a pixel is read."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geoseg.core.request import Request
from geoseg.resolve import dates_before, resolution_note, resolve
from tests.support.command import geoseg as run_geoseg
from tests.support.made_scenes import INSIDE, ORIGIN, UTM


def asked(catalog="demo", **more) -> Request:
    facts = {"bbox": INSIDE, "date": "2024-05-01", "sensor": "s1", "model": "otsu", "catalog": str(catalog)}
    return Request.of(**(facts | more))


@pytest.mark.parametrize(
    ("before", "days", "first", "last"),
    [
        ("2024-04-20", 0, date(2024, 4, 20), date(2024, 4, 20)),
        ("2024-04-20", 3, date(2024, 4, 17), date(2024, 4, 23)),
        ("2024-04-20", 10, date(2024, 4, 10), date(2024, 4, 30)),
        ("2024-04-20", 11, date(2024, 4, 9), date(2024, 4, 30)),
        ("2024-04-20/2024-04-30", 30, date(2024, 3, 21), date(2024, 4, 30)),
    ],
)
def test_the_dates_before_are_widened_but_end_the_day_before_the_event(before, days, first, last):
    found = dates_before(asked(before=before, window_days=days))
    assert (found.first, found.last) == (first, last)


def test_a_scene_of_the_event_is_never_taken_for_one_from_before(add_scene, lagoon):
    """Otherwise the flood itself would count as permanent water."""
    add_scene(lagoon, "spring", day="2024-04-20")
    add_scene(lagoon, "late", day="2024-05-02")
    plan = resolve(asked(lagoon, date="2024-05-01/2024-05-02", before="2024-04-20", window_days=15))
    assert [scene.id for scene in plan.pre_event.scenes] == ["spring"]
    assert {scene.id for scene in plan.event.scenes} >= {"lagoon", "late"}


def catalogue_of(folder, *pixels_m):
    """Scenes of one day whose pixels are so long."""
    files = folder / "files"
    files.mkdir(parents=True)
    for number, pixel in enumerate(pixels_m):
        side = int(4000 / pixel)
        profile = {"driver": "GTiff", "dtype": "float32", "nodata": np.nan, "count": 2, "height": side, "width": side}
        place = from_origin(ORIGIN[0] - 500, ORIGIN[1] + 500, pixel, pixel)
        with rasterio.open(files / f"s{number}.tif", "w", crs=UTM, transform=place, **profile) as file:
            file.write(np.full((2, side, side), -12, np.float32))
            file.descriptions = ("VV", "VH")
    words = ("--sensor", "s1", "--units", "db", "--date", "2024-05-01", "-o", folder / "catalog", "-q")
    said = run_geoseg("catalog", "add", files, *words)
    assert said.status == 0, said.err
    return folder / "catalog"


@pytest.mark.parametrize(
    ("pixels_m", "grid_m"),
    [((10,), 10), ((29,), 10), ((30,), 30), ((64.5,), 64.5), ((80, 40), 40), ((80, 10), 10)],
)
def test_the_grid_takes_the_pixels_of_imagery_that_is_much_coarser(tmp_path, pixels_m, grid_m):
    catalog = catalogue_of(tmp_path, *pixels_m)
    plan = resolve(asked(catalog))
    assert plan.gsd_m == pytest.approx(grid_m, rel=0.005)
    note = resolution_note(plan)
    assert (note is None) == (grid_m == 10)
    assert note is None or f"{plan.gsd_m:g} m like those of the imagery, not 10 m" in note
    assert resolve(asked(catalog, resolution_m=10.0)).gsd_m == 10


def test_one_note_tells_of_pixels_and_never_recommends_what_the_model_cannot_do(tmp_path):
    """Else one line recommends 64.5 m and the next one says that the model is meant for 5 to 40 m."""
    plan = resolve(asked(catalogue_of(tmp_path / "fit", 32), resolution_m=10.0))
    assert "consider --resolution 32" in resolution_note(plan)
    plan = resolve(asked(catalogue_of(tmp_path / "unfit", 64.5), resolution_m=10.0))
    assert plan.card.gsd_m[1] < 64.5
    assert "consider" not in resolution_note(plan)
    assert "so the map may be wrong" in resolution_note(plan)
