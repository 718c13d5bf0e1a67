"""Promises of a lease: what is written is read, and what is no lease is not taken for one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.registration.lease import (
    EngineLease,
    LeaseNames,
    MalformedLease,
    decode_lease,
    encode_lease,
    is_address,
)
from policies.routing_facts import CapacityClass

pytestmark = pytest.mark.unit

LEASE = EngineLease(
    instance="i",
    address="10.0.0.1:7001",
    pool="l4",
    capacity=CapacityClass.spot,
    zone="a",
    accelerator="l4",
    models=(("en", "1"),),
    started_at_unix_ms=1,
    ttl_ms=10_000,
    is_draining=True,
)


def test_what_is_written_is_read() -> None:
    assert decode_lease(encode_lease(LEASE)) == LEASE


def test_a_later_release_may_say_more() -> None:
    raw = encode_lease(LEASE).replace(b'"zone"', b'"colour":"red","zone"')
    assert decode_lease(raw) == LEASE


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", encode_lease(LEASE).replace(b"10.0.0.1:7001", b"nowhere"), b" " * 20_000]
)
def test_what_is_no_lease_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedLease):
        decode_lease(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_lease_or_malformed(raw: bytes) -> None:
    with contextlib.suppress(MalformedLease):
        assert isinstance(decode_lease(raw), EngineLease)


def test_keys_of_one_region_share_a_hash_tag_and_begin_like_no_orgs() -> None:
    names = LeaseNames("patchbay", "eu-west")
    assert [names.leases, names.expiry, names.version] == [
        f"patchbay:engines:{{eu-west}}:{what}" for what in ("leases", "expiry", "version")
    ]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("unix:/run/a.sock", True), ("a:1", True), ("[::1]:0", True), ("unix:", False), (":1", False), ("a:", False),
     ("a:70000", False), ("a:" + 5_000 * "9", False), ("a:٣", False)],
)  # fmt: skip
def test_an_address_is_a_socket_file_or_host_and_port(text: str, is_one: bool) -> None:
    assert is_address(text) is is_one
