"""The search for an engine: at once, then ever later, and not for ever."""

from __future__ import annotations

import pytest

from engines.interface import LossReason, MoveReason, RefusalReason, Refused
from gateway.errors import Reason
from gateway.session.limits import SessionLimits
from gateway.session.search import NEVER_MS, EngineSearch, InVain
from gateway.session.slowness import SlownessLimits
from policies.backpressure import HoldingLimits
from policies.failover import RecoveryLimits

pytestmark = pytest.mark.unit

LIMITS = SessionLimits(
    idle_ms=30_000,
    session_ms=1_000_000,
    ending_grace_ms=5_000,
    liveness_ms=2_000,
    stall_samples=1_600,
    opening_ms=700,
    least_audio_samples=1,
    pending_cuts=3,
    holding=HoldingLimits(low_water_samples=8_000, high_water_samples=16_000, capacity_samples=32_000),
    recovery=RecoveryLimits(first_delay_ms=100, max_delay_ms=400, timeout_ms=1_000, max_losses=2),
    slowness=SlownessLimits(after_ms=2_000, move_within_ms=3_000, rest_ms=20_000),
)


def make() -> EngineSearch:
    return EngineSearch(LIMITS, jitter_permille=999, now_ms=0)


def test_the_first_try_is_at_once_and_later_ones_wait_longer() -> None:
    search = make()
    assert search.plan_next(0)
    delays = []
    for _ in range(4):
        search.asked(0)
        assert not search.plan_next(0)
        delays.append(search.ask_again_at_ms)
    assert delays == [99, 199, 399, 399]


def test_asking_clears_the_plan() -> None:
    search = make()
    search.asked(0)
    search.plan_next(0)
    search.asked(60)
    assert search.ask_again_at_ms == NEVER_MS
    assert search.asked_at_ms == 60


def test_after_a_grant_the_next_loss_is_answered_at_once() -> None:
    search = make()
    search.asked(0)
    search.found()
    search.lost(LossReason.silent, 500)
    assert search.loss is LossReason.silent
    assert search.plan_next(500)
    assert search.waited_ms(530) == 30
    assert search.give_up_at_ms(is_opening=False) == 1_500
    assert search.give_up_at_ms(is_opening=True) == 1_200


def test_what_was_refused_in_one_search_says_nothing_of_the_next() -> None:
    search = make()
    search.refusal = Refused(1, RefusalReason.unknown_model)
    search.found()
    assert search.refusal is None


def test_it_gives_up_for_time_or_for_losses_without_a_final_between() -> None:
    search = make()
    assert search.in_vain(999, is_opening=False) is None
    assert search.in_vain(1_000, is_opening=False) == InVain(Reason.engine_unavailable)
    for _ in range(3):
        search.lost(LossReason.link_lost, 0)
    assert search.in_vain(1, is_opening=False) == InVain(
        Reason.engine_unavailable, "several engines were lost on the same audio"
    )
    search.proven()
    assert search.in_vain(1, is_opening=False) is None


def test_a_session_that_opens_waits_less_and_hears_whether_there_was_an_engine() -> None:
    search = make()
    assert search.in_vain(699, is_opening=True) is None
    assert search.in_vain(700, is_opening=True) == InVain(Reason.engine_unavailable)
    search.refusal = Refused(1, RefusalReason.no_free_slot, retry_after_ms=900)
    assert search.in_vain(700, is_opening=True) == InVain(Reason.no_capacity, retry_after_ms=1_349)


def test_a_session_that_opens_hears_that_nothing_is_there_where_its_audio_may_go() -> None:
    search = make()
    search.refusal = Refused(1, RefusalReason.no_permitted_region, retry_after_ms=900)
    assert search.in_vain(700, is_opening=True) == InVain(Reason.no_permitted_region)


def test_a_session_that_opens_hears_that_every_engine_found_it_not_permitted() -> None:
    search = make()
    search.refusal = Refused(1, RefusalReason.not_permitted)
    assert search.in_vain(700, is_opening=True) == InVain(Reason.not_permitted)


def test_a_session_whose_version_is_gone_is_told_so() -> None:
    search = make()
    search.refusal = Refused(1, RefusalReason.unknown_model)
    vain = search.in_vain(1_000, is_opening=False)
    assert vain is not None
    assert "version" in vain.detail


def test_to_wait_for_a_turn_is_no_failed_try() -> None:
    search = make()
    search.asked(0)
    search.refused(Refused(1, RefusalReason.paced, 80))
    assert not search.plan_next(100)
    assert search.ask_again_at_ms == 219, "the turn, and up to half of it more"
    search.asked(219)
    search.refused(Refused(2, RefusalReason.no_free_slot, 5_000))
    assert not search.plan_next(300)
    assert search.ask_again_at_ms == 399, "the first failure"


def test_an_engine_that_will_soon_have_room_is_asked_when_it_says_so() -> None:
    search = make()
    for _ in range(4):
        search.asked(0)
    search.refused(Refused(4, RefusalReason.no_free_slot, 100))
    assert not search.plan_next(0)
    assert search.ask_again_at_ms == 149, "what it said, and up to half of it more"
    search.asked(149)
    search.refused(Refused(5, RefusalReason.no_free_slot))
    assert not search.plan_next(149)
    assert search.ask_again_at_ms == 149 + 399, "what one engine said holds once"


@pytest.mark.parametrize("retry_after_ms", [None, 0, 60_000])
def test_a_turn_that_is_far_away_or_not_named_is_asked_about_again(retry_after_ms: int | None) -> None:
    search = make()
    search.asked(0)
    search.refused(Refused(1, RefusalReason.paced, retry_after_ms))
    assert not search.plan_next(0)
    assert 0 < search.ask_again_at_ms <= 2 * LIMITS.recovery.max_delay_ms


def test_an_engine_that_is_left_is_no_loss() -> None:
    search = make()
    search.asked(0)
    search.found()
    search.left(MoveReason.outside_policy, 500)
    assert (search.losses, search.loss, search.waited_ms(700)) == (0, MoveReason.outside_policy, 200)
