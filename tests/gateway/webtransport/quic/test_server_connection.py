"""Our bounds on top of aioquic, and a clear word when aioquic changes what they replace."""

from __future__ import annotations

import hashlib
import inspect
import os
from typing import Any

import pytest
from aioquic import _crypto
from aioquic.quic import connection, crypto, rangeset, recovery, stream
from aioquic.quic.connection import QuicConnection

from gateway import dev_certificates
from gateway.webtransport.quic.server_connection import (
    MAX_CRYPTO_BYTES,
    MAX_FAREWELL_S,
    MAX_PIECES,
    DatagramTooLarge,
    ServerConnection,
)
from gateway.webtransport.quic.short_packets import ShortPacketConnection
from tests.harness.quic_pair import QuicPair, pair
from tests.harness.raw_quic import quic_rules

pytestmark = pytest.mark.unit

# sha256 of the source, 12 digits. When one of these fails, read the new version of the method, then what replaces or
# uses it in gateway/webtransport/quic/server_connection.py and short_packets.py, and only then change the line.
PINNED: dict[Any, str] = {
    QuicConnection.__init__: "81aea715e344",
    QuicConnection._replenish_connection_ids: "73b127efb89c",
    QuicConnection._write_stream_limits: "398d4a898f7c",
    QuicConnection._write_connection_limits: "02c42c5455ae",
    QuicConnection.receive_datagram: "3c7f29826050",
    QuicConnection.datagrams_to_send: "f4eb22c8add2",
    QuicConnection._write_application: "c37bf64378f7",
    QuicConnection._flush_builder: "ac4bd66d7c38",
    QuicConnection.get_timer: "07184a05f894",
    QuicConnection.handle_timer: "8ebd76a179bf",
    QuicConnection._payload_received: "612b67759a96",
    QuicConnection._handle_stream_frame: "8c79348a854e",
    QuicConnection._handle_crypto_frame: "e77f8695d9ac",
    QuicConnection._handle_new_connection_id_frame: "8a802ee5e62d",
    QuicConnection._handle_ack_frame: "a9cf2707aa0f",
    QuicConnection._handle_datagram_frame: "38fb0c3c9f00",
    QuicConnection._close_begin: "d8cdcfd45139",
    QuicConnection._retire_peer_cid: "be63087f9068",
    QuicConnection._use_reserved_peer_cid: "ddb0329e0e84",
    QuicConnection._confirm_handshake: "ffec907008d1",
    QuicConnection._idle_timeout: "8549f45b0941",
    QuicConnection._on_new_connection_id_delivery: "3a61c4ffd0ff",
    QuicConnection._on_ack_delivery: "14648d79ecc5",
    QuicConnection._write_stream_frame: "9bc0be962394",
    QuicConnection._write_ack_frame: "dc0bde63adda",
    QuicConnection._serialize_transport_parameters: "be651f3ddfcd",
    stream.QuicStreamReceiver.handle_frame: "c54bce9f11e6",
    stream.QuicStreamReceiver._pull_data: "0b249a0b2d93",
    stream.QuicStreamSender.get_frame: "c9d68a424b94",
    stream.QuicStreamSender.write: "77d188425093",
    stream.QuicStreamSender.on_data_delivery: "675e1c2812ea",
    recovery.QuicPacketSpace.__init__: "e6fb34bdf2d5",
    recovery.QuicPacketNumberWindow.add: "214572547bed",
    recovery.QuicPacketNumberWindow.__contains__: "f090921fc043",
    recovery.QuicPacketRecovery.__init__: "11dd9eddeac7",
    recovery.QuicPacketRecovery.on_ack_received: "1a7c69347908",
    recovery.QuicPacketRecovery.get_loss_detection_time: "de155cb9bef9",
    recovery.QuicPacketRecovery.get_probe_timeout: "782ca5036a10",
    recovery.QuicPacketRecovery.on_packet_sent: "a83baa6e0570",
    crypto.CryptoContext.decrypt_packet: "fe94c52f762d",
    crypto.CryptoContext.encrypt_packet: "fe4c0f9b61d1",
    crypto.CryptoPair.encrypt_packet: "f244294823e4",
    crypto.CryptoPair.decrypt_packet: "2d2c3a3bf129",
    _crypto.AEAD.decrypt: "3cb5f698b2ee",
    _crypto.AEAD.encrypt: "dcd48e4cec21",
    _crypto.AEAD._nonce: "cdb45a754af0",
    _crypto.HeaderProtection.apply: "dfbedf5f0cb7",
    _crypto.HeaderProtection.remove: "86c5aacd3c9c",
    _crypto.HeaderProtection._mask: "3f222c114661",
    rangeset.RangeSet.__init__: "442ebd54953d",
    rangeset.RangeSet.add: "409fdd202a29",
}


