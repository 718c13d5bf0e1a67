"""The listener against real clients over loopback: who gets in, who stays in, and what strangers can cost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from aioquic.quic.packet import (
    QuicErrorCode,
)
from cryptography.hazmat.primitives import hashes

from gateway import dev_certificates
from gateway.webtransport.quic.connection_ids import connection_id_scheme
from gateway.webtransport.quic.reuseport import bind_reuseport
from tests.harness.quic_strangers import Spoofer, first_packet, is_answered
from tests.harness.raw_quic import (
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


# Getting in


async def test_a_client_gets_in_talks_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        async with raw_client(server.address) as client:
            await is_answered(client)
            client.quic.send_datagram_frame(b"a datagram")
            client.transmit()
            await until(lambda: client.datagrams == [b"a datagram"])
            assert (server.listener.connections, server.listener.handshakes) == (1, 0)
            assert server.users[0].peer.address == "127.0.0.1"
        await until(lambda: server.listener.connections == 0)
        assert server.users[0].closed == 1
        await until(lambda: not server.listener._peers)
        assert (server.count("handshakes_total", outcome="finished"), server.count("retries_total")) == (1, 0)


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
        await until(lambda: server.count("packets_dropped_total", reason="unknown_connection") >= 1)
        assert server.listener.handshakes == 0
        assert len(server.users) == 1
        spoofer.close()


async def test_a_listener_that_drains_refuses_new_clients_and_keeps_its_own(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as inside:
        server.listener.drain()
        async with raw_client(server.address, is_waiting=False) as late:
            await until(lambda: late.quic._close_event is not None)
            assert late.quic._close_event.error_code == QuicErrorCode.CONNECTION_REFUSED
        await is_answered(inside)


async def test_a_full_listener_refuses_at_once(tmp_path: Path) -> None:
    async with listening(tmp_path, quic_rules(max_connections=1)) as server, raw_client(server.address):
        async with raw_client(server.address, is_waiting=False) as late:
            await until(lambda: late.quic._close_event is not None)
            assert late.quic._close_event.error_code == QuicErrorCode.CONNECTION_REFUSED
        assert server.count("handshakes_total", outcome="refused") >= 1


async def test_clients_with_a_foreign_protocol_do_not_get_in(tmp_path: Path) -> None:
    async with (
        listening(tmp_path) as server,
        raw_client(server.address, client_configuration(alpn_protocols=["hq"]), is_waiting=False) as client,
    ):
        await until(lambda: client.quic._close_event is not None)
        assert server.users == []
        await until(lambda: server.listener.handshakes == 0)


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
    async with listening(tmp_path, quic_rules(idle_timeout_ms=2_000)) as server:
        async with raw_client(server.address) as silent, raw_client(server.address) as speaking:
            silent.is_silent = True
            for number in range(500):
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
        await until(lambda: server.listener.handshakes == 1)
        await until(lambda: server.listener.handshakes == 0)
        assert server.count("handshakes_total", outcome="overdue") == 1
        assert not server.listener._peers
        spoofer.close()


async def test_all_clients_learn_that_the_listener_ends(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as client:
        await is_answered(client)
        await server.listener.close()
        await until(lambda: client.quic._close_event is not None)
        assert client.quic._close_event.error_code == 0x100
        assert (server.users[0].closed, server.listener.connections) == (1, 0)


async def test_a_fault_above_quic_ends_one_connection_alone(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, raw_client(server.address) as bad, raw_client(server.address) as good:
        bad.say(b"raise")
        await until(lambda: bad.quic._close_event is not None)
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
        await until(lambda: user.heard.get(4) == 100_000)
        assert user.heard[0] == 16_384
        user.peer.resume(0)
        await until(lambda: user.heard[0] == 100_000)


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
