"""Files behind servers: signing, expiry, credentials, passing and final errors, and secrets that stay secret."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import rasterio

from geoseg.core.scene import Scene
from geoseg.errors import MissingCredentialsError, SceneUnreadableError
from geoseg.readers import Cube
from geoseg.readers.access import GDAL_SETTINGS, captured_settings, gdal_env, gdal_path, redact, signing, url_signer
from geoseg.readers.plan_scene import plan_scene
from geoseg.readers.read_spec import SceneReadSpec
from tests.support.rasters import DAY, grid, write

SECRET = "s3cr3t-signature"


class Service:
    """Files, a token service and a record of what was asked, on loopback."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.lifetime = timedelta(minutes=45)
        self.stumbles = 0
        self.tokens = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                service.asked.append(self.path)
                service.headers.append(dict(self.headers))
                path = urlsplit(self.path).path
                if path.startswith("/sas/"):
                    return self.answer(200, service.token())
                if service.stumbles:
                    service.stumbles -= 1
                    return self.answer(503, b"busy")
                if path not in service.files:
                    return self.answer(404, b"no such file")
                return self.piece(service.files[path])

            def piece(self, content: bytes) -> None:
                wanted = self.headers.get("Range")
                if not wanted:
                    return self.answer(200, content)
                first, last = wanted.removeprefix("bytes=").split("-")
                part = content[int(first) : int(last) + 1]
                where = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
                return self.answer(206, part, {"Content-Range": where})

            def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Accept-Ranges", "bytes")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def token(self) -> bytes:
        self.tokens += 1
        expiry = (datetime.now(UTC) + self.lifetime).isoformat().replace("+00:00", "Z")
        return json.dumps({"token": f"sig={SECRET}{self.tokens}", "msft:expiry": expiry}).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.close()


@pytest.fixture
def tokens(service, monkeypatch) -> Service:
    """The Planetary Computer's token service, on loopback, with an empty cache of tokens."""
    monkeypatch.setenv("PC_SDK_SAS_URL", f"{service.url}/sas")
    monkeypatch.setattr(signing(), "TOKEN_CACHE", {})
    signing().Settings.get.cache_clear()
    yield service
    signing().Settings.get.cache_clear()


def scene(hrefs: dict[str, str], collection: str = "planetary-computer/sentinel-2-l2a") -> Scene:
    item = {
        "properties": {"s2:processing_baseline": "05.10", "processing:version": "05.10"},
        "assets": {key: {"href": href} for key, href in hrefs.items()},
    }
    return Scene("remote", collection, "s2", DAY, (10, 40, 20, 50), item=item)


def picture(folder: Path, number: int = 1500) -> bytes:
    return write(folder / "served.tif", np.full((40, 40), number, np.uint16), grid(40, 40), nodata=0).read_bytes()


BLOB = "https://account.blob.core.windows.net/container/file.tif"


def pc_recipe() -> SceneReadSpec:
    return plan_scene(scene({"B03": BLOB, "SCL": BLOB}), ("green",))


def test_a_token_is_asked_for_once_and_again_before_it_expires(tokens):
    sign = url_signer(pc_recipe())
    assert sign(BLOB) == f"/vsicurl/{BLOB}?sig={SECRET}1"
    assert sign(BLOB) == f"/vsicurl/{BLOB}?sig={SECRET}1"
    assert tokens.tokens == 1
    (cached,) = signing().TOKEN_CACHE.values()
    cached.expiry = datetime.now(UTC) + timedelta(seconds=30)
    assert sign(BLOB).endswith(f"{SECRET}2")
    assert sign(BLOB).endswith(f"{SECRET}2")
    assert tokens.asked == ["/sas/account/container"] * 2


def test_a_recipe_holds_no_token_and_signing_happens_at_read_time(tokens):
    cube = Cube.of([scene({"B03": BLOB, "SCL": BLOB})], grid(40, 40), ("green",), instant=DAY)
    assert tokens.tokens == 0
    assert SECRET not in repr(cube.specs)


