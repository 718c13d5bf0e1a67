"""A rule is read for what it is about and for what it asks, and for nothing less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.rule_reading import EntityName, Scope, read_rule
from tests.harness.residency_bundle import residency_files, rule

if TYPE_CHECKING:
    from policies.residency.bundles.rule_reading import RuleReading

pytestmark = pytest.mark.unit


def reading(text: str) -> RuleReading:
    return read_rule(read_bundle(residency_files(more_rules=rule("X", text))).rules["X"])


def test_a_rule_s_head_says_for_whom_what_and_where_it_is() -> None:
    read = reading(
        'permit (principal in Asr::Profile::"eea", action in [Asr::Action::"process", Asr::Action::"relay"],'
        ' resource is Asr::Region in Asr::Jurisdiction::"EU");'
    )
    assert (read.effect, read.principal) == ("permit", Scope(within=(EntityName("Profile", "eea"),)))
    assert read.action == Scope(within=(EntityName("Action", "process"), EntityName("Action", "relay")))
    assert read.resource == Scope(kind="Region", within=(EntityName("Jurisdiction", "EU"),))
    assert read.reads == frozenset()


def test_a_head_holds_for_what_it_names_and_what_belongs_to_it() -> None:
    eu, here = EntityName("Jurisdiction", "EU"), EntityName("Region", "eu-west-1")
    assert Scope(is_everything=True).holds(here, frozenset())
    assert Scope(exactly=here).holds(here, frozenset())
    assert not Scope(exactly=here).holds(EntityName("Region", "us-east-1"), frozenset({eu}))
    assert Scope(within=(eu,)).holds(here, frozenset({eu}))
    assert not Scope(within=(eu,)).holds(here, frozenset())
    assert not Scope(kind="Project").holds(here, frozenset())


def test_what_a_fact_is_compared_with_is_known() -> None:
    read = reading(
        "forbid (principal, action, resource) when { "
        '[Asr::DataClass::"phi", Asr::DataClass::"minors"].contains(context.dataClass) '
        '&& context.subject.containsAny([Asr::Jurisdiction::"EU"]) && context.capacity != Asr::Capacity::"spot" '
        '&& context.now >= datetime("2026-10-01T00:00:00Z") };'
    )
    assert read.compared == {
        "context.dataClass": {"phi", "minors"},
        "context.subject": {"EU"},
        "context.capacity": {"spot"},
        "context.now": set(),
    }
    assert read.opaque == frozenset()


def test_a_fact_that_is_used_in_another_way_is_opaque() -> None:
    read = reading(
        "forbid (principal, action, resource) when { principal has onlyRegions && "
        "!principal.onlyRegions.contains(resource) && context.hasConsent };"
    )
    assert read.reads == {"principal.onlyRegions", "resource", "context.hasConsent"}
    assert read.opaque == read.reads


def test_comments_and_annotations_are_no_part_of_what_a_rule_says() -> None:
    text = "forbid (principal, action, resource) when { context.isDraining };"
    one = read_rule(read_bundle(residency_files(more_rules=rule("X", text))).rules["X"])
    other = read_rule(read_bundle(residency_files(more_rules="// why\n" + rule("X", text, '@note("n")'))).rules["X"])
    assert one.body == other.body
