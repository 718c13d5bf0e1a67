"""A client's QUIC connection without a network: windows that slide and are held, reset tokens, sizes of datagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import StreamDataReceived
from hypothesis import given
from hypothesis import strategies as st

from gateway.dev_certificates import create_or_renew
from gateway.webtransport.client.held_connection import HeldQuicConnection
from gateway.webtransport.client.trust import CertificateHash, check, configure

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

WINDOW_BYTES = 16_384
ADDRESS = ("192.0.2.1", 4433)


class Pair:
    """A client and aioquic's server, joined without loss."""

    def __init__(self, folder: Path, *, server_datagrams: int | None = 65_536) -> None:
        made = create_or_renew(folder)
        self.sha256 = made.sha256_hex
        server = QuicConfiguration(is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=server_datagrams)
        server.load_cert_chain(made.certificate_file, made.key_file)
        client = QuicConfiguration(
            alpn_protocols=["h3"], max_stream_data=WINDOW_BYTES, max_datagram_size=1_252, max_datagram_frame_size=65_536
        )
        configure(client, CertificateHash.of(made.sha256_hex))
        self.client = HeldQuicConnection(configuration=client)
        self.now = 0.0
        self.client.connect(ADDRESS, now=self.now)
        self.server = QuicConnection(
            configuration=server, original_destination_connection_id=self.client.original_destination_connection_id
        )
        self.settle()

    def settle(self) -> None:
        """Until neither side has anything to say."""
        for _ in range(200):
            self.now += 0.03
            there = self.client.datagrams_to_send(now=self.now)
            for data, _ in there:
                self.server.receive_datagram(data, ADDRESS, now=self.now)
            back = self.server.datagrams_to_send(now=self.now)
            for data, _ in back:
                self.client.receive_datagram(data, ADDRESS, now=self.now)
            if not there and not back:
                return

    def received(self) -> int:
        num_bytes = 0
        while (event := self.client.next_event()) is not None:
            if isinstance(event, StreamDataReceived):
                num_bytes += len(event.data)
        return num_bytes


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_the_certificate_is_there_once_there_is_a_handshake(pair: Pair) -> None:
    assert pair.client.has_handshake
    assert pair.client.end is None
    check(CertificateHash.of(pair.sha256), pair.client.certificates)


def test_a_stream_that_is_held_gets_no_more_than_its_window_and_all_of_it_later(pair: Pair) -> None:
    stream_id = pair.client.get_next_available_stream_id()
    pair.client.send_stream_data(stream_id, b"?")
    pair.settle()
    pair.client.held.add(stream_id)
    pair.server.send_stream_data(stream_id, bytes(10 * WINDOW_BYTES))
    pair.settle()
    assert pair.received() == WINDOW_BYTES
    pair.client.held.discard(stream_id)
    pair.client.send_ping(1)
    pair.settle()
    assert pair.received() == 9 * WINDOW_BYTES
    stream = pair.client._streams[stream_id]
    assert stream.max_stream_data_local - stream.receiver.highest_offset <= WINDOW_BYTES


def test_what_is_not_acknowledged_is_counted(pair: Pair) -> None:
    stream_id = pair.client.get_next_available_stream_id()
    assert pair.client.unsent_bytes(stream_id) == 0
    pair.client.send_stream_data(stream_id, bytes(1_000), end_stream=True)
    assert pair.client.unsent_bytes(stream_id) == 1_000
    assert not pair.client.is_delivered(stream_id)
    pair.settle()
    assert pair.client.unsent_bytes(stream_id) == 0
    assert pair.client.is_delivered(stream_id)
    assert not pair.client.is_owed_an_answer


def test_the_largest_datagram_fits_into_a_packet_and_one_byte_more_does_not(tmp_path: Path, pair: Pair) -> None:
    largest = pair.client.largest_datagram_bytes
    pair.client.send_datagram_frame(bytes(largest))
    pair.settle()
    assert pair.client.waiting_datagrams == 0
    pair.client.send_datagram_frame(bytes(largest + 1))
    pair.settle()
    assert pair.client.waiting_datagrams == 1
    assert Pair(tmp_path, server_datagrams=None).client.largest_datagram_bytes == 0


def test_an_end_is_known_as_soon_as_it_is_said(pair: Pair) -> None:
    pair.server.close(error_code=0x10C, reason_phrase="gone")
    for data, _ in pair.server.datagrams_to_send(now=pair.now):
        pair.client.receive_datagram(data, ADDRESS, now=pair.now)
    assert pair.client.end is not None
    assert (pair.client.end.error_code, pair.client.end.reason_phrase) == (0x10C, "gone")
    assert not pair.client.is_ended_here


def test_a_reset_is_known_by_any_token_that_the_server_gave(pair: Pair) -> None:
    tokens = [each.stateless_reset_token for each in (pair.client._peer_cid, *pair.client._peer_cid_available)]
    assert len(tokens) > 1
    for token in tokens:
        assert pair.client.is_stateless_reset(b"\x40" + bytes(20) + token)
        assert not pair.client.is_stateless_reset(b"\xc0" + bytes(20) + token)
        assert not pair.client.is_stateless_reset(b"\x40" + bytes(3) + token)
        assert not pair.client.is_stateless_reset(b"\x40" + bytes(20) + token + b"\x00")


@given(st.binary(max_size=64))
def test_no_other_bytes_are_a_reset(data: bytes) -> None:
    assert not HeldQuicConnection(configuration=QuicConfiguration()).is_stateless_reset(data)
