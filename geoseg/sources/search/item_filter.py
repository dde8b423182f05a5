"""From an unchecked item to a Scene, or to the reason why there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from geoseg.catalog.collections import Collection, Unsupported, collection
from geoseg.core.area import BBox
from geoseg.core.instants import parse_instant
from geoseg.core.numbers import finite, first_beyond_float
from geoseg.core.scene import RejectedScene, Scene
from geoseg.errors import UnsafeHrefError
from geoseg.sources.search.footprint import area_shape, footprint_of
from geoseg.sources.search.match_collection import UnattributedError, read_assets, record_of
from geoseg.sources.search.query import Query, RawItem
from geoseg.sources.search.scene_facts import reflectance_of, track_of
from geoseg.sources.search.source_policy import (
    carries_token,
    checked_href,
    host_of,
    leads_home,
    on_hosts,
    without_query,
)

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

LONGEST_ID = 255
LONGEST_ACQUISITION = timedelta(days=1)
LARGEST_SIDE, LARGEST_PIXELS = 2_000_000, 2e10
"""A file of more pixels than this (twenty Gpx; a Sentinel-2 tile has 0.12) is a mistake or a trap."""


class _NotThisError(Exception):
    """The item is fine, and not what was asked for: nothing to say about it."""


class _LeaveOutError(Exception):
    """The item was asked for and will not be used; the message says why."""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Check the items of one query.

    Attributes:
        query: What is asked for.
        region: Its area.
    """

    query: Query
    region: BaseGeometry

    @classmethod
    def of(cls, query: Query) -> ItemFilter:
        """Make the filter of a query."""
        return cls(query, area_shape(query.area))

    def check(self, offer: RawItem) -> Scene | RejectedScene | None:
        """The scene an item is, why it is left out, or None where it is not what was asked for."""
        name = _name_of(offer.item)
        try:
            return self._scene(offer)
        except _NotThisError:
            return None
        except (_LeaveOutError, UnattributedError, UnsafeHrefError) as error:
            return RejectedScene(name, str(error).rstrip("."))

    def _scene(self, offer: RawItem) -> Scene:
        item = _shaped(offer.item)
        if (number := first_beyond_float(item)) is not None:
            raise _LeaveOutError(f"it holds a number of {len(str(number))} digits, which no measurement has")
        outline = _outline(item)
        west, south, east, north = _meets(outline, self.query.area.bbox)
        time = _time(item, whole=self.query.sensor is None)
        if self.query.dates is not None:
            first, last = self.query.dates.interval
            if not first <= time <= last:
                raise _NotThisError
        name = record_of(offer)
        record = collection(name)
        self._is_asked_for(name, record)
        if not outline.intersects(self.region):
            raise _LeaveOutError("its footprint does not touch the area")
        _check_sizes(item)
        assets = _checked_assets(offer, record)
        cloud_pct = _cloud_pct(item)
        limit = self.query.max_cloud_pct
        if limit is not None and cloud_pct is not None and cloud_pct > limit:
            raise _LeaveOutError(f"it states {cloud_pct:.1f} % cloud, over the limit of {limit:g} %")
        platform = item["properties"].get("platform")
        return Scene(
            id=item["id"],
            collection=name,
            sensor=record.sensor or "",
            time=time,
            bbox=(west, south, east, north),
            platform=platform if isinstance(platform, str) else "",
            cloud_pct=cloud_pct,
            reflectance=reflectance_of(item, record),
            track=track_of(item),
            item=_kept(item, assets, (west, south, east, north)),
        )

    def _is_asked_for(self, name: str, record: Collection) -> None:
        if self.query.collection is not None:
            if name != self.query.collection:
                raise _NotThisError
        elif record.role != "imagery" or record.sensor != self.query.sensor:
            raise _NotThisError
        if isinstance(record.radiometry, Unsupported):
            raise _LeaveOutError(record.radiometry.reason)


# -- what an item must be ---------------------------------------------------------------------------------------


def _name_of(item: Any) -> str:
    name = item.get("id") if isinstance(item, dict) else None
    return re.sub(r"[^\x20-\x7e]", "?", name)[:80] if isinstance(name, str) and name else "(an item without id)"


