"""What comes on a stream and in datagrams is one sequence, with text where its sender put it."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ClientFault, Reason
from gateway.webtransport.datagram_lane import DatagramLane, LaneRules
from gateway.webtransport.datagram_order import OrderCounts
from gateway.wire.audio_datagrams import encode_datagram, encode_mark
from gateway.wire.codec import encode_client
from gateway.wire.messages import AudioSpec, Finalize, Finish, Gap, KeepAlive, Start
from gateway.wire.stream_messages import AUDIO, MARK, TEXT
from tests.harness.waiting import until

if TYPE_CHECKING:
    from gateway.wire.codec import TextMessage

pytestmark = pytest.mark.unit

RULES = LaneRules(reorder_ms=30, reorder_datagrams=8)


def text(message: TextMessage) -> bytes:
    return encode_client(message).encode()


START = text(Start(audio=AudioSpec("mulaw", 8_000)))
FINISH = text(Finish())


class Heard:
    """A lane, and what came out of it."""

    def __init__(self, rules: LaneRules = RULES) -> None:
        self.messages: list[tuple[int, bytes]] = []
        self.faults: list[ClientFault] = []
        self.counts = OrderCounts()
        self.min_rtt_us: int | None = None
        self.lane = DatagramLane(
            rules,
            self.counts,
            lambda kind, payload: self.messages.append((kind, payload)),
            self.faults.append,
            lambda: self.min_rtt_us,
        )

    def start(self, start: bytes = START) -> None:
        self.lane.received(TEXT, start)
        assert self.messages.pop() == (TEXT, start)

    def datagram(self, sequence: int, sample: int, audio: bytes = b"") -> None:
        self.lane.datagram(encode_datagram(sequence, sample, audio))

    def mark(self, sequence: int, sample: int) -> None:
        self.lane.received(MARK, encode_mark(sequence, sample))


def gap(samples: int) -> tuple[int, bytes]:
    return TEXT, text(Gap(samples))


async def test_a_stream_alone_passes_as_it_is() -> None:
    heard = Heard()
    said = [(TEXT, START), (AUDIO, b"aa"), (AUDIO, b""), (TEXT, b"no json"), (TEXT, FINISH)]
    for kind, payload in said:
        heard.lane.received(kind, payload)
    assert heard.messages == said


async def test_datagrams_come_out_in_order_and_what_is_lost_as_a_gap() -> None:
    heard = Heard()
    heard.start()
    heard.datagram(0, 0, b"aa")
    heard.datagram(2, 4, b"cc")
    assert heard.messages == [(AUDIO, b"aa")]
    await until(lambda: len(heard.messages) == 3)
    assert heard.messages == [(AUDIO, b"aa"), gap(2), (AUDIO, b"cc")]
    heard.datagram(1, 2, b"bb")
    assert len(heard.messages) == 3
    assert heard.counts.late == 1


async def test_the_wait_follows_the_round_trip_of_the_connection_even_while_it_lasts() -> None:
    """The bound alone would be a minute."""
    heard = Heard(LaneRules(reorder_ms=60_000, reorder_datagrams=8))
    heard.start()
    heard.datagram(1, 2, b"bb")
    heard.min_rtt_us = 8_000
    heard.datagram(2, 4, b"cc")
    await until(lambda: len(heard.messages) == 3)
    assert heard.messages == [gap(2), (AUDIO, b"bb"), (AUDIO, b"cc")]
    heard.min_rtt_us = 4_000
    heard.datagram(4, 8, b"ee")
    await until(lambda: len(heard.messages) == 5)
    assert heard.messages[3:] == [gap(2), (AUDIO, b"ee")]


def test_what_comes_while_the_loop_is_busy_is_taken_before_anything_is_given_up() -> None:
    """The edge's loop rings its timers first when it was away, and reads then."""

    async def is_busy() -> None:
        heard = Heard(LaneRules(reorder_ms=20, reorder_datagrams=8))
        heard.start()
        heard.datagram(1, 2, b"bb")
        here, there = socket.socketpair()
        other_here, other_there = socket.socketpair()

        def is_busy_with_another() -> None:
            other_here.recv(1)
            there.send(b"x")
            time.sleep(0.1)  # that is what is meant

        with here, there, other_here, other_there:
            loop = asyncio.get_running_loop()
            loop.add_reader(here, lambda: (here.recv(1), heard.datagram(0, 0, b"aa")))
            loop.add_reader(other_here, is_busy_with_another)
            other_there.send(b"x")
            await until(lambda: len(heard.messages) >= 2)
            loop.remove_reader(here)
            loop.remove_reader(other_here)
        assert heard.messages == [(AUDIO, b"aa"), (AUDIO, b"bb")]

    uvloop.run(is_busy())


