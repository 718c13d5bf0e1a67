"""Whoever asks one of a machine's addresses is answered from that one."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

import pytest

from gateway.webtransport.quic.own_addresses import own_addresses_of
from gateway.webtransport.quic.reuseport import bind_reuseport
from tests.harness.quic_strangers import is_answered
from tests.harness.raw_quic import RunningListener, quic_rules, raw_client

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("bound", "asked"), [("0.0.0.0", "127.0.0.7"), ("::", "127.0.0.7"), ("::", "::1"), ("0.0.0.0", "127.0.0.1")]
)
def test_an_answer_comes_from_where_was_asked(bound: str, asked: str) -> None:
    group = bind_reuseport(bound, 0, sockets=1, layout=quic_rules().connection_ids.layout)
    own = own_addresses_of(group.sockets[0])
    assert own is not None
    family = socket.AF_INET6 if ":" in asked else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"where are you?", (asked, group.address[1]))
        select.select(group.sockets, [], [], 5)
        data, address = own.receive(100)
        assert data == b"where are you?"
        own.send(b"here", address)
        answer, where = client.recvfrom(100)
        assert (answer, where[0]) == (b"here", asked)
        own.send(b"and here", address[:4])  # type: ignore[arg-type]
        assert client.recv(100) == b"and here"
    group.close()


def test_a_socket_with_one_address_needs_none_of_it() -> None:
    group = bind_reuseport("127.0.0.1", 0, sockets=1, layout=quic_rules().connection_ids.layout)
    assert own_addresses_of(group.sockets[0]) is None
    group.close()


@pytest.mark.parametrize("retry", [False, True])
@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
async def test_a_client_gets_in_at_any_address_and_may_move(tmp_path: Path, bound: str, *, retry: bool) -> None:
    rules = quic_rules(retry_always=retry)
    group = bind_reuseport(bound, 0, sockets=1, layout=rules.connection_ids.layout)
    server = RunningListener(tmp_path, rules, sock=group.sockets[0])
    async with raw_client(("127.0.0.7", group.address[1])) as client:
        await is_answered(client)
        assert server.users[0].peer.address == "127.0.0.1"
        await client.rebind()
        await is_answered(client, b"from another port")
    await server.close()
    group.close()
