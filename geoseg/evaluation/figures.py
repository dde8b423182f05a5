"""What an evaluation says, drawn: regions, cost, few-shot curves, and where each model is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.atomic import atomic_file
from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.core.scores import foreground_iou
from geoseg.datasets.pair import UNLABELLED, Pair
from geoseg.evaluation.held_out import file_stem, read_mask
from geoseg.evaluation.protocol import Evaluated
from geoseg.evaluation.records import ChipRecord, FoldRecord, own_id
from geoseg.evaluation.rows import LEARNED, CostRow, Row, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

FIGURES = "figures"
INK, PALE = "#22272e", "#6b7280"
# Okabe and Ito's colours, which colour-blind eyes tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#8c564b", "#B2A100", "#5e3c99")
MARKERS = "osD^vPX*<>"
DPI = 130
MOST_MAPS = 24
"""Error maps, of as many images: those with most of class 1, region by region."""
LONGEST_PX = 512

HATCHED = "hatched: the model had learned from it"

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
    from matplotlib.patches import Patch

    rows = [row for row in table.rows if row.block == block]
    labels = list(dict.fromkeys(row.label for row in rows))
    groups = list(dict.fromkeys(row.name for row in rows if row.kind == "group"))
    means = {"mean": "mean", "mean_unseen": "mean of\nunseen"}
    means = {kind: name for kind, name in means.items() if any(row.kind == kind for row in rows)}
    places = [*groups, *means.values()]
    width = 0.82 / len(labels)
    figure, axes = _figure(min(13.0, max(5.0, 1.6 + len(places) * max(0.75, 0.22 * len(labels)))), 4.2)
    for number, label in enumerate(labels):
        own = [row for row in rows if row.label == label]
        shown = {row.name or row.kind: row for row in own}
        heights = [shown[name].scores[table.headline] if name in shown else math.nan for name in (*groups, *means)]
        known = [name in shown and shown[name].learned_from > 0 for name in (*groups, *means)]
        x = np.arange(len(places)) + (number - (len(labels) - 1) / 2) * width
        colour = COLOURS[number % len(COLOURS)]
        bars = axes.bar(x, np.nan_to_num(heights), width * 0.94, color=colour, label=label, zorder=2)
        for bar in (bar for bar, learned in zip(bars, known, strict=True) if learned and bar.get_height()):
            bar.set(facecolor="white", edgecolor=colour, hatch="////", linewidth=1)
        for place, kind in zip(x[len(groups) :], means, strict=True):
            mean, spread = (_of(own, each, table.headline) for each in (kind, kind.replace("mean", "std")))
            if not math.isnan(spread):
                reach = [[min(spread, mean)], [min(spread, 1 - mean)]]
                axes.errorbar(place, mean, reach, color=INK, capsize=3, linewidth=1, zorder=3)
        for place, name, height in zip(x, (*groups, *means), heights, strict=True):
            if math.isnan(height) and name in shown:
                axes.text(place, 0.012, "n/a", ha="center", va="bottom", fontsize=7, color=PALE, rotation=90)
    if means:
        axes.axvline(len(groups) - 0.5, color=PALE, linewidth=0.8, linestyle=(0, (3, 3)))
    tilt = 30 if max(len(name) for name in places) > 9 and len(places) > 4 else 0
    axes.set_xticks(range(len(places)), places, rotation=tilt, ha="right" if tilt else "center")
    axes.set_ylim(0, 1)
    axes.set_ylabel(_title(table.headline))
    title = {"loro": "Each region held out", "split": f"Split {block}: by region"}[table.protocol]
    unknown = any(math.isnan(row.scores[table.headline]) for row in rows if row.kind == "group")
    told = ["n/a: nothing of the class is labelled there"] * unknown
    told += ["bar at the mean: standard deviation"] * bool(means)
    told += [HATCHED] * any(row.learned_from for row in rows)
    _headed(axes, title, "; ".join(told))
    # of their own: a first bar that is hatched would make its model look so
    handles = [Patch(color=COLOURS[n % len(COLOURS)], label=label) for n, label in enumerate(labels)]
    _legend(axes, len(labels), handles)
    return figure


def accuracy_against_cost(table: Table) -> Figure:
    """The headline score against multiply-adds, and against speed; what computes nothing stands apart at 0."""
    from matplotlib.lines import Line2D

    figure, (left, right) = _figures(12.0, max(4.2, 1.6 + 0.2 * len(table.costs)), 2)
    _scatter(left, table.costs, [row.multiply_adds / 1e9 for row in table.costs])
    left.set_xlabel("multiply-adds for a chip of 256 x 256, thousand millions")
    left.set_ylabel(f"{_title(table.headline)}, {_headline_is(table)}")
    _scatter(right, table.costs, [row.chips_per_second for row in table.costs])
    right.set_xlabel("chips of 256 x 256 per second")
    learned = any(row.learned_from for row in table.costs)
    told = "not filled: the model had learned from what it is judged on" if learned else "up and left is better"
    devices = ", ".join(dict.fromkeys("CPU" if row.device == "cpu" else "GPU" for row in table.costs))
    _headed(left, "Accuracy against computation", told)
    _headed(right, "Accuracy against speed", f"up and right is better; measured on the {devices} of this machine")
    handles = [
        Line2D([], [], linestyle="", label=f"{row.label} ({_size(row.parameters)})", **_dot(number, row))
        for number, row in enumerate(table.costs)
    ]
    title = "model (parameters)"
    figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False, title=title, title_fontsize=8)
    return figure


def _dot(number: int, row: CostRow) -> dict[str, Any]:
    """How a contender's mark looks: not filled where its score is of what it had learned from."""
    colour = COLOURS[number % len(COLOURS)]
    face = "white" if row.learned_from else colour
    marker = MARKERS[number % len(MARKERS)]
    return {"color": colour, "marker": marker, "markerfacecolor": face, "markersize": 7.5, "markeredgewidth": 1.5}