async def test_datagrams_that_overtake_the_start_wait_for_it() -> None:
    heard = Heard()
    heard.datagram(1, 2, b"bb")
    heard.datagram(0, 0, b"aa")
    assert heard.messages == []
    heard.lane.received(TEXT, START)
    assert heard.messages == [(TEXT, START), (AUDIO, b"aa"), (AUDIO, b"bb")]


async def test_no_more_of_them_wait_than_may_be_reordered() -> None:
    heard = Heard()
    for sequence in range(3 * RULES.reorder_datagrams):
        heard.datagram(sequence, sequence, b"a")
    heard.lane.received(TEXT, START)
    assert len(heard.messages) == 1 + RULES.reorder_datagrams


async def test_text_behind_a_mark_waits_for_the_audio_before_it() -> None:
    heard = Heard()
    heard.start()
    heard.mark(2, 4)
    heard.lane.received(TEXT, text(Finalize("a")))
    heard.datagram(1, 2, b"bb")
    heard.datagram(2, 4, b"cc")
    assert heard.messages == []
    assert heard.lane.held_bytes > 0
    heard.datagram(0, 0, b"aa")
    assert heard.messages == [(AUDIO, b"aa"), (AUDIO, b"bb"), (TEXT, text(Finalize("a"))), (AUDIO, b"cc")]
    assert heard.lane.held_bytes == 0


async def test_text_behind_a_mark_waits_no_longer_than_a_datagram_would() -> None:
    heard = Heard()
    heard.start()
    heard.mark(3, 6)
    heard.lane.received(TEXT, FINISH)
    await until(lambda: len(heard.messages) == 2)
    assert heard.messages == [gap(6), (TEXT, FINISH)]


async def test_several_marks_are_passed_one_after_the_other_however_many() -> None:
    heard = Heard()
    heard.start()
    many = 5_000
    for _ in range(many):
        heard.mark(1, 1)
        heard.lane.received(TEXT, text(KeepAlive()))
    heard.datagram(0, 0, b"a")
    assert heard.messages == [(AUDIO, b"a"), *[(TEXT, text(KeepAlive()))] * many]


async def test_text_without_a_mark_passes_what_waits() -> None:
    heard = Heard()
    heard.start()
    heard.datagram(1, 1, b"b")
    heard.lane.received(TEXT, text(KeepAlive()))
    assert heard.messages == [(TEXT, text(KeepAlive()))]


async def test_nothing_comes_out_of_a_lane_that_was_stopped() -> None:
    heard = Heard(LaneRules(reorder_ms=0, reorder_datagrams=8))
    heard.start()
    heard.mark(3, 6)
    heard.lane.received(TEXT, FINISH)
    before = list(heard.messages)
    heard.lane.stop()
    other = Heard(LaneRules(reorder_ms=0, reorder_datagrams=8))
    other.start()
    other.datagram(1, 1, b"b")
    await until(lambda: len(other.messages) == 2)
    assert heard.messages == before


# --- refusals -----------------------------------------------------------------------------------------------------


async def test_what_waits_goes_out_when_nothing_more_comes() -> None:
    heard = Heard()
    heard.lane.give_up_waiting()
    heard.start()
    heard.lane.give_up_waiting()
    heard.datagram(1, 2, b"bb")
    heard.datagram(0, 0, b"aa")  # so that from here on only time tells what is lost
    heard.messages.clear()
    heard.datagram(3, 6, b"dd")
    heard.mark(5, 10)
    heard.lane.received(TEXT, text(Finalize("a")))
    heard.datagram(6, 12, b"gg")
    heard.mark(7, 14)
    heard.lane.received(TEXT, FINISH)
    assert heard.messages == []
    heard.lane.give_up_waiting()
    assert heard.messages == [
        gap(2),
        (AUDIO, b"dd"),
        gap(2),
        (TEXT, text(Finalize("a"))),
        gap(2),
        (AUDIO, b"gg"),
        (TEXT, FINISH),
    ]
    heard.lane.stop()


