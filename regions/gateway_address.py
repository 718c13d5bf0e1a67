"""Where clients reach a gateway, by the address's scheme: WebSocket, gRPC, or WebTransport (`https`). Pure."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

_SECURE = {"wss": "wss", "ws": "wss", "grpcs": "grpcs", "grpc": "grpcs", "https": "https"}
_PLAIN = ("ws", "grpc")
_WEBTRANSPORT = "https"
_WEBTRANSPORT_PATH = "/v1/stream"
"""Gateways end QUIC by themselves: nothing before them could serve it at another path."""


def is_webtransport(url: str) -> bool:
    return url.lower().startswith(f"{_WEBTRANSPORT}://")


def wrong_gateway(url: str) -> str:
    """Why clients could not connect there; empty: they could."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "cannot be read as an address"
    secure = _SECURE.get(parts.scheme)
    if secure is None:
        return "must begin with wss://, grpcs:// or https:// (WebTransport)"
    if not host:
        return "names no host"
    if parts.username is not None or parts.query or parts.fragment:
        return "must be an address and nothing else"
    if parts.scheme in _PLAIN and not _is_loopback(host):
        return f"clients would speak unencrypted: {secure}:// is needed outside of this machine"
    if secure == "grpcs" and (parts.path or port is None):
        return "must be a host and a port"
    if secure == "wss" and not parts.path:
        return "names no path, such as /v1/stream"
    if secure == _WEBTRANSPORT and parts.path != _WEBTRANSPORT_PATH:
        return f"WebTransport is served at {_WEBTRANSPORT_PATH}"
    if secure == _WEBTRANSPORT and port == 0:
        return "there is no such port"
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
