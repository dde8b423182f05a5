"""A picture of the map beside the imagery it was made from, to be understood in five seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.atomic import atomic_file
from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.core.text import counted
from geoseg.products.graticule import Frame, nice
from geoseg.products.map_data import MapData
from geoseg.water.areas import ClassAreas
from geoseg.water.codes import Legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from odc.geo.geobox import GeoBox

LONGEST_PX = 1100
"""Longest side of the arrays that a preview is worth giving; see ``decimation``."""

INK, PALE, WARN = "#22272e", "#6b7280", "#a43b00"
HATCH_FACE, HATCH_LINE = "#b9bdc2", "#7d838b"
DPI = 120
WIDE = 1.9
"""Maps wider than this times their height stand above each other instead of side by side."""

# inches
MARGIN, GAP, HEAD, FOOT = 0.62, 0.55, 1.12, 1.02
NOTE_CHARACTER = 0.063
"""Inches that a character of a note takes, a little more than most: what runs off the picture is not read."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a preview shows.

    Attributes:
        codes: uint8 (y, x): the mask, whole or decimated.
        imagery: float32 (y, x) for grey or (3, y, x) for red, green, blue, any unit, NaN where not observed; any size,
            over the same ground.
        geobox: The grid that both pictures cover.
        legend: Of the mask.
        shares: What the mask comes to.
        title: Place, or area, in a few words.
        caption: Date, scenes, model: one or two lines.
        imagery_title: What the imagery is: ``true colour``, ``VV, dB``.
        notes: What must not be overlooked, one sentence each; the first three are printed, wrapped to the picture.
        simulated: The imagery is simulated, and the picture says so.
    """

    codes: NDArray[np.uint8]
    imagery: NDArray[np.float32]
    geobox: GeoBox
    legend: Legend
    shares: ClassAreas
    title: str
    caption: str
    imagery_title: str = "imagery"
    notes: tuple[str, ...] = ()
    simulated: bool = False


class PreviewPng:
    """The map beside its imagery, with legend, areas and warnings."""

    name, file = "preview", "preview.png"

    def write(self, data: MapData, folder: Path) -> Path:
        """Draw and write the PNG."""
        return write_preview(folder / self.file, preview_of(data))


def preview_of(data: MapData) -> Preview:
    """Read what a preview shows of a map: its mask decimated, its imagery from overviews."""
    cube, model = data.display, data.provenance.model.name
    pixels = cube.thumbnail(LONGEST_PX).pixels.values
    days = sorted({scene.time.strftime("%Y-%m-%d") for scene in cube.scenes})
    taken = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return Preview(
        codes=data.layers.mask.decimated(decimation(data.layers.mask.shape)),
        imagery=pixels if len(pixels) == 3 else pixels[0],
        geobox=data.grid,
        legend=data.legend,
        shares=data.areas,
        title=f"{data.legend.target.title} on {data.dates}",
        caption=f"{data.sensor.title}, {taken}, {counted(len(cube.scenes), 'scene')}; model {model}",
        imagery_title=", ".join(cube.bands) + (f" ({data.sensor.unit})" if len(cube.bands) == 1 else ""),
        notes=(*data.warnings, *data.limits),
        simulated=data.simulated,
    )


def decimation(shape: tuple[int, int]) -> int:
    """How many pixels of a map of this shape go into one of its preview, for ``ByteLayer.decimated``."""
    return max(1, math.ceil(max(shape) / LONGEST_PX))


def write_preview(path: Path, preview: Preview) -> Path:
    """Draw and write the PNG.

    Raises:
        OutputNotWritableError: Its place cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _draw(preview)
    with atomic_file(path) as part:
        FigureCanvasAgg(figure).print_png(str(part))
    return path