def _size(parameters: int) -> str:
    if not parameters:
        return "none"
    return f"{parameters / 1e6:.3g} M" if parameters >= 1e5 else f"{parameters:,}"


def few_shot_curves(table: Table) -> Figure:
    """Mean and standard deviation over draws against the number of images; what learns nothing is a line."""
    figure, axes = _figure(7.0, 4.4)
    labels = list(dict.fromkeys(block.label for block in table.blocks))
    for number, label in enumerate(labels):
        colour = COLOURS[number % len(COLOURS)]
        rows = [row for row in table.rows if row.label == label]
        shown = label + f" {LEARNED}" * any(row.learned_from for row in rows)
        fixed = [row for row in rows if not row.shots]
        if fixed:
            axes.axhline(
                fixed[0].scores[table.headline], color=colour, linestyle=(0, (5, 3)), label=f"{shown} (as it is)"
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
            label=shown,
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
    learned = any(row.learned_from for row in table.rows)
    last = f"{LEARNED}: had learned from what it is judged on" if learned else "dashed: nothing learned"
    _headed(axes, "Few-shot", f"line: mean over draws; bars: one standard deviation; {last}")
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
    runs = {run.label: run for run in evaluated.runs}
    pairs = {(label, pair.id): pair for label, run in runs.items() for pair in run.data.pairs}
    for identity in _chosen(evaluated):
        said = shown[identity]
        panels = []
        for fold, chip in said:
            mask = read_mask(evaluated.folder(fold) / chip.mask)
            _, truth = pairs[fold.label, chip.id].read()
            label = fold.label + f" {LEARNED}" * (chip.id in fold.learned_from)
            panels.append((label, chip.confusion.matrix, outcomes(truth, mask)))
        fold, chip = said[0]
        yield file_stem(identity), _error_map(pairs[fold.label, chip.id], runs[fold.label].data.bands, panels)


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
        iou = f"IoU {foreground_iou(matrix):.3f}" if matrix[1].sum() else "IoU undefined"  # as in the table
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
    """Equal marks on a log axis; a cost of 0, which has no logarithm, stands left of a line, where 0 is written."""
    known = [
        (number, row, value)
        for number, (row, value) in enumerate(zip(costs, x, strict=True))
        if not math.isnan(row.score) and not math.isnan(value)
    ]
    positive = [value for _, _, value in known if value > 0]
    low, high = (min(positive), max(positive)) if positive else (1.0, 1.0)
    aside = max(1.5, math.sqrt(10 * low / high))  # at least a decade, so that there are ticks
    low, high = low / aside, high * aside
    step = (high / low) ** 0.12
    zero, line = low / step**1.4, low / step**0.7
    some_free = len(positive) < len(known)
    axes.set_xscale("log")
    axes.set_xlim(zero / step**0.7 if some_free else low, high)
    ticks = _decades(low, high)
    axes.set_xticks([zero] * some_free + ticks, ["0"] * some_free + [f"{each:g}" for each in ticks])
    axes.minorticks_off()
    if some_free:
        axes.axvline(line, color=PALE, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
    for number, row, value in known:
        axes.plot(value if value > 0 else zero, row.score, linestyle="", zorder=3, alpha=0.9, **_dot(number, row))
    scores = [row.score for _, row, _ in known] or [0.5]
    bottom, top = math.floor(min(scores) * 10 - 0.5) / 10, math.ceil(max(scores) * 10 + 0.5) / 10
    axes.set_ylim(max(-0.02, bottom), min(1.02, top))  # a mark at 0 or 1 is whole


def _decades(low: float, high: float) -> list[float]:
    """Ticks between two values: 1, 2 and 5 of every decade, or powers of ten alone where those would crowd."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


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
    if any(row.kind.endswith("_unseen") for row in table.rows):
        return {"loro": "mean of unseen regions", "split": "test split, unseen regions"}[table.protocol]
    return {"loro": "mean over regions", "split": "test split", "fewshot": "at most shots"}[table.protocol]


def _headed(axes: Axes, title: str, under: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=20, fontweight="bold")
    axes.text(0, 1.025, under, transform=axes.transAxes, fontsize=8, color=PALE, va="bottom")
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(axes: Axes, entries: int, handles: list[Patch] | None = None) -> None:
    how: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "fontsize": 8, "frameon": False}
    axes.legend(handles=handles, ncols=1 if entries <= 16 else 2, **how)


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

    with atomic_file(path) as part:
        FigureCanvasAgg(figure).print_png(str(part))
    return path
