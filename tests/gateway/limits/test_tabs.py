"""A tab: slices without a gap that add up to what its session used, and the plan's greatest hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.tabs import Tab, TabHouse, burst_us
from gateway.metering.entries import Slice, TabLabels
from gateway.metering.journal_interface import JournaledTab
from gateway.session.credit import QuotaUpdate, UsedSoFar
from policies.plans import MICRO
from tests.harness.limited_gateway import limited, plan_of

if TYPE_CHECKING:
    from policies.plans import CallerPlan

pytestmark = pytest.mark.unit

LABELS = TabLabels("s1", "acme", "speech", "88fa0d759f845b47", "p", "audio_second", "0123456789ab", "here")


@dataclass
class Journal:
    """Remembers what it was told; and the clocks, which a test sets."""

    lines: list[Any] = field(default_factory=list)
    now_ms: int = 0
    unix_ms: int = 1_000_000

    def opened(self, labels: TabLabels, plan: CallerPlan) -> None:
        self.lines.append(("opened", labels.add_ons))

    def used(self, session_id: str, piece: Slice) -> None:
        self.lines.append(piece)

    def over(self, session_id: str) -> None:
        self.lines.append("over")

    def recorded(self, session_id: str, before: int, **_cuts: int) -> None:
        self.lines.append(("recorded", before))

    def house(self) -> TabHouse:
        return TabHouse(self, lambda: self.now_ms, lambda: self.unix_ms)  # type: ignore[arg-type]


class Session:
    def __init__(self) -> None:
        self.compute_us = self.audio_ms = 0
        self.news: list[QuotaUpdate] = []

    def used_so_far(self) -> UsedSoFar:
        return UsedSoFar(self.compute_us, self.audio_ms, wanted_us=self.compute_us, least_us=self.compute_us)

    def quota_update(self, update: QuotaUpdate) -> None:
        self.news.append(update)


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 2_000), st.integers(0, 900), st.integers(-500, 900))))
def test_slices_add_up_to_what_was_used_whatever_clocks_do(steps: list[tuple[int, int, int, int]]) -> None:
    journal, session = Journal(), Session()
    tab = Tab(LABELS, plan_of(), journal.house())
    journal.now_ms = attached_at_ms = 77
    tab.attach(session, add_ons=())
    for compute_us, audio_ms, elapsed_ms, clock_ms in steps:
        session.compute_us += compute_us
        session.audio_ms += audio_ms
        journal.now_ms += elapsed_ms
        journal.unix_ms += clock_ms
        tab.cut(session.used_so_far(), journal.now_ms)
    session.compute_us += 1
    tab.release()
    slices = [line for line in journal.lines if isinstance(line, Slice)]
    assert slices == tab.pending
    assert [piece.number for piece in slices] == list(range(len(slices)))
    assert sum(piece.compute_us for piece in slices) == session.compute_us
    assert sum(piece.audio_ms for piece in slices) == session.audio_ms
    assert sum(piece.connection_ms for piece in slices) == journal.now_ms - attached_at_ms
    assert [piece.at_ms for piece in slices] == sorted(piece.at_ms for piece in slices)
    assert journal.lines[-1] == "over"


def test_a_released_tab_is_released_once_and_one_that_was_never_attached_writes_nothing() -> None:
    journal, session = Journal(), Session()
    Tab(LABELS, plan_of(), journal.house()).release()
    assert journal.lines == []
    tab = Tab(LABELS, plan_of(), journal.house())
    tab.attach(session, add_ons=("numerals",))
    tab.release()
    tab.release()
    assert journal.lines == [("opened", ("numerals",)), "over"]
    assert tab.has_new_labels
    with pytest.raises(RuntimeError):
        tab.attach(session, add_ons=())


def test_what_is_settled_is_pending_no_more_and_what_is_recorded_is_journaled_once() -> None:
    journal, session = Journal(), Session()
    tab = Tab(LABELS, plan_of(), journal.house())
    tab.attach(session, add_ons=())
    for _ in range(3):
        tab.cut(session.used_so_far(), 0)
    tab.settled(2)
    assert [piece.number for piece in tab.pending] == [2]
    tab.set_recorded(2)
    tab.set_recorded(1)
    assert journal.lines[-1] == ("recorded", 2)


def test_news_between_the_place_and_the_session_reaches_it() -> None:
    journal, session = Journal(), Session()
    tab = Tab(LABELS, plan_of(), journal.house(), QuotaUpdate(5))
    tab.tell(QuotaUpdate(None))
    tab.attach(session, add_ons=())
    assert session.news == [QuotaUpdate(None)]


def test_a_tab_of_an_earlier_process_is_over_and_lacks_nothing_that_is_in_the_journal() -> None:
    tab = Tab(LABELS, plan_of(), Journal().house())
    left = [Slice(7, 10, 20, 30, 40), Slice(8, 1, 2, 3, 50)]
    tab.take_over(JournaledTab(LABELS, plan_of(), 7, 100, 200, 300, left))
    assert (tab.is_over, tab.needs_restore, tab.next_number, tab.pending) == (True, True, 9, left)
    assert (tab.compute_us, tab.audio_ms, tab.connection_ms) == (111, 222, 333)


def test_the_greatest_hold_is_the_least_burst_that_is_not_in_shadow() -> None:
    assert burst_us(plan_of(org_limits=limited(per_s=1, burst=5), key_limits=limited(per_s=1, burst=3))) == 3 * MICRO
    shadow = limited(per_s=1, burst=3, is_shadow=True)
    assert burst_us(plan_of(org_limits=limited(per_s=1, burst=5), key_limits=shadow)) == 5 * MICRO
    assert burst_us(plan_of(org_limits=limited(max_sessions=5))) is None
    tab = Tab(LABELS, plan_of(), Journal().house())
    tab.set_plan(plan_of(org_limits=limited(max_sessions=5)))
    assert not tab.is_limited
    assert tab.labels is LABELS
