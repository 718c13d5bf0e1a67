from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regions.simulator.scenario import Fleet, FleetKind, SpotMarket, Strike, StrikeKind
from regions.simulator.simulation import simulate
from tests.regions.simulator.small_world import PATCHBAY, small_scenario

pytestmark = pytest.mark.unit
HARSH = SpotMarket(
    short_permille=200, mean_short_s=300, correlation_permille=500, mean_life_s=1_200, noticed_permille=500
)


def test_the_same_seed_gives_the_same_result_to_the_last_bit() -> None:
    scenario = small_scenario(days=1 / 96, spot=HARSH)
    first, second = (repr(simulate(scenario, PATCHBAY)) for _ in range(2))
    assert first == second
    assert repr(simulate(small_scenario(days=1 / 96, spot=HARSH, seed=2), PATCHBAY)) != first


def test_fleets_that_are_compared_meet_the_same_callers() -> None:
    scenario = small_scenario(days=1 / 288, spot=HARSH)
    offered = {simulate(scenario, Fleet(kind.value, kind)).served.offered_s for kind in FleetKind}
    assert len(offered) == 1


def test_progress_is_told_and_what_hears_of_it_may_end_the_run() -> None:
    heard: list[float] = []
    simulate(small_scenario(days=1 / 288), PATCHBAY, say=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(small_scenario(), PATCHBAY, say=stop)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 1_000),
    kind=st.sampled_from(list(FleetKind)),
    strikes=st.lists(
        st.tuples(st.sampled_from(list(StrikeKind)), st.sampled_from(["dublin", "paris", "*"])), max_size=3
    ),
    has_continuity=st.booleans(),
)
def test_every_session_ends_in_one_way_within_its_policy_set(
    seed: int, kind: FleetKind, strikes: list[tuple[StrikeKind, str]], has_continuity: bool
) -> None:
    scenario = small_scenario(
        seed=seed,
        days=1 / 144,
        spot=HARSH,
        strikes=tuple(
            Strike(what, region, 60_000 * place + 60_000, 90_000) for place, (what, region) in enumerate(strikes)
        ),
    )
    result = simulate(scenario, Fleet("any", kind, has_continuity=has_continuity))
    counts = result.sessions
    assert counts.offered == counts.finished + counts.lost + counts.refused + counts.unfinished
    assert counts.outside_policy == 0
    assert 0.0 <= result.served.served_s <= result.served.offered_s
    for parts in (result.by_tier, result.by_region, result.by_profile):
        assert sum(part.served_s for part in parts.values()) == pytest.approx(result.served.served_s)
        assert sum(part.offered_s for part in parts.values()) == pytest.approx(result.served.offered_s)
