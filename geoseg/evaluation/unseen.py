"""Mark the regions that a bundle had learned from, and average over those that it had not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from geoseg.evaluation.rows import LEARNED, ScoreBlock


def with_unseen(blocks: Sequence[ScoreBlock]) -> tuple[ScoreBlock, ...]:
    """Set the unseen groups of each block, where any bundle had learned from a group.

    Where there are groups from which no run's bundle had learned, every unseen mean is over these, so that the means
    compare. Else each is over the groups that are new to its run.
    """
    found = []
    for block in blocks:
        rivals = [each for each in blocks if each.name == block.name]
        taught = {name for each in rivals for name in each.learned_from}
        if not taught or block.over == "draw":
            found.append(block)
            continue
        common = all(set(each.groups) - taught for each in rivals)
        known = taught if common else set(block.learned_from)
        found.append(replace(block, unseen=tuple(name for name in block.groups if name not in known)))
    return tuple(found)


def warning_of(blocks: Sequence[ScoreBlock]) -> str:
    """Return one warning that names everything that bundles had learned from, or ""."""
    told: dict[str, list[str]] = {}
    for label in dict.fromkeys(block.label for block in blocks if block.learned_from):
        what = _what([block for block in blocks if block.label == label])
        told.setdefault(what, []).append(label)
    if not told:
        return ""
    text = "; ".join(f"{', '.join(labels)} had learned from {what}" for what, labels in told.items())
    text += f". Scores marked {LEARNED} do not hold for new images."
    means = {block.unseen for block in blocks if block.unseen}
    if len(means) == 1:
        return f"{text} Means of unseen regions are over {', '.join(*means)}, from which no model here had learned."
    if means:
        text += " Means of unseen regions are over what is new to each model: neither they nor U-Scores compare models."
    return text


def _what(blocks: Sequence[ScoreBlock]) -> str:
    if blocks[0].over == "draw":
        return "images that it is scored on"
    regions = dict.fromkeys(name for block in blocks for name in block.groups)
    known = {name: (count, len(block.groups[name])) for block in blocks for name, count in block.learned_from.items()}
    names = [name if count == of else f"{name} ({count} of {of} images)" for name, (count, of) in known.items()]
    return f"{len(known)} of the {len(regions)} regions: {', '.join(names)}"
