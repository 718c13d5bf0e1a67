"""Promises of what a bundle says of usage events: asked each time, told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog
from prometheus_client import CollectorRegistry

from gateway.residency.in_force import BundlesInForce
from gateway.residency.loading import Trust
from gateway.residency.meter_export import MeterPolicy
from gateway.residency.metrics import ResidencyMetrics
from tests.harness.residency_bundle import NOON_S, RULES, residency_files, rule

if TYPE_CHECKING:
    from pathlib import Path

    from policies.residency.record import DecisionRecord

pytestmark = pytest.mark.unit

IN_EUROPE = rule(
    "F30-meters-of-health-stay",
    'forbid (principal == Asr::Project::"clinic/notes", action == Asr::Action::"replicate_meter", resource) '
    'unless { resource in Asr::Jurisdiction::"US" };',
    '@kind("statutory")',
)


ONE_FORBIDS = rule(
    "F31-meters-of-one-profile",
    'forbid (principal in Asr::Profile::"eea", action == Asr::Action::"replicate_meter", resource) '
    'when { context.dataClass == Asr::DataClass::"minors" && context.subject.contains(Asr::Jurisdiction::"EU") };',
)
_RECOGNISING = 'action in [Asr::Action::"process", Asr::Action::"failover"]'
_ONLY_RECOGNISING = f"forbid (principal, {_RECOGNISING}, resource)\nwhen {{ context.dataClass"
_ONLY_PROCESS = f"forbid (principal, {_RECOGNISING}, resource) when {{ principal.isRestricted"


class Kept:
    is_writable = True

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []

    def record(self, record: DecisionRecord) -> None:
        self.records.append(record)


def _policy(folder: Path, **changes: str) -> tuple[MeterPolicy, Kept]:
    for path, raw in residency_files(more_rules=IN_EUROPE, **changes).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw)
    in_force = BundlesInForce(
        folder, Trust({}, 0, 0), ResidencyMetrics(CollectorRegistry()), Kept(), now_s=lambda: float(NOON_S)
    )
    kept = Kept()
    return MeterPolicy(in_force, kept), kept


def test_a_projects_usage_leaves_where_the_rules_permit_it_and_each_answer_is_told_once(tmp_path: Path) -> None:
    policy, kept = _policy(tmp_path)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert policy.permits("clinic/notes", "us-east-1")
            assert not policy.permits("clinic/notes", "us-west-1")
            assert not policy.permits("clinic/notes", "eu-central-1")
            assert not policy.permits("nobody/knows", "us-east-1")
            assert not policy.permits("clinic/notes", "nowhere")
    told = [(record.project, record.chosen, record.decision) for record in kept.records]
    assert len(told) == 5
    assert told[0] == ("notes", "us-east-1", "Allow")
    assert {decision for _project, _chosen, decision in told[1:]} <= {"Deny", "NoDecision"}
    assert [row["event"] for row in logs] == ["meter_export.held"] * 4
    assert "F30-meters-of-health-stay" in kept.records[2].determining_policy_ids


def test_usage_of_a_project_without_a_row_leaves_where_any_callers_may(tmp_path: Path) -> None:
    """Nobody knows its profile: what a single one of them, or a class of data, may not send stays."""
    sound = RULES.replace("forbid (principal, action, resource)\nwhen { context.dataClass", _ONLY_RECOGNISING)
    sound = sound.replace("forbid (principal, action, resource) when { principal.isRestricted", _ONLY_PROCESS)
    for folder, more, permitted in ((tmp_path / "all", "", True), (tmp_path / "one", ONE_FORBIDS, False)):
        policy, kept = _policy(folder, rules=sound + more)
        assert policy.permits("nobody/knows", "eu-central-1") is permitted
        assert not policy.permits("nobody/knows", "kp-1")
        assert [record.decision for record in kept.records] == ["Allow" if permitted else "Deny", "Deny"]
