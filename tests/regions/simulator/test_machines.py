from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.plans import Tier
from policies.tier_slots import TierHeadroom
from regions.simulator.machines import MachineRoom, Paid
from regions.simulator.session import Session
from tests.regions.simulator.small_world import EU, caller

pytestmark = pytest.mark.unit
PRICES = {Paid.reserved: 620, Paid.on_demand: 1_000, Paid.spot: 350}


def room(*paid: Paid, slots: int = 2) -> MachineRoom:
    made = MachineRoom(TierHeadroom(0, 500), report_every_ms=1_000, price_permille=PRICES)
    for each in paid:
        made.ready(made.start(each, 0, slots, now_ms=0), 0)
    return made


def session(number: int = 0) -> Session:
    return Session(caller(number), EU, 1_000)


def test_a_report_says_what_was_true_when_it_was_due() -> None:
    made = room(Paid.reserved)
    engine = made.choose(Tier.standard, 1, 100)
    assert engine is not None
    made.open(session(), engine, 1_500)
    assert made.look(1_999).free_slots_of_tier["standard"] == 2
    assert made.look(2_000).free_slots_of_tier["standard"] == 1
    assert made.look_from_within(1_500).free_slots_of_tier == {"premium": 1, "standard": 1, "economy": 0}


def test_each_tier_is_given_the_machines_it_should_have_first() -> None:
    made = room(Paid.spot, Paid.reserved)
    chosen = {tier: made.choose(tier, 7, 60_000) for tier in (Tier.premium, Tier.standard)}
    assert {tier: engine.paid for tier, engine in chosen.items() if engine} == {
        Tier.premium: Paid.reserved,
        Tier.standard: Paid.spot,
    }


def test_an_engine_that_leaves_takes_nothing_and_keeps_what_it_has() -> None:
    made = room(Paid.spot)
    (engine,) = made.engines.values()
    made.open(session(), engine, 0)
    made.leave(engine, 0)
    assert made.choose(Tier.premium, 1, 0) is None
    assert (engine.used, made.slots_used, made.slots_free) == (1, 0, 0)
    assert len(made.remove(engine, 0)) == 1
    assert not made.engines


def test_a_full_engine_grants_nothing() -> None:
    made = room(Paid.spot, slots=1)
    (engine,) = made.engines.values()
    made.open(session(), engine, 0)
    assert made.choose(Tier.premium, 1, 0) is None
    with pytest.raises(ValueError, match="no slot"):
        made.open(session(1), engine, 0)


def test_mix_and_price_are_of_the_engines_that_take_streams() -> None:
    told = room(Paid.spot, Paid.spot, Paid.reserved, Paid.on_demand).look_from_within(0)
    assert (told.slots_total, told.spot_permille, told.cost_permille) == (8, 500, (350 * 2 + 620 + 1_000) // 4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["open", "close", "leave", "remove", "start"]), st.integers(0, 50)), max_size=60)
)
def test_slots_are_never_below_zero_or_above_what_there_is(steps: list[tuple[str, int]]) -> None:
    made = room(Paid.reserved, Paid.spot)
    placed: dict[Session, None] = {}
    for number, (what, which) in enumerate(steps):
        engines = list(made.engines.values())
        engine = engines[which % len(engines)] if engines else None
        if what == "start":
            made.ready(made.start(Paid.spot, 0, 2, now_ms=number), number)
        elif what == "open" and (chosen := made.choose(Tier.premium, which, number)) is not None:
            made.open(one := session(number), chosen, number)
            placed[one] = None
        elif what == "close" and engine is not None and engine.sessions:
            one = next(iter(engine.sessions))
            made.close(one, engine, number)
            del placed[one]
        elif what == "leave" and engine is not None and not engine.is_leaving:
            made.leave(engine, number)
        elif what == "remove" and engine is not None:
            for one in made.remove(engine, number):
                del placed[one]
        taking = [each for each in made.engines.values() if not each.is_leaving]
        assert made.slots_used == sum(each.used for each in taking)
        assert sum(made.slots_by_class.values()) == sum(each.slots for each in taking)
        assert all(0 <= each.used <= each.slots for each in made.engines.values())
        assert sum(each.used for each in made.engines.values()) == len(placed)
