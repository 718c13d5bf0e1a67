"""The listener against real clients over loopback: who gets in, who stays in, and what strangers can cost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from aioquic._buffer import Buffer
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicPacketType,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from cryptography.hazmat.primitives import hashes

from gateway import dev_certificates
from gateway.webtransport.quic.connection_ids import connection_id_scheme
from gateway.webtransport.quic.reuseport import bind_reuseport
from tests.harness.raw_quic import (
    RawClient,
    RunningListener,
    client_configuration,
    listening,
    quic_rules,
    raw_client,
)
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


async def is_answered(client: RawClient, said: bytes = b"hello") -> None:
    client.say(said)
    await until(lambda: client.received.get(0, b"").endswith(said), within_s=5, what="the answer")


def first_packet() -> bytes:
    """Of another client each time."""
    client = QuicConnection(configuration=client_configuration())
    client.connect(("127.0.0.1", 1), now=0.0)
    return client.datagrams_to_send(now=0.0)[0][0]


class Spoofer:
    """Sends from many sockets, and reads nothing unless asked."""

    def __init__(self, address: tuple[str, int], *, sockets: int = 20) -> None:
        self._address = address
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(sockets)]
        for number, sock in enumerate(self.sockets):
            sock.bind((f"127.0.{number // 200 + 1}.{number % 200 + 1}", 0))
            sock.setblocking(False)

    def send(self, data: bytes, number: int = 0) -> None:
        self.sockets[number % len(self.sockets)].sendto(data, self._address)

    def answers(self, number: int = 0) -> list[bytes]:
        found: list[bytes] = []
        try:
            while True:
                found.append(self.sockets[number].recv(2_048))
        except BlockingIOError:
            return found

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


async def answer_of(spoofer: Spoofer) -> bytes:
    found: list[bytes] = []

    def has_come() -> bool:
        found.extend(spoofer.answers())
        return bool(found)

    await until(has_come, within_s=5, what="an answer")
    return found[0]


# Getting in


async def test_a_client_gets_in_talks_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        async with raw_client(server.address) as client:
            await is_answered(client)
            client.quic.send_datagram_frame(b"a datagram")
            client.transmit()
            await until(lambda: client.datagrams == [b"a datagram"], within_s=5)
            assert (server.listener.connections, server.listener.handshakes) == (1, 0)
            assert server.users[0].peer.address == "127.0.0.1"
        await until(lambda: server.listener.connections == 0, within_s=5)
        assert server.users[0].closed == 1
        await until(lambda: not server.listener._peers, within_s=5)
        assert (server.count("handshakes_total", outcome="finished"), server.count("retries_total")) == (1, 0)


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
        await until(lambda: other.count("handshakes_total", outcome="begun") == 1, within_s=5)
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
        await until(lambda: server.count("packets_dropped_total", reason="version") == 2, within_s=5)
        assert spoofer.answers() == []
        spoofer.close()


async def test_no_ticket_is_given_and_offered_early_data_is_not_read(tmp_path: Path) -> None:
    tickets: list[Any] = []
    async with (
        listening(tmp_path) as server,
        raw_client(server.address, session_ticket_handler=tickets.append) as client,
    ):
        await is_answered(client)
        assert tickets == []
        assert client.finished_handshake is not None
        assert client.finished_handshake.early_data_accepted is False
        # A packet of early data beside a first packet of a stranger opens nothing.
        spoofer = Spoofer(server.address, sockets=1)
        initial = first_packet()
        early = bytes((0xD0,)) + initial[1:]
        spoofer.send(early)
        await until(lambda: server.count("packets_dropped_total", reason="unknown_connection") >= 1, within_s=5)
        assert server.listener.handshakes == 0
        assert len(server.users) == 1
        spoofer.close()


async def test_a_listener_that_drains_refuses_new_clients_and_keeps_its_own(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as inside:
        server.listener.drain()
        async with raw_client(server.address, is_waiting=False) as late:
            await until(lambda: late.quic._close_event is not None, within_s=5)
            assert late.quic._close_event.error_code == QuicErrorCode.CONNECTION_REFUSED
        await is_answered(inside)


async def test_a_full_listener_refuses_at_once(tmp_path: Path) -> None:
    async with listening(tmp_path, quic_rules(max_connections=1)) as server, raw_client(server.address):
        async with raw_client(server.address, is_waiting=False) as late:
            await until(lambda: late.quic._close_event is not None, within_s=5)
            assert late.quic._close_event.error_code == QuicErrorCode.CONNECTION_REFUSED
        assert server.count("handshakes_total", outcome="refused") >= 1


async def test_clients_with_a_foreign_protocol_do_not_get_in(tmp_path: Path) -> None:
    async with (
        listening(tmp_path) as server,
        raw_client(server.address, client_configuration(alpn_protocols=["hq"]), is_waiting=False) as client,
    ):
        await until(lambda: client.quic._close_event is not None, within_s=5)
        assert server.users == []
        await until(lambda: server.listener.handshakes == 0, within_s=5)


# Staying in


async def test_a_client_that_moves_keeps_its_connection(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as client:
        await is_answered(client)
        for number in range(3):
            await client.rebind()
            await is_answered(client, b"from port %d" % number)
        assert server.count("migrations_total", what="port") == 3
        assert len(server.users) == 1
        spare = client.quic._peer_cid.cid
        client.change_connection_id()
        await client.rebind()
        await is_answered(client, b"under another id")
        assert client.quic._peer_cid.cid != spare


async def test_a_client_from_another_host_has_another_address(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as client:
        await is_answered(client)
        await client.rebind(host="127.0.0.2")
        await is_answered(client, b"again")
        assert server.users[0].peer.address == "127.0.0.2"
        assert server.count("migrations_total", what="address") == 1


async def test_a_client_of_a_process_that_forgot_it_ends_at_once(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as client:
        await is_answered(client)
        for peer in set(server.listener._peers.values()):
            peer.drop("lost")  # as a process that was started again
        begun = time.monotonic()
        client.say(b"x" * 200)
        await until(lambda: client.was_reset, within_s=5, what="the reset")
        assert time.monotonic() - begun < 1
        assert server.count("stateless_resets_total") >= 1


async def test_resets_have_a_rate_and_do_not_answer_short_noise(tmp_path: Path) -> None:
    async with listening(tmp_path, quic_rules(max_resets_per_second=5)) as server:
        spoofer = Spoofer(server.address, sockets=1)
        for length in range(1, 22):
            spoofer.send(b"\x40" + bytes(length - 1))
        for _ in range(40):
            spoofer.send(b"\x40" + os.urandom(60))
        await until(lambda: server.count("packets_dropped_total", reason="unknown_connection") >= 60, within_s=5)
        assert 5 <= server.count("stateless_resets_total") <= 8
        assert all(len(answer) < 61 for answer in spoofer.answers())
        spoofer.close()


async def test_a_certificate_is_changed_under_a_running_connection(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as before:
        second = dev_certificates.make(tmp_path)
        assert server.certificate.reload_if_changed()
        async with raw_client(server.address) as after:
            shown = after.quic.tls._peer_certificate.fingerprint(hashes.SHA256()).hex()
            assert shown == second.sha256_hex
            assert (
                before.quic.tls._peer_certificate.fingerprint(hashes.SHA256()).hex() == server.files.sha256_hex != shown
            )
            await is_answered(before)
            await is_answered(after)


async def test_a_silent_connection_ends_and_one_that_speaks_does_not(tmp_path: Path) -> None:
    async with listening(tmp_path, quic_rules(idle_timeout_ms=700)) as server:
        async with raw_client(server.address) as silent, raw_client(server.address) as speaking:
            silent.is_silent = True
            for number in range(100):
                if server.users[0].closed:
                    break
                await is_answered(speaking, b"%d" % number)
                await asyncio.sleep(0.03)
            assert (server.users[0].closed, server.users[1].closed) == (1, 0)
        assert server.count("closed_total", by="idle") == 1


async def test_a_handshake_that_is_never_finished_is_forgotten(tmp_path: Path) -> None:
    async with listening(tmp_path, quic_rules(handshake_timeout_ms=300)) as server:
        spoofer = Spoofer(server.address, sockets=1)
        spoofer.send(first_packet())
        await until(lambda: server.listener.handshakes == 1, within_s=5)
        await until(lambda: server.listener.handshakes == 0, within_s=5)
        assert server.count("handshakes_total", outcome="overdue") == 1
        assert not server.listener._peers
        spoofer.close()


async def test_all_clients_learn_that_the_listener_ends(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as client:
        await is_answered(client)
        await server.listener.close()
        await until(lambda: client.quic._close_event is not None, within_s=5)
        assert client.quic._close_event.error_code == 0x100
        assert (server.users[0].closed, server.listener.connections) == (1, 0)


async def test_a_fault_above_quic_ends_one_connection_alone(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as bad, raw_client(server.address) as good:
        bad.say(b"raise")
        await until(lambda: bad.quic._close_event is not None, within_s=5)
        assert bad.quic._close_event.error_code == 0x102
        await is_answered(good)
        assert sorted(user.closed for user in server.users) == [0, 1]


async def test_a_paused_client_waits_and_goes_on(tmp_path: Path) -> None:
    rules = quic_rules(stream_window_bytes=16_384, connection_window_bytes=32_768)
    async with listening(tmp_path, rules) as server, raw_client(server.address) as client:
        user = server.users[0]
        user.is_silent = True
        user.peer.pause(0)
        client.say(bytes(100_000))
        client.say(bytes(100_000), stream_id=4)
        await until(lambda: user.heard.get(4) == 100_000, within_s=5)
        assert user.heard[0] == 16_384
        user.peer.resume(0)
        await until(lambda: user.heard[0] == 100_000, within_s=5)


async def test_processes_behind_one_port_keep_their_clients_wherever_these_go(tmp_path: Path) -> None:
    schemes = [connection_id_scheme("plain", process_index=index, processes=2) for index in range(2)]
    group = bind_reuseport("127.0.0.1", 0, sockets=2, layout=schemes[0].layout)
    processes = [
        RunningListener(tmp_path, quic_rules(connection_ids=scheme, retry_always=True), sock=sock)
        for scheme, sock in zip(schemes, group.sockets, strict=True)
    ]
    async with contextlib.AsyncExitStack() as clients:
        for number in range(10):
            client = await clients.enter_async_context(raw_client(group.address))
            for turn in range(3):
                await is_answered(client, b"client %d turn %d" % (number, turn))
                await client.rebind()
        inside = [len(process.users) for process in processes]
        assert sum(inside) == 10
        assert min(inside) >= 1
        assert sum(process.count("packets_dropped_total", reason="unknown_connection") for process in processes) == 0
    for process in processes:
        await process.close()
    group.close()


# Strangers


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
        assert len(server.listener._initials) <= 32
        assert sorted(lags_ms)[len(lags_ms) // 2] < 500
        spoofer.close()


async def test_one_address_cannot_take_all_handshakes(tmp_path: Path) -> None:
    rules = quic_rules(max_handshakes_per_address=3)
    async with listening(tmp_path, rules) as server:
        spoofer = Spoofer(server.address, sockets=2)
        for _ in range(10):
            spoofer.send(first_packet(), 0)
        await until(lambda: server.count("packets_dropped_total", reason="handshakes_of_address") == 7, within_s=5)
        assert server.listener.handshakes == 3
        spoofer.send(first_packet(), 1)
        await until(lambda: server.listener.handshakes == 4, within_s=5)
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
        await until(lambda: not server.listener._initials, within_s=5)
        assert len(server.users) == 1
        assert len(server.listener._peers) <= known + 2 * server.listener.handshakes
        assert server.count("handshakes_total", outcome="broken") == 0
        spoofer.close()
