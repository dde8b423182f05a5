"""Fetching weights from a hub that is a real HTTP server on this machine: with ranges, faults and lies."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geoseg.catalog import encoders as catalog
from geoseg.errors import CheckpointMismatchError, UnknownNameError, WeightsMissingError
from geoseg.models.checkpoints import fetch as room
from geoseg.models.checkpoints.fetch import cached_weights, fetch, weights_of

NAME = "prithvi-eo-v2-300m"
CONTENT = bytes(range(256)) * 4096  # 1 MiB
PATH = "/ibm-nasa-geospatial/Prithvi-EO-2.0-300M/resolve/main/Prithvi_EO_V2_300M.pt"


class Hub(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        state = self.server.state
        state["asked"].append((self.path, self.headers.get("Range")))
        if self.path != PATH:
            self.send_error(404)
            return
        if state["faults"]:
            fault = state["faults"].pop(0)
            if fault != "cut":
                self.send_error(fault)
                return
        else:
            fault = None
        content, tag = state["content"], state["tag"]
        start = 0
        if (asked := self.headers.get("Range")) and self.headers.get("If-Range", tag) == tag and state["ranges"]:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        sent = content[start:]
        self.wfile.write(sent[: len(sent) // 2] if fault == "cut" else sent)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.state = {"asked": [], "faults": [], "content": CONTENT, "tag": '"one"', "ranges": True}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("GEOSEG_HUB", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(room.time, "sleep", lambda _: None)
    yield server.state
    server.shutdown()
    server.server_close()
    thread.join()


def pinned(monkeypatch, digest):
    """The catalogue as if it knew the file's hash."""
    family, variant = catalog.encoder_facts(NAME)
    variant = variant.model_copy(update={"file": variant.file.model_copy(update={"sha256": digest})})
    monkeypatch.setattr(room, "encoder_facts", lambda _: (family, variant))


def test_it_arrives_whole_and_is_asked_for_once(hub, monkeypatch):
    pinned(monkeypatch, hashlib.sha256(CONTENT).hexdigest())
    seen = []
    got = fetch(NAME, report=seen.append)
    assert got.path.read_bytes() == CONTENT
    assert got.verified
    assert seen[-1].done == seen[-1].total == pytest.approx(len(CONTENT) / 1e6)
    assert fetch(NAME) == got
    assert weights_of(NAME) == cached_weights(NAME) == got.path
    assert hub["asked"] == [(PATH, None)]
    assert sorted(file.name for file in got.path.parent.iterdir()) == [f".{got.path.name}.lock", got.path.name]


def test_an_unknown_hash_is_said_to_be_unverified(hub):
    got = fetch(NAME)
    assert not got.verified
    assert got.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_cut_connection_is_resumed_where_it_stopped(hub):
    hub["faults"] = ["cut", 503, "cut"]
    assert fetch(NAME).path.read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert [ranges for _, ranges in hub["asked"]] == [
        None,
        f"bytes={half}-",
        f"bytes={half}-",
        f"bytes={half * 3 // 2}-",
    ]


def test_a_killed_fetch_goes_on_next_time(hub):
    hub["faults"] = ["cut", 500, 500, 500, 500]
    with pytest.raises(WeightsMissingError, match="go on from there"):
        fetch(NAME)
    assert cached_weights(NAME) is None
    assert fetch(NAME).path.read_bytes() == CONTENT
    assert hub["asked"][-1][1] == f"bytes={len(CONTENT) // 2}-"


def test_a_file_that_changed_meanwhile_is_started_over(hub):
    hub["faults"] = ["cut", 500, 500, 500, 500]
    with pytest.raises(WeightsMissingError):
        fetch(NAME)
    hub["tag"], hub["content"] = '"two"', b"other" * 100
    assert fetch(NAME).path.read_bytes() == b"other" * 100


def test_a_hub_without_ranges_is_started_over(hub):
    hub["ranges"] = False
    hub["faults"] = ["cut"]
    assert fetch(NAME).path.read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_taken(hub):
    target = room._place(catalog.encoder_facts(NAME)[1].file)
    target.with_name(f".{target.name}.part").write_bytes(CONTENT)
    assert fetch(NAME).path.read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_removed(hub, monkeypatch):
    pinned(monkeypatch, "0" * 64)
    with pytest.raises(CheckpointMismatchError, match="removed"):
        fetch(NAME)
    assert cached_weights(NAME) is None


def test_what_the_hub_has_not_is_not_tried_again(hub):
    with pytest.raises(WeightsMissingError, match="404"):
        fetch("prithvi-eo-v2-600m")
    assert len(hub["asked"]) == 1


def test_offline_never_tries(hub, monkeypatch):
    monkeypatch.setenv("GEOSEG_OFFLINE", "1")
    with pytest.raises(WeightsMissingError, match="GEOSEG_OFFLINE"):
        fetch(NAME)
    assert hub["asked"] == []


def test_offline_uses_what_is_there(hub, monkeypatch):
    path = fetch(NAME).path
    monkeypatch.setenv("GEOSEG_OFFLINE", "1")
    assert fetch(NAME).path == path


def test_absent_weights_name_their_source_and_the_command():
    with pytest.raises(WeightsMissingError, match=r"Prithvi_EO_V2_300M\.pt of ibm-nasa.*geoseg models fetch"):
        weights_of(NAME)


def test_what_was_never_released_says_so():
    with pytest.raises(WeightsMissingError, match="from scratch"):
        fetch("clay-v1.5-tiny")


def test_an_unknown_name_offers_near_ones():
    with pytest.raises(UnknownNameError, match="prithvi-eo-v2-300m"):
        fetch("prithvi-v2-300m")


def test_two_at_once_ask_once(hub):
    threads = [threading.Thread(target=fetch, args=(NAME,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hub["asked"]) == 1
