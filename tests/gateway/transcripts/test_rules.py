"""Promises of what a bundle says about stored words."""

from __future__ import annotations

import pytest

from gateway.transcripts.rules import decide_for_project, erasure_of, profile_of, ruling_of, situation_of_project
from policies.residency.vocabulary import Action, DataClass
from policies.retention import NotErased, NotKept
from tests.gateway.transcripts.transcript_world import ASKS, CLINIC, HERE, table_of

pytestmark = pytest.mark.unit


def test_without_a_bundle_nothing_is_permitted() -> None:
    assert ruling_of(None, CLINIC, here=HERE, has_subject=True).why_not is NotKept.not_asked
    assert erasure_of(None, "acme/clinic", here=HERE)[0] is NotErased.not_permitted
    assert not decide_for_project(None, "acme/clinic", Action.replicate_meter, HERE).is_allowed
    assert situation_of_project(None, "acme/clinic") is None


def test_a_project_without_a_row_is_permitted_nothing() -> None:
    table = table_of()
    assert not decide_for_project(table, "acme/unknown", Action.replicate_meter, HERE).is_allowed
    assert decide_for_project(table, "acme/clinic", Action.replicate_meter, HERE).is_allowed
    assert (profile_of(table, "acme/unknown"), profile_of(table, "acme/clinic")) == ("", "eu-strict")


def test_the_term_is_the_rows() -> None:
    ruling = ruling_of(table_of(), CLINIC, here=HERE, has_subject=True)
    assert (ruling.why_not, ruling.keep_until_s(0)) == (None, 30 * 86_400)
    assert ruling.policy_digest


def test_a_row_says_what_questions_without_a_session_are_about() -> None:
    table = table_of(f'{ASKS}\ndata_class = "public"')
    situation = situation_of_project(table, "acme/clinic")
    assert situation is not None
    assert (situation.data_class, situation.subject_countries) == (DataClass.public, frozenset({"DE"}))


def test_a_regions_words_are_not_stored_outside_what_policy_permits() -> None:
    table = table_of('transcripts = { region = "us-east-1", days = 30 }')
    ruling = ruling_of(table, CLINIC, here="us-east-1", has_subject=True)
    assert ruling.why_not is NotKept.not_permitted
