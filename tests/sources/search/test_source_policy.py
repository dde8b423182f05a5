"""The gate every href passes."""

from __future__ import annotations

import ipaddress
import pickle
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.core.area import Area
from geoseg.core.request import Dates
from geoseg.core.scene import RejectedScene, Scene
from geoseg.errors import SearchFailedError, UnsafeHrefError
from geoseg.sources.search import source_policy as gate
from geoseg.sources.search.item_filter import ItemFilter
from geoseg.sources.search.query import Query, RawItem
from geoseg.sources.search.source_policy import (
    SourcePolicy,
    carries_token,
    checked_href,
    is_public,
    leads_home,
    on_hosts,
)
from geoseg.sources.search.web import BoundedIO
from tests.support.stac_samples import with_href

REMOTE = SourcePolicy(local=False, host="stac.example.org")
LOCAL = SourcePolicy(local=True)
AT = "https://stac.example.org/collections/a/items/b"

NEVER = [
    "/vsicurl?url=http://169.254.169.254/latest/meta-data",
    "/vsicurl/https://example.org/a.tif",
    "/vsizip//vsicurl/https://example.org/a.zip/a.tif",
    "%2Fvsimem%2Fa.tif",
    "https://example.org/%2576sicurl/x/vsis3/b",
    "GTIFF_DIR:1:/etc/passwd",
    "NETCDF:/etc/passwd:band",
    'HDF5:"x"://y',
    'ZARR:"/vsicurl/https://example.org"',
    "<VRTDataset rasterXSize='1'></VRTDataset>",
    "https://example.org/a.vrt",
    "https://example.org/a.VRT?x=1",
    "a.vrt",
    "ftp://example.org/a.tif",
    "gs://bucket/a.tif",
    "javascript:alert(1)",
    "//example.org/a.tif",
    "https://user:secret@example.org/a.tif",
    "https://user@example.org/a.tif",
    "https://",
    "https://example.org:port/a.tif",
    "https://[::1/a.tif",
    "https://example.org/a\n.tif",
    "s3://bucket/../other/a.tif",
    "s3:///a.tif",
    "s3://buc ket/a.tif",
    "s3://bucket/a.tif?endpoint=evil",
    "file://server/share/a.tif",
    "",
    "x" * 5000,
    None,
    7,
    {"href": "a"},
]
NOT_FROM_REMOTE = [
    "/etc/passwd",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "http://127.0.0.1/a.tif",
    "http://127.1/a.tif",
    "http://2130706433/a.tif",
    "http://0x7f000001/a.tif",
    "http://0177.0.0.1/a.tif",
    "http://localhost:8080/a.tif",
    "http://LOCALHOST/a.tif",
    "http://localhost./a.tif",
    "http://a.localhost/a.tif",
    "http://[::1]/a.tif",
    "http://[::ffff:127.0.0.1]/a.tif",
    "http://[fe80::1]/a.tif",
    "http://169.254.169.254/latest/meta-data",
    "http://10.0.0.1/a.tif",
    "http://192.168.1.1/a.tif",
    "http://172.16.0.1/a.tif",
    "http://0.0.0.0/a.tif",
    "http://metadata/a.tif",
    "http://metadata.google.internal/a.tif",
    "http://printer.local/a.tif",
    "http://224.0.0.1/a.tif",
    "http://\uff11\uff12\uff17.0.0.1/a.tif",
    "http://127\u30020\u30020\u30021/a.tif",
    "http://\u2460\u2461\u2466.0.0.1/a.tif",
    "http://loc\u00e4lhost.example.org/a.tif",
    "http://%31%32%37.0.0.1/a.tif",
]


@pytest.mark.parametrize("href", NEVER, ids=lambda href: repr(href)[:40])
@pytest.mark.parametrize("trust", [REMOTE, LOCAL], ids=["remote", "local"])
def test_never_followed(href, trust):
    with pytest.raises(UnsafeHrefError):
        checked_href(href, AT, trust)


@pytest.mark.parametrize("href", NOT_FROM_REMOTE)
def test_a_remote_catalogue_may_not_point_here(href):
    with pytest.raises(UnsafeHrefError):
        checked_href(href, AT, REMOTE)
    assert checked_href(href, AT, LOCAL)


@pytest.mark.parametrize(
    ("href", "base", "trust", "absolute"),
    [
        ("https://example.org/a.tif", AT, REMOTE, "https://example.org/a.tif"),
        ("HTTPS://example.org/a.tif#x", AT, REMOTE, "https://example.org/a.tif"),
        ("../files/a.tif", AT, REMOTE, "https://stac.example.org/collections/a/files/a.tif"),
        ("./a.tif", AT, REMOTE, "https://stac.example.org/collections/a/items/a.tif"),
        ("s3://bucket/key/a.tif", AT, REMOTE, "s3://bucket/key/a.tif"),
        (
            "http://stac.lan/a.tif",
            "http://stac.lan/x",
            SourcePolicy(local=False, host="stac.lan"),
            "http://stac.lan/a.tif",
        ),
        ("/data/a b.tif", AT, LOCAL, "/data/a b.tif"),
        ("file:///data/a%20b.tif", AT, LOCAL, "/data/a b.tif"),
        ("../img/a.tif", "/cat/local-s1/item.json", LOCAL, "/cat/img/a.tif"),
        ("/data/../x/a.tif", AT, LOCAL, "/x/a.tif"),
    ],
)
def test_hrefs_become_absolute(href, base, trust, absolute):
    assert checked_href(href, base, trust) == absolute


