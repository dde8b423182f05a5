"""A file server in a process of its own that remembers what it was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LISTENER = """
import http.server, pathlib, sys
root, log = map(pathlib.Path, sys.argv[1:])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with log.open("a") as stream: print(self.command, self.path, file=stream)
        file = root / self.path.lstrip("/")
        body = file.read_bytes() if file.is_file() else b""
        wanted, status = self.headers.get("Range"), 200 if body else 404
        faults, fault = pathlib.Path(f"{file}.faults"), ""
        if wanted and not wanted.startswith("bytes=0-") and faults.is_file():
            fault, *rest = faults.read_text().split() or [""]
            faults.write_text(" ".join(rest))
        if wanted and body:
            first, last = (int(n) for n in wanted.removeprefix("bytes=").split("-"))
            whole, body, status = len(body), body[first:last + 1], 206
        if fault == "refused": body, status = b"", 403
        if fault == "garbled": body = bytes(255 - byte for byte in body)
        self.send_response(status)
        if status == 206: self.send_header("Content-Range", f"bytes {first}-{first + len(body) - 1}/{whole}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(body[:len(body) // 2] if fault == "cut" else body)
    do_HEAD = do_GET
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
"""In a process of its own: GDAL keeps Python's lock while it looks for overviews."""


class Listener:
    """What it was asked for, and the folder that it serves.

    ``NAME.faults`` in the folder lists what happens to the next requests for the pixels of NAME: cut, garbled, refused.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder / "served", folder / "asked"
        self.folder.mkdir()
        self.log.touch()
        command = [sys.executable, "-c", LISTENER, str(self.folder), str(self.log)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
