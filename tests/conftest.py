"""What every test stands on: the real data, an empty cache, and no network beyond this machine."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCAL = {"127.0.0.1", "::1", "localhost", "0.0.0.0", ""}

# a busy machine is no fault of a property; CI tries the same examples every time, a person's machine new ones
hypothesis.settings.register_profile("any machine", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("any machine")

# a shell's background job is born deaf to Ctrl-C, and so would be every command that a test stops
signal.signal(signal.SIGINT, signal.default_int_handler)


DATA = Path(os.environ.get("GEOSEG_TEST_DATA", ROOT.parent / "shared" / "data"))
NO_DATA = f"the real data are not at {DATA}. Set GEOSEG_TEST_DATA to the folder that holds them"


@pytest.hookimpl(tryfirst=True)  # before ``-m`` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that uses ``data``, by way of other fixtures too, as ``real_data``; skip it without the data."""
    marked = [item for item in items if "data" in getattr(item, "fixturenames", ())]
    for item in marked:
        item.add_marker("real_data")
    if DATA.is_dir():
        return
    if marked and os.environ.get("GEOSEG_REQUIRE_TEST_DATA", "") not in ("", "0"):
        raise pytest.UsageError(f"{len(marked)} tests need the real data (GEOSEG_REQUIRE_TEST_DATA is set): {NO_DATA}.")
    for item in marked:
        item.add_marker(pytest.mark.skip(reason=NO_DATA))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped for lack of the real data."""
    skipped = sum("real_data" in report.keywords for report in terminalreporter.stats.get("skipped", []))
    if skipped and not DATA.is_dir():
        terminalreporter.write_line(f"{skipped} tests were skipped: {NO_DATA}.", yellow=True)


@pytest.fixture(scope="session")
def data() -> Path:
    """The shared real data (GEOSEG_TEST_DATA, else ../shared/data beside the checkout)."""
    assert DATA.is_dir(), NO_DATA
    return DATA


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache, and none sees the user's credentials."""
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("PL_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PC_SDK_SUBSCRIPTION_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> object:
    """Any connection that would leave this machine fails at once."""
    real = socket.socket.connect
    real_lookup = socket.getaddrinfo

    def connect(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if str(host) not in LOCAL:
            raise OSError(f"tests must not reach {host}")
        real(self, address)  # type: ignore[arg-type]

    def lookup(host: object, *args: object, **options: object) -> object:
        if isinstance(host, bytes):
            host = host.decode()
        if host is not None and str(host) not in LOCAL and str(host) != socket.gethostname():
            raise socket.gaierror(f"tests must not look up {host}")
        return real_lookup(host, *args, **options)  # type: ignore[arg-type]

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", connect)
    patch.setattr(socket, "getaddrinfo", lookup)
    yield
    patch.undo()