async def test_audio_comes_either_way_and_never_both() -> None:
    heard = Heard()
    heard.start()
    heard.datagram(0, 0, b"aa")
    with pytest.raises(ClientFault) as refused:
        heard.lane.received(AUDIO, b"bb")
    assert refused.value.reason is Reason.unexpected_message
    heard = Heard()
    heard.start()
    heard.lane.received(AUDIO, b"aa")
    with pytest.raises(ClientFault) as refused:
        heard.datagram(0, 0, b"bb")
    assert refused.value.reason is Reason.unexpected_message


@pytest.mark.parametrize("is_early", [False, True])
async def test_a_container_in_datagrams_is_refused_and_says_what_could_come_so(*, is_early: bool) -> None:
    heard = Heard()
    start = text(Start(audio=AudioSpec("flac")))
    with pytest.raises(ClientFault, match="raw or `opus`") as refused:  # noqa: PT012  # either may raise
        if is_early:
            heard.datagram(0, 0, b"fLaC")
        heard.lane.received(TEXT, start)
        heard.datagram(0, 0, b"fLaC")
    assert refused.value.reason is Reason.unexpected_message


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"short", "at least 12 bytes"),
        (encode_datagram(0, 2**63, b"a"), "60 s"),
    ],
)
async def test_a_datagram_that_says_nothing_sensible_is_malformed(payload: bytes, says: str) -> None:
    heard = Heard()
    heard.start()
    with pytest.raises(ClientFault, match=says) as refused:
        heard.lane.datagram(payload)
    assert refused.value.reason is Reason.malformed_message


@pytest.mark.parametrize(
    ("start", "payload", "reason"),
    [
        (START, b"", Reason.malformed_message),
        (START, encode_mark(0, 0) + b"more", Reason.malformed_message),
        (None, encode_mark(0, 0), Reason.unexpected_message),
        (FINISH, encode_mark(0, 0), Reason.unexpected_message),
        (b"no json", encode_mark(0, 0), Reason.malformed_message),
    ],
)
async def test_a_mark_that_says_nothing_sensible_is_refused(
    start: bytes | None, payload: bytes, reason: Reason
) -> None:
    heard = Heard()
    if start is not None:
        heard.start(start)
    with pytest.raises(ClientFault) as refused:
        heard.lane.received(MARK, payload)
    assert refused.value.reason is reason


async def test_what_is_found_later_is_told_later() -> None:
    heard = Heard()
    heard.start()
    heard.datagram(2, 1, b"cc")
    heard.datagram(1, 1, b"bb")  # both begin where only one can
    await until(lambda: bool(heard.faults))
    assert heard.faults[0].reason is Reason.malformed_message


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("datagram"), st.binary(max_size=20)),
            st.tuples(st.sampled_from([TEXT, AUDIO, MARK]), st.one_of(st.binary(max_size=20), st.just(START))),
            st.builds(lambda a, b: (MARK, encode_mark(a, b)), st.integers(0, 9), st.integers(0, 99)),
            st.builds(
                lambda a, b, audio: ("datagram", encode_datagram(a, b, audio)),
                st.integers(0, 9),
                st.integers(0, 99),
                st.binary(max_size=9),
            ),
        ),
        max_size=30,
    )
)
async def test_any_bytes_give_messages_or_a_typed_refusal(steps: list[tuple[int | str, bytes]]) -> None:
    heard = Heard()
    reason = Reason.malformed_message
    try:
        for kind, payload in steps:
            if isinstance(kind, str):
                heard.lane.datagram(payload)
            else:
                heard.lane.received(kind, payload)
    except ClientFault as fault:
        reason = fault.reason
    heard.lane.stop()
    assert reason in (Reason.malformed_message, Reason.unexpected_message, Reason.message_too_large)
    for kind, payload in heard.messages:
        assert kind in (TEXT, AUDIO)
        if b'"gap"' in payload and (kind, payload) not in steps:
            assert msgspec.json.decode(payload, type=Gap).samples > 0
