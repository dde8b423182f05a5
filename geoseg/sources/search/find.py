"""The two questions of this room: which scenes would a map use, and which items stand beside them?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from geoseg.catalog.collections import Collection, PlanetData, StacApi, Unsupported, collection, collections
from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.catalog.sensors import sensors
from geoseg.core.area import Area, BBox
from geoseg.core.request import Dates
from geoseg.core.scene import Found, RejectedScene, Scene
from geoseg.errors import BadOptionError, CatalogError, GeosegError, NoScenesError
from geoseg.sources.search.catalog_location import Place, names, place_of
from geoseg.sources.search.deduplicate import without_older
from geoseg.sources.search.item_filter import ItemFilter
from geoseg.sources.search.query import MOST_ITEMS, Query, RawItem, too_many
from geoseg.sources.search.source_policy import SourcePolicy

WORLD = Area((-180.0, -90.0, 180.0, 90.0), "-180,-90,180,90")
LOOK_AROUND_DAYS = 60
"""How far from the dates one looks for others to offer where there is no scene."""


def find_scenes(
    area: Area, dates: Dates, sensor: str, catalog: str | None = None, *, max_cloud_pct: float | None = None
) -> Found:
    """The scenes a map would use, ordered by (time, id), and those left out with the reason.

    Args:
        area: Where; a scene's footprint must truly meet it.
        dates: When, widened already by any window.
        sensor: Name of a sensor.
        catalog: Catalogue or collection name, STAC API address, ``catalog.json``, stac-geoparquet file, or a folder
            holding one; None: the sensor's own.
        max_cloud_pct: Scenes that state more cloud (0..100) are left out; those that state none are kept.

    Raises:
        UnknownNameError: No such sensor or catalogue.
        BadOptionError: The catalogue serves nothing of this sensor, or is no catalogue.
        NoScenesError: Nothing matched; names the nearest dates that have something.
        SearchFailedError: The catalogue did not answer as one does.
        AreaTooLargeError: More scenes than one asks for on purpose.
        MissingCredentialsError: The catalogue wants a key that the environment does not hold.
    """
    place = place_of(catalog or sensor_record(sensor).default_catalog)
    query = Query(area, dates, sensor_name(sensor), max_cloud_pct=max_cloud_pct)
    found = _answer(place, query)
    if not found.scenes:
        raise NoScenesError(_nothing(place, query, found))
    return found


def find_items(area: Area, dates: Dates | None, collection_name: str, catalog: str | None = None) -> Found:
    """The items of one collection: reference water, elevation, or imagery asked for by its collection.

    Args:
        area: Where.
        dates: When; None: whenever.
        collection_name: Name of a collection record.
        catalog: As for ``find_scenes``; None: where the record says.

    Raises:
        UnknownNameError: No such collection or catalogue.
        NoScenesError: Nothing matched.
        SearchFailedError: The catalogue did not answer as one does.
    """
    record = collection(collection_name)
    if catalog is None and not isinstance(record.source, StacApi):
        raise BadOptionError(f"{collection_name} lies in no catalogue of its own: say which with --catalog.")
    place = place_of(catalog or collection_name)
    found = _answer(place, Query(area, dates, collection=collection_name))
    if not found.scenes:
        when = f" on {dates}" if dates else ""
        raise NoScenesError(
            f"{place.shown} has nothing of {collection_name} for {area.source}{when}.{_first_reason(found)}"
        )
    return found


def sensor_name(name: str) -> str:
    """``name``, once it is known to be a sensor's.

    Raises:
        UnknownNameError: It is none.
    """
    sensor_record(name)
    return name


def _answer(place: Place, query: Query) -> Found:
    gate = ItemFilter.of(query)
    scenes: dict[tuple[str, str], Scene] = {}
    rejected: set[RejectedScene] = set()
    for offer in _offers(place, query):
        verdict = gate.check(offer)
        if isinstance(verdict, Scene):
            scenes.setdefault((verdict.collection, verdict.id), verdict)
        elif verdict is not None:
            rejected.add(verdict)
        if len(scenes) + len(rejected) > MOST_ITEMS:
            raise too_many(query.subject)
    kept, older = without_older(sorted(scenes.values(), key=lambda scene: (scene.time, scene.id, scene.collection)))
    reasons = sorted(rejected | set(older), key=lambda each: (each.id, each.reason))
    return Found(tuple(kept), tuple(reasons))


def _offers(place: Place, query: Query) -> Iterator[RawItem]:
    match place.kind:
        case "named":
            yield from _from_records(place, query)
        case "web":
            yield from _from_web(place.where, query)
        case "json":
            from geoseg.sources.search.static import read_file, walk

            yield from walk(place.where, SourcePolicy(local=True), read_file)
        case "parquet":
            from geoseg.sources.search.parquet import search_parquet

            yield from search_parquet(place.where, query)


def _from_records(place: Place, query: Query) -> Iterator[RawItem]:
    for name, record in _records(place, query).items():
        if isinstance(record.source, StacApi):
            from geoseg.sources.search.api import SearchEndpoint, search_api
            from geoseg.sources.search.web import BoundedIO

            io = BoundedIO(SourcePolicy.of_url(record.source.url))
            search = f"{record.source.url}/search"
            endpoint = SearchEndpoint(search, collections=(record.source.collection,), record=name)
            yield from search_api(io, endpoint, query)
        elif isinstance(record.source, PlanetData):
            from geoseg.sources.planet.data_api import search_planet

            yield from search_planet(name, record.source, query)


def _records(place: Place, query: Query) -> dict[str, Collection]:
    """The collection records to ask for a query.

    Raises:
        BadOptionError: The catalogue has none that a map of this could use.
    """
    of_place = {name: record for name, record in collections().items() if place.where in (name, record.catalog)}
    if query.collection is not None:
        fitting = {name: record for name, record in of_place.items() if name == query.collection}
    else:
        fitting = {
            name: record
            for name, record in of_place.items()
            if (record.role, record.sensor) == ("imagery", query.sensor)
        }
    usable = {name: record for name, record in fitting.items() if not isinstance(record.radiometry, Unsupported)}
    if usable:
        return usable
    refused = next(
        (record.radiometry.reason for record in fitting.values() if isinstance(record.radiometry, Unsupported)), None
    )
    serving = sorted({r.catalog for r in collections().values() if r.sensor == query.sensor and r.catalog in names()})
    hint = (
        f"--catalog {' or '.join(serving)} does" if query.sensor and serving else "geoseg knows no catalogue that does"
    )
    raise BadOptionError(refused or f"{place.where} serves no {query.subject} that a map can use; {hint}.")


def _from_web(url: str, query: Query) -> Iterator[RawItem]:
    """Items at an address: of the API it is the landing page of, or of the static catalogue it is a document of."""
    from geoseg.sources.search.api import find_search, search_api
    from geoseg.sources.search.static import walk
    from geoseg.sources.search.web import BoundedIO

    trust = SourcePolicy.of_url(url)
    io = BoundedIO(trust)

    landing = io.json(url)
    endpoint = find_search(landing, url) if isinstance(landing, dict) else None
    if endpoint is not None:
        yield from search_api(io, endpoint, query)
    else:
        yield from walk(url, trust, io.json, landing)


# -- saying that there is nothing -------------------------------------------------------------------------------


def _nothing(place: Place, query: Query, found: Found) -> str:
    """What was asked for, why what was seen is left out, and the dates that would have something."""
    said = f"No {query.subject} scene of {place.shown} for {query.area.source} on {query.dates}.{_first_reason(found)}"
    return " ".join(part for part in (said, _other_dates(place, query), _holdings(place, query)) if part)


def _holdings(place: Place, query: Query) -> str:
    """What a local catalogue has instead, all of which is known: other places, other dates, other sensors."""
    if place.kind not in ("json", "parquet"):
        return ""
    held = _anywhere(place, query)
    if not held:
        others = [name for name in sensors() if name != query.sensor and _anywhere(place, replace(query, sensor=name))]
        return f"It holds {' and '.join(others)}, and nothing of {query.subject}." if others else "It holds no scenes."
    west, south, east, north = _around(held)
    days = sorted({scene.time.date() for scene in held})
    when = f"of {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"
    count = "1 scene" if len(held) == 1 else f"{len(held)} scenes"
    said = f"It holds {count} of {query.subject}, {when}, within {west:.4f},{south:.4f},{east:.4f},{north:.4f}."
    if _looks_swapped(query.area, held):
        said += " Your box with latitude and longitude swapped lies on them: the order is W,S,E,N."
    return said


def _anywhere(place: Place, query: Query) -> tuple[Scene, ...]:
    """All scenes of a query, wherever and whenever; none where that cannot be told."""
    try:
        return _answer(place, replace(query, area=WORLD, dates=None, max_cloud_pct=None)).scenes
    except GeosegError:
        return ()  # a hint is not worth an error


def _around(scenes: Sequence[Scene]) -> BBox:
    wests, souths, easts, norths = zip(*(scene.bbox for scene in scenes), strict=True)
    return min(wests), min(souths), max(easts), max(norths)


def _looks_swapped(area: Area, scenes: Sequence[Scene]) -> bool:
    """A box that touches none of the scenes, and with its axes swapped does."""
    west, south, east, north = area.bbox
    if area.polygon is not None or any(_overlap(scene.bbox, area.bbox) for scene in scenes):
        return False
    return any(_overlap(scene.bbox, (south, west, north, east)) for scene in scenes)


def _overlap(one: BBox, other: BBox) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _first_reason(found: Found) -> str:
    if not found.rejected:
        return ""
    first = found.rejected[0]
    others = f", and {len(found.rejected) - 1} more" if len(found.rejected) > 1 else ""
    return f" Left out: {first.id} ({first.reason}){others}."


def _other_dates(place: Place, query: Query) -> str:
    dates = query.dates
    if dates is None:
        return "Widen the area."
    try:
        around = _answer(place, replace(query, dates=dates.widened(LOOK_AROUND_DAYS)))
    except CatalogError:
        around = Found(())  # the answer is "nothing" either way; a hint is not worth an error
    except GeosegError:
        return "Narrow the area or look at other dates with --window-days."
    days = sorted({scene.time.date() for scene in around.scenes})
    before, after = [day for day in days if day < dates.first], [day for day in days if day > dates.last]
    near = [(dates.first - before[-1]).days] if before else []
    near += [(after[0] - dates.last).days] if after else []
    if not near:
        return f"There is none within {LOOK_AROUND_DAYS} days either: try other dates or another --catalog."
    listed = " and ".join(str(day) for day in (before[-1:] + after[:1]))
    return f"The nearest are of {listed}: add --window-days {min(near)}."
