"""Whatever becomes of datagrams on their way, the audio is what was sent, with gaps exactly where it is lost."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.datagram_order import DatagramOrder, Gap, OrderBroken, OrderCounts, OrderRules, Piece
from gateway.webtransport.reorder_window import CLEAN_LOSSES, PACKET_THRESHOLD

pytestmark = pytest.mark.unit

RATE_HZ = 8_000
REORDER_MS = 100
MOST = 4


def order_of(counts: OrderCounts | None = None, *, most: int = MOST, round_trip_us: int | None = None) -> DatagramOrder:
    """One byte a sample. Without a round trip, REORDER_MS is waited."""
    order = DatagramOrder(OrderRules(len, RATE_HZ, REORDER_MS, most), counts or OrderCounts())
    order.round_trip(round_trip_us)
    return order


def joined(pieces: list[Piece]) -> bytes:
    """A lost sample is a zero; no sample that was sent is one."""
    return b"".join(bytes(piece.samples) if isinstance(piece, Gap) else piece for piece in pieces)


@dataclass(frozen=True)
class Sent:
    """One datagram of a client. `skipped`: samples before it that the client never sent."""

    sequence: int
    first_sample: int
    audio: bytes


@st.composite
def sendings(draw: st.DrawFn) -> tuple[list[Sent], int]:
    """What a client sends, and where its audio ends."""
    sent, sample = [], 0
    for sequence in range(draw(st.integers(1, 12))):
        sample += draw(st.sampled_from([0, 0, 0, 0, 7]))
        audio = bytes([1 + sequence]) * draw(st.integers(1, 5))
        sent.append(Sent(sequence, sample, audio))
        sample += len(audio)
    return sent, sample


@given(sendings(), st.data())
def test_any_loss_reordering_and_doubling_gives_the_audio_with_gaps_where_it_is_lost(
    sending: tuple[list[Sent], int], data: st.DataObject
) -> None:
    sent, end_sample = sending
    copies = data.draw(st.lists(st.integers(0, 2), min_size=len(sent), max_size=len(sent)), label="copies")
    arriving = data.draw(st.permutations([one for one, times in zip(sent, copies, strict=True) for _ in range(times)]))
    pauses_ms = data.draw(st.lists(st.integers(0, REORDER_MS), min_size=len(arriving), max_size=len(arriving)))
    counts = OrderCounts()
    round_trips_us = st.none() | st.integers(1, 500_000)
    order = order_of(counts, most=data.draw(st.integers(1, 12), label="most"))
    now_ms, pieces = 0, []
    for one, pause_ms in zip(arriving, pauses_ms, strict=True):
        now_ms += pause_ms
        order.round_trip(data.draw(round_trips_us, label="round trip"))
        pieces += order.due(now_ms)
        pieces += order.datagram(now_ms, one.sequence, one.first_sample, one.audio)
    pieces += order.mark(now_ms, len(sent), end_sample)
    if order.is_marked:
        assert order.deadline_ms is not None
        assert order.deadline_ms <= now_ms + REORDER_MS
        pieces += order.due(now_ms + REORDER_MS)
    assert not order.is_marked
    assert order.deadline_ms is None
    whole = bytearray(end_sample)
    for one in sent:
        whole[one.first_sample : one.first_sample + len(one.audio)] = one.audio
    heard = joined(pieces)
    assert len(heard) == end_sample
    for one in sent:
        got = heard[one.first_sample : one.first_sample + len(one.audio)]
        assert got in (one.audio, bytes(len(one.audio))), "whole or not at all"
        if one.sequence not in {arrived.sequence for arrived in arriving}:
            assert got == bytes(len(one.audio))
    assert counts.taken + counts.late + counts.doubled == len(arriving)
    lost_samples = sum(piece.samples for piece in pieces if isinstance(piece, Gap))
    assert heard.count(0) == lost_samples
    assert counts.lost_us <= lost_samples * 1_000_000 // RATE_HZ
    assert all(not isinstance(left, Gap) or not isinstance(right, Gap) for left, right in itertools.pairwise(pieces))


@given(sendings(), st.data())
def test_what_only_changes_its_order_within_the_bounds_arrives_whole(
    sending: tuple[list[Sent], int], data: st.DataObject
) -> None:
    sent, end_sample = sending
    arriving = []
    for at in range(0, len(sent), PACKET_THRESHOLD):
        arriving += data.draw(st.permutations(sent[at : at + PACKET_THRESHOLD]))
    order = order_of(most=len(sent))
    pieces = [piece for one in arriving for piece in order.datagram(0, one.sequence, one.first_sample, one.audio)]
    whole = bytearray(end_sample)
    for one in sent:
        whole[one.first_sample : one.first_sample + len(one.audio)] = one.audio
    assert joined(pieces) == bytes(whole)
    assert order.deadline_ms is None


def test_in_order_nothing_waits() -> None:
    order = order_of()
    assert order.datagram(0, 0, 0, b"aa") == [b"aa"]
    assert order.datagram(0, 1, 2, b"bb") == [b"bb"]
    assert order.deadline_ms is None


def test_what_is_missing_is_waited_for_and_then_is_a_gap() -> None:
    counts = OrderCounts()
    order = order_of(counts)
    assert order.datagram(0, 0, 0, b"aa") == [b"aa"]
    assert order.datagram(10, 2, 4, b"cc") == []
    assert order.deadline_ms == 10 + REORDER_MS
    assert order.due(9 + REORDER_MS) == []
    assert order.due(10 + REORDER_MS) == [Gap(2), b"cc"]
    assert order.datagram(120, 1, 2, b"bb") == [], "it was given up"
    assert order.datagram(121, 2, 4, b"cc") == []
    assert counts == OrderCounts(
        taken=2, late=1, doubled=1, reordered=1, given_up=1, waited_ms=REORDER_MS, gaps=1, lost_us=250
    )


def test_more_than_may_wait_is_as_if_it_had_waited_for_too_long() -> None:
    order = order_of(most=2)
    assert order.datagram(0, 1, 1, b"b") == []
    assert order.datagram(0, 2, 2, b"c") == []
    assert order.datagram(0, 3, 3, b"d") == [Gap(1), b"b", b"c", b"d"]


def test_samples_that_the_client_skipped_are_a_gap_without_a_missing_number() -> None:
    order = order_of()
    assert order.datagram(0, 0, 5, b"a") == [Gap(5), b"a"]
    assert order.datagram(0, 1, 9, b"b") == [Gap(3), b"b"]


def test_a_second_copy_of_what_waits_is_dropped() -> None:
    counts = OrderCounts()
    order = order_of(counts)
    order.datagram(0, 1, 1, b"b")
    assert order.datagram(0, 1, 1, b"x") == []
    assert order.datagram(0, 0, 0, b"a") == [b"a", b"b"]
    assert counts.doubled == 1


# --- how long is waited ------------------------------------------------------------------------------------------

ROUND_TRIP_US = 40_000
WIDTH_MS = 10
"""A quarter of it."""


class Sending:
    """Datagrams of one sample each, numbered as they are sent; `waits` are those that overtook."""

    def __init__(self, *, round_trip_us: int = ROUND_TRIP_US) -> None:
        self.counts = OrderCounts()
        self.order = order_of(self.counts, most=64, round_trip_us=round_trip_us)
        self.heard: list[Piece] = []

    def come(self, *arrivals: tuple[int, int]) -> None:
        """When, and which. All that is due before goes out before."""
        for now_ms, sequence in arrivals:
            while (deadline_ms := self.order.deadline_ms) is not None and deadline_ms <= now_ms:
                self.heard += self.order.due(deadline_ms)
            self.heard += self.order.datagram(now_ms, sequence, sequence, b"x")

    @property
    def lost_samples(self) -> int:
        return sum(piece.samples for piece in self.heard if isinstance(piece, Gap))


def test_what_is_missing_is_waited_for_a_quarter_of_the_round_trip() -> None:
    sending = Sending()
    sending.come((0, 0), (20, 2))
    assert sending.order.deadline_ms == 20 + WIDTH_MS
    sending.come((40, 3))
    assert sending.heard == [b"x", Gap(1), b"x", b"x"]
    assert (sending.counts.given_up, sending.counts.waited_ms) == (1, WIDTH_MS)


def test_three_later_ones_at_once_show_a_loss_at_once() -> None:
    """As when the last of a burst is lost, and the next burst comes 100 ms later."""
    sending = Sending()
    sending.come((0, 0), (0, 1), (100, 3), (100, 4))
    assert sending.heard == [b"x"] * 2
    sending.come((100, 5))
    assert sending.heard == [b"x", b"x", Gap(1), b"x", b"x", b"x"]


def test_a_mark_waits_as_long_as_is_allowed_for_it_may_be_quicker_than_the_datagrams_before_it() -> None:
    sending = Sending()
    sending.come((0, 0))
    assert sending.order.mark(1, 4, 4) == []
    assert sending.order.deadline_ms == 1 + REORDER_MS
    sending.come((30, 2))
    assert sending.order.deadline_ms == 30 + WIDTH_MS, "a datagram waits no longer than ever"
    assert sending.order.due(30 + WIDTH_MS) == [Gap(1), b"x"]
    assert sending.order.due(1 + REORDER_MS) == [Gap(1)]
    assert not sending.order.is_marked


def test_what_comes_after_a_mark_was_passed_without_it_says_nothing_of_the_order_of_datagrams() -> None:
    sending = Sending()
    sending.order.mark(0, 1, 1)
    assert sending.order.due(REORDER_MS) == [Gap(1)]
    sending.come((REORDER_MS + 5, 0), (200, 2))
    assert sending.counts.late == 1
    assert sending.order.deadline_ms == 200 + WIDTH_MS


def test_a_network_that_reorders_loses_the_first_that_is_late_and_no_other() -> None:
    """Every fourth comes after the three that were sent behind it in its burst, 20 ms later than they."""
    sending = Sending()
    for burst in range(50):
        begin, sent_at_ms = 4 * burst, 100 * burst
        sending.come(*((sent_at_ms, begin + number) for number in (1, 2, 3)), (sent_at_ms + 20, begin))
    assert (sending.lost_samples, sending.counts.late) == (1, 1)
    assert len(sending.heard) == 200


def test_a_wait_that_was_learned_is_forgotten_after_losses_that_did_not_need_it() -> None:
    sending = Sending()
    sending.come((0, 0), (20, 2), (45, 1))  # 25 ms behind what overtook it
    sequence = 3
    waited_ms = []
    for now_ms in range(100, 100 + 100 * 3 * CLEAN_LOSSES, 100):
        before_ms = sending.counts.waited_ms
        sending.come((now_ms, sequence), (now_ms + 20, sequence + 2), (now_ms + 80, sequence + 3))
        waited_ms.append(sending.counts.waited_ms - before_ms)
        sequence += 4
    assert waited_ms == [30] * CLEAN_LOSSES + [20] * CLEAN_LOSSES + [10] * CLEAN_LOSSES


def test_a_second_copy_of_what_was_given_out_widens_nothing() -> None:
    sending = Sending()
    sending.come((0, 0), (0, 0), (20, 1), (30, 0))
    sending.come((40, 3))
    assert sending.order.deadline_ms == 40 + WIDTH_MS
    assert (sending.counts.doubled, sending.counts.late) == (2, 0)


def test_one_that_was_given_up_is_late_once_and_its_copies_are_doubles() -> None:
    sending = Sending()
    sending.come((0, 0), (20, 2), (35, 1), (36, 1))
    assert (sending.counts.late, sending.counts.doubled) == (1, 1)


def test_of_a_long_run_of_losses_only_so_many_are_remembered() -> None:
    order = order_of(round_trip_us=ROUND_TRIP_US)
    order.datagram(0, 4_000_000_000, 0, b"x")
    assert len(order._given_up) <= 64


@given(
    st.integers(1_000, 300_000),
    st.lists(st.tuples(st.booleans(), st.integers(0, REORDER_MS - 1)), min_size=1, max_size=60),
)
def test_disorder_within_what_may_be_waited_costs_little_and_ever_less(
    round_trip_us: int, fates: list[tuple[bool, int]]
) -> None:
    """One each 20 ms; some are late. No more are lost than while the wait grows, some at each step."""
    sending = Sending(round_trip_us=round_trip_us)
    arrivals = [
        (20 * number + (late_ms if is_late else 0), number)
        for number, (is_late, late_ms) in enumerate([*fates, (False, 0)])
    ]
    sending.come(*sorted(arrivals))
    while (deadline_ms := sending.order.deadline_ms) is not None:
        sending.heard += sending.order.due(deadline_ms)
    assert sending.lost_samples == sending.counts.late
    step_ms = max(2, round_trip_us // 4_000)
    assert sending.counts.late <= PACKET_THRESHOLD * (-(-REORDER_MS // step_ms))


# --- marks --------------------------------------------------------------------------------------------------------


def test_a_mark_is_passed_when_all_before_it_is_here() -> None:
    order = order_of()
    order.datagram(0, 0, 0, b"aa")
    assert order.mark(0, 2, 4) == []
    assert order.is_marked
    assert order.datagram(5, 1, 2, b"bb") == [b"bb"]
    assert not order.is_marked


def test_nothing_behind_a_mark_is_given_out_before_what_waits_there() -> None:
    order = order_of()
    assert order.mark(0, 1, 2) == []
    assert order.datagram(1, 1, 2, b"bb") == []
    assert order.datagram(2, 0, 0, b"aa") == [b"aa"]
    assert not order.is_marked
    assert order.due(2) == [b"bb"]


def test_what_does_not_come_before_a_mark_is_a_gap_that_ends_at_it() -> None:
    order = order_of()
    order.datagram(0, 0, 0, b"aa")
    order.datagram(0, 2, 4, b"cc")
    assert order.mark(50, 4, 8) == []
    assert order.due(50 + REORDER_MS) == [Gap(2), b"cc", Gap(2)]
    assert not order.is_marked


def test_all_may_be_lost_before_a_mark() -> None:
    order = order_of()
    assert order.mark(0, 3, 300) == []
    assert order.due(REORDER_MS) == [Gap(300)]


def test_a_mark_that_was_overtaken_holds_nothing_back() -> None:
    order = order_of()
    order.datagram(0, 0, 0, b"aa")
    order.datagram(0, 1, 2, b"bb")
    assert order.mark(0, 1, 2) == []
    assert not order.is_marked


def test_a_crowd_behind_a_mark_gives_up_what_is_before_it() -> None:
    order = order_of(most=1)
    assert order.mark(0, 1, 2) == []
    assert order.datagram(0, 1, 2, b"b") == []
    assert order.datagram(0, 2, 3, b"c") == [Gap(2)]
    assert not order.is_marked
    assert order.due(0) == [b"b", b"c"]


# --- what contradicts itself --------------------------------------------------------------------------------------


def test_places_that_go_back_are_refused() -> None:
    order = order_of()
    order.datagram(0, 0, 0, b"aaaa")
    with pytest.raises(OrderBroken, match="before the end"):
        order.datagram(0, 1, 3, b"b")
    order = order_of()
    order.datagram(0, 0, 0, b"aaaa")
    with pytest.raises(OrderBroken, match="before the end"):
        order.mark(0, 1, 3)


def test_a_leap_is_bounded() -> None:
    furthest = 60 * RATE_HZ
    assert order_of().datagram(0, 0, furthest, b"a") == [Gap(furthest), b"a"]
    with pytest.raises(OrderBroken, match="60 s"):
        order_of().datagram(0, 0, furthest + 1, b"a")
    with pytest.raises(OrderBroken, match="60 s"):
        order_of().mark(0, 0, furthest + 1)


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 2_000),
            st.one_of(st.integers(0, 30), st.integers(0, 2**32 - 1)),
            st.one_of(st.integers(0, 60), st.integers(0, 2**64 - 1)),
            st.binary(max_size=4),
        )
    ),
    st.none() | st.integers(1, 500_000),
)
def test_any_numbers_give_audio_or_are_refused_and_what_waits_is_bounded(
    steps: list[tuple[bool, int, int, int, bytes]],
    round_trip_us: int | None,
) -> None:
    order = order_of()
    now_ms = 0
    for is_mark, pause_ms, sequence, sample, audio in steps:
        now_ms += pause_ms
        try:
            order.round_trip(round_trip_us)
            order.due(now_ms)
            if is_mark:
                order.mark(now_ms, sequence, sample)
            else:
                order.datagram(now_ms, sequence, sample, audio)
        except OrderBroken:
            return
        assert len(order._waiting) <= MOST + 1
        assert len(order._given_up) <= 64
        deadline_ms = order.deadline_ms
        if not order.is_marked:
            try:
                order.due(now_ms)
            except OrderBroken:
                return
            deadline_ms = order.deadline_ms
        assert deadline_ms is None or now_ms < deadline_ms <= now_ms + REORDER_MS
