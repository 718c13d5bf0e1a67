"""Whatever regions look like: inside the policy set, each region once, the first reason, and worse is never better."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.plans import Tier
from policies.routing import RoutingWeights, decide
from policies.routing_facts import (
    CapacityClass,
    Health,
    ModelFacts,
    RegionFacts,
    RegionSnapshot,
    RegionState,
    RouteDecision,
    RouteRequest,
    RuledOut,
)

pytestmark = pytest.mark.unit

NAMES = ("eu-a", "eu-b", "us-a", "us-b", "ap-a")
WEIGHTS = RoutingWeights()
SHORT, LONG = 100, 10_000

WELL = RegionFacts(
    "",
    is_local=False,
    has_engines=True,
    state=RegionState.active,
    health=Health.admitting,
    rtt_ms=1.0,
    is_rtt_measured=True,
    age_ms=800,
    models=(ModelFacts("general", "2", "en", slots_total=40, slots_free=30),),
    slots_total=40,
    free_slots_of_tier={tier.value: 25 for tier in Tier},
    free_slots_of_class={"reserved": 9, "spot": 16},
)
models = st.builds(
    ModelFacts,
    name=st.sampled_from(["general", "general", "phone"]),
    version=st.sampled_from(["1", "2"]),
    language=st.sampled_from(["", "en", "en-GB", "de-AT"]),
    slots_total=st.just(40),
    slots_free=st.integers(-3, 40),
    is_leaving=st.booleans(),
)
oddities: dict[str, st.SearchStrategy[object]] = {
    "has_engines": st.just(False),
    "state": st.sampled_from(RegionState),
    "health": st.sampled_from(Health),
    "is_rtt_measured": st.just(False),
    "age_ms": st.sampled_from([None, 0, 1_000, 5_000, 5_001]),
    "models": st.lists(models, max_size=3).map(tuple),
    "slots_total": st.integers(0, 60),
    "free_slots_of_tier": st.fixed_dictionaries({tier.value: st.integers(-2, 40) for tier in Tier}),
    "free_slots_of_class": st.dictionaries(st.sampled_from([each.value for each in CapacityClass]), st.integers(-2, 9)),
    "lag_ms": st.sampled_from([10, 50, 500]),
    "spot_permille": st.sampled_from([300, 1_000]),
    "cost_permille": st.sampled_from([350, 1_010]),
    "is_reachable": st.just(False),
    "spilling_tiers": st.frozensets(st.sampled_from([tier.value for tier in Tier]), min_size=1),
}
"""Most regions are well but for a few of these; wholly random ones would nearly all be ruled out."""


@st.composite
def snapshots(draw: st.DrawFn) -> RegionSnapshot:
    regions = []
    healths = draw(st.sampled_from([[Health.admitting]] * 3 + [list(Health)]))
    for name in draw(st.sampled_from([NAMES] * 5 + [NAMES[:3], NAMES[1:], ()])):
        odd = {key: draw(oddities[key]) for key in draw(st.sets(st.sampled_from(sorted(oddities)), max_size=3))}
        rtt_ms = draw(st.sampled_from([0.0, 1.0, 3.0, 7.5, 30.0]))
        region = replace(WELL, name=name, rtt_ms=rtt_ms, health=draw(st.sampled_from(healths)))
        regions.append(replace(region, **odd))  # type: ignore[arg-type]
    return RegionSnapshot(taken_at_ms=0, regions=tuple(regions))


permitted_sets = st.one_of(
    st.just(frozenset(NAMES)),
    st.just(frozenset({*NAMES[1:], "unheard-of"})),
    st.frozensets(st.sampled_from(NAMES), min_size=2),
    st.just(frozenset()),
)
requests = st.builds(
    RouteRequest,
    permitted=permitted_sets,
    tier=st.sampled_from(Tier),
    model=st.sampled_from(["general"] * 5 + ["", "phone"]),
    model_version=st.sampled_from(["", "", "2"]),
    language=st.sampled_from(["en-US"] * 5 + ["", "de"]),
    current=st.sampled_from([None, *NAMES]),
    avoided=st.frozensets(st.sampled_from(NAMES), max_size=1),
    draw_permille=st.integers(0, 999),
    goes_on=st.booleans(),
    classes=st.one_of(
        st.just({}),
        st.dictionaries(st.sampled_from(NAMES), st.frozensets(st.sampled_from(CapacityClass)), max_size=len(NAMES)),
    ),
)
WORSE = {
    "has_engines": lambda region: replace(region, has_engines=False),
    "state": lambda region: replace(region, state=RegionState.draining),
    "health": lambda region: replace(region, health=Health.tripped),
    "rtt": lambda region: replace(region, rtt_ms=region.rtt_ms + 4.0),
    "age": lambda region: replace(region, age_ms=None if region.age_ms is None else region.age_ms + 4_500),
    "models": lambda region: replace(region, models=region.models[1:]),
    "model slots": lambda region: replace(
        region, models=tuple(replace(model, slots_free=model.slots_free - 8) for model in region.models)
    ),
    "tier slots": lambda region: replace(
        region, free_slots_of_tier={tier: free - 8 for tier, free in region.free_slots_of_tier.items()}
    ),
    "class slots": lambda region: replace(
        region, free_slots_of_class={name: free - 4 for name, free in region.free_slots_of_class.items()}
    ),
    "class unknown": lambda region: replace(region, free_slots_of_class={}),
    "lag": lambda region: replace(region, lag_ms=region.lag_ms + 50),
    "spot": lambda region: replace(region, spot_permille=1_000),
    "cost": lambda region: replace(region, cost_permille=region.cost_permille + 400),
    "reachable": lambda region: replace(region, is_reachable=False),
    "spill": lambda region: replace(region, spilling_tiers=frozenset(tier.value for tier in Tier)),
}


def reasons_that_hold(region: RegionFacts, request: RouteRequest) -> list[RuledOut]:
    """The reference: every reason by itself, none of them asked of another; `tripped` is left out."""
    named = [model for model in region.models if request.model in ("", model.name)]
    named = [model for model in named if request.model_version in ("", model.version)]
    wanted = request.language.partition("-")[0]
    speaking = [model for model in named if not wanted or model.language.partition("-")[0] in ("", wanted)]
    taking = [model for model in speaking if request.model_version or not model.is_leaving]
    has_room = any(model.slots_free > 0 for model in taking) and region.free_slots_of_tier[request.tier] > 0
    holds = {
        RuledOut.outside_policy: region.name not in request.permitted,
        RuledOut.no_engines: not region.has_engines,
        RuledOut.disabled: region.state is RegionState.disabled,
        RuledOut.draining: region.state is RegionState.draining,
        RuledOut.unreachable: region.age_ms is None or not region.is_reachable,
        RuledOut.stale_facts: (region.age_ms or 0) > WEIGHTS.max_age_ms,
        RuledOut.failed_this_session: region.name in request.avoided,
        RuledOut.unknown_model: not named,
        RuledOut.unsupported_language: not speaking,
        RuledOut.no_permitted_capacity: not has_class(region, request),
        RuledOut.no_free_slot: not has_room,
    }
    return [reason for reason in RuledOut if holds.get(reason)]


def has_class(region: RegionFacts, request: RouteRequest) -> bool:
    classes = request.classes.get(region.name, frozenset(CapacityClass))
    if classes == frozenset(CapacityClass):
        return True
    return any(region.free_slots_of_class.get(each.value, 0) > 0 for each in classes)


def check(request: RouteRequest, snapshot: RegionSnapshot) -> RouteDecision:
    decision = decide(request, snapshot, WEIGHTS)
    names = [candidate.region for candidate in decision.candidates]
    known = {region.name: region for region in snapshot.regions}
    assert set(names) <= request.permitted
    assert sorted([*names, *decision.ruled_out]) == sorted(known.keys() | request.permitted)
    order = list(RuledOut)
    for name, reason in decision.ruled_out.items():
        if name not in known:
            assert reason is RuledOut.not_in_catalog
            continue
        holding = reasons_that_hold(known[name], request)
        if reason is RuledOut.tripped:
            assert known[name].health is Health.tripped
            assert all(order.index(other) > order.index(reason) for other in holding)
        else:
            assert reason is holding[0]
    assert all(not reasons_that_hold(known[name], request) for name in names)
    if decision.kept_current:
        assert decision.chosen == request.current
    groups = [group_of(known[name], request) for name in names]
    assert groups == sorted(groups)
    return decision


def group_of(region: RegionFacts, request: RouteRequest) -> int:
    """Well, spilling, tripped: no score brings a region out of its group."""
    if region.health is Health.tripped:
        return 2
    return int(not request.goes_on and request.tier.value in region.spilling_tiers)


def rank(decision: RouteDecision, name: str) -> int:
    """Its place among the candidates; behind all of any decision when it is none."""
    names = [candidate.region for candidate in decision.candidates]
    return names.index(name) if name in names else len(NAMES)


def hold_promises(request: RouteRequest, snapshot: RegionSnapshot, *, name: str, worse: str) -> None:
    """One example: all that is promised of a decision, and of the decision after one region got worse."""
    decision = check(request, snapshot)
    assert decide(request, snapshot, WEIGHTS) == decision
    backwards = replace(snapshot, regions=snapshot.regions[::-1])
    assert decide(request, backwards, WEIGHTS).candidates == decision.candidates
    changed = tuple(WORSE[worse](region) if region.name == name else region for region in snapshot.regions)
    after = decide(request, replace(snapshot, regions=changed), WEIGHTS)
    assert rank(after, name) >= rank(decision, name)


def test_promises_of_a_decision_hold_for_any_regions(is_long: bool) -> None:
    example = given(
        request=requests, snapshot=snapshots(), name=st.sampled_from(NAMES), worse=st.sampled_from(sorted(WORSE))
    )
    settings(max_examples=LONG if is_long else SHORT, deadline=None)(example(hold_promises))()