@pytest.mark.parametrize("part", PINNED, ids=lambda part: part.__qualname__)
def test_aioquic_is_as_it_was_when_its_private_parts_were_replaced(part: Any) -> None:
    source = hashlib.sha256(inspect.getsource(part).encode()).hexdigest()[:12]
    assert source == PINNED[part], (
        f"aioquic has another {part.__qualname__}: compare it with what gateway/webtransport/quic relies on"
    )


@pytest.fixture(params=[ServerConnection, ShortPacketConnection])
def kind(request: pytest.FixtureRequest) -> type[ServerConnection]:
    chosen: type[ServerConnection] = request.param
    return chosen


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dev_certificates.DevCertificate:
    return dev_certificates.make(tmp_path_factory.mktemp("certificate"))


def test_all_ids_and_tokens_are_ours(files: dev_certificates.DevCertificate, kind: type[ServerConnection]) -> None:
    two = pair(files, kind=kind)
    two.run()
    client = two.client
    known = {two.client_peer_id, *(cid.cid for cid in client._peer_cid_available)}
    assert known == {made for made, _ in two.made_ids}
    assert {
        client._peer_cid.stateless_reset_token,
        *(cid.stateless_reset_token for cid in client._peer_cid_available),
    } == {token for _, token in two.made_ids}
    client.change_connection_id()  # the old one is retired, and another comes
    client.send_ping(1)
    two.run()
    assert len(two.made_ids) == 9
    assert two.server.host_cid == two.made_ids[1][0]


def test_the_window_slides_with_what_was_read(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind, rules=quic_rules(stream_window_bytes=8_192, connection_window_bytes=16_384))
    two.run()
    two.client.send_stream_data(0, bytes(100_000))
    two.run()
    assert two.server_read(0) == 100_000
    granted = two.client._streams[0].max_stream_data_remote
    assert 100_000 < granted <= 100_000 + 8_192
    assert two.client._remote_max_data <= 100_000 + 16_384


def test_a_paused_stream_stops_within_one_window_and_the_others_go_on(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind, rules=quic_rules(stream_window_bytes=8_192, connection_window_bytes=16_384))
    two.run()
    two.server.pause_stream(0)
    two.client.send_stream_data(0, bytes(50_000))
    two.client.send_stream_data(4, bytes(50_000))
    two.run()
    assert two.server_read(0) == 8_192
    assert two.server_read(4) == 50_000
    two.server.resume_stream(0)
    two.run()
    assert two.server_read(0) == 50_000


def test_what_is_unsent_counts_until_the_client_has_it(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind)
    two.run()
    two.client.send_stream_data(0, b"hello")
    two.run()
    two.server.has_news_of_sent = False
    two.server.send_stream_data(0, b"an answer")
    assert two.server.unsent_bytes(0) == 9
    two.run()
    assert two.server.unsent_bytes(0) == 0
    assert two.server.has_news_of_sent
    assert two.server.unsent_bytes(400) == 0


def test_the_shortest_round_trip_is_known_from_the_handshake_on(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind)
    assert two.server.min_rtt_us is None
    two.run()
    assert two.server.min_rtt_us == pytest.approx(20_000, abs=100)
    two.server.send_stream_data(1, b"later")
    two.run(fate=lambda _data, to_server: [0.0 if to_server else 0.3])
    assert two.server.min_rtt_us == pytest.approx(20_000, abs=100)


def test_a_datagram_that_would_block_all_others_is_refused(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind, rules=quic_rules(max_unsent_datagrams=3))
    two.run()
    largest = two.server.largest_datagram_bytes
    assert 1_150 < largest < 1_232
    with pytest.raises(DatagramTooLarge):
        two.server.send_datagram_frame(bytes(largest + 1))
    two.server.send_datagram_frame(bytes(largest))
    two.server.send_datagram_frame(b"after it")
    two.run()
    assert two.client_datagrams == [bytes(largest), b"after it"]
    for number in range(5):
        two.server.send_datagram_frame(bytes((number,)))
    assert two.server.dropped_datagrams == 2
    deaf = pair(files, kind=kind, client={"max_datagram_frame_size": None})
    deaf.run()
    assert deaf.server.largest_datagram_bytes == 0
    with pytest.raises(DatagramTooLarge):
        deaf.server.send_datagram_frame(b"x")


def test_a_close_with_any_reason_reaches_the_client(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind)
    two.run()
    two.server.close_for_application(0x170D7B68, "ä" * 2_000)
    two.run()
    assert two.client._close_event.error_code == 0x170D7B68
    assert two.client._close_event.reason_phrase == "ä" * 128


# What a client may make us keep


def frames(two: QuicPair, *sent: bytes) -> int | None:
    """Send frames in packets of their own; the code with which the server ended the connection."""
    for payload in sent:
        two.send_from_client(payload)
    return None if two.server._close_event is None else int(two.server._close_event.error_code)


def stream_frame(offset: int, data: bytes, *, stream_id: int = 0) -> bytes:
    return bytes((0x0E, stream_id)) + (offset | 0x80000000).to_bytes(4, "big") + bytes((len(data),)) + data


