"""Promises of the relay's look at certificates. With real handshakes: test_server.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from regions.relay.identity import PeerCheck, expires_in_s, may_be_called
from tests.harness.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


class Context:
    """A call whose caller showed a certificate with these names."""

    def __init__(self, *names: bytes, pem: bytes = b"") -> None:
        self._shown = {"peer_dns": names, "x509_pem_cert": (pem,)} if names else {}

    def auth_context(self) -> dict[str, tuple[bytes, ...]]:
        return self._shown


def test_the_first_name_that_is_a_peer_s_counts() -> None:
    peers = {"eu-west"}
    check = PeerCheck(peers.__contains__)
    assert check.region_of(Context(b"host.example", b"eu-west")) == "eu-west"
    assert check.region_of(Context(b"eu-west.evil")) is None
    assert check.region_of(Context(b"\xff")) is None
    assert check.region_of(Context()) is None
    peers.clear()
    assert check.region_of(Context(b"eu-west")) is None


@pytest.mark.parametrize(
    ("gateway", "may"), [("eu", True), ("eu/1", True), ("eu-west/1", False), ("", False), ("x/eu", False)]
)
def test_a_gateway_bears_its_region_s_name(gateway: str, may: bool) -> None:
    assert may_be_called(gateway, region="eu") is may


def test_a_certificate_says_how_long_it_lasts(tmp_path: Path) -> None:
    _, pem = Authority(tmp_path / "ca").made("eu-west", valid_for_s=100)
    assert 90 < expires_in_s(Context(b"eu-west", pem=pem)) <= 100
