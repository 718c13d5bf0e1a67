"""Promises of the records about stored words."""

from __future__ import annotations

import pytest

from gateway.transcripts.records import context_of, record_about
from policies.residency.decision import Decision
from policies.residency.record import Event
from policies.residency.vocabulary import Action, Verdict
from tests.gateway.transcripts.transcript_world import CLINIC, HERE, table_of

pytestmark = pytest.mark.unit


def test_a_record_names_the_bundle_and_the_rules_and_nobody() -> None:
    table = table_of()
    allowed = Decision(Verdict.allow, ("P1",))
    record = record_about(table, "acme/clinic", Action.store_transcript, allowed, here=HERE, detail="stored")
    assert (record.event, record.org, record.project, record.chosen) == (Event.transcript, "acme", "clinic", HERE)
    assert record.policy_digest == table.engine.bundle.policy_digest
    assert record.determining_policy_ids == ("P1",)
    assert context_of(CLINIC).subject == "DE"


def test_a_denial_chose_nothing_and_support_is_an_event_of_its_own() -> None:
    denied = Decision(Verdict.deny)
    record = record_about(None, "acme/clinic", Action.support_access, denied, here=HERE, detail="no")
    assert (record.event, record.chosen, record.decision) == (Event.support_access, "", "Deny")