def percentile_stretch(imagery: NDArray[np.float32]) -> NDArray[np.float32]:
    """Imagery as red, green, blue, alpha for the screen.

    Each band runs from its 2nd to its 98th percentile over observed pixels; what is not observed is transparent.

    Args:
        imagery: float32 (y, x) or (3, y, x), NaN where not observed.

    Returns:
        float32 (y, x, 4), 0..1.
    """
    bands = imagery[None] if imagery.ndim == 2 else imagery
    seen = np.isfinite(bands).all(axis=0)
    shown = np.zeros((*seen.shape, 4), np.float32)
    if seen.any():
        low, high = np.percentile(bands[:, seen], (2, 98), axis=1)
        span = np.where(high > low, high - low, 1)
        shown[seen, :3] = np.clip((bands[:, seen] - low[:, None]) / span[:, None], 0, 1).T
        shown[seen, 3] = 1
    return shown


def colorize(codes: NDArray[np.uint8], legend: Legend) -> NDArray[np.uint8]:
    """A mask in its legend's colours: uint8 (y, x, 4), transparent where not observed."""
    palette = np.zeros((256, 4), np.uint8)
    for each in legend:
        palette[each.code] = (*each.colour, 0 if each.code == NOT_OBSERVED else 255)
    return palette[codes]


def _draw(preview: Preview) -> Figure:
    from matplotlib.figure import Figure

    frame = Frame.of(preview.geobox)
    stacked = frame.aspect > WIDE
    width, height = _panel_size(frame.aspect, stacked=stacked)
    across = width * (1 if stacked else 2) + (0 if stacked else GAP)
    notes = tuple(line for note in preview.notes[:3] for line in wrap(note, int(across / NOTE_CHARACTER)))
    foot = FOOT + 0.2 * len(notes)
    size = (2 * MARGIN + across, HEAD + foot + height * (2 if stacked else 1) + (GAP if stacked else 0))
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")

    def panel(index: int) -> Axes:
        left = MARGIN + (0 if stacked else index * (width + GAP))
        bottom = foot + ((1 - index) * (height + GAP) if stacked else 0)
        return figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))

    mask, imagery = panel(0), panel(1)
    _show(mask, colorize(preview.codes, preview.legend), frame, f"{preview.legend.target} mask")
    _show(imagery, percentile_stretch(preview.imagery), frame, preview.imagery_title, labels_left=stacked)
    if not (preview.codes != NOT_OBSERVED).any():
        _stamp(mask, "nothing was observed here")
    _scale_bar(imagery, frame, (width, height))
    _north(imagery)
    _head(figure, preview, size)
    _foot(figure, preview, size, foot, notes)
    return figure


def _panel_size(aspect: float, *, stacked: bool) -> tuple[float, float]:
    """Width and height of a panel in inches, its shape true wherever the map is not extremely long."""
    if stacked:
        return 9.6, min(max(9.6 / aspect, 1.4), 5.0)
    height = min(5.2 / aspect, 6.6)
    return max(height * aspect, 3.4), height


def _show(axes: Axes, picture: NDArray[Any], frame: Frame, title: str, *, labels_left: bool = True) -> None:
    """One panel: hatched ground, the picture on it, the graticule over it."""
    from matplotlib.patches import Rectangle

    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect(1 / frame.aspect, adjustable="box")
    axes.add_patch(Rectangle((0, 0), 1, 1, facecolor=HATCH_FACE, edgecolor=HATCH_LINE, hatch="//////", linewidth=0))
    axes.imshow(picture, extent=(0, 1, 0, 1), aspect=1 / frame.aspect, interpolation="nearest", zorder=2)
    for line in frame.lines():
        axes.plot(line.x, line.y, color=INK, linewidth=0.4, alpha=0.35, zorder=3, scalex=False, scaley=False)
    meridians, parallels = frame.ticks()
    axes.set_xticks([tick.at for tick in meridians], [tick.label for tick in meridians])
    axes.set_yticks([tick.at for tick in parallels], [tick.label for tick in parallels] if labels_left else [])
    for label in axes.get_yticklabels():
        label.set(rotation=90, verticalalignment="center")
    axes.tick_params(labelsize=7, colors=PALE, length=3, width=0.6, pad=2)
    axes.set_title(title, loc="left", fontsize=9.5, color=INK, pad=5)
    for spine in axes.spines.values():
        spine.set(color=INK, linewidth=0.7)


def _stamp(axes: Axes, text: str) -> None:
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": PALE}
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=11, color=INK, bbox=box, zorder=6)


