"""Strangers: what they can cost, what they are told, and that real clients get in beside them."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest
from aioquic._buffer import Buffer
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicPacketType,
    encode_quic_version_negotiation,
    pull_quic_header,
)

from gateway.webtransport.quic.connection_ids import connection_id_scheme
from tests.harness.quic_strangers import Spoofer, answer_of, first_packet, is_answered
from tests.harness.raw_quic import client_configuration, listening, quic_rules, raw_client
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


async def test_with_retry_a_client_shows_that_its_address_is_its_own(tmp_path: Path) -> None:
    async with (
        listening(tmp_path, quic_rules(retry_always=True)) as server,
        raw_client(server.address) as client,
    ):
        await is_answered(client)
        assert server.count("retries_total") == 1


async def test_a_token_of_another_process_with_the_same_secret_lets_in(tmp_path: Path) -> None:
    async with listening(tmp_path, quic_rules(retry_always=True)) as one, listening(tmp_path) as other:
        spoofer = Spoofer(one.address, sockets=1)
        client = QuicConnection(configuration=client_configuration())
        client.connect(one.address, now=0.0)
        spoofer.send(client.datagrams_to_send(now=0.0)[0][0])
        client.receive_datagram(await answer_of(spoofer), one.address, now=0.1)
        spoofer._address = other.address
        spoofer.send(client.datagrams_to_send(now=0.1)[0][0])
        await until(lambda: other.count("handshakes_total", outcome="begun") == 1)
        assert other.count("address_tokens_refused_total", reason="broken") == 0
        spoofer.close()


async def test_a_token_that_does_not_hold_ends_the_connection_at_once(tmp_path: Path) -> None:
    foreign = quic_rules(retry_always=True, secret=b"another secret of another gateway")
    async with listening(tmp_path, foreign) as one, listening(tmp_path, quic_rules(retry_always=True)) as other:
        spoofer = Spoofer(one.address, sockets=1)
        client = QuicConnection(configuration=client_configuration())
        client.connect(one.address, now=0.0)
        spoofer.send(client.datagrams_to_send(now=0.0)[0][0])
        client.receive_datagram(await answer_of(spoofer), one.address, now=0.1)
        spoofer._address = other.address
        spoofer.send(client.datagrams_to_send(now=0.1)[0][0])
        client.receive_datagram(await answer_of(spoofer), one.address, now=0.2)
        assert client._close_event is not None
        assert client._close_event.error_code == QuicErrorCode.INVALID_TOKEN
        assert other.count("address_tokens_refused_total", reason="broken") == 1
        assert other.listener.handshakes == 0
        spoofer.close()


async def test_an_unknown_version_is_told_which_ones_there_are_and_never_answered_twice(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        spoofer = Spoofer(server.address, sockets=1)
        packet = bytearray(first_packet())
        packet[1:5] = b"\x1a\x2a\x3a\x4a"
        spoofer.send(bytes(packet))
        answer = await answer_of(spoofer)
        header = pull_quic_header(Buffer(data=answer), host_cid_length=8)
        assert header.packet_type is QuicPacketType.VERSION_NEGOTIATION
        assert header.supported_versions == [1, 0x6B3343CF]
        spoofer.send(
            encode_quic_version_negotiation(source_cid=bytes(8), destination_cid=bytes(8), supported_versions=[1] * 300)
        )
        await until(lambda: server.count("packets_dropped_total", reason="version") == 2)
        assert spoofer.answers() == []
        spoofer.close()


async def test_a_client_of_a_process_that_forgot_it_ends_at_once(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as client:
        await is_answered(client)
        for peer in set(server.listener._peers.values()):
            peer.drop("lost")  # as a process that was started again
        client.say(b"x" * 200)
        await until(lambda: client.was_reset, what="the reset")
        assert server.count("stateless_resets_total") >= 1


async def test_resets_have_a_rate_and_do_not_answer_short_noise(tmp_path: Path) -> None:
    async with listening(tmp_path, quic_rules(max_resets_per_second=5)) as server:
        spoofer = Spoofer(server.address, sockets=1)
        for length in range(1, 22):
            spoofer.send(b"\x40" + bytes(length - 1))
        for _ in range(40):
            spoofer.send(b"\x40" + os.urandom(60))
        await until(lambda: server.count("packets_dropped_total", reason="unknown_connection") >= 60)
        assert 5 <= server.count("stateless_resets_total") <= 8
        assert all(len(answer) < 61 for answer in spoofer.answers())
        spoofer.close()


async def test_no_reset_is_told_for_a_connection_that_lives_elsewhere(tmp_path: Path) -> None:
    """Whoever sees an id could else ask another process for the token that ends the connection."""
    ids = [connection_id_scheme("plain", process_index=index, processes=2) for index in range(2)]
    async with listening(tmp_path, quic_rules(connection_ids=ids[0])) as server:
        spoofer = Spoofer(server.address, sockets=1)
        for scheme in (ids[1], ids[0]):
            spoofer.send(b"\x40" + scheme.make(os.urandom(scheme.length_bytes)) + bytes(60))
        await until(lambda: server.count("packets_dropped_total", reason="unknown_connection") == 2)
        assert server.count("stateless_resets_total") == 1
        spoofer.close()


async def test_noise_in_place_of_first_packets_soon_costs_little(tmp_path: Path) -> None:
    rules = quic_rules(retry_above_misunderstood_per_second=5)
    async with listening(tmp_path, rules) as server:
        spoofer = Spoofer(server.address)
        packet = first_packet()
        for number in range(40):
            spoofer.send(packet[:6] + os.urandom(8) + packet[14:], number)
        await until(lambda: server.count("retries_total") >= 25)
        assert server.count("handshakes_total", outcome="not_understood") <= 15
        async with raw_client(server.address) as client:
            await is_answered(client)
        spoofer.close()


async def test_a_flood_of_first_packets_is_bounded_and_a_real_client_still_gets_in(tmp_path: Path) -> None:
    rules = quic_rules(
        retry_above_handshakes=8, max_handshakes=16, max_handshakes_per_address=4, max_waiting_initials=32
    )
    async with listening(tmp_path, rules) as server, raw_client(server.address) as inside:
        spoofer = Spoofer(server.address)
        packets = [first_packet() for _ in range(60)]
        lags_ms: list[float] = []
        most = 0
        for turn in range(12):
            for number, packet in enumerate(packets):
                changed = bytearray(packet)
                changed[6:14] = os.urandom(8)  # keys that do not fit, an id that nobody has
                spoofer.send(packet if turn == 0 else bytes(changed), number)
            begun = time.monotonic()
            await is_answered(inside, b"turn %d" % turn)
            lags_ms.append((time.monotonic() - begun) * 1_000)
            most = max(most, server.listener.handshakes)
        async with raw_client(server.address) as late:
            await is_answered(late)
        assert most <= 16
        assert server.count("retries_total") > 20
        assert server.listener._strangers.waiting <= 32
        assert sorted(lags_ms)[len(lags_ms) // 2] < 500
        spoofer.close()


async def test_one_address_cannot_take_all_handshakes(tmp_path: Path) -> None:
    rules = quic_rules(max_handshakes_per_address=3)
    async with listening(tmp_path, rules) as server:
        spoofer = Spoofer(server.address, sockets=2)
        for _ in range(10):
            spoofer.send(first_packet(), 0)
        await until(lambda: server.count("packets_dropped_total", reason="handshakes_of_address") == 7)
        assert server.listener.handshakes == 3
        spoofer.send(first_packet(), 1)
        await until(lambda: server.listener.handshakes == 4)
        spoofer.close()


@pytest.mark.parametrize("seed", range(3))
async def test_random_and_changed_packets_leave_nothing_and_harm_nobody(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    async with listening(tmp_path) as server, raw_client(server.address) as inside:
        await is_answered(inside)
        known = len(server.listener._peers)
        spoofer = Spoofer(server.address, sockets=3)
        sealed = [first_packet() for _ in range(4)]
        for number in range(400):
            kind = number % 4
            if kind == 0:
                noise = dice.randbytes(dice.randrange(1, 1_500))
            elif kind == 1:
                noise = bytes((dice.choice((0x40, 0xC0, 0xD0, 0xE0, 0xF0)),)) + dice.randbytes(dice.randrange(1_300))
            else:
                changed = bytearray(dice.choice(sealed))
                for _ in range(dice.randrange(1, 6)):
                    changed[dice.randrange(min(len(changed), 60) if kind == 2 else len(changed))] ^= dice.randrange(
                        1, 256
                    )
                noise = bytes(changed[: dice.choice((len(changed), len(changed), dice.randrange(1, 1_200)))])
            spoofer.send(noise, number)
            if number % 50 == 0:
                await is_answered(inside, b"%d" % number)
        await is_answered(inside, b"after all of it")
        await until(lambda: not server.listener._strangers.waiting)
        assert len(server.users) == 1
        assert len(server.listener._peers) <= known + 2 * server.listener.handshakes
        assert server.count("handshakes_total", outcome="broken") == 0
        spoofer.close()