def test_a_signed_file_is_read_through_the_network_and_its_token_goes_nowhere(tokens, tmp_path, monkeypatch, caplog):
    """GDAL reaches the storage account through a proxy on loopback; no name outside this machine is looked up."""
    for key in ("B03", "SCL"):
        tokens.files[f"/container/{key}.tif"] = picture(tmp_path, 4 if key == "SCL" else 1500)
    monkeypatch.setenv("GDAL_HTTP_PROXY", tokens.url)
    hrefs = {key: f"http://account.blob.core.windows.net/container/{key}.tif" for key in ("B03", "SCL", "B11")}
    cube = Cube.of([scene(hrefs)], grid(40, 40), ("green",), instant=DAY)
    with caplog.at_level(logging.DEBUG):
        pixels = cube.tile(0, 0)
        missing = Cube.of([scene(hrefs)], grid(40, 40), ("swir16",), instant=DAY).tile(0, 0)
    np.testing.assert_allclose(pixels.values, 0.05, atol=1e-6)
    fetched = [urlsplit(path) for path in tokens.asked if "/container/B" in path]
    assert fetched
    assert all(parse_qs(part.query)["sig"][0].startswith(SECRET) for part in fetched)
    (failure,) = missing.failures
    assert "B11.tif cannot be read" in failure.reason
    assert "404" in failure.reason
    assert SECRET not in failure.reason
    assert caplog.records
    assert not [record for record in caplog.records if SECRET in record.getMessage()]


def test_a_passing_error_is_tried_again(service, tmp_path, monkeypatch):
    monkeypatch.setitem(GDAL_SETTINGS, "GDAL_HTTP_RETRY_DELAY", "0.05")
    for key in ("B03", "SCL"):
        service.files[f"/{key}-again.tif"] = picture(tmp_path, 4 if key == "SCL" else 1500)
    hrefs = {key: f"{service.url}/{key}-again.tif" for key in ("B03", "SCL")}
    service.stumbles = 2
    pixels = Cube.of([scene(hrefs)], grid(40, 40), ("green",), instant=DAY).tile(0, 0)
    assert pixels.failures == ()
    assert (pixels.source == 0).all()


def test_a_token_service_that_fails_is_a_failure_of_the_scene(monkeypatch):
    monkeypatch.setattr(signing(), "TOKEN_CACHE", {})
    monkeypatch.setattr(signing().get_token, "__defaults__", (0, 0.0))
    monkeypatch.setenv("PC_SDK_SAS_URL", "http://127.0.0.1:9/sas")
    signing().Settings.get.cache_clear()
    try:
        pixels = Cube.of([scene({"B03": BLOB, "SCL": BLOB})], grid(40, 40), ("green",), instant=DAY).tile(0, 0)
    finally:
        signing().Settings.get.cache_clear()
    (failure,) = pixels.failures
    assert "could not be signed" in failure.reason


def masked_scene(service: Service, folder: Path) -> Scene:
    """A person's own file on a server that lacks the mask beside it."""
    path = write(folder / "own-mask.tif", np.full((40, 40), -12, np.float32), grid(40, 40))
    service.files[f"/{path.name}"] = path.read_bytes()
    asset = {"href": f"{service.url}/{path.name}", "eo:bands": [{"name": "vv"}], "geoseg:mask": "internal"}
    item = {"properties": {"geoseg:units": "db"}, "assets": {"data": asset}}
    return Scene("own", "local/s1", "s1", DAY, (10, 40, 20, 50), item=item)


def test_a_declared_mask_that_is_not_there_is_a_failure_and_never_dry(service, tmp_path):
    own = masked_scene(service, tmp_path)
    pixels = Cube.of([own], grid(40, 40), ("vv",), instant=DAY).tile(0, 0)
    assert (pixels.source == 255).all()
    assert "has no mask, although its item declares one" in pixels.failures[0].reason


# -- S3 ------------------------------------------------------------------------------------------------------------


CDSE = {"B03_10m": "s3://eodata/there/B03.tif", "SCL_20m": "s3://eodata/there/SCL.tif"}


