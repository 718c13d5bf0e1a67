"""Explanations are documents that can be filed."""

from __future__ import annotations

import pytest

from gateway.cli.policy.explain_report import explanation_document, explanation_json, story_document, story_json
from gateway.cli.policy.formats import html_page, markdown
from policies.residency.bundles.bundle import read_bundle
from policies.residency.decision import Question, Situation
from policies.residency.record import DecisionRecord, Event
from policies.residency.review.explain import explain
from policies.residency.review.session_story import story_of
from policies.residency.vocabulary import Action
from tests.harness.residency_bundle import NOON_S, residency_files

pytestmark = pytest.mark.unit


def test_an_explanation_is_markdown_with_the_rule_as_it_stands() -> None:
    bundle = read_bundle(residency_files())
    found = explain(bundle, Question(Situation("eu-strict"), Action.process, "eu-west-1"), NOON_S)
    text = markdown(explanation_document(bundle, found))
    assert "# DENIED: a caller of eu\\-strict" in text or "# DENIED: a caller of eu-strict" in text
    assert (
        "```\nforbid (principal, action, resource) when { principal.isRestricted && !context.subjectKnown };\n```"
        in text
    )
    assert explanation_json(bundle, found)["decision"]["rules"] == ["F09-restricted-needs-subject"]


def test_a_region_that_nobody_knows_is_no_rule() -> None:
    bundle = read_bundle(residency_files())
    found = explain(bundle, Question(Situation("eea"), Action.process, "atlantis"), NOON_S)
    assert "it cannot be decided: unknown region" in markdown(explanation_document(bundle, found))


def test_a_story_without_its_bundle_says_how_to_give_it() -> None:
    record = DecisionRecord(
        event=Event.admission, session="s", decision="Allow", chosen="a", policy_digest="d", ts=1_234
    )
    story = story_of([record], [], [])
    page = html_page(story_document(story))
    assert "not named in this log; give its folder as --bundle for its rules" in page
    assert "1970-01-01T00:00:01.234Z" in page
    assert story_json(story)["versions"][0]["policy_digest"] == "d"
