"""Sessions over real QUIC on both sides, in memory: what they carry and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.webtransport.http3 import capsules, drafts
from gateway.webtransport.http3.capsules import CapsuleReader, CloseCapsule
from gateway.webtransport.http3.session import MAX_UNSENT_DATAGRAMS
from gateway.wire.stream_messages import AUDIO, TEXT, encode
from tests.harness.waiting import until
from tests.harness.webtransport_door import HeardSession
from tests.harness.webtransport_session import CONNECT, Connection, OpenSession

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit

LOST = ("closed", None, "")


def last_words(session: OpenSession) -> list[capsules.Capsule]:
    reader = CapsuleReader()
    return reader.feed(session.connect_bytes())


async def eventually(session: OpenSession, condition: Callable[[], bool]) -> None:
    """Deadlines are of the real clock."""

    def holds() -> bool:
        session.pair.run(for_s=0.02)
        return condition()

    await until(holds)


async def test_messages_go_both_ways_in_their_order() -> None:
    session = OpenSession()
    session.send(encode(TEXT, b"start") + encode(AUDIO, bytes(5_000)) + encode(TEXT, b"finish"))
    assert session.heard.events == [(TEXT, b"start"), (AUDIO, bytes(5_000)), (TEXT, b"finish")]
    for text in (b"one", b"two" * 2_000, b"three"):
        session.heard.session.send(TEXT, text)
    session.run()
    assert session.received() == encode(TEXT, b"one") + encode(TEXT, b"two" * 2_000) + encode(TEXT, b"three")


async def test_messages_survive_the_loss_of_every_fifth_packet() -> None:
    session = OpenSession(loss=0.2, seed=7)
    sent = [(AUDIO, bytes([index]) * 3_200) for index in range(20)]
    for kind, payload in sent:
        session.send(encode(kind, payload))
        session.heard.session.send(TEXT, payload[:200])
    session.run(for_s=20.0)
    assert session.heard.events == sent
    assert session.received() == b"".join(encode(TEXT, payload[:200]) for _, payload in sent)


async def test_what_is_sent_before_the_client_opened_its_stream_is_kept_back() -> None:
    session = OpenSession(opens_stream=False)
    session.heard.session.send(TEXT, b"early")
    assert session.heard.session.unsent_bytes == 9
    session.send(b"")
    assert session.received() == encode(TEXT, b"early")
    assert session.heard.session.unsent_bytes == 0


async def test_the_listener_hears_when_what_it_sent_was_acknowledged() -> None:
    session = OpenSession()
    session.pair.is_cut = True
    session.heard.session.send(TEXT, bytes(10_000))
    assert session.heard.session.unsent_bytes == 10_004
    calls = session.heard.sent_calls
    session.pair.is_cut = False
    session.run(for_s=5.0)
    assert session.heard.session.unsent_bytes == 0
    assert session.heard.sent_calls > calls


async def test_datagrams_go_both_ways() -> None:
    session = OpenSession()
    session.client.http3.send_datagram(session.stream_id, b"\x00\x01audio")
    session.run()
    assert session.heard.events == [("datagram", b"\x00\x01audio")]
    assert session.heard.session.send_datagram(b"back")
    session.run()
    assert session.datagrams() == [b"back"]


async def test_the_connections_shortest_round_trip_is_told() -> None:
    session = OpenSession()
    assert session.heard.session.min_rtt_us == session.pair.peer.min_rtt_us
    assert session.heard.session.min_rtt_us is not None


async def test_a_datagram_that_fits_no_packet_is_not_sent() -> None:
    session = OpenSession()
    assert not session.heard.session.send_datagram(bytes(1_400))
    assert session.heard.session.send_datagram(b"small")
    session.run()
    assert session.datagrams() == [b"small"]


async def test_only_so_many_datagrams_wait_for_their_turn() -> None:
    session = OpenSession()
    session.pair.is_cut = True
    sent = [session.heard.session.send_datagram(b"x") for _ in range(MAX_UNSENT_DATAGRAMS + 1)]
    assert sent == [True] * MAX_UNSENT_DATAGRAMS + [False]


async def test_pausing_holds_the_stream_that_the_client_opens_later_too() -> None:
    session = OpenSession(opens_stream=False)
    session.heard.session.pause()
    session.send(b"")
    assert session.pair.peer.paused == {session.message_stream_id}
    session.heard.session.resume()
    assert session.pair.peer.paused == set()
    session.heard.session.pause()
    assert session.pair.peer.paused == {session.message_stream_id}


# How it ends.


async def test_a_client_that_read_everything_hears_code_and_reason_at_once() -> None:
    session = OpenSession()
    session.heard.session.send(TEXT, b"last")
    session.heard.session.close(4_409, "because é")
    session.run()
    assert session.received() == encode(TEXT, b"last")
    assert session.client.is_ended(session.message_stream_id)
    assert last_words(session) == [], "the client may still be reading"
    session.send(b"", end=True)
    assert last_words(session) == [CloseCapsule(4_409, "because é")]
    assert session.client.is_ended(session.stream_id)
    session.run()
    assert session.heard.events == [LOST]


async def test_a_client_that_does_not_say_so_hears_them_a_little_later() -> None:
    session = OpenSession(farewell_ms=30)
    session.heard.session.close(4_294_967_295, "x" * 2_000)
    await eventually(session, lambda: bool(last_words(session)))
    assert last_words(session) == [CloseCapsule(4_294_967_295, "x" * 1_024)]
    assert session.client.stops() == {session.message_stream_id: drafts.SESSION_GONE}
    await eventually(session, lambda: session.heard.events == [LOST])


async def test_a_client_that_ended_its_half_before_may_still_read() -> None:
    session = OpenSession(farewell_ms=30)
    session.send(encode(TEXT, b"finish"), end=True)
    session.heard.session.send(TEXT, b"ended")
    session.heard.session.close(1_000, "finished")
    session.run()
    assert session.received() == encode(TEXT, b"ended")
    assert last_words(session) == []
    await eventually(session, lambda: last_words(session) == [CloseCapsule(1_000, "finished")])
    assert session.heard.events == [(TEXT, b"finish"), ("finished_sending",), LOST]


async def test_nothing_is_cut_off_by_a_close_even_when_packets_are_lost() -> None:
    session = OpenSession(loss=0.25, seed=3, close_wait_ms=60_000)
    texts = [bytes([65 + index]) * 4_000 for index in range(10)]
    for text in texts:
        session.heard.session.send(TEXT, text)
    session.heard.session.close(4_503, "no_capacity")
    session.run(for_s=20.0)
    assert session.received() == b"".join(encode(TEXT, text) for text in texts)
    session.send(b"", end=True)
    session.run(for_s=5.0)
    assert last_words(session) == [CloseCapsule(4_503, "no_capacity")]


async def test_a_client_that_does_not_read_is_not_waited_for_longer_than_is_allowed() -> None:
    session = OpenSession(close_wait_ms=30, client_reads_bytes=1_000)
    session.heard.session.send(TEXT, bytes(50_000))
    session.heard.session.close(4_429, "client_too_slow")
    session.run()
    assert last_words(session) == []
    await eventually(session, lambda: last_words(session) == [CloseCapsule(4_429, "client_too_slow")])
    assert session.client.resets() == {session.message_stream_id: drafts.SESSION_GONE}
    await eventually(session, lambda: session.heard.events == [LOST])


async def test_a_refusal_waits_for_the_stream_on_which_it_is_explained() -> None:
    session = OpenSession(opens_stream=False)
    session.heard.session.send(TEXT, b"token_missing")
    session.heard.session.close(4_401, "token_missing")
    session.run()
    assert last_words(session) == []
    session.send(encode(TEXT, b"start"), end=True)
    assert session.received() == encode(TEXT, b"token_missing")
    assert last_words(session) == [CloseCapsule(4_401, "token_missing")]
    assert session.heard.events == [LOST]


async def test_a_client_without_a_stream_hears_at_least_the_code() -> None:
    session = OpenSession(opens_stream=False, early_wait_ms=30)
    session.heard.session.send(TEXT, b"token_missing")
    session.heard.session.close(4_401, "token_missing")
    await eventually(session, lambda: last_words(session) == [CloseCapsule(4_401, "token_missing")])


async def test_with_nothing_to_say_a_close_waits_for_no_stream() -> None:
    session = OpenSession(opens_stream=False)
    session.heard.session.close(7, "bye")
    session.run()
    assert last_words(session) == [CloseCapsule(7, "bye")]


async def test_the_code_and_reason_of_a_client_are_heard() -> None:
    session = OpenSession()
    session.capsules(capsules.encode_close(77, "bye"), end=True)
    assert session.heard.events == [("closed", 77, "bye")]
    assert session.client.is_ended(session.stream_id)
    assert session.client.resets() == {session.message_stream_id: drafts.SESSION_GONE}
    assert session.stream_id not in session.client.resets()


async def test_a_client_may_close_without_a_code() -> None:
    session = OpenSession()
    session.capsules(b"", end=True)
    assert session.heard.events == [LOST]
    assert session.client.is_ended(session.stream_id)


async def test_a_client_may_end_its_request_with_its_head() -> None:
    connection = Connection()
    stream_id = connection.ask(CONNECT, end=True)
    assert connection.door.sessions[0].events == [LOST]
    assert connection.answer_to(stream_id)[b":status"] == b"200"
    assert connection.client.is_ended(stream_id)


async def test_a_client_may_end_its_request_with_trailers() -> None:
    session = OpenSession()
    session.client.http3.send_headers(session.stream_id, [(b"x", b"y")], end_stream=True)
    session.run()
    assert session.heard.events == [LOST]
    assert session.client.is_ended(session.stream_id)


async def test_a_client_may_reset_its_request() -> None:
    session = OpenSession()
    session.client.quic.reset_stream(session.stream_id, 0x10C)
    session.run()
    assert session.heard.events == [LOST]


async def test_a_client_that_reads_the_request_s_answer_no_more_has_left() -> None:
    session = OpenSession()
    session.client.quic.stop_stream(session.stream_id, drafts.SESSION_GONE)
    session.run()
    assert session.heard.events == [LOST]


async def test_a_lost_connection_ends_its_sessions() -> None:
    session = OpenSession()
    session.client.quic.close(error_code=0x100)
    session.run(for_s=3.0)
    assert session.heard.events == [LOST]


async def test_a_silent_client_is_lost_when_the_connection_has_been_idle() -> None:
    session = OpenSession()
    session.pair.is_cut = True
    session.heard.session.close(4_408, "idle_timeout")
    session.run(for_s=40.0)
    assert session.heard.events == [LOST]


async def test_both_may_close_at_once_and_the_end_comes_once() -> None:
    session = OpenSession()
    session.heard.session.close(4_400, "ours")
    session.heard.session.close(4_401, "again")
    session.capsules(capsules.encode_close(5, "theirs"), end=True)
    session.run()
    assert session.heard.events == [("closed", 5, "theirs")]
    session.heard.session.close(4_402, "late")
    session.heard.session.send(TEXT, b"late")
    assert not session.heard.session.send_datagram(b"late")
    session.run()
    assert session.heard.ends == [("closed", 5, "theirs")]


async def test_after_a_close_nothing_more_is_heard_of_the_client() -> None:
    session = OpenSession()
    session.heard.session.close(4_400, "malformed_message")
    session.send(encode(TEXT, b"late"))
    session.client.http3.send_datagram(session.stream_id, b"late")
    session.run()
    assert session.heard.events == []


async def test_a_listener_may_close_while_it_is_told_of_a_message() -> None:
    session = OpenSession()

    class Closing(HeardSession):
        def received(self, kind: int, payload: bytes) -> None:
            super().received(kind, payload)
            self.session.close(4_400, "enough")

    heard = Closing(session.heard.session)
    session.heard.session.listen(heard)
    session.send(encode(TEXT, b"one") + encode(TEXT, b"two") + b"\x09\x00\x00\x00", end=True)
    assert heard.events == [(TEXT, b"one")]


async def test_a_client_that_does_not_take_the_last_word_is_not_waited_for() -> None:
    session = OpenSession(opens_stream=False, close_wait_ms=30)
    session.pair.is_cut = True
    session.heard.session.close(7, "bye")
    session.run()
    assert session.heard.events == []
    await eventually(session, lambda: session.heard.events == [LOST])
    assert session.client.closed is None, "the connection itself has not been idle for long enough"


# What is wrong with what came.


@pytest.mark.parametrize(
    ("data", "ends", "heard"),
    [
        (b"\x09\x00\x00\x01x", False, ("broken", "a message on the stream has a kind that is not known")),
        (encode(AUDIO, bytes(10_001)), False, ("too_large",)),
        (encode(TEXT, b"half")[:5], True, ("broken", "the stream ended within a message")),
    ],
)
async def test_a_broken_stream_is_told_once_after_the_messages_before_it(
    data: bytes, ends: bool, heard: tuple[object, ...]
) -> None:
    session = OpenSession()
    session.send(encode(TEXT, b"good") + data, end=ends)
    if not ends:
        session.send(encode(TEXT, b"after"))
    assert session.heard.events == [(TEXT, b"good"), heard]


async def test_the_end_of_the_client_s_half_is_told_once() -> None:
    session = OpenSession()
    session.send(encode(TEXT, b"finish"), end=True)
    assert session.heard.events == [(TEXT, b"finish"), ("finished_sending",)]


async def test_a_reset_of_the_client_s_half_is_its_end() -> None:
    session = OpenSession()
    session.send(encode(TEXT, b"half")[:5])
    session.client.quic.reset_stream(session.message_stream_id, drafts.wire_error(3))
    session.run()
    assert session.heard.events == [("finished_sending",)]


async def test_a_client_that_does_not_read_its_messages_is_told_by_the_code() -> None:
    session = OpenSession()
    session.client.quic.stop_stream(session.message_stream_id, drafts.wire_error(3))
    session.run()
    assert session.heard.events == [("broken", "the client stopped reading the session's stream")]
    session.heard.session.send(TEXT, b"into the void")
    session.heard.session.close(4_400, "malformed_message")
    session.run()
    assert last_words(session) == [CloseCapsule(4_400, "malformed_message")]


async def test_a_client_that_stops_reading_before_it_sends_is_told_as_well() -> None:
    session = OpenSession(opens_stream=False)
    stream_id = session.client.open_stream(session.stream_id, encode(TEXT, b"start"))
    session.client.quic.stop_stream(stream_id, drafts.wire_error(3))
    session.run()
    assert session.heard.events == [("broken", "the client stopped reading the session's stream")]


async def test_a_client_that_stops_reading_before_it_hears_why_hears_the_code_at_once() -> None:
    session = OpenSession(opens_stream=False)
    session.heard.session.send(TEXT, b"token_missing")
    session.heard.session.close(4_401, "token_missing")
    stream_id = session.client.open_stream(session.stream_id, b"")
    session.client.quic.stop_stream(stream_id, drafts.wire_error(3))
    session.run()
    assert last_words(session) == [CloseCapsule(4_401, "token_missing")]


async def test_a_broken_capsule_is_told_and_unknown_ones_are_not() -> None:
    session = OpenSession()
    session.capsules(b"\x21\x05hello" + capsules.encode_drain() + capsules.encode_limit(capsules.MAX_DATA, 5))
    assert session.heard.events == []
    session.capsules(b"\x68\x43\x00")
    assert [event[0] for event in session.heard.events] == ["broken"]


async def test_the_request_s_path_and_headers_are_what_the_client_sent() -> None:
    session = OpenSession(headers=[(b"origin", b"https://app.example"), (b"authorization", b"Bearer x")])
    request = session.heard.session.request
    assert request.path == dict(CONNECT)[b":path"].decode()
    assert request.origin == "https://app.example"
    assert ("authorization", "Bearer x") in request.headers
    assert request.address == "192.0.2.7"
