"""How far a catalogue is believed, and the one gate that every href passes before anything may open it."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit, urlunsplit

from geoseg.errors import UnsafeHrefError

LOOPBACK_NAMES = ("localhost", "localhost.localdomain")
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
LONGEST_HREF = 4096
TOKEN = re.compile(
    r"(?i)sig|signature|token|sas|secret|password|credential|(api_?|access_?|subscription-?)key|awsaccesskeyid|x-amz-.*"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_GDAL_PREFIX = re.compile(r"(?:^|/)vsi[a-z0-9_]+(?:[/?]|$)")
_VRT = re.compile(r"\.vrt/?(?:[?#]|$)")
_NOT_OF_A_HOST = re.compile(r"[^A-Za-z0-9._:\-]")
"""Resolvers turn look-alikes (full-width digits, other dots, percent signs) into plain ones, which hides 127.0.0.1."""
_STRANGE = re.compile(r"[\x00-\x20\x7f<>\"\\|^`{}]")


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """What a catalogue's items may point to.

    Attributes:
        local: The catalogue is this person's own (a file here, or an API on loopback): its items may name local files
            and hosts of the local network. A remote one may name public hosts only.
        host: The catalogue's own host, which its items may always name; "" for files.
    """

    local: bool
    host: str = ""

    @classmethod
    def of_url(cls, url: str) -> SourcePolicy:
        """The trust that the catalogue at a URL the person typed has earned."""
        host = (urlsplit(url).hostname or "").lower()
        return cls(is_loopback(host), host)


def checked_href(href: object, base: str, trust: SourcePolicy) -> str:
    """An asset's href made absolute: an http(s) or s3 address, or a path of this machine.

    Args:
        href: As the item has it.
        base: Address or path of the item itself, which relative hrefs start from.
        trust: Of the catalogue.

    Raises:
        UnsafeHrefError: It points to where this catalogue has no business pointing to, or is no plain address.
    """
    if not isinstance(href, str) or not 0 < len(href) <= LONGEST_HREF:
        raise UnsafeHrefError("An href is empty, overlong, or no text.")
    local_path = trust.local and not _SCHEME.match(href)
    # names of a person's own files may hold spaces; addresses never do
    if re.search(r"[\x00-\x1f\x7f<>|]", href) or (not local_path and _STRANGE.search(href)):
        raise UnsafeHrefError(f"The href {shown(href)} holds characters that no address has.")
    plain = unquote(unquote(href)).lower()
    if _GDAL_PREFIX.search(plain):
        raise UnsafeHrefError(f"The href {shown(href)} is a path inside GDAL (/vsi...), not an address.")
    if _VRT.search(plain):
        raise UnsafeHrefError(f"The href {shown(href)} is a VRT, which can point anywhere.")
    scheme = _SCHEME.match(href)
    if scheme is None:
        return _without_scheme(href, base, trust)
    match scheme[1].lower():
        case "http" | "https":
            return _web_address(href, trust)
        case "s3":
            return _bucket_address(href)
        case "file":
            return _file_address(href, trust)
        case other:
            raise UnsafeHrefError(
                f"The href {shown(href)} has the scheme {other!r}; only http, https, s3 and files are read."
            )


def check_host(host: str, trust: SourcePolicy) -> None:
    """Refuse a host that a remote catalogue has no business naming: this machine, and the networks behind it.

    Raises:
        UnsafeHrefError: It is loopback, link-local, private, reserved, a name without a domain, or not ASCII.
    """
    if trust.local or (host and host == trust.host):
        return
    if _NOT_OF_A_HOST.search(host):
        raise UnsafeHrefError(f"A remote catalogue points to the host {host!a}, which is no plain ASCII name.")
    if not is_public(host):
        raise UnsafeHrefError(f"A remote catalogue points to {host or 'no host'}, which is not on the public internet.")


def is_loopback(host: str) -> bool:
    """The host is this machine, as far as its name tells."""
    number = _address(host)
    return host.rstrip(".") in LOOPBACK_NAMES or (number is not None and number.is_loopback)


def is_public(host: str) -> bool:
    """The host may be on the public internet, as far as its name tells; names are not looked up."""
    number = _address(host)
    if number is not None:
        return number.is_global and not number.is_multicast
    name = host.rstrip(".")
    return "." in name and name not in LOOPBACK_NAMES and not name.endswith(PRIVATE_SUFFIXES)


def leads_home(host: str) -> bool:
    """A name that is looked up to an address of this machine or of the networks behind it.

    A name that cannot be looked up leads nowhere: where a proxy reaches out, it alone knows names, and elsewhere the
    reading says so. What a name leads to may change before the file is opened, and a server may redirect: the library
    that reads (GDAL 3.10) has no setting against either, so this stops a careless catalogue and not every hostile one.
    """
    return any(not is_public(address) for address in _looked_up(host))


@lru_cache(maxsize=256)
def _looked_up(host: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(sorted({str(entry[4][0]) for entry in found}))


def on_hosts(href: str, hosts: Iterable[str]) -> bool:
    """Whether an absolute href lies on one of ``hosts``: names, ``*.`` suffixes, or ``s3://bucket``."""
    parts = urlsplit(href)
    for host in hosts:
        if host.startswith("s3://"):
            if parts.scheme == "s3" and parts.netloc == host[5:]:
                return True
        elif parts.scheme in ("http", "https") and _host_fits((parts.hostname or "").lower(), host):
            return True
    return False


