"""Addresses of clients: what is shown, and what is counted as one."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.webtransport.quic.addresses import network_of, plain_host

pytestmark = pytest.mark.unit


def test_an_ipv4_client_of_a_socket_for_both_families_is_an_ipv4_client() -> None:
    assert plain_host(("::ffff:192.0.2.7", 1, 0, 0)) == network_of(("::ffff:192.0.2.7", 1, 0, 0)) == "192.0.2.7"


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_addresses_of_one_64_are_one_client(address: ipaddress.IPv6Address, low: int) -> None:
    other = ipaddress.IPv6Address(int(address) >> 64 << 64 | low)
    if address.ipv4_mapped is None and other.ipv4_mapped is None and int(address) >> 64:
        assert network_of((str(address), 1, 0, 0)) == network_of((str(other), 2, 0, 0))


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_different_ipv4_addresses_are_different_clients(one: ipaddress.IPv4Address, two: ipaddress.IPv4Address) -> None:
    assert (network_of((str(one), 1)) == network_of((str(two), 1))) is (one == two)


@given(st.ip_addresses(v=6, network="2001::/16"), st.ip_addresses(v=6, network="2001::/16"))
@example(ipaddress.IPv6Address("2001::1:2:3:4:5"), ipaddress.IPv6Address("2001::2:2:3:4:5"))
@example(ipaddress.IPv6Address("2001:db8::"), ipaddress.IPv6Address("2001:db8::1"))
def test_addresses_of_different_64_are_different_clients(
    one: ipaddress.IPv6Address, two: ipaddress.IPv6Address
) -> None:
    are_one = int(one) >> 64 == int(two) >> 64
    assert (network_of((str(one), 1, 0, 0)) == network_of((str(two), 1, 0, 0))) is are_one
