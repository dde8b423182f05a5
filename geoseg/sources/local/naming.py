"""Which band is which, what an item is called, when it was taken: said by the file or the person, never guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.core.instants import parse_instant
from geoseg.core.request import Dates
from geoseg.errors import BadDateError, BadOptionError, NotIngestibleError, UnknownNameError
from geoseg.sources.local.layouts import layout
from geoseg.sources.local.raster import RasterFile

ALPHA = "alpha"
LEFT_OUT = "unread_"
"""Begins the name of a band that no model reads; its place in the file follows."""

COLOURS = ("red", "green", "blue", ALPHA)


def canonical(name: str, sensor: str) -> str | None:
    """Our name of a band that a file calls ``name`` (any case, ``B02``, ``VV``, ``coastal_blue``); None: not known."""
    key = _key(name)
    known = {*sensor_record(sensor).bands, *layout(sensor).extra, ALPHA}
    name = layout(sensor).aliases.get(key, key)
    return name if name in known else None


def _key(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def bands_given(text: str | None, sensor: str) -> tuple[str, ...]:
    """Take ``--bands`` as typed: names separated by commas.

    Raises:
        BadOptionError: A name twice.
        UnknownNameError: A band that the sensor does not have.
    """
    names = []
    for number, word in enumerate((text or "").replace(",", " ").split(), start=1):
        name = f"{LEFT_OUT}{number}" if word == "-" else canonical(word, sensor)
        if name is None:
            raise UnknownNameError.among(f"{sensor} band", word, sensor_record(sensor).bands)
        names.append(name)
    if len(set(names)) < len(names):
        raise BadOptionError(f"--bands {text} names a band twice.")
    return tuple(names)


def band_names(
    raster: RasterFile, sensor: str, given: tuple[str, ...], documented: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """The name of every band of a file, in file order.

    In this order: what the person gave, the file's own descriptions, the provider's documented order, and (aerial only)
    the colour tags. Whatever else is known must agree. Colour tags do not count for satellites: Planet's own
    files tag blue, green, red as red, green, blue.

    Args:
        raster: The file.
        sensor: Name of its sensor.
        given: ``--bands``, or empty. An alpha band at the end need not be named.
        documented: The order of the product that the file is known to be.

    Raises:
        NotIngestibleError: Nothing tells, or two sources disagree.
    """
    described = tuple(_described(text, number, sensor) for number, text in enumerate(raster.descriptions, start=1))
    chosen = _completed(given, raster) if given else described
    if None in chosen:
        chosen = documented or (_coloured(raster) if layout(sensor).colour_tags else None) or chosen
    if None in chosen or len(chosen) != raster.count:
        raise NotIngestibleError(
            f"{raster.path} has {raster.count} bands and {_what_it_says(raster, given, sensor)}. Name them in "
            f"file order with --bands, out of {', '.join(sensor_record(sensor).bands)}; a hyphen leaves a band out"
            f"{_example(raster, given, described)}."
        )
    for source, names in (("its band descriptions", described), ("the provider's order", documented or ())):
        pairs = zip(chosen, names, strict=False)
        conflict = [(a, b) for a, b in pairs if b is not None and a != b and not is_left_out(a)]
        if conflict:
            raise NotIngestibleError(
                f"{raster.path}: {source} say {conflict[0][1]!r} where "
                f"{'--bands' if given else 'another source'} says {conflict[0][0]!r}. Correct the one "
                "that is wrong: a swapped band makes a wrong map."
            )
    _check_alpha(raster, chosen)
    return _without_twins(raster, tuple(name for name in chosen if name))


def is_left_out(name: str | None) -> bool:
    """A band that no model reads, and that keeps its place in the file only."""
    return name is not None and name.startswith(LEFT_OUT)


def _described(text: str, number: int, sensor: str) -> str | None:
    """Our name of a band by its description; of one that the layout says no model reads, one that leaves it out."""
    if text and _key(text) in layout(sensor).unread:
        return f"{LEFT_OUT}{number}"
    return canonical(text, sensor) if text else None


def _check_alpha(raster: RasterFile, names: tuple[str | None, ...]) -> None:
    """Compare the names with the alpha tag: a tagged band hides pixels, and a name alone hides none.

    Raises:
        NotIngestibleError: A band tagged as alpha is called something else, or one called alpha has no such tag.
    """
    for number, (name, colour) in enumerate(zip(names, raster.colours, strict=True), start=1):
        if colour == ALPHA and name != ALPHA:
            called = "to be left out" if is_left_out(name) else f"called {name!r}"
            raise NotIngestibleError(
                f"{raster.path}: band {number} is tagged as alpha, which hides pixels where it is 0, and it is "
                f"{called}. If it is no alpha band, remove the tag with `gdal_edit.py -colorinterp_{number} undefined "
                "FILE`; if it is, call it alpha in --bands."
            )
        if name == ALPHA and colour != ALPHA:
            raise NotIngestibleError(
                f"{raster.path}: band {number} is called 'alpha', and it is not tagged as alpha, so it would hide no "
                f"pixel. If it is an alpha band, tag it with `gdal_edit.py -colorinterp_{number} alpha FILE`; if it is "
                "not, leave it out of --bands with a hyphen."
            )


def _completed(given: tuple[str, ...], raster: RasterFile) -> tuple[str, ...]:
    ends_in_alpha = raster.colours[-1] == ALPHA and len(given) == raster.count - 1
    return (*given, ALPHA) if ends_in_alpha else given


def _coloured(raster: RasterFile) -> tuple[str, ...] | None:
    return raster.colours if all(colour in COLOURS for colour in raster.colours) else None


def _without_twins(raster: RasterFile, names: tuple[str, ...]) -> tuple[str, ...]:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise NotIngestibleError(
            f"{raster.path} names band {twins[0]!r} twice. Name its bands in file order with --bands."
        )
    return names


def _what_it_says(raster: RasterFile, given: tuple[str, ...], sensor: str) -> str:
    if given:
        return f"--bands names {len(given)}"
    if not any(raster.descriptions):
        return "does not name them"
    unknown = [
        f"band {number} {text!r}" if text else f"band {number} without a name"
        for number, text in enumerate(raster.descriptions, start=1)
        if _described(text, number, sensor) is None
    ]
    return f"{sensor} has no {', '.join(unknown[:4])}"


def _example(raster: RasterFile, given: tuple[str, ...], described: tuple[str | None, ...]) -> str:
    """A ``--bands`` that would do, where most names are known."""
    if given and len(given) < raster.count:
        names = ["-" if is_left_out(name) else name for name in given] + ["-"] * (raster.count - len(given))
    elif any(described) and None in described:
        names = ["-" if name is None or is_left_out(name) else name for name in described]
    else:
        return ""
    return f": --bands {','.join(names)}"


# -- identity -------------------------------------------------------------------------------------------------------


def item_id(text: str) -> str:
    """``text`` as an id that is safe as a file name and in an address."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:200] or "item"


