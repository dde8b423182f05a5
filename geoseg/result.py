"""What a map run hands back: where the products are, and what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.core.request import Request
from geoseg.core.scene import RejectedScene
from geoseg.readers import Cube, Failure

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, slots=True)
class MapResult:
    """A finished map.

    Attributes:
        request: What was asked for.
        out: Folder of the products.
        flood: ``flood.tif``: 0 dry, 1 flood or water, 2 permanent water, 255 not observed.
        probability: ``probability.tif``: per cent 0..100 of class 1, 255 not observed.
        source: ``source.tif``: number of the scene each pixel came from, in the order of ``scenes``.
        preview: ``preview.png``.
        run: ``run.json``.
        meaning: What class 1 is: ``flood``, or all ``water``.
        shares_pct: Share of each class in the area, per cent, by its name.
        area_km2: Area of each class on the ellipsoid, by its name.
        scenes: Ids of the scenes that were used, in the order that ``source`` counts them.
        failures: Scenes that could not be read somewhere; the map says "not observed" or shows the next scene there.
        notes: What a person should know before believing the map.
        left_out: Scenes that were found and not used, each with the reason.
        seconds: Seconds of each step.
        cube: The imagery, lazily.
    """

    request: Request
    out: Path
    flood: Path
    probability: Path
    source: Path
    preview: Path
    run: Path
    meaning: str
    shares_pct: dict[str, float]
    area_km2: dict[str, float]
    scenes: tuple[str, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    left_out: tuple[RejectedScene, ...]
    seconds: dict[str, float]
    cube: Cube = field(repr=False)

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
        paths = ("out", "flood", "probability", "source", "preview", "run")
        return {
            **{name: str(getattr(self, name)) for name in paths},
            "meaning": self.meaning,
            "shares_pct": self.shares_pct,
            "area_km2": self.area_km2,
            "scenes": list(self.scenes),
            "skipped": [{"scene": failure.scene_id, "reason": failure.reason} for failure in self.failures],
            "left_out": [{"scene": each.id, "reason": each.reason} for each in self.left_out],
            "notes": list(self.notes),
            "seconds": self.seconds,
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
            f"Took     {sum(self.seconds.values()):.1f} s",
        ]
        return "\n".join(lines)
