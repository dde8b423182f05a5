"""What an evaluation says, drawn: regions, cost, few-shot curves, and where each model is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.pair import UNLABELLED, Pair
from geoseg.evaluation.counts import NOT_OBSERVED
from geoseg.evaluation.held_out import file_stem, read_mask
from geoseg.evaluation.protocol import Evaluated
from geoseg.evaluation.records import ChipRecord, FoldRecord, own_id
from geoseg.evaluation.table import CostRow, Row, Table
from geoseg.storage import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = "figures"
INK, PALE = "#22272e", "#6b7280"
# Okabe and Ito's colours, which colour-blind eyes tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#8c564b", "#B2A100", "#5e3c99")
MARKERS = "osD^vPX*<>"
DPI = 130
MOST_MAPS = 24
"""Error maps, of as many images: those with most of class 1, region by region."""
LONGEST_PX = 512

# what became of a pixel; lightness alone tells them apart
HIT, MISS, FALSE_ALARM, RIGHT_DRY, HIDDEN, UNKNOWN = range(6)
OUTCOMES = {
    HIT: ("hit", "#2b6cb0"),
    MISS: ("missed", "#8e0b23"),
    FALSE_ALARM: ("false alarm", "#f5a742"),
    RIGHT_DRY: ("right: background", "#efe9dc"),
    HIDDEN: ("labelled, not observed", "#9aa0a6"),
    UNKNOWN: ("not labelled", "#ffffff"),
}


def draw_figures(table: Table, evaluated: Evaluated) -> list[Path]:
    """Draw everything that the protocol has to show.

    Returns:
        The PNGs, in ``figures/``.

    Raises:
        OutputNotWritableError: The folder cannot be written.
    """
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):  # a name may hold a dollar sign
        return _drawn(table, evaluated)


def _drawn(table: Table, evaluated: Evaluated) -> list[Path]:
    folder = evaluated.out / FIGURES
    files = []
    if table.protocol == "fewshot":
        files.append(_saved(few_shot_curves(table), folder / "few-shot.png"))
    else:
        files += [
            _saved(region_bars(table, name), folder / f"regions{'-' + file_stem(name) if name else ''}.png")
            for name in dict.fromkeys(block.name for block in table.blocks)
        ]
    files.append(_saved(accuracy_against_cost(table), folder / "accuracy-cost.png"))
    if table.protocol != "fewshot":
        files += [_saved(figure, folder / "errors" / f"{name}.png") for name, figure in _error_maps(evaluated)]
    return files


def region_bars(table: Table, block: str) -> Figure:
    """The headline score of every region, a bar a model, and the mean with its spread."""
    rows = [row for row in table.rows if row.block == block]
    labels = list(dict.fromkeys(row.label for row in rows))
    groups = list(dict.fromkeys(row.name for row in rows if row.kind == "group"))
    many = any(row.kind == "mean" for row in rows)
    places = [*groups, "mean"] if many else groups
    width = 0.82 / len(labels)
    figure, axes = _figure(min(13.0, max(5.0, 1.6 + len(places) * max(0.75, 0.22 * len(labels)))), 4.2)
    for number, label in enumerate(labels):
        own = [row for row in rows if row.label == label]
        values = {row.name: row.scores[table.headline] for row in own if row.kind == "group"}
        heights = [values.get(name, math.nan) for name in groups]
        errors = [0.0] * len(groups)
        if many:
            heights.append(_of(own, "mean", table.headline))
            errors.append(_of(own, "std", table.headline))
        x = np.arange(len(places)) + (number - (len(labels) - 1) / 2) * width
        colour = COLOURS[number % len(COLOURS)]
        axes.bar(x, np.nan_to_num(heights), width * 0.94, color=colour, label=label, zorder=2)
        if many and not math.isnan(errors[-1]):
            mean = heights[-1]
            down, up = min(errors[-1], mean), min(errors[-1], 1 - mean)
            axes.errorbar(x[-1], mean, [[down], [up]], color=INK, capsize=3, linewidth=1, zorder=3)
        for place, height in zip(x, heights, strict=True):
            if math.isnan(height):
                axes.text(place, 0.012, "n/a", ha="center", va="bottom", fontsize=7, color=PALE, rotation=90)
    if many:
        axes.axvline(len(groups) - 0.5, color=PALE, linewidth=0.8, linestyle=(0, (3, 3)))
    tilt = 30 if max(len(name) for name in places) > 9 and len(places) > 4 else 0
    axes.set_xticks(range(len(places)), places, rotation=tilt, ha="right" if tilt else "center")
    axes.set_ylim(0, 1)
    axes.set_ylabel(_title(table.headline))
    title = {"loro": "Each region held out", "split": f"Split {block}: by region"}[table.protocol]
    unknown = any(math.isnan(row.scores[table.headline]) for row in rows if row.kind == "group")
    told = ["n/a: nothing of the class is labelled there"] * unknown + ["bar at the mean: standard deviation"] * many
    _headed(axes, title, "; ".join(told))
    _legend(axes, len(labels))
    return figure


def accuracy_against_cost(table: Table) -> Figure:
    """The headline score against multiply-adds, size of the dot by parameters; a baseline has neither."""
    from matplotlib.lines import Line2D

    figure, (left, right) = _figures(11.5, 4.2, 2)
    _scatter(left, table.costs, [row.multiply_adds / 1e9 for row in table.costs])
    left.set_xlabel("multiply-adds for a chip of 256 x 256, thousand millions")
    left.set_ylabel(f"{_title(table.headline)}, {_headline_is(table)}")
    _scatter(right, table.costs, [row.chips_per_second for row in table.costs])
    right.set_xlabel("chips of 256 x 256 per second")
    _headed(left, "Accuracy against computation", "dots grow with the number of parameters; baselines at the left edge")
    _headed(right, "Accuracy against speed", f"measured on: {', '.join(dict.fromkeys(r.device for r in table.costs))}")
    names = [
        Line2D([], [], linestyle="", color=COLOURS[n % len(COLOURS)], marker=MARKERS[n % len(MARKERS)], label=row.label)
        for n, row in enumerate(table.costs)
    ]
    figure.legend(handles=names, loc="outside right upper", fontsize=8, frameon=False)
    return figure


def few_shot_curves(table: Table) -> Figure:
    """Mean and standard deviation over draws against the number of images; what learns nothing is a line."""
    figure, axes = _figure(7.0, 4.4)
    labels = list(dict.fromkeys(block.label for block in table.blocks))
    for number, label in enumerate(labels):
        colour = COLOURS[number % len(COLOURS)]
        rows = [row for row in table.rows if row.label == label]
        fixed = [row for row in rows if not row.shots]
        if fixed:
            axes.axhline(
                fixed[0].scores[table.headline], color=colour, linestyle=(0, (5, 3)), label=f"{label} (as it is)"
            )
        shots = sorted({row.shots for row in rows if row.shots})
        if not shots:
            continue
        mean, std = _curve(rows, shots, table.headline)
        # moved aside by a little, so that the bars of one model do not hide another's
        aside = 1 + 0.02 * (number - (len(labels) - 1) / 2)
        reach = np.stack([np.minimum(std, mean), np.minimum(std, 1 - mean)])
        axes.errorbar(
            np.array(shots) * aside,
            mean,
            reach,
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            capsize=3,
            elinewidth=0.9,
            label=label,
            zorder=3,
        )
    ticks = sorted({block.shots for block in table.blocks if block.shots})
    if ticks and max(ticks) / min(ticks) > 8:
        axes.set_xscale("log")
    axes.set_xticks(ticks, [str(each) for each in ticks])
    axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.set_xlabel("images learned from")
    axes.set_ylabel(_title(table.headline))
    _headed(axes, "Few-shot", "line: mean over draws; bars: one standard deviation; dashed: nothing learned")
    _legend(axes, len(labels))
    return figure


def outcomes(truth: NDArray[np.int16], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What became of each pixel, uint8 (y, x): a key of ``OUTCOMES``."""
    wet, said = truth == 1, mask == 1
    found = np.full(truth.shape, RIGHT_DRY, np.uint8)
    found[wet & said], found[wet & ~said], found[~wet & said] = HIT, MISS, FALSE_ALARM
    found[mask == NOT_OBSERVED] = HIDDEN
    found[truth == UNLABELLED] = UNKNOWN
    return found


