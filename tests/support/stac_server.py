"""A real STAC API on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests


@contextmanager
def stac_server(items: Path) -> Iterator[str]:
    """Run ``rustac serve`` over a list of items; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("rustac")
    command = [str(program), "serve", "--addr", f"127.0.0.1:{port}", "--create-collections", str(items)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            assert server.poll() is None, "rustac serve did not start"
            try:
                requests.get(url, timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        else:
            raise AssertionError("rustac serve did not answer")
        yield url
    finally:
        server.kill()
        server.wait()