# -- time -----------------------------------------------------------------------------------------------------------


def time_given(text: str | None) -> datetime | None:
    """Take ``--date`` as typed: a day (noon UTC then), or an instant such as ``2018-09-21T05:32:11Z``.

    Raises:
        BadDateError: Malformed, a range, or in the future.
    """
    if text is None:
        return None
    if "T" not in text:
        dates = Dates.parse(text)
        if dates.first != dates.last:
            raise BadDateError(f"Files were taken at one time: --date takes one day here, not the range {text}.")
        return dates.middle
    return _not_in_future(instant(text), text)


def instant(text: str) -> datetime:
    """An ISO 8601 instant, UTC where it names no zone.

    Raises:
        BadDateError: It is none.
    """
    try:
        return parse_instant(text)
    except ValueError:
        raise BadDateError(f"{text!r} is no instant. Write it as 2018-09-21T05:32:11Z.") from None


def _not_in_future(time: datetime, text: str) -> datetime:
    if time > datetime.now(UTC) + timedelta(minutes=5):
        raise BadDateError(f"{text} is in the future: nothing has been observed then yet.")
    return time


NAMED_TIMES = (
    (re.compile(r"^m_\d{7}_[ns][ew]_\d{1,2}_[0-9h]{1,4}_(\d{8})(?:_\d{8})?$", re.IGNORECASE), "%Y%m%d"),
    (re.compile(r"^S1[A-D]_[A-Z0-9]{2}_(\d{8}T\d{6})_", re.IGNORECASE), "%Y%m%dT%H%M%S"),
    (re.compile(r"^(\d{4}-\d{2}-\d{2})-\d{2}:?\d{2}_\1-\d{2}:?\d{2}_"), "%Y-%m-%d"),
)
"""Names in which a provider writes the acquisition: NAIP, HyP3's Sentinel-1, EO Browser (an interval of one day)."""


def time_in_name(path: Path) -> datetime | None:
    """Read the acquisition from a name as providers write it, or from a folder named as a day; a day counts as noon."""
    candidates = [(pattern.match(path.stem), form) for pattern, form in NAMED_TIMES]
    candidates.append((re.fullmatch(r"(\d{4}-\d{2}-\d{2})", path.parent.name), "%Y-%m-%d"))
    for match, form in candidates:
        if match:
            try:
                time = datetime.strptime(match[1].upper(), form).replace(tzinfo=UTC)
            except ValueError:
                continue
            return time if "T" in form else time + timedelta(hours=12)
    return None


HYP3 = re.compile(r"_RTC\d+_G_[gs](?P<quantity>[pda])[uw][nf][ec][dm]_[0-9A-F]{4}(?:_|$)", re.IGNORECASE)
"""Names of ASF's HyP3: gamma0 or sigma0, then p (power), d (decibel) or a (amplitude)."""

IN_DECIBEL = re.compile(r"^(?:sigma|gamma|beta)0_(?:vv|vh|hh|hv)_db$", re.IGNORECASE)
"""SNAP's name of a band in decibels."""


def quantity_in_name(raster: RasterFile) -> Literal["linear", "db", "amplitude"] | None:
    """Read the quantity of backscatter from a name that states it without doubt: HyP3's file, SNAP's bands or files."""
    if match := HYP3.search(raster.path.stem):
        quantities: dict[str, Literal["linear", "db", "amplitude"]] = {"p": "linear", "d": "db", "a": "amplitude"}
        return quantities[match["quantity"].lower()]
    polarised = [text for text in raster.descriptions if re.search(r"(?:vv|vh|hh|hv)", text, re.IGNORECASE)]
    names = polarised or [raster.path.stem]
    return "db" if all(IN_DECIBEL.match(name) for name in names) else None


def acquired(given: datetime | None, stated: datetime | None, path: Path) -> tuple[datetime, tuple[str, ...]]:
    """When a product was taken, and what a person should know about that.

    Metadata win over ``--date``: they were written by who took the image, and one ``--date`` is typed for many files.

    Raises:
        NotIngestibleError: Neither says.
    """
    if stated is not None:
        if given is not None and given.date() != stated.date():
            return stated, (f"--date says {given.date()}, its metadata say {stated.date()}: the metadata win",)
        return stated, ()
    if given is None:
        raise NotIngestibleError(f"{path} does not say when it was taken. Say it with --date YYYY-MM-DD.")
    return given, ()
