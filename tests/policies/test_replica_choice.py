"""The roomiest replica that nothing speaks against, or the reason why there is none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.plans import Tier
from policies.replica_choice import NoReplica, ReplicaFacts, ReplicaRequest, choose_replica
from policies.routing_facts import CapacityClass, Health

pytestmark = pytest.mark.unit

REQUEST = ReplicaRequest(Tier.standard, draw=0)
A = ReplicaFacts("a", 3)
B = ReplicaFacts("b", 5)
SPOT = CapacityClass.spot


def test_the_one_with_the_most_room_is_chosen() -> None:
    assert choose_replica(REQUEST, [A, B]) == "b"


def test_equals_are_spread_by_the_draw() -> None:
    equals = [replace(A, name=str(number)) for number in range(4)]
    chosen = Counter(choose_replica(replace(REQUEST, draw=draw), equals) for draw in range(4_000))
    assert set(chosen) == set("0123")
    assert min(chosen.values()) > 900


def test_several_dispatchers_with_the_same_facts_do_not_all_choose_the_same() -> None:
    replicas = [ReplicaFacts(str(number), 3 + number % 2) for number in range(10)]
    several = replace(REQUEST, dispatchers=3)
    chosen = Counter(choose_replica(replace(several, draw=draw), replicas) for draw in range(1_000))
    assert len(chosen) == 10
    assert max(chosen.values()) < 200


@pytest.mark.parametrize(
    "worse",
    [{"has_failed_lately": True}, {"free_slots": 0}, {"is_draining": True}, {"health": Health.tripped}],
    ids=str,
)
def test_room_does_not_make_up_for_what_speaks_against_a_replica(worse: dict[str, object]) -> None:
    assert choose_replica(REQUEST, [A, replace(B, **worse)]) == "a"  # type: ignore[arg-type]


def test_a_replica_that_this_session_lost_is_taken_only_when_nothing_else_has_room() -> None:
    request = replace(REQUEST, avoided=frozenset({"b"}))
    assert choose_replica(request, [A, B]) == "a"
    assert choose_replica(request, [replace(A, free_slots=0), B]) == "b"


def test_premium_prefers_reserved_and_economy_spot_while_there_is_room() -> None:
    replicas = [A, replace(B, capacity=SPOT), ReplicaFacts("c", 4)]
    assert choose_replica(replace(REQUEST, tier=Tier.premium), replicas) == "c"
    assert choose_replica(replace(REQUEST, tier=Tier.economy), [replace(A, capacity=SPOT), B]) == "a"
    assert choose_replica(REQUEST, replicas) == "b"
    assert choose_replica(replace(REQUEST, tier=Tier.premium), [replace(B, capacity=SPOT)]) == "b"


def test_premium_is_not_the_one_that_tries_a_replica_on_probation() -> None:
    replicas = [A, replace(B, health=Health.probing)]
    assert choose_replica(replace(REQUEST, tier=Tier.premium), replicas) == "a"
    assert choose_replica(REQUEST, replicas) == "b"


def test_the_only_replica_is_never_held_out_for_failing() -> None:
    assert choose_replica(REQUEST, [replace(A, health=Health.tripped)]) == "a"


def test_of_many_that_fail_together_half_is_tried_after_what_is_well() -> None:
    tripped = [ReplicaFacts(name, free, health=Health.tripped) for name, free in (("c", 9), ("d", 8), ("e", 7))]
    assert choose_replica(REQUEST, [A, *tripped]) == "a"
    assert choose_replica(REQUEST, [replace(A, free_slots=0), *tripped]) == "c"
    assert choose_replica(REQUEST, [replace(A, free_slots=0), *tripped], max_held_out_permille=1_000) == (
        NoReplica.tripped
    )


UNKNOWN = replace(A, unfit=NoReplica.unknown_model)
OTHER_LANGUAGE = replace(A, unfit=NoReplica.unsupported_language)
OTHER_CLASS = replace(A, unfit=NoReplica.no_permitted_capacity)
DRAINING = replace(A, is_draining=True)
FULL = replace(A, free_slots=0)
HELD = [replace(A, name=name, health=Health.tripped) for name in "xy"]


@pytest.mark.parametrize(
    ("replicas", "reason"),
    [
        ([], NoReplica.none_connected),
        ([UNKNOWN], NoReplica.unknown_model),
        ([OTHER_LANGUAGE, UNKNOWN], NoReplica.unsupported_language),
        ([OTHER_CLASS, OTHER_LANGUAGE], NoReplica.no_permitted_capacity),
        ([DRAINING, UNKNOWN], NoReplica.draining),
        ([FULL, DRAINING], NoReplica.no_free_slot),
        ([FULL, replace(FULL, name="z", free_slots=-2)], NoReplica.no_free_slot),
        ([FULL, HELD[0]], NoReplica.tripped),
    ],
)
def test_the_reason_nearest_to_a_grant_is_told(replicas: list[ReplicaFacts], reason: NoReplica) -> None:
    assert choose_replica(REQUEST, replicas) is reason


replicas_of_any_kind = st.lists(
    st.builds(
        ReplicaFacts,
        name=st.sampled_from("abcdefgh"),
        free_slots=st.integers(-2, 6),
        capacity=st.sampled_from(CapacityClass),
        health=st.sampled_from(Health),
        is_draining=st.booleans(),
        has_failed_lately=st.booleans(),
        unfit=st.sampled_from([None, None, None, NoReplica.unknown_model]),
    ),
    max_size=8,
    unique_by=lambda replica: replica.name,
)
requests_of_any_kind = st.builds(
    ReplicaRequest,
    tier=st.sampled_from(Tier),
    draw=st.integers(0, 2**32 - 1),
    avoided=st.frozensets(st.sampled_from("abcdefgh"), max_size=2),
    dispatchers=st.integers(1, 4),
)


@given(request=requests_of_any_kind, replicas=replicas_of_any_kind)
def test_what_is_chosen_could_take_the_stream_and_a_reason_says_that_none_could(
    request: ReplicaRequest, replicas: list[ReplicaFacts]
) -> None:
    chosen = choose_replica(request, replicas)
    assert chosen == choose_replica(request, replicas)
    able = {
        replica.name: replica
        for replica in replicas
        if replica.unfit is None and not replica.is_draining and replica.free_slots > 0
    }
    if isinstance(chosen, NoReplica):
        assert all(replica.health is Health.tripped for replica in able.values())
    else:
        assert chosen in able


CLASSES = st.sampled_from(CapacityClass)


@given(
    st.sampled_from(Tier),
    st.lists(st.tuples(CLASSES, st.integers(-1, 6), st.sampled_from([100, 1_000])), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3]),
)
def test_a_later_class_of_the_tiers_order_is_taken_only_when_the_first_is_full(
    tier: Tier, seen: list[tuple[CapacityClass, int, int]], draw: int, dispatchers: int
) -> None:
    replicas = {
        str(number): ReplicaFacts(str(number), free, capacity=capacity, ramp_permille=ramp)
        for number, (capacity, free, ramp) in enumerate(seen)
    }
    request = ReplicaRequest(tier, draw=draw, dispatchers=dispatchers)
    chosen = choose_replica(request, list(replicas.values()))
    roomy = [replica for replica in replicas.values() if replica.free_slots > 0]
    if not roomy:
        assert chosen is NoReplica.no_free_slot
        return
    rank = request.classes.of(tier).rank
    assert replicas[chosen].free_slots > 0
    assert rank(replicas[chosen].capacity) == min(rank(replica.capacity) for replica in roomy)


def test_a_new_replica_counts_for_less_than_it_has_and_is_taken_when_nothing_else_has_room() -> None:
    new = replace(A, free_slots=20, ramp_permille=100)
    assert choose_replica(REQUEST, [new, B]) == "b"
    assert choose_replica(REQUEST, [new, replace(B, free_slots=0)]) == "a"
    several = replace(REQUEST, dispatchers=3)
    assert choose_replica(several, [replace(new, free_slots=1), replace(B, free_slots=0)]) == "a"


def test_a_replica_whose_machine_may_go_away_takes_what_fits_nowhere_else() -> None:
    assert choose_replica(REQUEST, [A, replace(B, is_at_risk=True)]) == "a"
    assert choose_replica(REQUEST, [replace(A, free_slots=0), replace(B, is_at_risk=True)]) == "b"
