"""The heartbeat: journal first, one call for what is due of an org, every tab's turn, and nobody waits for anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.limits.calls import Close, Reply, Run, Status
from gateway.limits.metrics import LimiterMetrics
from gateway.limits.tabs import Tab, TabHouse
from gateway.limits.tick import Ticker
from gateway.limits.turns import TurnRules
from gateway.metering.entries import TabLabels
from gateway.metering.errors import JournalFailed
from gateway.redis_link.errors import AwayReason, RedisAway
from gateway.session.credit import QuotaUpdate
from tests.harness.limited_gateway import SpendingSession, plan_of
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.limits.calls import Request

pytestmark = pytest.mark.unit

RULES = TurnRules(tick_ms=1, slice_ms=100, away_slice_ms=1_000, lease_ttl_ms=3_000, phase_ms_of=lambda _: 0)


class Journal:
    """Commits when it is told to, or fails."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.may_commit = asyncio.Event()
        self.may_commit.set()
        self.failure: Exception | None = None

    def opened(self, *_: Any) -> None: ...
    def over(self, *_: Any) -> None: ...
    def recorded(self, *_: Any, **__: Any) -> None: ...

    def used(self, session_id: str, piece: Any) -> None:
        self.story.append("used")

    async def committed(self) -> None:
        await self.may_commit.wait()
        if self.failure is not None:
            raise self.failure
        self.story.append("committed")

    def tab(self, session_id: str) -> None:
        return None


