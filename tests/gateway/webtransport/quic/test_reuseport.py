"""Several sockets behind one port: each packet arrives at the process that its connection id names."""

from __future__ import annotations

import os
import select
import socket

import pytest

from gateway.webtransport.quic.connection_ids import ConnectionIdScheme, connection_id_scheme
from gateway.webtransport.quic.reuseport import PortRefused, ReuseportGroup, bind_reuseport

PROCESSES = 3
KEY = bytes(16)
SCHEMES = {
    "plain": connection_id_scheme("plain"),
    "nlb": connection_id_scheme("nlb", server_id=b"12345678"),
    "quic_lb": connection_id_scheme("quic_lb", server_id=b"abc"),
    "quic_lb encrypted": connection_id_scheme("quic_lb", server_id=b"abc", key=KEY),
    "quic_lb, four passes": connection_id_scheme("quic_lb", server_id=b"x" * 13, key=KEY),
}


def short_packet(connection_id: bytes) -> bytes:
    return b"\x40" + connection_id + b"x" * 20


def long_packet(connection_id: bytes) -> bytes:
    return b"\xc0\x00\x00\x00\x01" + bytes((len(connection_id),)) + connection_id + b"x" * 20


def arrived_at(group: ReuseportGroup, packet: bytes) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(packet, group.address)
        (ready, *others), _, _ = select.select(group.sockets, [], [], 5)
        assert not others
        assert ready.recv(2_048) == packet
        return group.sockets.index(ready)


@pytest.mark.parametrize("name", SCHEMES)
def test_every_packet_of_a_connection_arrives_at_its_process(name: str) -> None:
    one = SCHEMES[name]
    group = bind_reuseport("127.0.0.1", 0, sockets=PROCESSES, layout=one.layout)
    try:
        assert group.is_steered
        for index in range(PROCESSES):
            scheme = ConnectionIdScheme(one.layout, process_index=index, processes=PROCESSES, routing=one.routing)
            for _ in range(8):  # each from another address, as after a migration
                connection_id = scheme.make(os.urandom(scheme.length_bytes))
                assert arrived_at(group, short_packet(connection_id)) == index
                assert arrived_at(group, long_packet(connection_id)) == index
    finally:
        group.close()


def test_first_packets_are_spread_and_stay_where_they_began() -> None:
    group = bind_reuseport("127.0.0.1", 0, sockets=PROCESSES, layout=SCHEMES["nlb"].layout)
    try:
        chosen = [os.urandom(8 + number % 13) for number in range(40)]
        first = [arrived_at(group, long_packet(connection_id)) for connection_id in chosen]
        assert first == [arrived_at(group, long_packet(connection_id)) for connection_id in chosen]
        assert set(first) == set(range(PROCESSES))
    finally:
        group.close()


def test_noise_of_any_length_arrives_somewhere() -> None:
    group = bind_reuseport("127.0.0.1", 0, sockets=PROCESSES, layout=SCHEMES["plain"].layout)
    try:
        for first in (0x40, 0xC0):
            for length in range(1, 24):
                assert arrived_at(group, bytes((first,)) + bytes(length - 1)) in range(PROCESSES)
    finally:
        group.close()


@pytest.mark.parametrize("sockets", [1, 2])
def test_a_port_in_use_is_refused_even_where_the_kernel_would_share_it(sockets: int) -> None:
    group = bind_reuseport("127.0.0.1", 0, sockets=2, layout=SCHEMES["plain"].layout)
    try:
        with pytest.raises(PortRefused, match="cannot be bound"):
            bind_reuseport("127.0.0.1", group.address[1], sockets=sockets, layout=SCHEMES["plain"].layout)
    finally:
        group.close()


def test_an_address_that_is_not_here_is_refused() -> None:
    with pytest.raises(PortRefused, match=r"192\.0\.2\.1"):
        bind_reuseport("192.0.2.1", 0, sockets=1, layout=SCHEMES["plain"].layout)


def test_a_socket_for_all_addresses_takes_both_families() -> None:
    group = bind_reuseport("::", 0, sockets=1, layout=SCHEMES["plain"].layout)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"over IPv4", ("127.0.0.1", group.address[1]))
            select.select(group.sockets, [], [], 5)
            assert group.sockets[0].recv(100) == b"over IPv4"
    finally:
        group.close()
