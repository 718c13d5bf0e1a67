"""What a session is told when no region takes it."""

from __future__ import annotations

import pytest

from engines.interface import RefusalReason, Refused
from policies.routing_facts import RouteDecision, RuledOut
from regions.refusals import nearer, refusal_of

pytestmark = pytest.mark.unit


def refused(*reasons: RuledOut) -> Refused:
    decision = RouteDecision((), {f"r{number}": reason for number, reason in enumerate(reasons)})
    return refusal_of(decision, 3, retry_after_ms=500)


@pytest.mark.parametrize("reason", list(RuledOut))
def test_every_reason_has_an_answer(reason: RuledOut) -> None:
    assert refused(reason).epoch == 3


def test_a_full_region_is_nearer_than_one_that_is_out_of_sight() -> None:
    assert refused(RuledOut.unreachable, RuledOut.no_free_slot).reason is RefusalReason.no_free_slot


def test_regions_outside_of_the_set_say_nothing_while_one_inside_has_a_reason() -> None:
    answer = refused(RuledOut.outside_policy, RuledOut.unknown_model, RuledOut.outside_policy)
    assert answer == Refused(3, RefusalReason.unknown_model)


def test_a_model_is_unknown_only_where_every_permitted_region_was_seen() -> None:
    assert refused(RuledOut.unknown_model, RuledOut.stale_facts) == Refused(3, RefusalReason.unreachable, 500)


def test_where_nothing_permitted_is_there_that_is_the_reason() -> None:
    assert refused() == Refused(3, RefusalReason.no_permitted_region, 500)
    assert refused(RuledOut.outside_policy, RuledOut.no_engines).reason is RefusalReason.no_permitted_region


def test_of_two_answers_the_nearer_one_is_kept_and_of_equals_the_first() -> None:
    full, away = Refused(1, RefusalReason.no_free_slot, 50), Refused(1, RefusalReason.unreachable, 50)
    assert (nearer(full, away), nearer(away, full)) == (full, full)
    assert nearer(full, Refused(1, RefusalReason.no_free_slot, 99)) is full


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_every_reason_of_an_engine_can_be_compared(reason: RefusalReason) -> None:
    assert nearer(Refused(1, reason), Refused(1, reason)).reason is reason
