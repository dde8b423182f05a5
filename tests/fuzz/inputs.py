"""Make a faulty input of each kind, and give it to the function that reads that kind.

Each input begins as a good one. Values of JSON and YAML are replaced by values that break readers; bytes of files are
changed, cut or repeated; words of command lines are mixed.
"""

from __future__ import annotations

import copy
import json
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio.transform import from_origin

BOX = (9.0, 11.75, 9.005, 11.755)
BOX_TEXT = "9.0,11.75,9.005,11.755"
DAY = "2018-09-21"

VALUES: tuple[Any, ...] = (
    *(None, True, "", "x", "nan", "NaN", "../../etc/passwd", "file:///etc/passwd", "http://169.254.169.254/x"),
    *("\0", "é" * 300, "2018-02-30", "9999-12-31T23:59:60Z", "EPSG:0", "EPSG:999999", "[", "%00", "/vsicurl/http://x/"),
    *(0, -1, 1, 181, 1e308, 10**400, -(10**400), 2**63, float("nan"), float("inf"), 1e-320),
    *([], {}, [[]], [None], [[[[1e308, 1e308]]]], {"a": {"b": []}}),
)


def mutated(value: Any, rng: random.Random, times: int = 3) -> Any:
    """Copy a JSON value with up to ``times`` of its parts replaced, left out, renamed or nested."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, times)):
        places = list(_places(value))
        if not places:
            return rng.choice(VALUES)
        holder, key = rng.choice(places)
        deed = rng.randrange(6)
        if deed == 0:
            del holder[key]
        elif deed == 1:
            holder[key] = [holder[key]]
        elif deed == 2 and isinstance(holder, dict):
            holder[str(key) + rng.choice(("x", ":", " "))] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
    return value


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def garbled(content: bytes, rng: random.Random) -> bytes:
    """Change, cut out or repeat some bytes; of half of the files only those near the beginning."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        at = rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 400))
        deed = rng.randrange(5)
        if deed <= 2:
            data[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif deed == 3:
            del data[at : at + rng.choice((1, 4, 1000, 10**9))]
        else:
            data[at:at] = data[at : at + rng.choice((1, 8, 64))]
    return bytes(data)


# -- good inputs ----------------------------------------------------------------------------------------------------


class Good:
    """Good inputs, made once in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        from geoseg.sources.local.add import add
        from geoseg.sources.local.options import TypedOptions
        from tests.support.bundles import small_card

        folder.mkdir(parents=True)
        self.folder, self.image = folder, folder / "a.tif"
        shape = {"count": 2, "height": 64, "width": 64, "dtype": "float32"}
        where = {"crs": "EPSG:32632", "transform": from_origin(500_000, 1_300_000, 20, 20)}
        with rasterio.open(
            self.image, "w", driver="GTiff", tiled=True, blockxsize=32, blockysize=32, **shape, **where
        ) as to:
            to.write(np.random.default_rng(0).normal(-12, 3, (2, 64, 64)).astype("float32"))
            to.descriptions = ("VV", "VH")
        self.catalog = folder / "catalog"
        (item,) = add([self.image], self.catalog, TypedOptions(sensor="s1", units="db", date=DAY).checked()).items
        self.item: dict[str, Any] = item
        self.card = json.loads(small_card().model_dump_json(exclude_defaults=True))
        ring = [[9.0, 11.75], [9.005, 11.75], [9.005, 11.755], [9.0, 11.755], [9.0, 11.75]]
        feature = {
            "type": "Feature",
            "properties": {"class": 1},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        self.aoi = {"type": "FeatureCollection", "features": [feature, feature]}
        self.weights = self._weights()

    def _weights(self) -> bytes:
        from geoseg.models.bundle import save_bundle
        from geoseg.models.registry import build
        from tests.support.bundles import small_card

        save_bundle(self.folder / "bundle", build("unet", 3, 1, base=4), small_card())
        return (self.folder / "bundle" / "weights.safetensors").read_bytes()


# -- kinds ----------------------------------------------------------------------------------------------------------


def _find(catalog: str) -> None:
    from datetime import date

    from geoseg.core.area import Area
    from geoseg.core.request import Dates
    from geoseg.readers.plan_scene import refusal
    from geoseg.sources.search import find_scenes

    day = Dates(date(2018, 9, 21), date(2018, 9, 21))
    for scene in find_scenes(Area.from_bbox(BOX), day, "s1", catalog).scenes:
        refusal(scene, ("vv", "vh"))


def item(good: Good, rng: random.Random, folder: Path) -> None:
    """Search a catalogue of one STAC item on disk."""
    path = folder / "item.json"
    path.write_text(json.dumps(mutated(good.item, rng)))
    _find(str(path))


def answer(good: Good, rng: random.Random, folder: Path) -> None:
    """Search a STAC API on this machine whose answers are wrong."""
    with _Server() as server:
        landing = {"type": "Catalog", "id": "x", "stac_version": "1.0.0", "description": "x"}
        landing["links"] = [{"rel": "search", "href": f"{server.address}/search", "method": "POST"}]  # type: ignore[assignment]
        page: dict[str, Any] = {
            "type": "FeatureCollection",
            "features": [good.item, mutated(good.item, rng)],
            "links": [],
        }
        if rng.random() < 0.3:
            page["links"] = [{"rel": "next", "href": "/search?page=2"}]
        server.answers = [landing if rng.random() < 0.7 else mutated(landing, rng), mutated(page, rng)]
        server.status = rng.choice((200, 200, 200, 200, 400, 404, 204))
        if rng.random() < 0.1:
            server.raw = garbled(json.dumps(page).encode(), rng)
        _find(server.address)


def geotiff(good: Good, rng: random.Random, folder: Path) -> None:
    """Add a damaged GeoTIFF to a catalogue."""
    from geoseg.sources.local.add import add
    from geoseg.sources.local.options import TypedOptions

    path = folder / "a.tif"
    path.write_bytes(garbled(good.image.read_bytes(), rng))
    add([path], folder / "out", TypedOptions(sensor="s1", units="db", date=DAY).checked())


def card(good: Good, rng: random.Random, folder: Path) -> None:
    """Read the card of a model."""
    from geoseg.catalog.cards import read_card

    text = yaml.safe_dump(mutated(good.card, rng))
    data = text.encode() if rng.random() < 0.7 else garbled(text.encode(), rng)
    (folder / "card.yaml").write_bytes(data)
    read_card(folder)


def weights(good: Good, rng: random.Random, folder: Path) -> None:
    """Load the weights of a model."""
    from geoseg.models.bundle import load_bundle

    (folder / "card.yaml").write_bytes((good.folder / "bundle" / "card.yaml").read_bytes())
    (folder / "weights.safetensors").write_bytes(garbled(good.weights, rng))
    load_bundle(folder)


def configuration(good: Good, rng: random.Random, folder: Path) -> None:
    """Open a data set described by ``dataset.yaml``."""
    from geoseg.datasets.open import open_dataset

    record = {"name": "mine", "title": "x", "sensor": "s1", "bands": ["vv", "vh"], "images": "*.tif", "masks": "*.tif"}
    text = yaml.safe_dump(mutated(record, rng))
    data = text.encode() if rng.random() < 0.7 else garbled(text.encode(), rng)
    (folder / "dataset.yaml").write_bytes(data)
    open_dataset(str(folder))


def aoi(good: Good, rng: random.Random, folder: Path) -> None:
    """Read an area of interest."""
    from geoseg.core.area import Area

    path = folder / "aoi.geojson"
    text = json.dumps(mutated(good.aoi, rng)).encode()
    path.write_bytes(text if rng.random() < 0.7 else garbled(text, rng))
    Area.from_file(path)


WORDS = (
    "--bbox",
    "--date",
    "--sensor",
    "--catalog",
    "--aoi",
    "--before",
    "--resolution",
    "--crs",
    "--max-cloud",
    "--json",
)
OPERANDS = ("", "-", "s1", "s9", "9,11", BOX_TEXT, "170,0,-170,1", "nan,0,1,1", DAY, "2018-02-30", "1e400", "EPSG:4326")


def command_line(good: Good, rng: random.Random, folder: Path) -> None:
    """Run a search with a strange command line."""
    from geoseg.cli.main import run

    line = ["scenes", "--bbox", BOX_TEXT, "--date", DAY, "--sensor", "s1", "--catalog", str(good.catalog)]
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(1, len(line) + 1)
        deed = rng.randrange(4)
        if deed == 0:
            line.insert(at, rng.choice(WORDS))
        elif deed == 1 and at < len(line):
            line[at] = rng.choice(OPERANDS)
        elif deed == 2:
            line[at:at] = [rng.choice(WORDS), rng.choice(OPERANDS)]
        elif at < len(line):
            del line[at]
    if "--catalog" in line:  # without it, the search goes to a server of the sensor's own
        run(line)


KINDS: dict[str, Callable[[Good, random.Random, Path], None]] = {
    each.__name__: each for each in (item, answer, geotiff, card, weights, configuration, aoi, command_line)
}


class _Server:
    """A server on this machine that gives its answers in turn, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.status, self.raw, self.served = 200, b"", 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                value = outer.answers[min(outer.served, len(outer.answers) - 1)]
                status = outer.status if outer.served else 200
                body = outer.raw if outer.raw and outer.served else json.dumps(value).encode()
                outer.served += 1
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self) -> _Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
