"""What is due for a tab, and what answers mean for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.limits.calls import Close, RefusedFor, Reply, Restore, Run, Status
from gateway.limits.tabs import Tab
from gateway.limits.turns import MAX_SLICES, TurnRules, cut_if_due, next_look_ms, next_request, restoring, take_reply
from gateway.metering.entries import Slice, TabLabels
from gateway.metering.journal_interface import JournaledTab
from gateway.session.credit import QuotaUpdate, UsedSoFar
from policies.plans import Level, WhenExhausted
from tests.harness.limited_gateway import limited, plan_of

pytestmark = pytest.mark.unit

LABELS = TabLabels("s1", "acme", "speech", "88fa0d759f845b47", "p", "audio_second", "0123456789ab", "here")
RULES = TurnRules(tick_ms=100, slice_ms=1_000, away_slice_ms=10_000, lease_ttl_ms=15_000, phase_ms_of=lambda _: 0)


class Session:
    def __init__(self) -> None:
        self.used = UsedSoFar(0, 0, wanted_us=500, least_us=0)
        self.news: list[QuotaUpdate] = []

    def use(self, compute_us: int, *, wanted_us: int, least_us: int | None = None) -> None:
        self.used = UsedSoFar(compute_us, compute_us, wanted_us, compute_us if least_us is None else least_us)

    def used_so_far(self) -> UsedSoFar:
        return self.used

    def quota_update(self, update: QuotaUpdate) -> None:
        self.news.append(update)


class Here:
    """A tab with its session, its clock and a journal that forgets."""

    def __init__(self, **limits: Any) -> None:
        self.now_ms = 0
        house: Any = self
        plan = plan_of(org_limits=limited(**limits) if limits else None)
        self.tab = Tab(LABELS, plan, house, QuotaUpdate(500))
        self.tab.renew_at_ms = 5_000
        self.session = Session()
        self.tab.attach(self.session, add_ons=())

    @property
    def journal(self) -> Here:
        return self

    def monotonic_ms(self) -> int:
        return self.now_ms

    def unix_ms(self) -> int:
        return 1_000

    def opened(self, *_: Any) -> None: ...
    def used(self, *_: Any) -> None: ...
    def over(self, *_: Any) -> None: ...
    def recorded(self, *_: Any, **__: Any) -> None: ...

    def due(self, now_ms: int, *, is_away: bool = False, num_sharing: int = 1) -> Any:
        self.now_ms = now_ms
        used = cut_if_due(self.tab, now_ms, RULES, is_away=is_away)
        return next_request(self.tab, used, now_ms, RULES, num_sharing=num_sharing)

    def answer(self, request: Any, *, now_ms: int = 0, **reply: Any) -> bool:
        reply = {"status": Status.ok} | reply
        return take_reply(self.tab, request, Reply(**reply), sent_at_ms=now_ms, rules=RULES)


def test_nothing_is_due_while_credit_lasts_and_the_slice_is_young() -> None:
    here = Here()
    here.session.use(100, wanted_us=600)
    assert here.due(900) is None


def test_a_slice_asks_for_credit_too_in_all_and_renews_the_lease() -> None:
    here = Here()
    here.session.use(100, wanted_us=650, least_us=120)
    assert here.due(1_000) == Run(
        LABELS, here.tab.plan, (Slice(0, 100, 100, 1_000, 1_000),), hold_us=550, least_hold_us=20, renews_lease=True
    )


def test_less_than_half_of_the_way_ahead_is_asked_for_without_waiting_for_a_slice() -> None:
    here = Here()
    here.session.use(300, wanted_us=800)
    assert here.due(200) == Run(LABELS, here.tab.plan, (), hold_us=800, least_hold_us=300, renews_lease=False)


def test_a_session_that_uses_nothing_is_written_down_when_its_lease_is_renewed() -> None:
    here = Here()
    assert here.due(4_999) is None
    request = here.due(5_000)
    assert (len(request.slices), request.renews_lease) == (1, True)
    here.answer(request, now_ms=5_010, settled=1, held_us=500)
    assert here.tab.renew_at_ms == 10_010


def test_while_redis_is_away_slices_are_longer() -> None:
    here = Here()
    here.session.use(100, wanted_us=600)
    cut_if_due(here.tab, 9_999, RULES, is_away=True)
    assert here.tab.pending == []
    cut_if_due(here.tab, 10_000, RULES, is_away=True)
    assert len(here.tab.pending) == 1


def test_credit_is_what_is_settled_and_held() -> None:
    here = Here()
    here.session.use(100, wanted_us=650)
    request = here.due(1_000)
    here.answer(request, settled=1, settled_us=100, held_us=550, remaining_us=9, level=Level.org)
    assert here.session.news == [QuotaUpdate(650, 9, Level.org, when_exhausted=WhenExhausted.throttle)]
    assert here.tab.pending == []


def test_after_a_refusal_the_session_is_told_when_and_asked_for_then() -> None:
    here = Here()
    here.session.use(500, wanted_us=1_000, least_us=600)
    request = here.due(500)
    here.answer(
        request,
        now_ms=500,
        status=Status.refused,
        held_us=500,
        refused_for=RefusedFor.compute,
        level=Level.org,
        retry_after_ms=2_000,
        remaining_us=0,
    )
    assert here.session.news == [QuotaUpdate(500, 0, Level.org, 2_000, WhenExhausted.throttle)]
    assert here.tab.is_waiting
    assert 2_500 <= here.tab.credit_at_ms <= 3_001


def test_where_little_is_left_each_asks_for_its_share() -> None:
    here = Here(per_s=1, burst=1)
    here.session.use(100, wanted_us=650)
    here.answer(here.due(1_000), settled=1, settled_us=100, held_us=400, remaining_us=100)
    here.session.use(400, wanted_us=1_000, least_us=430)
    here.tab.credit_at_ms = 0
    request = here.due(1_500, num_sharing=4)
    assert (request.hold_us, request.least_hold_us) == (425, 330)  # 400 held and a quarter of what is left


def test_no_more_is_asked_for_than_any_level_could_hold() -> None:
    here = Here(per_s=1, burst=0.0003)
    here.session.use(400, wanted_us=2_000, least_us=1_900)
    request = here.due(1_000)
    assert (request.hold_us, request.least_hold_us) == (300, 300)


def test_a_lost_tab_is_restored_from_the_journal_and_unlimited_until_then() -> None:
    here = Here()
    here.session.use(100, wanted_us=650)
    request = here.due(1_000)
    assert not here.answer(request, status=Status.unknown_tab)
    assert here.tab.needs_restore
    assert here.session.news == [QuotaUpdate(None)]
    known = JournaledTab(LABELS, here.tab.plan, 3, 30, 20, 10, [Slice(3, 1, 1, 1, 1), Slice(4, 1, 1, 1, 1)])
    restore = restoring(here.tab, known)
    assert restore == Restore(LABELS, here.tab.plan, 3, 30, 20, 10, tuple(known.slices), hold_us=0, is_over=False)
    here.answer(restore, settled=5, settled_us=32)
    assert not here.tab.needs_restore
    assert here.session.news == [QuotaUpdate(None)]  # credit comes with the next answer
    assert isinstance(here.due(1_100), Run)


def test_without_a_journal_what_is_not_settled_is_restored() -> None:
    here = Here()
    for number in range(3):
        here.session.use(100 * (number + 1), wanted_us=650)
        cut_if_due(here.tab, 1_000 * (number + 1), RULES, is_away=False)
    here.tab.settled(2)
    restore = restoring(here.tab, None)
    assert (restore.recorded, restore.compute_before_us, restore.connection_before_ms) == (2, 200, 2_000)
    assert [piece.number for piece in restore.slices] == [2]


def test_the_end_settles_what_is_left_and_is_forgotten_with_its_answer() -> None:
    here = Here()
    here.session.use(100, wanted_us=650)
    here.now_ms = 300
    here.tab.release()
    request = here.due(400)
    assert request == Close(LABELS, here.tab.plan, (Slice(0, 100, 100, 300, 1_000),))
    assert here.answer(request, settled=1, recorded=1, settled_us=100)


def test_what_waited_for_long_goes_in_parts_and_the_end_comes_last() -> None:
    here = Here()
    for number in range(MAX_SLICES + 5):
        here.session.use(number + 1, wanted_us=650)
        cut_if_due(here.tab, 1_000 * (number + 1), RULES, is_away=False)
    here.tab.release()
    first = here.due(200_000)
    assert isinstance(first, Run)
    assert len(first.slices) == MAX_SLICES
    assert not here.answer(first, settled=MAX_SLICES, settled_us=MAX_SLICES)
    last = here.due(200_100)
    assert isinstance(last, Close)
    assert len(last.slices) == 5
    known = JournaledTab(LABELS, here.tab.plan, slices=[Slice(number, 1, 1, 1, 1) for number in range(MAX_SLICES + 5)])
    assert not restoring(here.tab, known).is_over


def test_new_labels_go_with_the_next_request_and_until_they_were_taken() -> None:
    here = Here()
    here.tab.labels = msgspec.structs.replace(LABELS, add_ons=("numerals",))
    here.tab.has_new_labels = True
    request = here.due(100)
    assert request.has_new_labels
    assert request.labels.add_ons == ("numerals",)
    here.answer(request, held_us=500)
    assert not here.tab.has_new_labels


def test_a_session_that_ends_before_its_add_ons_were_told_tells_them_first() -> None:
    here = Here()
    here.tab.labels = msgspec.structs.replace(LABELS, add_ons=("numerals",))
    here.tab.has_new_labels = True
    here.session.use(100, wanted_us=650)
    here.now_ms = 50
    here.tab.release()
    first = here.due(60)
    assert isinstance(first, Run)
    assert (first.labels.add_ons, first.has_new_labels, first.hold_us) == (("numerals",), True, 0)
    assert not here.answer(first, settled=1, settled_us=100)
    assert isinstance(here.due(70), Close)


def test_who_spends_fast_is_looked_at_soon() -> None:
    here = Here()
    assert next_look_ms(here.tab, None, 1_000, RULES) == 1_500
    here.session.use(10, wanted_us=510)
    assert next_look_ms(here.tab, here.session.used, 1_000, RULES) == 1_500
    here.session.use(240, wanted_us=740)
    assert 1_100 <= next_look_ms(here.tab, here.session.used, 1_100, RULES) < 1_200


def test_all_sessions_of_an_org_cut_their_slices_together_and_orgs_at_different_times() -> None:
    rules = TurnRules(tick_ms=100, slice_ms=1_000, away_slice_ms=10_000, lease_ttl_ms=15_000)
    ends = {rules.next_cut_ms("acme", cut_at_ms) % 1_000 for cut_at_ms in range(0, 5_000, 37)}
    assert len(ends) == 1
    assert ends != {rules.next_cut_ms("beta", 0) % 1_000}
    for cut_at_ms in range(0, 5_000, 37):
        assert 500 <= rules.next_cut_ms("acme", cut_at_ms) - cut_at_ms <= 1_500, "a slice is too short or too long"
