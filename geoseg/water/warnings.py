"""Warn of what a person must know before believing a map, from what the mask came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geoseg.catalog.cards import ModelCard
from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.core.scene import RejectedScene
from geoseg.core.text import counted, percent
from geoseg.readers import Failure
from geoseg.water.areas import ClassAreas
from geoseg.water.codes import DRY, FLOOD, PERMANENT
from geoseg.water.mask import MaskSummary

MIN_RECALL_PCT = 50
"""Warn where less than this share of the known permanent water was found: the model probably misses the rest too."""
NO_REFERENCE = "Permanent water is unknown in all of the area: the reference covers none of it."


@dataclass(frozen=True, slots=True)
class MapFindings:
    """What a mask came to, and what stood in the way.

    Attributes:
        card: The model's card.
        summary: Pixels and areas of each code, and how far permanent water is known.
        reference_gap: Sentence about flood where permanent water is unknown; "" without reference water.
        scene_threshold_info: What the model chose for this scene.
        failed: Scenes that could not be read somewhere.
        rejected: Scenes that were found and not used.
    """

    card: ModelCard
    summary: MaskSummary
    reference_gap: str
    scene_threshold_info: Mapping[str, Any]
    failed: Sequence[Failure]
    rejected: Sequence[RejectedScene]


def observation_warnings(areas: ClassAreas) -> list[str]:
    """Warn of what was not observed."""
    hidden = areas.pct(NOT_OBSERVED)
    if not areas.total_px:
        return ["NOTHING WAS COUNTED: the area holds no pixel's middle. Choose a finer --resolution."]
    if areas.pixels[NOT_OBSERVED] == areas.total_px:
        return ["NOTHING WAS OBSERVED: every pixel is 255. Widen --window-days, or try another sensor."]
    return [f"{hidden:.0f} % of the area was not observed: the map says nothing there."] if hidden >= 1 else []


def result_warnings(findings: MapFindings) -> list[str]:
    """Warn of a result that may be wrong, the most important first, then of scenes that are not in it."""
    info, failed, rejected = findings.scene_threshold_info, findings.failed, findings.rejected
    areas, unknown_px = findings.summary.areas, findings.summary.unknown_reference_px
    notes = [*_one_class(findings.card, areas)]
    if info.get("threshold_from") == "default":
        level = info["threshold_db"]
        notes.append(f"No part of the scene showed water and land apart: a published {level:g} dB decides instead.")
    seen = areas.reference_seen_pct
    if seen is not None and seen < MIN_RECALL_PCT:
        notes.append(f"Only {seen:.0f} % of the known permanent water was found: do not trust what is called dry.")
    if findings.reference_gap and not findings.summary.reference_px:
        notes.append(NO_REFERENCE)
    elif findings.reference_gap and unknown_px:
        note = findings.reference_gap.format(share=percent(100 * unknown_px / areas.pixels[FLOOD]).lower())
        notes.append(note[0].upper() + note[1:])
    unread = sorted({failure.scene_id for failure in failed})
    if unread:
        notes.append(f"{counted(len(unread), 'scene')} failed to be read: {', '.join(unread[:3])}.")
    if rejected:
        first, others = rejected[0], len(rejected) - 1
        more = f", and {others} more: see run.json" if others else ""
        notes.append(f"{counted(len(rejected), 'scene')} rejected: {first.id} ({first.reason.rstrip('.')}){more}.")
    return notes


def _one_class(card: ModelCard, areas: ClassAreas) -> list[str]:
    """A network that gives one class to all it saw may be right, or may have learned nothing: it cannot tell."""
    dry, found = areas.pixels[DRY], areas.pixels[FLOOD] + areas.pixels[PERMANENT]
    if card.family == "classical" or bool(dry) == bool(found):
        return []
    what = card.meaning.name
    said = f"found no {what} anywhere in the observed area" if dry else f"calls all of the observed area {what}"
    return [
        f"{card.name} {said}: either that is so, or the network does not know {what} when it sees it. Compare with "
        "the preview, or with a baseline."
    ]
