"""A run as a file and as flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.errors import BadOptionError, BandMismatchError, NotTrainableError
from geoseg.training.plan import merged, read_plan, recipe_of, settings, source_of
from geoseg.training.recipe import Augmentation, Recipe
from geoseg.training.sources import TrainingSource, gather
from tests.support.little_sets import write_folder

ROOT = Path(__file__).resolve().parents[2]


def test_settings_are_read_as_a_person_means_them():
    read = settings(["lr=1e-3", "augment.offset=1.5", "augment.turns=false", "options={base: 8}", "loss=ce+dice"])
    assert read == {
        "lr": 1e-3,
        "augment": {"offset": 1.5, "turns": False},
        "options": {"base": 8},
        "loss": "ce+dice",
    }
    recipe = recipe_of({"model": "unet", **read})
    assert recipe.augment == Augmentation(offset=1.5, turns=False) and recipe.lr == 1e-3
    assert recipe_of({"model": "unet", **settings(["precision=32"])}).precision == "32"


@pytest.mark.parametrize("line", ["lr", "=3", "lr=[1", "lrr=1", "lr=-1", "augment.sparkle=1", "freeze=half", "lr.x=1"])
def test_settings_that_cannot_be_are_refused_in_one_line(line):
    with pytest.raises(BadOptionError) as told:
        recipe_of({"model": "unet", **settings([line])})
    assert "\n" not in str(told.value) and line.partition("=")[0].partition(".")[0] in str(told.value)


def test_later_values_are_laid_over_earlier_ones():
    base = {"lr": 1, "augment": {"zoom": 0.1, "offset": 1}}
    assert merged(base, {"augment": {"zoom": 0.2}}) == {"lr": 1, "augment": {"zoom": 0.2, "offset": 1}}
    assert base["augment"]["zoom"] == 0.1


def test_lora_and_freeze_exclude_each_other():
    with pytest.raises(BadOptionError, match="lora"):
        recipe_of({"model": "unet", "lora": 4, "freeze": "encoder"})


def test_plans_that_come_with_geoseg_hold():
    found = sorted((ROOT / "configs" / "train").glob("*.yaml"))
    assert found
    for path in found:
        plan = read_plan(Path("train") / path.stem)
        assert plan.sources and recipe_of(plan.recipe).model


@pytest.mark.parametrize(
    "text", ["sources: [", "wrong: 1", "sources: [{}]", "- 1", "sources: [{data: x, labels: y}]", "\x00"]
)
def test_a_file_that_is_no_plan_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(BadOptionError) as told:
        read_plan(tmp_path / "plan.yaml")
    assert "\n" not in str(told.value) and "plan.yaml" in str(told.value)
    with pytest.raises(BadOptionError):
        read_plan(tmp_path / "missing.yaml")


def test_polygons_want_scenes():
    with pytest.raises(BadOptionError, match="scenes"):
        source_of(labels=Path("drawn.gpkg"))
    with pytest.raises(BadOptionError, match="either"):
        source_of(data="x", labels=Path("drawn.gpkg"))


def test_sources_are_chosen_from_and_put_together(data, tmp_path):
    folder = str(data / "sen1floods11")
    some = TrainingSource(data=folder, regions=("Ghana", "Mekong", "Spain"), without_regions=("Spain",))
    assert gather([some]).regions == ("Ghana", "Mekong")
    both = gather([some, TrainingSource(data=folder, regions=("Spain",))], bands=["vh"])
    assert both.regions == ("Ghana", "Mekong", "Spain") and both.bands == ("vh",)
    assert len({each.id for each in both.pairs}) == len(both.pairs)
    assert len(gather([TrainingSource(data=folder, every=3)]).pairs) == 4
    with pytest.raises(NotTrainableError, match=r"Nothing is left.*Ghana"):
        gather([TrainingSource(data=folder, regions=("Atlantis",))])
    with pytest.raises(BandMismatchError, match="holds no vv"):
        gather([some, TrainingSource(data=str(data / "massachusetts"))])
    one, other = (
        TrainingSource(data=str(write_folder(tmp_path / unit, 2)), sensor="s1", unit=unit, bands=("vv", "vh"))
        for unit in ("dB", "unitless")
    )
    with pytest.raises(BadOptionError, match="cannot be learned together"):
        gather([one, other])
    with pytest.raises(BadOptionError):
        gather([])


def test_the_manual_names_every_key():
    manual = (ROOT / "docs" / "training.md").read_text("utf-8")
    for record in (Recipe, Augmentation, TrainingSource):
        for key in record.model_fields:
            assert f"`{key}`" in manual, f"{record.__name__}.{key}"
