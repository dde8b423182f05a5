"""``run.json``: what was asked, what it was made from, what came out, and how to do it again. Never a secret."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from geoseg.catalog.records import Record
from geoseg.catalog.target import Target
from geoseg.core.atomic import atomic_file
from geoseg.core.hashing import file_sha256
from geoseg.core.redact import redact, secrets_of
from geoseg.products.map_data import MapData, ModelUsed, SceneUsed

SCHEMA_VERSION = 2
"""2: ``rejected`` and ``failed`` were ``left_out`` and ``failures``; ``limits`` were part of ``notes``."""


def installed_versions() -> dict[str, str]:
    """Versions of geoseg, Python and the libraries that decide a map's numbers, as far as they are installed."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in ("geoseg", "numpy", "torch", "rasterio", "odc-geo", "pyproj", "dask"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class UnusedScene(Record):
    """A scene that was found and rejected, or that failed to be read, and why."""

    id: str
    reason: str


class RunRecord(Record):
    """Everything about one run.

    Attributes:
        schema_version: Of this record.
        simulated: The imagery is simulated.
        command: Repeats the run from any folder: every path in it is absolute, as those of the scenes are.
        request: What was asked, as ``Request.record`` gives it.
        class_1: Target class of code 1 of the mask.
        grid: CRS, shape (rows, columns), transform and resolution in metres.
        scenes: What the map was made from.
        rejected: Scenes found and not used.
        failed: Scenes that were wanted and could not be read.
        model: The model.
        threshold_pct: Probability from which a pixel is class 1.
        shares: ``ClassAreas.record``: pixels, per cent and km2 of each class in the area of interest.
        notes: What a reader of the map must know, in sentences, the most important first.
        limits: Known failures of the model, which hold for each of its maps.
        outputs: Names of the files written, by what they are.
        sha256: Digests of the outputs, by what they are.
        seconds: Time by step.
        versions: Of geoseg and what it stands on.
        started: ISO 8601, UTC.
    """

    schema_version: int = SCHEMA_VERSION
    simulated: bool = False
    command: str
    request: dict[str, Any]
    class_1: Target
    grid: dict[str, Any]
    scenes: tuple[SceneUsed, ...] = ()
    rejected: tuple[UnusedScene, ...] = ()
    failed: tuple[UnusedScene, ...] = ()
    model: ModelUsed
    threshold_pct: int = Field(ge=1, le=100)
    shares: dict[str, Any]
    notes: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    outputs: dict[str, str] = {}
    sha256: dict[str, str] = {}
    seconds: dict[str, float] = {}
    versions: dict[str, str] = Field(default_factory=installed_versions)
    started: str


def write_run(path: Path, record: RunRecord) -> Path:
    """Write the record as JSON, scrubbed of anything secret.

    Raises:
        OutputNotWritableError: Its place cannot be written.
    """
    with atomic_file(path) as part:
        part.write_text(as_json(record) + "\n", encoding="utf-8")
    return path


def as_json(record: RunRecord) -> str:
    """The record as JSON text, scrubbed; NaN and infinity, which JSON does not know, as null."""
    plain = redact(record.model_dump(mode="json"), secrets_of(os.environ))
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)


def grid_record(geobox: Any) -> dict[str, Any]:
    """A GeoBox as plain JSON values."""
    epsg = geobox.crs.to_epsg()
    return {
        "crs": f"EPSG:{epsg}" if epsg else geobox.crs.to_wkt(),
        "shape": [int(size) for size in geobox.shape],
        "transform": [float(number) for number in tuple(geobox.affine)[:6]],
        "resolution_m": abs(float(geobox.resolution.x)),
    }


class RunRecordJson:
    """Everything about the run; written last, because it lists the other products with their hashes."""

    name, file = "run", "run.json"

    def write(self, data: MapData, folder: Path) -> Path:
        """Hash the products and the local inputs, and write the record."""
        record = record_of(data)
        return write_run(folder / self.file, record)


def record_of(data: MapData) -> RunRecord:
    """Describe a map whose other products are written."""
    made, clock = data.provenance, data.provenance.clock
    digests = {name: file_sha256(path) for name, path in data.written.items()}
    clock.lap("write")
    return RunRecord(
        simulated=data.simulated,
        command=made.command,
        request=made.request,
        class_1=data.legend.target,
        grid=grid_record(data.grid),
        scenes=data.scenes,
        rejected=tuple(UnusedScene(id=each.id, reason=each.reason) for each in data.rejected),
        failed=tuple(UnusedScene(id=each.scene_id, reason=each.reason) for each in data.failed),
        model=made.model,
        threshold_pct=made.threshold_pct,
        shares=data.areas.record(data.legend),
        notes=data.notes,
        limits=data.limits,
        outputs={name: path.name for name, path in data.written.items()},
        sha256=digests,
        seconds=clock.seconds,
        started=datetime.fromtimestamp(clock.started, UTC).isoformat(timespec="seconds"),
    )


def with_hashes(scenes: Iterable[SceneUsed]) -> tuple[SceneUsed, ...]:
    """Add the SHA-256 of every band that is a local file; a file of several bands is read once."""
    known: dict[str, str] = {}
    hashed = []
    for scene in scenes:
        local = {band: href for band, href in scene.hrefs.items() if Path(href).is_file()}
        known |= {href: file_sha256(Path(href)) for href in set(local.values()) - set(known)}
        hashed.append(scene.model_copy(update={"sha256": {band: known[href] for band, href in local.items()}}))
    return tuple(hashed)


def read_run(path: Path) -> RunRecord:
    """Read a run record back."""
    return RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
