"""``run.json``: what was asked, what it was made from, what came out, and how to do it again. Never a secret."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from geoseg.catalog.records import Record
from geoseg.catalog.target import Target
from geoseg.core.atomic import atomic_file
from geoseg.core.redact import redact, secrets_of

SCHEMA_VERSION = 1

Role = Literal["input", "before", "reference"]


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


class SceneUsed(Record):
    """A scene that the map was made from.

    Attributes:
        id: The item's id.
        collection: Name of its collection.
        role: What it was read for.
        time: Acquisition, ISO 8601, UTC; None for what has no single time.
        platform: As the item names it.
        cloud_pct: Cloud share the item states.
        hrefs: Where its bands are, by band, unsigned.
        sha256: Digests of those that are local files, by band.
        code: Its number in ``source.tif``; None where it has none.
    """

    id: str
    collection: str
    role: Role
    time: str | None = None
    platform: str = ""
    cloud_pct: float | None = None
    hrefs: dict[str, str] = {}
    sha256: dict[str, str] = {}
    code: int | None = None


class LeftOutScene(Record):
    """A scene that was found and not used, or that failed, and why."""

    id: str
    reason: str


class ModelUsed(Record):
    """The model, by its card.

    Attributes:
        name: As typed, or the bundle's.
        card: The whole card as plain values.
        sha256: Of its weights; None: it has none.
        findings: What it settled on for this scene (a threshold, and from how much).
    """

    name: str
    card: dict[str, Any]
    sha256: str | None = None
    scene_threshold_info: dict[str, Any] = {}


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
        left_out: Scenes found and not used.
        failures: Scenes that were wanted and could not be read.
        model: The model.
        threshold_pct: Probability from which a pixel is class 1.
        shares: ``ClassAreas.record``: pixels, per cent and km2 of each class in the area of interest.
        notes: What a reader of the map must know, in sentences.
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
    left_out: tuple[LeftOutScene, ...] = ()
    failures: tuple[LeftOutScene, ...] = ()
    model: ModelUsed
    threshold_pct: int = Field(ge=1, le=100)
    shares: dict[str, Any]
    notes: tuple[str, ...] = ()
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


def digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
