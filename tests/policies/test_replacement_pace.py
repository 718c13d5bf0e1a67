"""Lost sessions go on in turn: no faster than the pace, higher tiers first, nobody waits beyond the bound."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.plans import Tier
from policies.replacement_pace import PaceLimits, Replacement, ReplacementPace

pytestmark = pytest.mark.unit

LIMITS = PaceLimits(per_target_per_s=10, per_gateway_per_s=1_000, burst=2, max_wait_ms=5_000, jitter_ms=0)


def lost(name: str, tier: Tier = Tier.standard, *, target: str = "eu", draw_permille: int = 0) -> Replacement:
    return Replacement(name, target, tier, draw_permille)


def turns(limits: PaceLimits, arrivals: list[tuple[int, Replacement]]) -> list[tuple[int, str]]:
    """When each session goes, if all ask again exactly when they were told to."""
    pace, gone = ReplacementPace(limits), []
    asking = [(at_ms, number, replacement) for number, (at_ms, replacement) in enumerate(arrivals)]
    heapq.heapify(asking)
    while asking:
        now_ms, number, replacement = heapq.heappop(asking)
        wait_ms = pace.ask(now_ms, replacement)
        if wait_ms:
            heapq.heappush(asking, (now_ms + wait_ms, number, replacement))
        else:
            gone.append((now_ms, replacement.session_id))
    assert pace.waiting == 0
    return gone


def test_a_single_lost_session_does_not_wait() -> None:
    assert ReplacementPace(LIMITS).ask(0, lost("a")) == 0


def test_beyond_the_burst_sessions_go_at_the_pace() -> None:
    gone = turns(LIMITS, [(0, lost(str(number))) for number in range(5)])
    assert gone == [(0, "0"), (0, "1"), (100, "2"), (200, "3"), (300, "4")]


def test_higher_tiers_go_first_although_they_asked_last() -> None:
    arrivals = [(0, lost(f"{tier}-{number}", tier)) for tier in reversed(Tier) for number in range(3)]
    order = [name.partition("-")[0] for _, name in turns(LIMITS, arrivals)]
    assert order[:2] == ["economy", "economy"]
    assert order[2:] == ["premium"] * 3 + ["standard"] * 3 + ["economy"]


def test_targets_do_not_wait_for_each_other() -> None:
    arrivals = [(0, lost(f"{target}{number}", target=target)) for target in ("eu", "us") for number in range(3)]
    assert [at_ms for at_ms, _ in turns(LIMITS, arrivals)] == [0, 0, 0, 0, 100, 100]


def test_the_gateway_has_a_pace_of_its_own() -> None:
    limits = PaceLimits(per_target_per_s=1_000, per_gateway_per_s=10, burst=1, max_wait_ms=5_000, jitter_ms=0)
    arrivals = [(0, lost(target, target=target)) for target in ("eu", "us", "ap")]
    assert [at_ms for at_ms, _ in turns(limits, arrivals)] == [0, 100, 200]


def test_who_has_waited_for_the_bound_goes_although_it_is_not_its_turn() -> None:
    limits = PaceLimits(per_target_per_s=1, per_gateway_per_s=1_000, burst=1, max_wait_ms=1_500, jitter_ms=0)
    gone = turns(limits, [(0, lost(str(number))) for number in range(5)])
    assert [at_ms for at_ms, _ in gone] == [0, 1_000, 1_500, 1_500, 1_500]


def test_jitter_spreads_those_who_wait() -> None:
    limits = PaceLimits(per_target_per_s=10, per_gateway_per_s=1_000, burst=1, max_wait_ms=5_000, jitter_ms=200)
    pace = ReplacementPace(limits)
    pace.ask(0, lost("first"))
    assert [pace.ask(0, lost(str(draw), draw_permille=draw)) for draw in (0, 500, 999)] == [100, 300, 499]


def test_who_gave_up_is_waited_for_no_more() -> None:
    pace = ReplacementPace(LIMITS)
    asked = [pace.ask(0, lost(name)) for name in "abcd"]
    pace.gave_up("c")
    pace.gave_up("never asked")
    assert (asked, pace.ask(100, lost("d"))) == ([0, 0, 100, 200], 0)


def test_who_does_not_come_back_holds_up_the_others_for_a_second_at_most() -> None:
    pace = ReplacementPace(LIMITS)
    for name in "abcd":
        pace.ask(0, lost(name))
    assert pace.ask(100, lost("d")) > 0
    assert pace.ask(1_101, lost("d")) == 0


def test_a_session_whose_target_changes_keeps_its_age() -> None:
    limits = PaceLimits(per_target_per_s=1, per_gateway_per_s=1_000, burst=1, max_wait_ms=1_000, jitter_ms=0)
    pace = ReplacementPace(limits)
    for target in ("eu", "us"):
        pace.ask(0, lost(f"first in {target}", target=target))
    assert pace.ask(0, lost("a", target="eu")) == 1_000
    assert pace.ask(600, lost("a", target="us")) == 400
    assert pace.ask(1_000, lost("a", target="us")) == 0


replacements = st.tuples(
    st.integers(0, 3_000), st.sampled_from(Tier), st.sampled_from(["eu", "us"]), st.integers(0, 999)
)


@settings(max_examples=50, deadline=None)
@given(wishes=st.lists(replacements, max_size=25))
def test_nobody_waits_beyond_the_bound_and_the_pace_holds_within_it(
    wishes: list[tuple[int, Tier, str, int]],
) -> None:
    limits = PaceLimits(per_target_per_s=20, per_gateway_per_s=30, burst=3, max_wait_ms=1_000, jitter_ms=100)
    arrivals = [
        (at_ms, lost(str(number), tier, target=target, draw_permille=draw))
        for number, (at_ms, tier, target, draw) in enumerate(wishes)
    ]
    gone = turns(limits, arrivals)
    assert len(gone) == len(arrivals)
    waited = [at_ms - arrivals[int(name)][0] for at_ms, name in gone]
    assert max(waited, default=0) <= limits.max_wait_ms + limits.jitter_ms
    if max(waited, default=0) >= limits.max_wait_ms:
        return
    instants = [at_ms for at_ms, _ in gone]
    burst = limits.burst * limits.per_gateway_per_s // limits.per_target_per_s
    for first, since_ms in enumerate(instants):
        for count, at_ms in enumerate(instants[first:], start=1):
            assert count <= burst + limits.per_gateway_per_s * (at_ms - since_ms) / 1_000 + 1


@pytest.mark.parametrize("limits", [{"per_target_per_s": 0}, {"burst": 0}, {"max_wait_ms": -1}])
def test_limits_that_make_no_pace_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"pace needs|may not be negative"):
        PaceLimits(**limits)
