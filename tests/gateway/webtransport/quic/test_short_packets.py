"""The short way does what the general one does, whatever the network does to packets."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import dev_certificates
from gateway.webtransport.quic import short_packets
from gateway.webtransport.quic.server_connection import ServerConnection
from gateway.webtransport.quic.short_packets import KEPT_ACKNOWLEDGEMENTS, ShortPacketConnection
from tests.harness.quic_pair import pair, read

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dev_certificates.DevCertificate:
    return dev_certificates.make(tmp_path_factory.mktemp("certificate"))


def weather(seed: int, *, loss: float, doubled: float, late: float) -> Callable[[bytes, bool], list[float]]:
    dice = random.Random(seed)

    def fate(_data: bytes, _to_server: bool) -> list[float]:
        if dice.random() < loss:
            return []
        copies = [0.03 * dice.random() if dice.random() < late else 0.0]
        return copies * 2 if dice.random() < doubled else copies

    return fate


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.02, 0.2]),
    late=st.sampled_from([0.0, 0.3]),
    sizes=st.lists(st.integers(1, 9_000), min_size=1, max_size=12),
)
def test_everything_arrives_in_order_in_both_directions(
    files: dev_certificates.DevCertificate, seed: int, loss: float, late: float, sizes: list[int]
) -> None:
    two = pair(files, kind=ShortPacketConnection)
    two.run()
    fate = weather(seed, loss=loss, doubled=0.1, late=late)
    said, answered = b"", b""
    for number, size in enumerate(sizes):
        piece, answer = random.Random(seed + number).randbytes(size), random.Random(seed - number).randbytes(size // 9)
        two.client.send_stream_data(0, piece)
        two.server.send_stream_data(0, answer) if said else None
        answered += answer if said else b""
        said += piece
        two.client.send_datagram_frame(piece[:100])
        two.run(fate=fate, for_s=0.1)
    two.client.send_stream_data(0, b"", end_stream=True)
    two.run(fate=fate, for_s=3)
    two.run(for_s=5)
    assert read(two.server_events, 0) == said
    assert read(two.client_events, 0) == answered
    assert two.server._close_event is None
    assert two.client._close_event is None
    assert two.server.unsent_bytes(0) == 0


@pytest.mark.parametrize("has_moved", [False, True])
def test_most_of_a_call_goes_the_short_way(
    files: dev_certificates.DevCertificate, monkeypatch: Any, has_moved: bool
) -> None:
    general = {"received": 0, "sent": 0}
    received, sent = ServerConnection.receive_datagram, ServerConnection.datagrams_to_send

    def receive(self: Any, data: bytes, addr: Any, now: float) -> None:
        general["received"] += 1
        received(self, data, addr, now)

    def send(self: Any, now: float) -> Any:
        general["sent"] += 1
        return sent(self, now)

    two = pair(files, kind=ShortPacketConnection)
    two.client.send_stream_data(0, b"begun")
    two.run()
    if has_moved:
        two.client_address = ("192.0.2.9", 2_000)
        two.client.send_ping(1)
        two.run()
    monkeypatch.setattr(ServerConnection, "receive_datagram", receive)
    monkeypatch.setattr(ServerConnection, "datagrams_to_send", send)
    for number in range(100):
        two.client.send_stream_data(0, bytes(3_200))
        if number % 3 == 0:
            two.server.send_stream_data(0, bytes(300))
        two.run(for_s=0.1)
    assert read(two.server_events, 0) == b"begun" + bytes(320_000)
    assert general["received"] == 0
    assert general["sent"] < 20  # windows that slide


def test_a_key_update_of_the_client_is_followed(files: dev_certificates.DevCertificate) -> None:
    two = pair(files, kind=ShortPacketConnection)
    two.run()
    for _ in range(3):
        two.client.request_key_update()
        two.client.send_stream_data(0, b"under new keys;")
        two.run()
        two.server.send_stream_data(0, b"indeed;")
        two.run()
    assert read(two.server_events, 0) == b"under new keys;" * 3
    assert read(two.client_events, 0) == b"indeed;" * 3


@pytest.mark.parametrize("pieces", [[b"whole"], [b"in ", b"two"]])
def test_a_stream_that_ended_the_short_way_makes_room_for_another(
    files: dev_certificates.DevCertificate, pieces: list[bytes]
) -> None:
    two = pair(files, kind=ShortPacketConnection)
    two.run()
    two.client.send_stream_data(2, b"begun")
    two.run()
    limit = two.server._local_max_streams_uni.value
    for number, piece in enumerate(pieces):
        two.client.send_stream_data(2, piece, end_stream=number == len(pieces) - 1)
        two.run(for_s=0.2)
    assert list(two.server._streams) == []
    assert two.server._local_max_streams_uni.value == limit + 1


@pytest.mark.parametrize("acknowledges", [True, False])
def test_a_client_that_only_sends_makes_us_keep_little(
    files: dev_certificates.DevCertificate, acknowledges: bool
) -> None:
    """An honest one is asked now and then what it has; one that never says so is bounded all the same."""
    two = pair(files, kind=ShortPacketConnection)
    two.run()
    for _ in range(2_000):
        two.send_from_client(b"\x01")
        two.now += 0.03
        made = two.server.datagrams_to_send(now=two.now)
        if acknowledges:
            for data, _ in made:
                two.client.receive_datagram(data, ("192.0.2.2", 443), now=two.now)
            if two.client.get_timer() <= two.now + 0.03:
                for data, _ in two.client.datagrams_to_send(now=two.now + 0.03):
                    two.server.receive_datagram(data, two.client_address, now=two.now)
    space = two.server._space
    assert len(space.sent_packets) <= 3 * KEPT_ACKNOWLEDGEMENTS
    if acknowledges:
        assert two.server._packet_number - space.largest_acked_packet < 2 * KEPT_ACKNOWLEDGEMENTS
    assert two.server._loss.bytes_in_flight < 2_000


def test_keys_are_changed_before_they_wear_out(files: dev_certificates.DevCertificate, monkeypatch: Any) -> None:
    monkeypatch.setattr(short_packets, "PACKETS_A_KEY", 40)
    two = pair(files, kind=ShortPacketConnection)
    two.run()
    phases = set()
    for number in range(100):
        two.client.send_stream_data(0, b"%d;" % number)
        two.server.send_stream_data(0, b"%d," % number) if number else None
        two.run(for_s=0.1)
        phases.add(two.server._one_rtt.send.key_phase)
    assert phases == {0, 1}
    assert read(two.server_events, 0) == b"".join(b"%d;" % number for number in range(100))
    assert read(two.client_events, 0) == b"".join(b"%d," % number for number in range(1, 100))