def test_the_message_tells_no_secret():
    with pytest.raises(UnsafeHrefError) as caught:
        checked_href("https://me:hunter2@10.0.0.1/a.tif?sig=topsecret", AT, REMOTE)
    assert "hunter2" not in str(caught.value)
    assert "topsecret" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@given(st.ip_addresses(v=4))
def test_numbers_are_judged_as_addresses(number):
    assert is_public(str(number)) == (number.is_global and not number.is_multicast)
    assert is_public(str(int(number))) == (number.is_global and not number.is_multicast)


@given(st.ip_addresses(v=6).filter(lambda n: not n.is_global))
def test_no_private_ipv6_gets_through(number: ipaddress.IPv6Address):
    if number.ipv4_mapped is None:
        with pytest.raises(UnsafeHrefError):
            checked_href(f"http://[{number}]/a.tif", AT, REMOTE)


@given(st.text(max_size=60))
def test_a_remote_href_ends_on_the_web_or_nowhere(href):
    try:
        safe = checked_href(href, AT, REMOTE)
    except UnsafeHrefError:
        return
    assert safe.startswith(("https://", "http://", "s3://"))
    assert "/vsi" not in safe


@pytest.mark.parametrize(
    ("query", "secret"),
    [
        ("sig=a", True),
        ("X-Amz-Signature=a", True),
        ("token=", True),
        ("api_key=k", True),
        ("v=2&page=1", False),
        ("", False),
    ],
)
def test_tokens_are_seen(query, secret):
    assert carries_token(f"https://example.org/a.tif?{query}") is secret


@pytest.mark.parametrize(
    ("href", "fits"),
    [
        ("https://x.blob.core.windows.net/a.tif", True),
        ("https://blob.core.windows.net.evil.org/a.tif", False),
        ("https://evilblob.core.windows.net/a.tif", False),
        ("s3://eodata/a.jp2", True),
        ("s3://eodata2/a.jp2", False),
        ("https://eodata/a.jp2", False),
        ("/eodata/a.jp2", False),
    ],
)
def test_hosts_of_a_record(href, fits):
    assert on_hosts(href, ("*.blob.core.windows.net", "s3://eodata")) is fits


@pytest.fixture
def names(monkeypatch):
    """A resolver that knows these names, and no other."""
    known: dict[str, list[str]] = {}

    def lookup(host, *args, **options):
        if host not in known:
            raise socket.gaierror("unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    gate._looked_up.cache_clear()
    yield known
    gate._looked_up.cache_clear()


@pytest.mark.parametrize(
    ("addresses", "home"),
    [
        (["127.0.0.1"], True),
        (["10.1.2.3"], True),
        (["169.254.169.254"], True),
        (["fe80::1%eth0"], True),
        (["::ffff:192.168.0.1"], True),
        (["93.184.216.34", "192.168.7.7"], True),
        (["93.184.216.34", "2606:2800:220:1::1"], False),
    ],
)
def test_a_name_is_judged_by_where_it_leads(names, addresses, home):
    names["files.example.org"] = addresses
    assert leads_home("files.example.org") is home


def test_a_name_that_nobody_knows_leads_nowhere(names):
    assert not leads_home("gone.example.org")


def test_files_of_a_remote_catalogue_may_not_lead_home(names):
    """The same item of a catalogue that this person made is theirs to point where they like."""
    names["files.example.org"] = ["192.168.1.5"]
    scene = with_href("https://files.example.org/B03.tif")
    query = Query(Area.from_bbox((8.2, 11.2, 8.6, 11.6)), Dates.parse("2024-05-01/2024-05-08"), "s2")
    verdicts = [
        ItemFilter.of(query).check(RawItem(scene, "https://stac.example.org/a", trust))
        for trust in (SourcePolicy(local=False, host="stac.example.org"), SourcePolicy(local=True))
    ]
    assert isinstance(verdicts[0], RejectedScene)
    assert "files.example.org lead to this machine or to a network behind it" in verdicts[0].reason
    assert isinstance(verdicts[1], Scene)


def test_a_search_is_not_sent_home(names):
    names["inner.example.org"] = ["10.0.0.1"]
    with pytest.raises(SearchFailedError, match=r"sends the search on to inner\.example\.org"):
        BoundedIO(SourcePolicy(local=False, host="stac.example.org"))._check("https://inner.example.org/search")
