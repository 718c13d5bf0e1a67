"""Address tokens: valid at every process with the secret, for one address, one connection and half a minute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.quic.address_tokens import LIFETIME_MS, AddressTokens, TokenRefused, is_ours
from gateway.webtransport.quic.addresses import Address

pytestmark = pytest.mark.unit
SECRET = b"sixteen bytes or more"
NOW_MS = 1_700_000_000_000
HOME: Address = ("192.0.2.7", 4_000)


def token(address: Address = HOME, *, secret: bytes = SECRET) -> bytes:
    return AddressTokens(secret).make(
        address, original_id=b"original", retry_id=b"of the retry", now_ms=NOW_MS, nonce=bytes(12)
    )


def told(made: bytes, address: Address = HOME, *, destination_id: bytes = b"of the retry", after_ms: int = 0) -> object:
    return AddressTokens(SECRET).original_id(made, address, destination_id=destination_id, now_ms=NOW_MS + after_ms)


def test_it_holds_at_every_process_and_over_both_families() -> None:
    assert is_ours(token())
    assert told(token()) == b"original"
    assert told(token(), ("::ffff:192.0.2.7", 4_000, 0, 0)) == b"original"
    assert told(token(("fe80::1%eth0", 1, 0, 2)), ("fe80::1%eth0", 1, 0, 2)) == b"original"


def test_it_holds_for_nothing_else() -> None:
    assert told(token(), ("192.0.2.8", 4_000)) is TokenRefused.broken
    assert told(token(), ("192.0.2.7", 4_001)) is TokenRefused.broken
    assert told(token(), destination_id=b"another") is TokenRefused.broken
    assert told(token(secret=b"of another gateway")) is TokenRefused.broken


def test_it_holds_for_half_a_minute_and_forgives_clocks_a_little() -> None:
    assert told(token(), after_ms=LIFETIME_MS) == b"original"
    assert told(token(), after_ms=LIFETIME_MS + 1) is TokenRefused.expired
    assert told(token(), after_ms=-5_000) == b"original"
    assert told(token(), after_ms=-5_001) is TokenRefused.expired


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_foreign(noise: bytes) -> None:
    assert told(noise) in TokenRefused
    assert told(token()[:4] + noise) in TokenRefused
    assert not is_ours(token()[:1] + noise)  # a client may hold one of another server that was here before


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, change: int) -> None:
    made = bytearray(token())
    made[at % len(made)] ^= change
    assert not is_ours(bytes(made)) or told(bytes(made)) is TokenRefused.broken
