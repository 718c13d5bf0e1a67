"""What a decision says of itself."""

from __future__ import annotations

import pytest

from policies.routing_facts import Candidate, RouteDecision, RuledOut

pytestmark = pytest.mark.unit


def test_the_first_candidate_is_the_chosen_one() -> None:
    candidates = tuple(Candidate(name, score, {}, 1) for name, score in (("near", 1.0), ("far", 2.0)))
    assert RouteDecision(candidates, {}).chosen == "near"


def test_without_a_candidate_nothing_is_chosen() -> None:
    assert RouteDecision((), {"near": RuledOut.draining}).chosen is None
