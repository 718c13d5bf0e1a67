"""What browsers are told that the console may do: as little as it needs.

These must stay true:
  - Scripts and styles come from the gateway alone, and no text becomes code or markup.
  - Nothing is sent anywhere but to this gateway, its WebTransport address and the gateways that may take a session up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCHEMES = frozenset({"ws", "wss", "https"})
_AUTHORITY = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")

WEBTRANSPORT_HASHES = "'unsafe-webtransport-hashes'"
"""Of Content Security Policy 3, since January 2026. Browsers that know it open no connection whose certificate is known
by its hash without it, and with it to any host; so it is there only with a development certificate. Chromium 156 does
not know it, goes by the origins, and says so in its log.
"""

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), payment=(), usb=(), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer."""


def content_security_policy(addresses: Iterable[str], *, has_hashes: bool) -> str:
    """For the page.

    Args:
        addresses: what it may connect to besides its own origin; those that no browser could are passed over.
        has_hashes: the certificate of WebTransport is known by its hash.
    """
    sources = [origin for address in addresses if (origin := origin_of(address)) is not None]
    connect = ["'self'", *dict.fromkeys(sources), *([WEBTRANSPORT_HASHES] if has_hashes else [])]
    directives = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        f"connect-src {' '.join(connect)}",
        "worker-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return "; ".join(directives)


def origin_of(address: str) -> str | None:
    """Scheme, host and port; None where a page cannot connect to it. What comes back cannot end a directive."""
    try:
        parts = urlsplit(address)
    except ValueError:  # half an IPv6 address
        return None
    if parts.scheme not in _SCHEMES or not _AUTHORITY.fullmatch(parts.netloc):
        return None
    return f"{parts.scheme}://{parts.netloc}"


def host_of(authority: str) -> str | None:
    """Of a `Host` header, an IPv6 address in its brackets; None where it is no host and port."""
    found = _AUTHORITY.fullmatch(authority)
    return None if found is None else found["host"]
