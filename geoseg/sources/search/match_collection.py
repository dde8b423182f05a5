"""Which collection record reads an item: as it declares, or as its collection id and its files' hosts tell."""

from __future__ import annotations

from typing import Any

from geoseg.catalog.collections import Collection, StacApi, collections
from geoseg.errors import UnsafeHrefError
from geoseg.sources.search.query import RawItem
from geoseg.sources.search.source_policy import SourcePolicy, checked_href, host_of, on_hosts

DECLARED = "geoseg:collection"
NOT_READ = {"thumbnail", "overview", "metadata", "tiles"}
"""Roles of assets that no map opens."""


class UnattributedError(ValueError):
    """No record reads the item; the message is the reason it is left out. Never leaves this room."""


def record_of(offer: RawItem) -> str:
    """Name of the collection record that reads an item.

    Raises:
        UnattributedError: None does, or more than one might.
    """
    if offer.record is not None:
        return offer.record
    declared = offer.item["properties"].get(DECLARED)
    if declared is not None:
        if not isinstance(declared, str) or declared not in collections():
            raise UnattributedError(
                f"it declares {DECLARED} {str(declared)[:80]!r}, which is no collection geoseg knows"
            )
        if not offer.trust.local and not _may_declare(offer, declared):
            raise UnattributedError(
                f"it declares {DECLARED} {declared!r}, but its files lie on {_hosts(offer)}, which is no host of that "
                "collection"
            )
        return declared
    return _by_id_and_host(offer)


def read_assets(item: dict[str, Any], record: Collection) -> list[str]:
    """Names of the assets that a map may open: bands and masks of the record, or every one that holds data."""
    assets = item["assets"]
    if not record.bands:
        return [name for name, asset in assets.items() if not NOT_READ & set(asset.get("roles") or ())]
    sources = [source if isinstance(source, str) else source.asset for source in record.bands.values()]
    return [name for name in dict.fromkeys([*sources, *record.mask_assets]) if name in assets]


def _may_declare(offer: RawItem, name: str) -> bool:
    """A remote item may declare a collection on whose hosts its files lie, or one that no host and no key belong to."""
    record = collections()[name]
    if not record.hosts and record.access == "public":
        return True
    return _lies_on_its_hosts(offer, record)


def _by_id_and_host(offer: RawItem) -> str:
    stac_collection = offer.item.get("collection")
    if not isinstance(stac_collection, str) or not stac_collection:
        raise UnattributedError(
            "it names no collection, so how to read its numbers is unknown. Add its files with `geoseg catalog add`"
        )
    candidates = {
        name: record
        for name, record in collections().items()
        if isinstance(record.source, StacApi) and record.source.collection == stac_collection
    }
    if not candidates:
        raise UnattributedError(f"geoseg has no record of a collection {stac_collection[:80]!r}")
    fitting = [name for name, record in candidates.items() if _lies_on_its_hosts(offer, record)]
    if len(fitting) == 1:
        return fitting[0]
    raise UnattributedError(
        f"its collection {stac_collection!r} may be {' or '.join(sorted(candidates))}, but its files lie on "
        f"{_hosts(offer)}, so how their numbers are to be read is unknown"
    )


def _lies_on_its_hosts(offer: RawItem, record: Collection) -> bool:
    names = read_assets(offer.item, record)
    hrefs = [offer.item["assets"][name].get("href") for name in names]
    return bool(hrefs) and all(isinstance(href, str) and on_hosts(href, record.hosts) for href in hrefs)


def _hosts(offer: RawItem) -> str:
    found = set()
    for asset in offer.item["assets"].values():
        if NOT_READ & set(asset.get("roles") or ()):
            continue
        try:
            found.add(host_of(checked_href(asset.get("href"), offer.base, SourcePolicy(local=True))))
        except UnsafeHrefError:
            found.add("an unsafe address")
    return ", ".join(sorted(found)[:3]) or "no host at all"
