"""What is signed together has one profile, one action, and the same answers."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.review.diff import Comparison, compare
from policies.residency.review.diff_groups import grouped
from policies.residency.vocabulary import DataClass
from tests.harness.residency_bundle import NOON_S, residency_files, rule

pytestmark = pytest.mark.unit


def test_changes_of_one_profile_with_the_same_rules_are_one_group_with_the_plainest_example() -> None:
    text = 'forbid (principal in Asr::Profile::"eea", action == Asr::Action::"process", resource);'
    bundles = [read_bundle(residency_files(more_rules=more)) for more in ("", rule("X", text))]
    *_, found = compare(*bundles, from_s=NOON_S, until_s=NOON_S + 60)
    assert isinstance(found, Comparison)
    (group,) = grouped(found.changed)
    assert (group.profile, group.actions, group.is_wider) == ("eea", ("process",), False)
    assert set(group.callers) == {"eea", "acme/one-region (eea)", "acme/no-aws (eea)"}
    assert set(group.regions) == {"eu-central-1", "eu-west-1", "eu-sovereign-1", "no-east-1"}
    assert group.count == sum(line.count for line in found.changed)
    assert (group.before.rules, group.after.rules) == (("P02-eea-in-eea",), ("X",))
    assert (group.example.situation.project, group.example.situation.data_class) == ("", DataClass.personal)