def _scale_bar(axes: Axes, frame: Frame, panel: tuple[float, float]) -> None:
    """A bar of a round length, black on white so that it reads on any ground.

    Args:
        axes: The panel, 0..1 either way.
        frame: What it shows.
        panel: Its width and height in inches.
    """
    from matplotlib.patches import Rectangle

    length_m = nice(frame.width_m * 0.3)
    share, (across, up) = length_m / frame.width_m, (1 / panel[0], 1 / panel[1])
    label = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    left, bottom, thick = 0.2 * across, 0.2 * up, 0.06 * up

    def bar(x: float, y: float, size: tuple[float, float], colour: str, edge: str) -> None:
        axes.add_patch(Rectangle((x, y), *size, facecolor=colour, edgecolor=edge, linewidth=0.6, zorder=5))

    bar(left - 0.1 * across, bottom - 0.1 * up, (share + 0.2 * across, 0.36 * up), "white", "none")
    bar(left, bottom, (share / 2, thick), INK, INK)
    bar(left + share / 2, bottom, (share / 2, thick), "white", INK)
    axes.text(
        left + share / 2, bottom + thick + 0.02 * up, label, ha="center", va="bottom", fontsize=7.5, color=INK, zorder=6
    )


def _north(axes: Axes) -> None:
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    axes.annotate(
        "N\n\N{UPWARDS ARROW}",
        (1, 1),
        xytext=(-13, -10),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9,
        color=INK,
        bbox=box,
        zorder=6,
    )


def _head(figure: Figure, preview: Preview, size: tuple[float, float]) -> None:
    left, top = MARGIN / size[0], 1 - 0.2 / size[1]
    figure.text(left, top, preview.title, ha="left", va="top", fontsize=14, weight="bold", color=INK)
    figure.text(
        left, top - 0.31 / size[1], preview.caption, ha="left", va="top", fontsize=8.5, color=PALE, linespacing=1.35
    )
    if preview.simulated:
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": WARN}
        right = 1 - MARGIN / size[0]
        figure.text(
            right, top, "SIMULATED IMAGERY", ha="right", va="top", fontsize=9, weight="bold", color=WARN, bbox=box
        )


def _foot(figure: Figure, preview: Preview, size: tuple[float, float], foot: float, notes: tuple[str, ...]) -> None:
    """The legend with what each class comes to, then what class 1 is, then notes."""
    from matplotlib.patches import Rectangle

    axes = figure.add_axes((0, 0, 1, foot / size[1]))
    axes.set_xlim(0, size[0])
    axes.set_ylim(0, foot)
    axes.set_axis_off()
    y, room = foot - 0.62, (size[0] - 2 * MARGIN) / len(preview.legend.classes)
    for index, each in enumerate(preview.legend):
        x, unseen = MARGIN + index * room, each.code == NOT_OBSERVED
        axes.add_patch(
            Rectangle(
                (x, y),
                0.26,
                0.26,
                facecolor=HATCH_FACE if unseen else tuple(value / 255 for value in each.colour),
                edgecolor=HATCH_LINE if unseen else INK,
                hatch="//////" if unseen else None,
                linewidth=0.5,
            )
        )
        axes.text(x + 0.36, y + 0.27, each.label, ha="left", va="top", fontsize=9.5, color=INK, weight="bold")
        amount = f"{_short(preview.shares.pct(each.code))} %   {_short(preview.shares.km2[each.code])} km²"
        axes.text(x + 0.36, y - 0.05, amount, ha="left", va="bottom", fontsize=8.5, color=INK)
    axes.text(MARGIN, y - 0.2, preview.legend.sentence, ha="left", va="top", fontsize=7.5, color=PALE)
    for index, note in enumerate(notes):
        axes.text(MARGIN, y - 0.4 - 0.2 * index, note, ha="left", va="top", fontsize=7.5, color=WARN)


def _short(number: float) -> str:
    """Three figures; what is above nothing never reads as nothing."""
    if number == 0 or number >= 100:
        return f"{number:,.0f}"
    if number < 0.01:
        return "<0.01"
    return f"{number:.{max(0, 2 - math.floor(math.log10(number)))}f}" if number >= 0.1 else f"{number:.2f}"
