"""The short way in takes what the general one takes, and nothing else."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import dev_certificates
from gateway.webtransport.quic import short_receiving
from gateway.webtransport.quic.server_connection import ServerConnection
from gateway.webtransport.quic.short_packets import ShortPacketConnection
from tests.harness.quic_pair import pair, read
from tests.harness.raw_quic import quic_rules

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dev_certificates.DevCertificate:
    return dev_certificates.make(tmp_path_factory.mktemp("certificate"))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_noise_in_place_of_packets_changes_nothing(files: dev_certificates.DevCertificate, seed: int) -> None:
    two = pair(files, kind=ShortPacketConnection)
    two.run()
    dice = random.Random(seed)
    for _ in range(40):
        length = dice.randrange(1, 80)
        noise = bytes((0x40 | dice.randrange(64),)) + two.server.host_cid + dice.randbytes(length)
        two.server.receive_datagram(noise[: dice.randrange(1, len(noise) + 1)], ("192.0.2.1", 1_000), now=two.now)
    two.client.send_stream_data(0, b"still here")
    two.run()
    assert read(two.server_events, 0) == b"still here"
    assert two.server._close_event is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.binary(min_size=1, max_size=60))
def test_any_frames_of_a_client_end_as_they_would_the_general_way(
    files: dev_certificates.DevCertificate, payload: bytes
) -> None:
    """Sealed by a client that has the keys: the worst that can come."""
    ends = []
    for kind in (ServerConnection, ShortPacketConnection):
        two = pair(files, kind=kind)
        two.run(for_s=0.2)
        two.client.send_stream_data(0, b"begun")
        two.run(for_s=0.2)
        error: object = None
        try:
            two.send_from_client(payload)
        except Exception as raised:  # noqa: BLE001 - what aioquic raises, peer.py catches
            error = type(raised)
        closed = two.server._close_event
        ends.append((error, None if closed is None else closed.error_code, read(two.server_events, 0)))
    assert ends[0] == ends[1]


def test_an_acknowledgement_waits_for_company_but_not_at_a_gap(files: dev_certificates.DevCertificate) -> None:
    two = pair(files, kind=ShortPacketConnection)
    for _ in range(120):
        two.client.send_ping(1)
        two.run(for_s=0.1)
    server, space = two.server, two.server._space

    def due_in_ms() -> int | None:
        return None if space.ack_at is None else round((space.ack_at - two.now) * 1_000)

    two.send_from_client(b"\x01")
    assert due_in_ms() == quic_rules().ack_delay_ms
    two.client._packet_number += 1  # one is lost
    two.send_from_client(b"\x01")
    assert due_in_ms() == 0
    server.datagrams_to_send(now=two.now)
    assert due_in_ms() is None
    for _ in range(9):
        two.send_from_client(b"\x01")
    assert due_in_ms() == quic_rules().ack_delay_ms
    two.send_from_client(b"\x01")
    assert due_in_ms() == 0


def test_a_packet_of_tiny_frames_is_copied_once(
    files: dev_certificates.DevCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that fills packets with the smallest frames there are must not cost a copy for each of them."""
    two = pair(files, kind=ShortPacketConnection)
    two.run()
    made: list[int] = []
    buffer = short_receiving.Buffer

    def counted(*, data: bytes) -> object:
        made.append(len(data))
        return buffer(data=data)

    monkeypatch.setattr(short_receiving, "Buffer", counted)
    two.send_from_client(b"\x10\x05" * 500 + b"\x01" * 100 + bytes(50))
    assert len(made) == 1
    two.send_from_client(b"\x01" * 1_000 + bytes(50))
    assert len(made) == 1
    assert two.server._close_event is None