def test_tiny_pieces_with_gaps_end_a_connection_before_they_cost_much(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind)
    two.run()
    packets = [
        b"".join(stream_frame(at, b"x") for at in range(first, first + 200, 2)) for first in range(2, 2_000, 200)
    ]
    assert frames(two, *packets) == 1
    assert len(two.server._streams[0].receiver._ranges) <= MAX_PIECES + 1


def test_data_beyond_the_window_ends_a_connection(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind)
    two.run()
    assert frames(two, stream_frame(quic_rules().stream_window_bytes, b"x")) == 3


def test_endless_handshake_messages_end_a_connection(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind)
    two.run()
    message = b"\x0b\xff\xff\xff"
    assert frames(two, b"\x06\x00\x04" + message) is None
    at = (MAX_CRYPTO_BYTES | 0x80000000).to_bytes(4, "big")
    assert frames(two, b"\x06" + at + b"\x01x") == 0x0D


def test_too_many_streams_end_a_connection(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind, rules=quic_rules(max_streams=4))
    two.run()
    assert frames(two, stream_frame(0, b"x", stream_id=12)) is None
    assert len(two.server._streams) == 4
    assert frames(two, stream_frame(0, b"x", stream_id=16)) == 4


def test_streams_may_come_and_go_only_so_often(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind, rules=quic_rules(max_streams=4, max_streams_ever=10))
    two.run()
    for number in range(10):
        two.client.send_stream_data(number * 4, b"x", end_stream=True)
        two.run()
        two.server.send_stream_data(number * 4, b"", end_stream=True)
        two.run()
    two.client.send_stream_data(40, b"x")
    two.run()
    assert 40 not in two.server._streams
    assert two.server._close_event is None
    assert two.client._remote_max_streams_bidi == 10


def test_challenges_retirements_and_new_ids_do_not_pile_up(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind)
    two.run()
    assert frames(two, b"".join(b"\x1a" + os.urandom(8) for _ in range(100))) is None
    assert len(two.server._network_paths[0].remote_challenges) <= 32
    two.run()
    many = b"".join(
        b"\x18" + (number | 0x4000).to_bytes(2, "big") + b"\x00\x08" + os.urandom(24) for number in range(100, 120)
    )
    assert frames(two, many) == 9
    fresh = pair(files, kind=kind)
    fresh.run()
    assert frames(fresh, b"\x19" + (fresh.server._host_cid_seq).to_bytes(1, "big")) == 0x0A


def test_early_data_is_never_offered_and_never_read(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    tickets: list[Any] = []
    two = pair(files, kind=kind, on_ticket=tickets.append)
    two.run()
    assert tickets == []
    assert not two.server._cryptos[connection.tls.Epoch.ZERO_RTT].recv.is_valid()


def test_a_client_that_answers_slowly_does_not_stretch_the_farewell(files: dev_certificates.DevCertificate) -> None:
    two = pair(files, kind=ShortPacketConnection)
    two.run()
    for _ in range(20):
        two.server.send_stream_data(1, b"how are you?")
        two.run(fate=lambda _data, to_server: [9.0 if to_server else 0.0], for_s=10)
    assert two.server._loss.get_probe_timeout() > MAX_FAREWELL_S
    two.server.close_for_application(0, "")
    two.server.datagrams_to_send(now=two.now)
    assert two.server.get_timer() <= two.now + MAX_FAREWELL_S


def test_a_client_without_ids_of_its_own_can_look_for_another_way(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    """Chromium has none; it tries a new network before it goes there."""
    two = pair(files, kind=kind, client={"connection_id_length": 0})
    two.client._replenish_connection_ids = lambda: None  # aioquic would send more of its empty ids
    two.run()
    home, elsewhere = two.client_address, ("192.0.2.9", 2_000)
    for turn in range(2):
        two.client_address = elsewhere if turn == 0 else home
        two.send_from_client(b"\x1a" + b"is it ok")
        answers = two.server.datagrams_to_send(now=two.now)
        assert [to for _, to in answers if to == two.client_address], "no answer to the probe"
        assert all(len(data) <= 3 * 1_200 for data, _ in answers)
        two.send_from_client(b"\x01")  # it goes there
        two.run()
        assert two.server._network_paths[0].addr == two.client_address
    assert not two.server._retire_connection_ids
    assert two.client._close_event is None
    two.client.send_stream_data(0, b"still here")
    two.run()
    assert two.server_read(0) == len(b"still here")


def test_a_client_that_retires_its_last_id_is_told_so(
    files: dev_certificates.DevCertificate, kind: type[ServerConnection]
) -> None:
    two = pair(files, kind=kind)
    two.run()
    two.server._peer_cid_available.clear()
    two.server._peer_cid_sequence_numbers.add(90)
    assert frames(two, b"\x18\x40\x5a\x40\x5a\x08" + bytes(24)) == 0x0A
