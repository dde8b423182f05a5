"""Servers on this machine: one that says what it is told to, and a real STAC API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.stac_server import stac_server

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """HTTP on loopback: ``answers[path]`` is a list said one by one (the last for ever), or a function."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str, bytes, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = self.path.split("?")[0]
                outer.asked.append((self.command, self.path, body, dict(self.headers)))
                scripted = outer.answers.get(path, [(404, {}, b"{}")])
                if callable(scripted):
                    answer = scripted(self.path, body)
                else:
                    answer = scripted.pop(0) if len(scripted) > 1 else scripted[0]
                status, headers, content = answer
                self.send_response(status)
                for key, value in {"content-length": str(len(content)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def says(self, path: str, content: Any, status: int = 200, **headers: str) -> None:
        self.answers.setdefault(path, []).append((status, headers, json.dumps(content).encode()))

    def landing(self) -> None:
        self.says(
            "/",
            {
                "type": "Catalog",
                "id": "api",
                "links": [{"rel": "search", "href": f"{self.url}/search", "method": "POST"}],
            },
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def rustac() -> Iterator[Callable[[Path], str]]:
    """Serve a list of items with a real STAC API server on loopback; gives its address."""
    with ExitStack() as running:
        yield lambda items: running.enter_context(stac_server(items))
