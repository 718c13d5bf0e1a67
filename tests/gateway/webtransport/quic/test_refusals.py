"""A refusal is a packet that the client can read, and smaller than what it answers."""

from __future__ import annotations

import pytest
from aioquic._buffer import Buffer
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import QuicErrorCode, pull_quic_header

from gateway.webtransport.quic.refusals import connection_refusal
from tests.harness.raw_quic import client_configuration

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("code", [QuicErrorCode.INVALID_TOKEN, QuicErrorCode.CONNECTION_REFUSED])
def test_the_client_learns_the_code_from_its_first_answer(code: QuicErrorCode) -> None:
    client = QuicConnection(configuration=client_configuration())
    client.connect(("192.0.2.1", 1), now=0.0)
    ((asked, _),) = client.datagrams_to_send(now=0.0)
    header = pull_quic_header(Buffer(data=asked), host_cid_length=10)
    answer = connection_refusal(header, code)
    assert len(answer) < 100
    client.receive_datagram(answer, ("192.0.2.1", 1), now=0.1)
    client.handle_timer(now=60.0)
    seen = []
    while (event := client.next_event()) is not None:
        seen.append(event)
    assert isinstance(seen[-1], ConnectionTerminated)
    assert seen[-1].error_code == code
