"""A connection on the loop: one answer a turn, and every fault stays its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aioquic.quic.events import StreamDataReceived

from gateway import dev_certificates
from gateway.webtransport.quic.peer import Peer
from gateway.webtransport.quic.short_packets import ShortPacketConnection
from tests.harness.quic_pair import CLIENT, QuicPair, pair

if TYPE_CHECKING:
    from aioquic.quic.events import QuicEvent

    from gateway.webtransport.quic.addresses import Address

pytestmark = pytest.mark.unit


class Wheel:
    """Notes in how many seconds it is to call."""

    def __init__(self, timers: list[float]) -> None:
        self._timers = timers

    def call_at(self, at: float, timed: Any, now: float) -> None:
        self._timers.append(at - now)

    def forget(self, timed: Any) -> None:
        self._timers.clear()


class Host:
    """A listener that only notes what it is told."""

    def __init__(self) -> None:
        self.touched: list[Peer] = []
        self.sent: list[bytes] = []
        self.said: list[object] = []
        self.timers: list[float] = []
        self.user = User()
        self.wheel: Any = Wheel(self.timers)

    def flush_soon(self, peer: Peer) -> None:
        peer.is_touched = True
        self.touched.append(peer)

    def send(self, data: bytes, address: Address) -> None:
        self.sent.append(data)

    def id_issued(self, peer: Peer, connection_id: bytes) -> None:
        self.said.append("issued")

    def id_retired(self, peer: Peer, connection_id: bytes) -> None:
        self.said.append("retired")

    def handshake_finished(self, peer: Peer) -> Any:
        self.said.append("finished")
        return self.user

    def moved(self, peer: Peer, *, is_other_host: bool) -> None:
        self.said.append(("moved", is_other_host))

    def ended(self, peer: Peer, outcome: str) -> None:
        self.said.append(("ended", outcome))

    def forget(self, peer: Peer) -> None:
        self.said.append("forgotten")


class User:
    def __init__(self) -> None:
        self.events: list[QuicEvent] = []
        self.closed = 0
        self.news = 0
        self.fault: Exception | None = None

    def quic_event(self, event: QuicEvent) -> None:
        self.events.append(event)
        if self.fault is not None:
            raise self.fault

    def quic_sent(self) -> None:
        self.news += 1

    def quic_closed(self) -> None:
        self.closed += 1


class Call:
    """A client whose packets are given to a peer by hand."""

    def __init__(self, files: dev_certificates.DevCertificate) -> None:
        self.host = Host()
        self.two: QuicPair = pair(files, kind=ShortPacketConnection)
        self.peer = Peer(self.host, self.two.server, CLIENT, handshake_due=self.two.now + 10)
        for _ in range(6):
            self.exchange()
        assert "finished" in self.host.said

    def exchange(self) -> None:
        """All that is on its way, there and back, in one turn."""
        two = self.two
        two.now += 0.05
        for _, data, to_server in two.on_the_way:
            assert to_server
            self.peer.receive(data, CLIENT, two.now)
        two.on_the_way.clear()
        self.say()

    def say(self, address: Address = CLIENT) -> None:
        two = self.two
        for data, _ in two.client.datagrams_to_send(now=two.now):
            self.peer.receive(data, address, two.now)
        two.now += 0.05
        self.peer.flush(two.now)
        sent, self.host.sent = self.host.sent, []
        for data in sent:
            two.client.receive_datagram(data, ("192.0.2.2", 443), now=two.now)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dev_certificates.DevCertificate:
    return dev_certificates.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def call(files: dev_certificates.DevCertificate) -> Call:
    return Call(files)


def test_pieces_of_a_turn_are_one_event_and_one_answer(call: Call) -> None:
    call.two.client.send_stream_data(0, bytes(3_200))
    packets = call.two.client.datagrams_to_send(now=call.two.now)
    assert len(packets) == 3
    call.host.touched.clear()
    for data, _ in packets:
        call.peer.receive(data, CLIENT, call.two.now)
    assert call.host.touched == [call.peer]
    assert call.host.user.events == []
    call.peer.quic.send_stream_data(0, b"an answer")
    call.peer.flush(call.two.now)
    assert call.host.user.events == [StreamDataReceived(data=bytes(3_200), end_stream=False, stream_id=0)]
    assert len(call.host.sent) == 1


def test_streams_stay_apart_and_an_end_is_kept(call: Call) -> None:
    call.two.client.send_stream_data(0, b"a")
    call.two.client.send_stream_data(4, b"b", end_stream=True)
    call.say()
    assert [(event.stream_id, event.data, event.end_stream) for event in call.host.user.events] == [  # type: ignore[attr-defined]
        (0, b"a", False),
        (4, b"b", True),
    ]


def test_the_user_learns_when_what_was_sent_arrived(call: Call) -> None:
    call.two.client.send_stream_data(0, b"a")
    call.say()
    call.peer.quic.send_stream_data(0, b"an answer")
    assert call.peer.unsent_bytes(0) == 9
    before = call.host.user.news
    call.say()
    call.two.now += 0.1
    call.say()
    assert call.host.user.news > before
    assert call.peer.unsent_bytes(0) == 0


def test_the_user_is_told_the_shortest_round_trip(call: Call) -> None:
    assert call.peer.min_rtt_us == call.two.server.min_rtt_us
    assert call.peer.min_rtt_us is not None


def test_a_fault_of_the_user_ends_the_connection_in_order(call: Call) -> None:
    call.host.user.fault = RuntimeError("a fault")
    call.two.client.send_stream_data(0, b"a")
    call.two.client.send_stream_data(4, b"b")
    call.say()
    assert len(call.host.user.events) == 1
    assert call.two.client._close_event.error_code == 0x102
    assert call.host.user.closed == 1
    assert ("ended", "closed") in call.host.said
    call.two.now += 5
    call.peer.on_time(call.two.now)
    call.peer.flush(call.two.now)
    assert call.host.said[-1] == "forgotten"
    assert call.host.user.closed == 1


def test_an_id_that_aioquic_stumbles_over_ends_the_connection(call: Call) -> None:
    # It retires the only id of the client in favour of one that is known and not there: aioquic pops an empty list.
    call.two.server._peer_cid_available.clear()
    call.two.server._peer_cid_sequence_numbers.add(90)
    call.two.send_from_client(b"\x18\x40\x5a\x40\x5a\x08" + bytes(24))
    call.say()
    assert ("ended", "closed") in call.host.said


@pytest.mark.parametrize("where", ["receive_datagram", "datagrams_to_send", "handle_timer"])
def test_a_fault_of_the_library_ends_the_connection(call: Call, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def stumble(*_: Any, **__: Any) -> None:
        raise IndexError("pop from an empty list")

    monkeypatch.setattr(call.two.server, where, stumble)
    call.peer.receive(b"\x40" + bytes(60), CLIENT, call.two.now)
    call.peer.flush(call.two.now)
    call.peer.on_time(call.two.now + 99)
    assert call.host.said[-2:] == [("ended", "broken"), "forgotten"]
    assert call.host.user.closed == 1
    call.peer.receive(b"\x40" + bytes(60), CLIENT, call.two.now)
    call.peer.flush(call.two.now)
    call.peer.on_time(call.two.now + 99)
    assert call.host.said.count("forgotten") == 1


def test_a_close_of_ours_reaches_the_client_and_is_told_once(call: Call) -> None:
    call.peer.close(0x170D7B68, "enough")
    assert call.host.touched[-1] is call.peer
    call.say()
    assert call.two.client._close_event.reason_phrase == "enough"
    call.peer.drop("closing")
    assert call.host.user.closed == 1
    assert call.host.said.count("forgotten") == 1


def test_a_moved_client_is_followed_with_its_address(call: Call) -> None:
    for port, host, is_other in ((2_000, "192.0.2.1", False), (2_000, "192.0.2.9", True)):
        call.two.client.send_stream_data(0, b"from elsewhere")
        call.say((host, port))
        assert call.host.said[-1] == ("moved", is_other)
        assert call.peer.address == host


def test_an_unfinished_handshake_is_dropped_at_its_time(files: dev_certificates.DevCertificate) -> None:
    host = Host()
    two = pair(files, kind=ShortPacketConnection)
    peer = Peer(host, two.server, CLIENT, handshake_due=two.now + 1)
    assert peer.has_understood_nothing()
    peer.receive(two.on_the_way[0][1], CLIENT, two.now)
    peer.flush(two.now)
    assert not peer.has_understood_nothing()
    assert 0 < min(host.timers) <= 1
    peer.on_time(two.now + 0.001)
    peer.on_time(two.now + 1)
    assert host.said[-2:] == [("ended", "overdue"), "forgotten"]
