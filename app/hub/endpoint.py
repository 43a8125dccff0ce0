"""Addresses of hubs: which are sound, which may be trusted with a token, which can be reached.

Knows URLs and this machine's interfaces; opens no socket.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

import psutil

from app.errors import OfflineKind, UnsafeEndpoint


def check_endpoint(endpoint: str) -> bool:
    """Whether a token may be sent to `endpoint`. Raises UnsafeEndpoint when it is no address."""
    parts = urlsplit(endpoint)
    try:
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        port_is_sound = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_sound:
        raise UnsafeEndpoint(endpoint=endpoint, reason="not_http")
    if parts.username is not None or parts.query or parts.fragment:
        raise UnsafeEndpoint(endpoint=endpoint, reason="more_than_host")
    return parts.scheme == "https" or is_loopback(endpoint)


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def has_network() -> bool:
    """Whether any interface but loopback is up and has an address."""
    addresses = psutil.net_if_addrs()
    for name, state in psutil.net_if_stats().items():
        families = {a.family for a in addresses.get(name, []) if not _is_local(a.address)}
        if state.isup and families & {socket.AF_INET, socket.AF_INET6}:
            return True
    return False


def _is_local(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return True
    return parsed.is_loopback or parsed.is_link_local


def origin_of(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def failure_kind(error: BaseException) -> OfflineKind:
    """What kind of unreachable: "tls", "timeout", "dns", "refused" or "broken"."""
    text = f"{type(error).__name__} {error} {error.__cause__}".lower()
    signs: dict[OfflineKind, tuple[str, ...]] = {
        "tls": ("certificate", "ssl", "tls"),
        "timeout": ("timeout", "timed out"),
        "dns": ("name resolution", "name or service", "getaddrinfo", "nodename"),
        "refused": ("refused",),
    }
    return next((kind for kind, words in signs.items() if any(w in text for w in words)), "broken")