class Calls:
    """A Redis that grants all, once it may answer."""

    def __init__(self, story: list[str]) -> None:
        self.story = story
        self.batches: list[tuple[str, Sequence[Request]]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failure: RedisAway | None = None

    async def many(self, batches: Sequence[tuple[str, Sequence[Request]]]) -> list[list[Reply] | RedisAway]:
        self.story.append("called")
        self.batches += batches
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return [[self._reply(request) for request in requests] for _, requests in batches]

    def _reply(self, request: Any) -> Reply:
        settled = request.slices[-1].number + 1 if request.slices else 0
        return Reply(Status.ok, settled=settled, held_us=getattr(request, "hold_us", 0))


class Presence:
    is_away = False

    def failed(self, away: RedisAway, org: str, *, began_at_ms: int) -> bool:
        is_news, self.is_away = not self.is_away, True
        return is_news


class Beating:
    def __init__(self) -> None:
        self.now_ms = 0
        self.journal = Journal()
        self.calls = Calls(self.journal.story)
        self.presence = Presence()
        self.registry = CollectorRegistry()
        parts: Any = (self.calls, self.presence)
        journal: Any = self.journal
        self.house = TabHouse(journal, lambda: self.now_ms, lambda: 0)
        self.ticker = Ticker(*parts, self.house, RULES, LimiterMetrics(self.registry), refresh_plan=lambda _: None)
        self.sessions: list[SpendingSession] = []

    def open(self, number: int, org: str = "acme") -> None:
        for _ in range(number):
            plan = plan_of(org)
            name = f"s{len(self.sessions)}"
            labels = TabLabels(name, org, "speech", plan.principal.key, "p", "audio_second", "0123456789ab", "here")
            tab = Tab(labels, plan, self.house, QuotaUpdate(100_000))
            tab.renew_at_ms = 1_000
            session = SpendingSession(tab)
            tab.attach(session, add_ons=())
            self.ticker.add(tab)
            self.sessions.append(session)

    def spend(self, compute_us: int = 1_000) -> None:
        for session in self.sessions:
            session.spend(compute_us)


async def test_what_is_settled_was_committed_to_the_journal_before() -> None:
    beating = Beating()
    beating.open(2)
    beating.spend()
    beating.now_ms = 100
    beating.journal.may_commit.clear()
    settling = asyncio.create_task(beating.ticker.settle(beating.ticker.gather()))
    await asyncio.sleep(0)
    assert beating.journal.story == ["used", "used"]
    beating.journal.may_commit.set()
    await settling
    assert beating.journal.story == ["used", "used", "committed", "called"]
    assert not any(session.tab.pending for session in beating.sessions)


@pytest.mark.parametrize("failure", [JournalFailed("enospc"), None])
async def test_a_disk_that_fails_or_takes_too_long_keeps_nobody_from_credit(failure: Exception | None) -> None:
    beating = Beating()
    beating.open(1)
    beating.spend()
    beating.now_ms = 100
    beating.journal.failure = failure
    if failure is None:
        beating.journal.may_commit.clear()  # for ever; a slice's time is waited
    await beating.ticker.settle(beating.ticker.gather())
    assert beating.journal.story == ["used", "called"]
    assert beating.registry.get_sample_value("patchbay_limiter_journal_failures_total") == 1


async def test_what_is_due_of_an_org_goes_in_one_call_with_that_of_others() -> None:
    beating = Beating()
    beating.open(3, "acme")
    beating.open(2, "beta")
    beating.spend()
    beating.now_ms = 100
    await beating.ticker.settle(beating.ticker.gather())
    assert [(org, len(requests)) for org, requests in beating.calls.batches] == [("acme", 3), ("beta", 2)]
    assert beating.journal.story.count("called") == 1


async def test_a_tab_has_one_request_under_way_at_most_and_others_do_not_wait_for_it() -> None:
    beating = Beating()
    beating.open(1)
    beating.spend()
    beating.now_ms = 100
    beating.calls.may_answer.clear()
    slow = asyncio.create_task(beating.ticker.settle(beating.ticker.gather()))
    await until(lambda: len(beating.calls.batches) == 1)
    beating.now_ms = 300
    beating.spend()
    assert beating.ticker.gather() == []
    beating.open(1)
    beating.spend()
    beating.now_ms = 500
    assert [tab.session_id for tab, _ in beating.ticker.gather()] == ["s1"]
    beating.calls.may_answer.set()
    await slow
    assert [tab.session_id for tab, _ in beating.ticker.gather()] == ["s0"]


async def test_where_more_is_due_than_a_tick_takes_each_has_its_turn() -> None:
    beating = Beating()
    beating.open(1_250)
    settled: dict[str, int] = {}
    for _ in range(10):
        beating.now_ms += 100
        beating.spend(1)
        due = beating.ticker.gather()
        assert len(due) <= 500
        for tab, _ in due:
            settled[tab.session_id] = settled.get(tab.session_id, 0) + 1
        await beating.ticker.settle(due)
    assert len(settled) == 1_250
    assert max(settled.values()) - min(settled.values()) <= 1


async def test_when_redis_goes_every_session_hears_that_no_limit_holds_and_nothing_is_lost() -> None:
    beating = Beating()
    beating.open(3)
    beating.spend()
    beating.now_ms = 100
    beating.calls.failure = RedisAway(AwayReason.unreachable)
    await beating.ticker.settle(beating.ticker.gather())
    assert beating.ticker.gather() == []
    assert all(session.is_unlimited for session in beating.sessions)
    assert all(len(session.tab.pending) == 1 for session in beating.sessions)

    beating.calls.failure, beating.presence.is_away = None, False
    beating.sessions[0].tab.release()
    beating.ticker.look_at_all()
    due = beating.ticker.gather()
    assert sorted(type(request).__name__ for _, request in due) == ["Close", "Run", "Run"]
    await beating.ticker.settle(due)
    assert sorted(beating.ticker.tabs) == ["s1", "s2"]
    assert not any(session.is_unlimited for session in beating.sessions[1:])


async def test_the_longest_without_news_of_credit_is_asked_for_first() -> None:
    beating = Beating()
    beating.open(3)
    for session, raised_at_ms in zip(beating.sessions, (30, 10, 20), strict=True):
        session.tab.raised_at_ms = raised_at_ms
    beating.spend()
    beating.now_ms = 100
    await beating.ticker.settle(beating.ticker.gather())
    ((_, requests),) = beating.calls.batches
    assert [request.labels.session_id for request in requests if isinstance(request, Run | Close)] == ["s1", "s2", "s0"]


async def test_the_beat_goes_on_by_itself_and_ends_when_it_is_cancelled() -> None:
    beating = Beating()
    beating.open(1)
    running = asyncio.create_task(beating.ticker.run())
    beating.spend()
    beating.now_ms = 150
    await until(lambda: beating.calls.batches != [])
    beating.sessions[0].tab.release()
    await beating.ticker.flush()
    assert beating.ticker.tabs == {}
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
