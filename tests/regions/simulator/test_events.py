from __future__ import annotations

import pytest

from regions.simulator.events import Agenda, dice_of

pytestmark = pytest.mark.unit


def test_calls_are_made_in_the_order_of_their_times_and_of_one_time_as_entered() -> None:
    agenda, made = Agenda(), []
    for at_ms, name in ((20, "later"), (10, "first"), (10, "second"), (30, "not yet")):
        agenda.at(at_ms, made.append, name)
    agenda.run_until(30)
    assert (made, agenda.now_ms, agenda.made) == (["first", "second", "later"], 30, 3)


def test_what_is_past_is_done_now() -> None:
    agenda, made = Agenda(), []
    agenda.run_until(100)
    agenda.at(5, lambda _: made.append(agenda.now_ms))
    agenda.run_until(101)
    assert made == [100]


def test_dice_of_a_subsystem_depend_on_the_seed_and_its_name_alone() -> None:
    throws = [
        dice_of(seed, name).integers(0, 2**31, 4).tolist() for seed, name in ((1, "a"), (1, "a"), (1, "b"), (2, "a"))
    ]
    assert throws[0] == throws[1]
    assert len({tuple(each) for each in throws}) == 3
