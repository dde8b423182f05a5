"""What a map run hands back: where the products are, and the record of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.products.run_record import RunRecord
from geoseg.products.table import RECORD
from geoseg.readers import Cube

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, slots=True)
class MapResult:
    """A finished map: its folder, and what ``run.json`` in it says.

    Attributes:
        out: Folder of the products.
        run_record: The record of the run, as it is on the disk.
        cube: The imagery of the event, pixels unread.
    """

    out: Path
    run_record: RunRecord
    cube: Cube = field(repr=False)

    @property
    def flood(self) -> Path:
        """``flood.tif``: 0 dry, 1 flood or water, 2 permanent water, 255 not observed."""
        return self.paths["flood"]

    @property
    def probability(self) -> Path:
        """``probability.tif``: per cent 0..100 of class 1, 255 not observed."""
        return self.paths["probability"]

    @property
    def source(self) -> Path:
        """``source.tif``: number of the scene each pixel came from, in the order of ``scenes``."""
        return self.paths["source"]

    @property
    def preview(self) -> Path:
        """``preview.png``."""
        return self.paths["preview"]

    @property
    def run(self) -> Path:
        """``run.json``."""
        return self.out / RECORD.file

    @property
    def paths(self) -> dict[str, Path]:
        """Every product by its name."""
        return {**{name: self.out / file for name, file in self.run_record.outputs.items()}, RECORD.name: self.run}

    @property
    def meaning(self) -> str:
        """Name of class 1: ``flood``, ``water`` or ``building``."""
        return self.run_record.class_1.name

    @property
    def shares_pct(self) -> dict[str, float]:
        """Share of each class in the area, per cent, by its name."""
        return dict(self.run_record.shares["pct"])

    @property
    def area_km2(self) -> dict[str, float]:
        """Area of each class on the ellipsoid, by its name."""
        return dict(self.run_record.shares["km2"])

    @property
    def scenes(self) -> tuple[str, ...]:
        """Ids of the scenes that were used, in the order that ``source`` counts them."""
        return tuple(scene.id for scene in self.run_record.scenes if scene.role == "input")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know before believing the map, the most important first, the model's limits last."""
        return (*self.run_record.notes, *self.run_record.limits)

    def lazy(self) -> xr.Dataset:
        """Imagery and map on one grid as dask arrays.

        Returns:
            ``pixels`` float32 (band, y, x) in physical units, NaN not observed; ``source``, ``flood`` and
            ``probability`` uint8 (y, x), 255 not observed.
        """
        from geoseg.products.lazy import lazy_band

        layers = {"flood": self.flood, "probability": self.probability}
        cube = self.cube.lazy()
        return cube.assign({name: (("y", "x"), lazy_band(path)) for name, path in layers.items()})

    def record(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        run = self.run_record
        return {
            "out": str(self.out),
            **{name: str(path) for name, path in self.paths.items()},
            "meaning": self.meaning,
            "shares_pct": self.shares_pct,
            "area_km2": self.area_km2,
            "scenes": list(self.scenes),
            "failed": [each.model_dump() for each in run.failed],
            "rejected": [each.model_dump() for each in run.rejected],
            "notes": list(self.notes),
            "seconds": run.seconds,
        }

    def summary(self) -> str:
        """A few lines for a person in a hurry."""
        classes = [
            f"  {name.replace('_', ' '):<16}{share:6.2f} %{self.area_km2[name]:12,.3f} km2"
            for name, share in self.shares_pct.items()
        ]
        lines = [
            *classes,
            f"Mask     {self.flood}",
            f"Preview  {self.preview}",
            f"Record   {self.run}",
            f"Took     {sum(self.run_record.seconds.values()):.1f} s",
        ]
        return "\n".join(lines)
