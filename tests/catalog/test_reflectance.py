"""At the top of the atmosphere an index maps, not a network that learned from surface reflectance."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from geoseg.catalog.cards import card, cards
from geoseg.catalog.collections import collections
from geoseg.catalog.reflectance import default_card, reflectance_warnings
from geoseg.catalog.sensors import sensor, sensors
from geoseg.core.scene import Scene


def scene(level, name="a"):
    return Scene(name, "local/s2", "s2", datetime(2024, 5, 6, tzinfo=UTC), (8.0, 11.0, 9.0, 12.0), reflectance=level)


def reads_all(scene, bands):
    return True


def reads_no_swir(scene, bands):
    return "swir16" not in bands


@pytest.mark.parametrize(
    ("name", "levels", "reads", "model"),
    [
        ("s2", ["surface"], reads_all, "flood-s2"),
        ("s2", ["unknown"], reads_all, "flood-s2"),
        ("s2", ["toa"], reads_all, "mndwi"),
        ("s2", ["toa"], reads_no_swir, "ndwi"),
        ("s2", ["surface", "toa"], reads_all, "mndwi"),
        ("planetscope", ["surface"], reads_all, "flood-planetscope"),
        ("planetscope", ["toa"], reads_all, "ndwi"),
        ("s1", [None], reads_all, "otsu-vh"),
        ("aerial", [None], reads_all, "ndwi"),
    ],
)
def test_the_scenes_choose_the_model(name, levels, reads, model):
    scenes = [scene(level, str(number)) for number, level in enumerate(levels)]
    assert default_card(sensor(name), scenes, reads).name == model


def test_a_network_named_for_a_scene_at_the_top_of_the_atmosphere_is_warned_about():
    s2 = sensor("s2")
    (warning,) = reflectance_warnings(s2, card("flood-s2"), [scene("toa")], named=True)
    assert "top-of-atmosphere" in warning and "flood-s2" in warning and "--model mndwi" in warning
    (note,) = reflectance_warnings(s2, card("mndwi"), [scene("toa")], named=False)
    assert "mapped with mndwi" in note and "--model flood-s2" in note
    assert note.endswith(card("mndwi").limits[0]), "what the index misses is said where nobody asked for it"
    (unknown,) = reflectance_warnings(s2, card("flood-s2"), [scene("unknown")], named=False)
    assert "not stated" in unknown and "--level surface" in unknown
    for model, level, named in (
        ("mndwi", "toa", True),
        ("mndwi", "unknown", True),
        ("flood-s2", "surface", True),
        ("flood-s2", "surface", False),
    ):
        assert reflectance_warnings(s2, card(model), [scene(level)], named=named) == ()


def test_a_network_that_learned_at_the_top_of_the_atmosphere_may_map_there():
    taught = card("flood-s2").model_copy(update={"reflectance": "toa"})
    assert reflectance_warnings(sensor("s2"), taught, [scene("toa")], named=True) == ()
    untold = card("flood-s2").model_copy(update={"reflectance": None})
    assert "may have learned" in reflectance_warnings(sensor("s2"), untold, [scene("toa")], named=True)[0]


def test_every_record_of_reflectance_says_of_which_level():
    """A collection that the items themselves do not tell of (all but a person's own) states it once for all."""
    told = {
        name: record.reflectance
        for name, record in collections().items()
        if record.sensor and sensors()[record.sensor].unit == "reflectance" and record.radiometry.kind != "declared"
    }
    assert told and None not in told.values(), told
    for each in sensors().values():
        assert all(name in cards() and cards()[name].family == "classical" for name in each.toa_models)
        assert bool(each.toa_models) == (each.unit == "reflectance")
