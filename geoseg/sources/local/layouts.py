"""How a sensor's files are laid out: names of bands elsewhere, documented orders, fill and quantum."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field

from geoseg.catalog.records import Record, load_folder
from geoseg.catalog.sensors import sensor as sensor_record


class Layout(Record):
    """What a provider documents about its files, beyond what a sensor record says.

    Attributes:
        aliases: Other names of our bands, lower case, words joined by ``_``.
        orders: Orders of bands in the provider's own multi-band files; no two of one length.
        extra: Bands that occur in files and that no model reads; measurements in the sensor's unit.
        unread: Other bands that occur in files (angles, quality), by their names as ``aliases`` has them: left out.
        fill: Digital number that the provider documents as "not observed"; None: none is documented.
        quantum: Reflectance of one digital number where a product stores reflectance as integers.
        masks: Bands of the provider's mask files, in file order, by the name of the asset.
        products: Provider whose folders of files are recognised as products; None: files stand alone.
        levels: The provider's words for the levels of reflectance.
        only_at_top: Bands that atmospheric correction removes: a file that has one is at the top of the atmosphere.
        colour_tags: The colour tags of a file may name its bands.
    """

    aliases: dict[str, str] = {}
    orders: tuple[tuple[str, ...], ...] = ()
    extra: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    fill: int | None = None
    quantum: float | None = Field(default=None, gt=0)
    masks: dict[str, tuple[str, ...]] = {}
    products: Literal["sentinel-2", "planet"] | None = None
    levels: dict[str, str] = {"surface": "SR", "toa": "TOA"}
    only_at_top: tuple[str, ...] = ()
    colour_tags: bool = False

    def order_of(self, count: int) -> tuple[str, ...] | None:
        """The documented order of a file with ``count`` bands, if there is one."""
        return next((order for order in self.orders if len(order) == count), None)


@cache
def layouts() -> dict[str, Layout]:
    """Every layout by the name of its sensor."""
    return load_folder("layouts", Layout)


def layout(sensor: str) -> Layout:
    """The layout of that sensor's files; an empty one where none is recorded.

    Raises:
        UnknownNameError: No such sensor.
    """
    sensor_record(sensor)
    return layouts().get(sensor, Layout())