def test_missing_s3_credentials_are_named_before_any_pixel_is_opened():
    with pytest.raises(MissingCredentialsError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") as refusal:
        Cube.of([scene(CDSE, "cdse/sentinel-2-l2a")], grid(40, 40), ("green",), instant=DAY)
    assert "eodata.dataspace.copernicus.eu" in str(refusal.value)


def test_keys_are_never_sent_to_a_bucket_that_the_record_does_not_name(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    hrefs = {key: href.replace("eodata", "elsewhere") for key, href in CDSE.items()}
    with pytest.raises(SceneUnreadableError, match="s3://eodata only"):
        Cube.of([scene(hrefs, "cdse/sentinel-2-l2a")], grid(40, 40), ("green",), instant=DAY)


@pytest.mark.parametrize("collection", ["planetary-computer/sentinel-2-l2a", "local/s2"])
def test_without_a_record_that_asks_for_keys_nothing_is_signed(collection, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    access = "planetary-computer" if collection.startswith("planetary") else "public"
    with gdal_env(SceneReadSpec("x", "", (), access=access), ()):
        assert rasterio.env.getenv()["AWS_NO_SIGN_REQUEST"] in ("YES", True)


def test_s3_is_read_with_the_environments_credentials_which_the_cube_does_not_carry(service, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    for key, number in (("B03", 1500), ("SCL", 4)):
        service.files[f"/eodata/there/{key}.tif"] = picture(tmp_path, number)
    with rasterio.Env(AWS_HTTPS="NO"):
        cube = Cube.of([scene(CDSE, "cdse/sentinel-2-l2a")], grid(40, 40), ("green",), instant=DAY)
    assert SECRET not in repr(cube.settings)
    assert ("AWS_HTTPS", "NO") in cube.settings
    endpoint = service.url.removeprefix("http://")
    specs = tuple(redirected(spec, endpoint) for spec in cube.specs)
    cube = Cube(cube.scenes, cube.geobox, cube.bands, specs=specs, settings=cube.settings)
    pixels = cube.tile(0, 0)
    assert pixels.failures == ()
    np.testing.assert_allclose(pixels.values, 0.05, atol=1e-6)
    assert any("Credential=AKIDEXAMPLE" in headers.get("Authorization", "") for headers in service.headers)
    assert not any(SECRET in str(headers) for headers in service.headers)


def redirected(spec: SceneReadSpec, endpoint: str) -> SceneReadSpec:
    from dataclasses import replace

    return replace(spec, s3_endpoint=endpoint)


# -- settings and words ----------------------------------------------------------------------------------------------


def test_settings_of_the_caller_travel_and_secrets_stay():
    secrets = (
        "GDAL_HTTP_USERPWD",
        "GDAL_HTTP_BEARER",
        "GDAL_HTTP_COOKIE",
        "GDAL_HTTP_PROXY",
        "GDAL_HTTP_HEADERS",
        "AZURE_STORAGE_SAS_TOKEN",
        "GS_OAUTH2_PRIVATE_KEY",
        "SWIFT_KEY",
        "A_SETTING_OF_TOMORROW",
    )
    with rasterio.Env(GDAL_HTTP_TIMEOUT="7", GDAL_NUM_THREADS="3", **dict.fromkeys(secrets, SECRET)):
        settings = dict(captured_settings())
    assert settings["GDAL_HTTP_TIMEOUT"] == "7"
    assert settings["GDAL_NUM_THREADS"] == "3"
    assert settings["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"
    assert SECRET not in str(settings)


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("https://host/a b.tif", "/vsicurl/https://host/a b.tif"),
        ("s3://bucket/key/file.jp2", "/vsis3/bucket/key/file.jp2"),
        ("file:///data/a%20b.tif", "/data/a b.tif"),
        ("/data/a.tif", "/data/a.tif"),
        ("data/a.tif", "data/a.tif"),
    ],
)
def test_addresses_as_gdal_opens_them(href, path):
    assert gdal_path(href) == path


@pytest.mark.parametrize("href", ["gopher://host/a.tif", "ftp://host/a.tif"])
def test_other_schemes_are_not_read(href):
    with pytest.raises(SceneUnreadableError, match="no address geoseg reads"):
        gdal_path(href)


@pytest.mark.parametrize(
    "text",
    [
        f"HTTP 403 for https://host/a.tif?sv=1&sig={SECRET}",
        f"https://me:{SECRET}@host/a.tif",
        f"token={SECRET}",
        f"failed\n  with api_key={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f"Authorization: api-key {SECRET}",
        f"api-key: {SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"/vsicurl?url=https%3A%2F%2Fhost%2Fa.tif%3Fsig%3D{SECRET}",
        f"https%3A%2F%2Fhost%2Fa.tif%3Fsig%3D{SECRET}",
        f"https%3A%2F%2Fhost%2Fa.tif%3fsv%3d1%26sig%3d{SECRET} is gone",
    ],
)
def test_reasons_hold_no_secret_and_one_line(text):
    assert SECRET not in redact(text)
    assert "\n" not in redact(text)


@pytest.mark.parametrize("text", ["HTTP 404 for https://host/a.tif: no such key", "band 3 of /data/token-lake.tif"])
def test_plain_reasons_stay_as_they_are(text):
    assert redact(text) == text