def _error_maps(evaluated: Evaluated) -> Iterable[tuple[str, Figure]]:
    """A figure an image: what is seen, then every model's outcome."""
    shown: dict[str, list[tuple[FoldRecord, ChipRecord]]] = {}
    for fold in evaluated.folds:
        for chip in fold.chips:
            shown.setdefault(own_id(chip.id, fold.data), []).append((fold, chip))
    entries = {entry.label: entry for entry in evaluated.entries}
    pairs = {(label, pair.id): pair for label, entry in entries.items() for pair in entry.data.pairs}
    for identity in _chosen(evaluated):
        said = shown[identity]
        panels = []
        for fold, chip in said:
            mask = read_mask(evaluated.folder(fold) / chip.mask)
            _, truth = pairs[fold.label, chip.id].read()
            panels.append((fold.label, chip.confusion.matrix, outcomes(truth, mask)))
        fold, chip = said[0]
        yield file_stem(identity), _error_map(pairs[fold.label, chip.id], entries[fold.label].data.bands, panels)


def _chosen(evaluated: Evaluated) -> list[str]:
    """Images with most of class 1, region by region in turn."""
    first = evaluated.folds[0].label
    regions: dict[str, list[tuple[int, str]]] = {}
    for fold in evaluated.folds:
        for chip in fold.chips if fold.label == first else ():
            if chip.confusion.labelled:
                regions.setdefault(chip.region, []).append((-sum(chip.matrix[1]), own_id(chip.id, fold.data)))
    ranked = [[identity for _, identity in sorted(each)] for each in regions.values()]
    turns = [each[turn] for turn in range(max(map(len, ranked), default=0)) for each in ranked if turn < len(each)]
    return turns[:MOST_MAPS]


