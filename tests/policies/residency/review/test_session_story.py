"""A session's records become a story: where, why there, under which version, approved by whom."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.record import DecisionRecord, Event, RecordContext
from policies.residency.review.session_story import sentence_of, story_of, why_of
from tests.harness.residency_bundle import residency_files

pytestmark = pytest.mark.unit

BUNDLE = read_bundle(residency_files())
DIGESTS = {
    "policy_digest": BUNDLE.policy_digest,
    "entities_digest": BUNDLE.entities_digest,
    "schema_digest": BUNDLE.schema_digest,
}
ADMITTED = DecisionRecord(
    event=Event.admission,
    session="s1",
    org="acme",
    project="calls",
    profile="eea",
    action="terminate",
    decision="Allow",
    chosen="eu-west-1",
    candidate_regions=("eu-west-1", "no-east-1"),
    determining_policy_ids=("P02-eea-in-eea",),
    ts=1_000,
    gateway="gw-1",
    **DIGESTS,
)
MOVED = DecisionRecord(
    event=Event.failover,
    session="s1",
    action="failover",
    trigger="failover",
    decision="Allow",
    from_region="eu-west-1",
    chosen="no-east-1",
    candidate_regions=("no-east-1",),
    determining_policy_ids=("P02-eea-in-eea",),
    context=RecordContext(capacity="spot"),
    ts=2_000,
    policy_digest="another",
)
TAKEN = DecisionRecord(
    event=Event.policy_change, action="taken", detail="test 1, approved by ada, bob", decision="", **DIGESTS
)


def test_a_story_has_every_record_with_the_version_that_decided() -> None:
    story = story_of([ADMITTED, MOVED], [TAKEN], [BUNDLE])
    assert (story.session, story.org, story.project, story.profile) == ("s1", "acme", "calls", "eea")
    assert [chapter.version for chapter in story.chapters] == [1, 2]
    first, second = story.versions
    assert (first.name, first.is_at_hand) == ("test 1, approved by ada, bob", True)
    assert (second.name, second.is_at_hand) == ("", False)
    ((rule_id, number, rule),) = story.rules
    assert (rule_id, number, rule.basis) == ("P02-eea-in-eea", 1, "contract 4.2")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (ADMITTED, "let in at eu-west-1; policy permitted eu-west-1, no-east-1."),
        (
            MOVED,
            "moved from eu-west-1 to no-east-1, on a spot machine, as its engine was lost or took no audio any more; "
            "policy permitted no-east-1.",
        ),
        (
            DecisionRecord(event=Event.admission, decision="Deny", detail="residency_denied: no"),
            "refused at the door (residency_denied: no); policy permitted no region.",
        ),
        (
            DecisionRecord(event=Event.placement, trigger="initial", decision="Allow", chosen="a",
                           candidate_regions=("a",)),
            "recognised in a; policy permitted a.",
        ),
        (
            DecisionRecord(event=Event.drain, trigger="drain", decision="Allow", from_region="a", chosen="a",
                           candidate_regions=("a",)),
            "went on in a on another engine, as the region or the engine was being emptied; policy permitted a.",
        ),
        (
            DecisionRecord(event=Event.failover, trigger="failover", decision="Deny", from_region="a"),
            "nowhere to go on: its engine was lost or took no audio any more; policy permitted no region.",
        ),
        (
            DecisionRecord(event=Event.placement, trigger="initial", decision="Deny"),
            "no region may recognise it; policy permitted no region.",
        ),
        (
            DecisionRecord(event=Event.session_outside, decision="Deny", from_region="a", candidate_regions=("b",)),
            "not permitted in a any more; policy permitted b.",
        ),
        (
            DecisionRecord(event=Event.support_access, action="support_access", decision="Allow", chosen="a"),
            "support access: support access in a, allowed.",
        ),
        (DecisionRecord(event=Event.log, action="rotated"), "log: rotated."),
    ],
)  # fmt: skip
def test_a_record_is_a_sentence(record: DecisionRecord, said: str) -> None:
    assert sentence_of(record) == said


def test_why_is_the_rules_or_that_there_is_none() -> None:
    assert why_of(ADMITTED) == "P02-eea-in-eea"
    assert why_of(DecisionRecord(event=Event.admission, decision="Deny")) == "no rule permits it"
    assert why_of(DecisionRecord(event=Event.admission, decision="Deny", errors=("expired",))) == "expired"
    assert why_of(DecisionRecord(event=Event.log, decision="Allow")) == ""