def host_of(href: str) -> str:
    """Where an href lies, as a person would name it; never its path or query."""
    parts = urlsplit(href)
    if parts.scheme == "s3":
        return f"s3://{parts.netloc}"
    return parts.hostname or "this machine"


def shown(href: str) -> str:
    """An href as a message may show it: short, without query, fragment and user."""
    bare = re.sub(r"(?<=//)[^/@]*@", "", re.split(r"[?#]", href, maxsplit=1)[0])
    return repr(bare if len(bare) <= 80 else f"{bare[:77]}...")


def carries_token(href: str) -> bool:
    """The query holds something that looks like a signature or a key."""
    return any(TOKEN.fullmatch(key) for key, _ in parse_qsl(urlsplit(href).query, keep_blank_values=True))


def without_query(href: str) -> str:
    """The address alone."""
    parts = urlsplit(href)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")) if parts.scheme else href


def _host_fits(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The number that a host is, also in the short, octal and hexadecimal spellings that resolvers take (``127.1``)."""
    try:
        number = ipaddress.ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        if not re.fullmatch(r"(0x[0-9a-f]+|\d+)(\.(0x[0-9a-f]+|\d+)){0,3}\.?", host):
            return None
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
        except OSError:
            return ipaddress.IPv4Address(0)  # numeric, yet no address: counts as not public
    mapped = getattr(number, "ipv4_mapped", None)
    return mapped if mapped is not None else number


def _without_scheme(href: str, base: str, trust: SourcePolicy) -> str:
    if href.startswith("//"):
        raise UnsafeHrefError(f"The href {shown(href)} has no scheme. Only http, https, s3 and files are read.")
    if ":" in href.split("/", maxsplit=1)[0]:
        raise UnsafeHrefError(f"The href {shown(href)} looks like a connection string, not an address.")
    web = _SCHEME.match(base) is not None
    if href.startswith("/"):
        return _path(href, trust)
    return _web_address(urljoin(base, href), trust) if web else _path(str(Path(base).parent / href), trust)


def _path(path: str, trust: SourcePolicy) -> str:
    if not trust.local:
        raise UnsafeHrefError(f"A remote catalogue points to the local path {shown(path)}.")
    plain = os.path.normpath(Path(path).absolute())
    if "%" in plain and not os.path.lexists(plain) and os.path.lexists(unquote(plain)):
        return unquote(plain)  # an href is a URI, where a space is %20; a file's own name may hold a percent sign
    return plain


def _file_address(href: str, trust: SourcePolicy) -> str:
    parts = urlsplit(href)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.path.startswith("//"):
        raise UnsafeHrefError(f"The href {shown(href)} is a file on another machine.")
    return _path(unquote(parts.path), trust)


def _web_address(href: str, trust: SourcePolicy) -> str:
    parts = _split(href)
    if parts.username is not None or parts.password is not None:
        raise UnsafeHrefError(f"The href {shown(href)} carries a user name or password.")
    if not parts.hostname:
        raise UnsafeHrefError(f"The href {shown(href)} names no host.")
    check_host(parts.hostname.lower(), trust)
    return urlunsplit((parts.scheme.lower(), parts.netloc, parts.path, parts.query, ""))


def _bucket_address(href: str) -> str:
    parts = _split(href)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.\-_]{1,62}", parts.netloc) or ".." in parts.path.split("/") or parts.query:
        raise UnsafeHrefError(f"The href {shown(href)} is no plain s3://bucket/key.")
    return f"s3://{parts.netloc}{parts.path}"


def _split(href: str) -> SplitResult:
    try:
        parts = urlsplit(href)
        _ = parts.port
    except ValueError:
        raise UnsafeHrefError(f"The href {shown(href)} is no valid address.") from None
    return parts