def _error_map(
    pair: Pair, bands: Sequence[str], panels: Sequence[tuple[str, NDArray[np.int64], NDArray[np.uint8]]]
) -> Figure:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    across = min(len(panels) + 1, 4)
    down = math.ceil((len(panels) + 1) / across)
    ratio = pair.shape[0] / pair.shape[1]
    figure, grid = _figures(3.1 * across, 3.05 * ratio * down + 0.26 * down + 0.4, across * down, across)
    step = max(1, math.ceil(max(pair.shape) / LONGEST_PX))
    picture, title = _picture(pair, bands)
    grid[0].imshow(picture[::step, ::step], cmap="gray", interpolation="nearest")
    grid[0].set_title(f"{pair.id}: {title}", fontsize=8.5, color=INK, loc="left")
    colours = ListedColormap([colour for _, colour in OUTCOMES.values()])
    for axes, (label, matrix, found) in zip(grid[1:], panels, strict=False):
        axes.imshow(found[::step, ::step], cmap=colours, vmin=0, vmax=len(OUTCOMES) - 1, interpolation="nearest")
        hits, wrong = int(matrix[1, 1]), int(matrix[0, 1] + matrix[1, 0])
        iou = f"IoU {hits / (hits + wrong):.3f}" if matrix[1].sum() else "IoU undefined"
        axes.set_title(f"{label}: {iou}", fontsize=8.5, color=INK, loc="left")
    for axes in grid:
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(PALE)
            spine.set_linewidth(0.6)
    for axes in grid[len(panels) + 1 :]:
        axes.set_visible(False)
    handles = [Patch(facecolor=colour, edgecolor=PALE, linewidth=0.6, label=name) for name, colour in OUTCOMES.values()]
    figure.legend(handles=handles, loc="outside lower center", ncols=6 if across > 2 else 3, fontsize=8, frameon=False)
    return figure


def _picture(pair: Pair, bands: Sequence[str]) -> tuple[NDArray[np.float32], str]:
    """True colour where there is one, else the first band of after the event; stretched to its 2nd..98th percentile."""
    image, _ = pair.read()
    colour = ("red", "green", "blue")
    chosen = [bands.index(name) for name in colour] if set(colour) <= set(bands) else []
    if not chosen:
        chosen = [next((index for index, name in enumerate(bands) if not name.startswith("before.")), 0)]
    planes = []
    for plane in image[chosen]:
        seen = plane[np.isfinite(plane)]
        low, high = np.percentile(seen, [2, 98]) if seen.size else (0.0, 1.0)
        planes.append(np.clip((plane - low) / max(high - low, 1e-9), 0, 1))
    if len(planes) == 3:
        stacked: NDArray[np.float32] = np.nan_to_num(np.stack(planes, axis=-1), nan=0.75).astype(np.float32)
        return stacked, "true colour"
    return planes[0].astype(np.float32), bands[chosen[0]]


def _scatter(axes: Axes, costs: Sequence[CostRow], x: Sequence[float]) -> None:
    positive = [each for each in x if each > 0 and not math.isnan(each)]
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    edge = min(positive) / 3 if positive else 0.1
    if positive:
        axes.set_xlim((edge if min(x) <= 0 else min(positive)) / 1.6, max(positive) * 1.6)
    for number, (row, value) in enumerate(zip(costs, x, strict=True)):
        if math.isnan(row.score) or math.isnan(value):
            continue
        size = 36 + 16 * math.sqrt(row.parameters / 1e6)
        place = value if value > 0 else edge
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.scatter(place, row.score, s=size, c=colour, marker=marker, zorder=3, alpha=0.9)
    axes.set_ylim(0, 1)


def _of(rows: Sequence[Row], kind: str, name: str) -> float:
    return next((row.scores[name] for row in rows if row.kind == kind), math.nan)


def _curve(rows: Sequence[Row], shots: Sequence[int], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, std = [], []
    for count in shots:
        own = [row for row in rows if row.shots == count]
        one = _of(own, "group", name)
        mean.append(_of(own, "mean", name) if any(row.kind == "mean" for row in own) else one)
        std.append(_of(own, "std", name))
    return np.array(mean), np.nan_to_num(np.array(std))


def _title(headline: str) -> str:
    return f"IoU of {headline.removeprefix('iou_')}"


def _headline_is(table: Table) -> str:
    return {"loro": "mean over regions", "split": "test split", "fewshot": "at most shots"}[table.protocol]


def _headed(axes: Axes, title: str, under: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=20, fontweight="bold")
    axes.text(0, 1.025, under, transform=axes.transAxes, fontsize=8, color=PALE, va="bottom")
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(axes: Axes, entries: int) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False, ncols=1 if entries <= 16 else 2)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure, grid = _figures(width, height, 1)
    return figure, grid[0]


def _figures(width: float, height: float, count: int, across: int | None = None) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=DPI, layout="constrained")
    across = across or count
    grid = figure.subplots(math.ceil(count / across), across, squeeze=False)
    return figure, list(grid.ravel())


def _saved(figure: Figure, path: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with whole_file(path) as part:
        FigureCanvasAgg(figure).print_png(str(part))
    return path
