"""The benchmark of residency decisions asks what it says, and compares like with like."""

from __future__ import annotations

import cedarpy
import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from tests.benchmarks.residency import Size, _entities, _plain_request, files_of, measure, questions_of, report

pytestmark = pytest.mark.unit

TINY = Size(projects=20, rounds=1, cold=20, remembered=20, as_text=2, situations=1, spin=10)


def test_plain_cedarpy_is_asked_the_same_and_answers_the_same() -> None:
    bundle = read_bundle(files_of(20))
    engine = ResidencyEngine(bundle, bundle.issued_at_s + 86_400)
    entities = cedarpy.Entities.from_json_str(
        _entities(bundle, engine.at_s, list(bundle.projects)), bundle.cedar_schema
    )
    allowed = 0
    for question in questions_of(bundle, engine, 60):
        answer = cedarpy.is_authorized(
            _plain_request(engine, question), bundle.cedar_rules, entities, bundle.cedar_schema
        )
        decision = engine.decide(question)
        rules = sorted(bundle.rule_ids[number] for number in answer.diagnostics.reasons)
        assert (answer.decision.name, rules) == (decision.verdict.value, list(decision.rules))
        allowed += decision.is_allowed
    assert 0 < allowed < 60, "questions of both kinds"


def test_every_figure_is_in_the_tables() -> None:
    text = report(measure(TINY), TINY)
    assert text.count("\n|") == 9 + 6
    assert "nan" not in text