def _shaped(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or item.get("type") != "Feature":
        raise _LeaveOutError("it is no STAC item")
    if "_permissions" in item:
        raise _LeaveOutError(
            "it is a scene of Planet's Data API, which has no files yet: search it with --catalog planet"
        )
    name = item.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID:
        raise _LeaveOutError("its id is missing or overlong")
    if re.search(r"[/\\\x00-\x1f\x7f]", name) or name.strip(". ") != name:
        raise _LeaveOutError("its id holds characters of a path")
    if not isinstance(item.get("properties"), dict) or not isinstance(item.get("assets"), dict):
        raise _LeaveOutError("it is no STAC item: properties or assets are missing")
    if not all(isinstance(asset, dict) for asset in item["assets"].values()):
        raise _LeaveOutError("it is no STAC item: an asset is no object")
    if not all(_are_words(asset.get("roles")) for asset in item["assets"].values()):
        raise _LeaveOutError("it is no STAC item: the roles of an asset are no list of words")
    return item


def _are_words(roles: Any) -> bool:
    return roles is None or (isinstance(roles, list) and all(isinstance(role, str) for role in roles))


def _outline(item: dict[str, Any]) -> BaseGeometry:
    try:
        return footprint_of(item)
    except ValueError as error:
        raise _LeaveOutError(f"its footprint {error}") from None


def _meets(outline: BaseGeometry, area: BBox) -> BBox:
    """The outline's box.

    Raises:
        _NotThisError: It lies elsewhere.
    """
    west, south, east, north = (float(number) for number in outline.bounds)
    if west > area[2] or east < area[0] or south > area[3] or north < area[1]:
        raise _NotThisError
    return west, south, east, north


def _time(item: dict[str, Any], *, whole: bool) -> datetime:
    """When it was acquired; the middle of start and end where it has no one instant.

    Args:
        item: The item.
        whole: It may also stand for a whole period (reference water of thirty years).
    """
    properties = item["properties"]
    if properties.get("datetime") is not None:
        return _instant(properties["datetime"])
    start, end = _instant(properties.get("start_datetime")), _instant(properties.get("end_datetime"))
    if end < start:
        raise _LeaveOutError("it ends before it starts")
    if end - start > LONGEST_ACQUISITION and not whole:
        raise _LeaveOutError(f"it stands for {(end - start).days} days and names no acquisition")
    return start + (end - start) / 2


def _instant(text: Any) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        raise _LeaveOutError(f"its date {str(text)[:40]!r} cannot be read") from None


def _cloud_pct(item: dict[str, Any]) -> float | None:
    value = item["properties"].get("eo:cloud_cover")
    number = finite(value)
    return number if number is not None and 0 <= number <= 100 else None


def _check_sizes(item: dict[str, Any]) -> None:
    for holder in (item["properties"], *item["assets"].values()):
        for key in ("proj:transform", "proj:bbox"):
            numbers = holder.get(key)
            if isinstance(numbers, list) and any(finite(number) is None for number in numbers):
                raise _LeaveOutError(f"its {key} holds something that is not a finite number")
        size = holder.get("proj:shape")
        if size is None:
            continue
        numbers = [finite(number) for number in size] if isinstance(size, list) else []
        sides = [number for number in numbers if number is not None and 0 < number <= LARGEST_SIDE]
        if len(sides) != 2 or len(size) != 2 or sides[0] * sides[1] > LARGEST_PIXELS:
            raise _LeaveOutError(f"its size {str(size)[:40]} is absurd")


# -- what of it is kept -----------------------------------------------------------------------------------------


def _checked_assets(offer: RawItem, record: Collection) -> dict[str, dict[str, Any]]:
    """Assets whose hrefs are absolute, safe and unsigned.

    One that a map would open and that is not safe condemns the scene; any other is dropped, as nothing ever opens it.

    Raises:
        UnsafeHrefError: An asset a map would open is not safe.
    """
    opened = set(read_assets(offer.item, record))
    if not opened and record.access != "planet":
        raise _LeaveOutError("it has none of the files that a map would open")
    kept = {}
    for name, asset in offer.item["assets"].items():
        try:
            href = _checked(asset.get("href"), offer, record, opened=name in opened)
        except UnsafeHrefError:
            if name in opened:
                raise
            continue
        kept[name] = {key: value for key, value in asset.items() if key != "alternate"} | {"href": href}
    return kept


def _checked(href: object, offer: RawItem, record: Collection, *, opened: bool) -> str:
    safe = checked_href(href, offer.base, offer.trust)
    if carries_token(safe):
        if record.access != "planetary-computer":
            raise UnsafeHrefError(
                f"Its files on {host_of(safe)} come with a token in the address, which would end up in records and logs"
            )
        safe = without_query(safe)
    remote = safe.startswith(("http:", "https:", "s3:"))
    if opened and remote and offer.record is not None and not on_hosts(safe, record.hosts):
        raise UnsafeHrefError(f"Its files lie on {host_of(safe)}, which is no host of {offer.record}")
    if opened and not offer.trust.local and safe.startswith("s3:") and not on_hosts(safe, record.hosts):
        raise UnsafeHrefError(f"Its files lie in the bucket {host_of(safe)}, which its collection does not name")
    if opened and not offer.trust.local and safe.startswith(("http:", "https:")):
        host = (urlsplit(safe).hostname or "").lower()
        if host != offer.trust.host and leads_home(host):
            raise UnsafeHrefError(f"Its files on {host} lead to this machine or to a network behind it")
    return safe


def _kept(item: dict[str, Any], assets: dict[str, dict[str, Any]], bbox: BBox) -> dict[str, Any]:
    """The item without its links, whose addresses nobody checked."""
    plain: dict[str, Any] = {
        key: item[key] for key in ("type", "stac_version", "stac_extensions", "id", "collection") if key in item
    }
    return {
        **plain,
        "bbox": list(bbox),
        "geometry": item.get("geometry"),
        "properties": dict(item["properties"]),
        "links": [],
        "assets": assets,
    }
