"""What browsers are told that the console may do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.security import WEBTRANSPORT_HASHES, content_security_policy, host_of, origin_of

pytestmark = pytest.mark.unit


def connect_sources(policy: str) -> list[str]:
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    return directives["connect-src"].split(" ")


def test_without_other_addresses_the_page_speaks_to_its_own_gateway_alone() -> None:
    assert connect_sources(content_security_policy([], has_hashes=False)) == ["'self'"]


def test_each_address_is_named_once_by_its_origin() -> None:
    addresses = ["https://127.0.0.1:4433/v1/stream", "wss://eu.example/v1/stream", "wss://eu.example/other"]
    assert connect_sources(content_security_policy(addresses, has_hashes=False)) == [
        "'self'",
        "https://127.0.0.1:4433",
        "wss://eu.example",
    ]


def test_certificates_known_by_their_hash_are_permitted_only_where_there_are_some() -> None:
    with_hashes = content_security_policy(["https://127.0.0.1:4433/"], has_hashes=True)
    assert WEBTRANSPORT_HASHES in connect_sources(with_hashes)
    assert WEBTRANSPORT_HASHES not in content_security_policy(["https://127.0.0.1:4433/"], has_hashes=False)


def test_nothing_but_the_gateways_own_files_runs_or_frames() -> None:
    policy = content_security_policy([], has_hashes=False)
    for directive in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
        assert directive in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("wss://eu.example:8443/v1/stream?token=secret", "wss://eu.example:8443"),
        ("ws://[::1]:8080/v1/stream", "ws://[::1]:8080"),
        ("grpcs://eu.example:443", None),
        ("127.0.0.1:8081", None),
        ("wss://user:secret@eu.example/", None),
        ("wss://eu.example; script-src */", None),
        ("wss://*/", None),
        ("wss://[::1/", None),
    ],
)
def test_only_what_a_page_can_connect_to_becomes_an_origin(address: str, origin: str | None) -> None:
    assert origin_of(address) == origin


@given(address=st.text(max_size=40).map(lambda text: f"wss://{text}"))
def test_no_address_can_end_a_directive_or_add_a_source(address: str) -> None:
    policy = content_security_policy([address], has_hashes=False)
    assert len(connect_sources(policy)) <= 2
    assert policy.count(";") == content_security_policy([], has_hashes=False).count(";")


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("127.0.0.1:8080", "127.0.0.1"),
        ("eu.example", "eu.example"),
        ("[::1]:8080", "[::1]"),
        ("eu.example; script-src *", None),
        ("user@eu.example", None),
        ("", None),
    ],
)
def test_a_host_is_read_only_where_it_is_one(authority: str, host: str | None) -> None:
    assert host_of(authority) == host
