"""State of a run on disk: the fingerprint of what it was started with, so that only the same run resumes."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geoseg.core.atomic import atomic_file, raise_output_errors
from geoseg.datasets.pair import LabelledSet
from geoseg.errors import ResumeError
from geoseg.models.create import resolve_model
from geoseg.training.crops import LabelMap
from geoseg.training.recipe import Recipe
from geoseg.training.split import TrainValSplit

FILE = "started.json"


@dataclass(frozen=True, slots=True)
class RunFingerprint:
    """What a run was started with.

    Attributes:
        recipe: Everything that shapes it.
        data_sha256: Over the ids, sizes and bands of what it sees, in order, and over what it learns from: how many
            pixels are labelled as what in each cell of 16 pixels.
        start_sha256: Fingerprint of the bundle it starts from, or "".
        devices: How many compute: each has chips of its own.
    """

    recipe: dict[str, Any]
    data_sha256: str
    start_sha256: str
    devices: int

    @classmethod
    def of(cls, split: TrainValSplit, recipe: Recipe, labels: LabelMap, devices: int = 1) -> RunFingerprint:
        """What this run is started with."""
        model = resolve_model(recipe.model)
        seen = json.dumps([_seen(split.training), _seen(split.validation)])
        digest = hashlib.sha256(seen.encode())
        for cells in labels.cells:
            digest.update(cells.tobytes())
        start = model.fingerprint if model.folder else ""
        return cls(recipe.model_dump(mode="json"), digest.hexdigest(), start, devices)

    @classmethod
    def read(cls, folder: Path) -> RunFingerprint | None:
        """What the run that was stopped in a folder was started with; None: there is none."""
        try:
            return cls(**json.loads((folder / FILE).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        """Into the run's folder, which is made if missing.

        Raises:
            OutputNotWritableError: It cannot be written.
        """
        with raise_output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(folder / FILE) as part:
            part.write_text(json.dumps(asdict(self), indent=1), "utf-8")

    def check_resumable(self, stopped: RunFingerprint | None, out: Path) -> None:
        """Refuse to go on with another run.

        Raises:
            ResumeError: There is nothing to go on with, or it is something else.
        """
        if stopped is None:
            raise ResumeError(f"{out} holds no run that was stopped. Start it without --resume.")
        if stopped.start_sha256 != self.start_sha256:
            raise ResumeError(
                f"The run in {out} was started from other weights, or another card. Start anew with --overwrite."
            )
        if stopped.recipe != self.recipe:
            keys = sorted(self.recipe.keys() | stopped.recipe.keys())
            key = next(key for key in keys if stopped.recipe.get(key) != self.recipe.get(key))
            raise ResumeError(
                f"The run in {out} was started with {key} {stopped.recipe.get(key)!r}, not {self.recipe.get(key)!r}. "
                "Give the same options, or start anew with --overwrite."
            )
        if stopped.data_sha256 != self.data_sha256:
            raise ResumeError(f"The run in {out} was started with other images or labels. Start anew with --overwrite.")
        if stopped.devices != self.devices:
            raise ResumeError(
                f"The run in {out} was started with --devices {stopped.devices}, not {self.devices}. Give the same."
            )


def _seen(data: LabelledSet | None) -> list[Any]:
    if data is None:
        return []
    return [data.bands, data.classes, [(pair.id, pair.region, pair.weight, *pair.shape) for pair in data.pairs]]


def is_first_process() -> bool:
    """This is the process that a person started, and not one that it started for another device."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
