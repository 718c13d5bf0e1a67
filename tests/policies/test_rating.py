"""What sessions count for: the same however they are cut into events, and never less than nothing."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.plans import Rater
from policies.rating import BLOCK_MS, AddOn, Line, Unit, Used, rated, rated_total

pytestmark = pytest.mark.unit

NOTHING = Used(0, 0)
raters = st.sampled_from(Rater)
ms = st.integers(0, 40_000)
slices = st.lists(st.builds(Used, audio_ms=ms, connection_ms=ms), min_size=1, max_size=30)
add_on_sets = st.sets(st.sampled_from([add_on.value for add_on in AddOn]), max_size=3)


def total(pieces: list[Used]) -> Used:
    return sum(pieces, start=NOTHING)


def events_of(pieces: list[Used], cuts: set[int]) -> list[tuple[Used, Used]]:
    """What is used in each event, and before it: events end at the cuts."""
    borders = [0, *sorted(cut for cut in cuts if 0 < cut < len(pieces)), len(pieces)]
    return [(total(pieces[first:last]), total(pieces[:first])) for first, last in pairwise(borders)]


@given(rater=raters, pieces=slices, cuts=st.sets(st.integers(1, 29)), add_ons=add_on_sets)
def test_any_way_of_cutting_a_session_into_events_counts_for_the_same(
    rater: Rater, pieces: list[Used], cuts: set[int], add_ons: set[str]
) -> None:
    counted: Counter[str] = Counter()
    for used, before in events_of(pieces, cuts):
        for line in rated(rater, used, before=before, add_ons=add_ons):
            counted[line.item] += line.quantity
    session = rated_total(rater, total(pieces))
    assert counted == Counter(dict.fromkeys(["recognition", *add_ons], session))


@given(rater=raters, used=st.builds(Used, ms, ms), before=st.builds(Used, ms, ms))
def test_no_event_counts_for_less_than_nothing(rater: Rater, used: Used, before: Used) -> None:
    assert all(line.quantity >= 0 for line in rated(rater, used, before=before))


@given(rater=raters, pieces=slices, cuts=st.sets(st.integers(1, 29)), doubled=st.integers(0, 29))
def test_an_event_that_is_made_again_counts_for_what_it_did(
    rater: Rater, pieces: list[Used], cuts: set[int], doubled: int
) -> None:
    """Receivers keep one of those with the same id; it does not matter which, nor in which order they come."""
    events = events_of(pieces, cuts)
    delivered = [*enumerate(events), (doubled % len(events), events[doubled % len(events)])]
    kept = {number: rated(rater, used, before=before) for number, (used, before) in reversed(delivered)}
    assert sum(lines[0].quantity for lines in kept.values()) == rated_total(rater, total(pieces))


@pytest.mark.parametrize(
    ("audio_ms", "blocks"), [(0, 0), (1, 1), (BLOCK_MS, 1), (BLOCK_MS + 1, 2), (61_040, 5), (3_600_000, 240)]
)
def test_blocks_are_counted_once_begun_and_a_session_with_audio_is_at_least_one(audio_ms: int, blocks: int) -> None:
    assert rated_total(Rater.block_15s, Used(audio_ms, 3_600_000)) == blocks


def test_a_block_is_counted_in_the_event_that_begins_it() -> None:
    quantities = [
        rated(Rater.block_15s, Used(used_ms, 0), before=Used(before_ms, 0))[0].quantity
        for before_ms, used_ms in ((0, 10_000), (10_000, 5_000), (15_000, 1), (15_001, 40_000))
    ]
    assert quantities == [1, 0, 1, 2]


def test_seconds_are_counted_in_thousandths_of_what_was_used() -> None:
    used, before = Used(audio_ms=1_234, connection_ms=5_678), Used(10, 20)
    assert rated(Rater.audio_second, used, before=before) == (Line("recognition", Unit.audio_second, 1_234),)
    assert rated(Rater.connection_second, used, before=before) == (Line("recognition", Unit.connection_second, 5_678),)


def test_add_ons_stack_as_lines_of_the_same_quantity() -> None:
    assert rated(Rater.audio_second, Used(500, 900), before=NOTHING, add_ons=("redaction", "beam", "beam")) == (
        Line("recognition", Unit.audio_second, 500),
        Line("beam", Unit.audio_second, 500),
        Line("redaction", Unit.audio_second, 500),
    )


@given(quantity=st.integers(0, 2**53), unit=st.sampled_from(Unit))
def test_an_amount_is_the_quantity_exactly(quantity: int, unit: Unit) -> None:
    assert Decimal(Line("recognition", unit, quantity).amount) * unit.parts == quantity


def test_every_rater_has_its_unit() -> None:
    assert {rater.value for rater in Rater} == {unit.value for unit in Unit}
