"""Which addresses of gateways clients can use."""

from __future__ import annotations

import pytest

from gateway.transports.websocket import PATH
from regions.gateway_address import is_webtransport, wrong_gateway

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("wss://a.example.com/v1/stream", ""),
        ("grpcs://a.example.com:443", ""),
        ("ws://127.0.3.1:8080/v1/stream", ""),
        ("ws://[::1]:8080/v1/stream", ""),
        ("grpc://localhost:8081", ""),
        ("ws://10.0.0.1/v1/stream", "clients would speak unencrypted: wss:// is needed outside of this machine"),
        ("grpc://a.example.com:1", "clients would speak unencrypted: grpcs:// is needed outside of this machine"),
        ("a.example.com:443", "must begin with wss://, grpcs:// or https:// (WebTransport)"),
        ("wss:///v1/stream", "names no host"),
        ("wss://a.example.com", "names no path, such as /v1/stream"),
        ("grpcs://a.example.com", "must be a host and a port"),
        ("grpcs://a.example.com:1/x", "must be a host and a port"),
        ("wss://me:secret@a.example.com/v1/stream", "must be an address and nothing else"),
        ("wss://a.example.com:99999/v1/stream", "cannot be read as an address"),
        ("https://a.example.com/v1/stream", ""),
        ("https://a.example.com:4433/v1/stream", ""),
        ("https://[2001:db8::1]:4433/v1/stream", ""),
        ("HTTPS://a.example.com:4433/v1/stream", ""),
        ("http://a.example.com/v1/stream", "must begin with wss://, grpcs:// or https:// (WebTransport)"),
        ("https:///v1/stream", "names no host"),
        ("https://a.example.com:4433", "WebTransport is served at /v1/stream"),
        ("https://a.example.com:4433/v1/stream/", "WebTransport is served at /v1/stream"),
        ("https://a.example.com:0/v1/stream", "there is no such port"),
        ("https://a.example.com:70000/v1/stream", "cannot be read as an address"),
        ("https://me:secret@a.example.com/v1/stream", "must be an address and nothing else"),
        ("https://a.example.com/v1/stream?token=x", "must be an address and nothing else"),
        ("https://a.example.com/v1/stream#x", "must be an address and nothing else"),
    ],
)
def test_an_address_is_where_clients_can_connect_safely(url: str, why: str) -> None:
    assert wrong_gateway(url) == why


def test_webtransport_is_known_by_its_scheme_and_named_where_gateways_serve_it() -> None:
    assert is_webtransport(f"https://a.example.com{PATH}")
    assert wrong_gateway(f"https://a.example.com{PATH}") == ""
    assert not any(map(is_webtransport, ("wss://a.example.com/https://", "grpcs://a:1", "httpss://a/", "https")))
