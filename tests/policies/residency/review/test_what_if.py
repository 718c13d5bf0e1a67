"""Who has nowhere to go is found, and nobody who has."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.instants import seconds_of
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.deciding.table import DecisionTable
from policies.residency.decision import Question, Situation
from policies.residency.review.what_if import Prospect, Reach, Sites, Strait, WhatIf, dated_changes, prospects
from policies.residency.vocabulary import Action, DataClass
from policies.routing_facts import CapacityClass
from tests.harness.policy_bundles import starter_files
from tests.harness.residency_bundle import NOON_S, PROJECTS, project_row, residency_files, rule

pytestmark = pytest.mark.unit

EVERYWHERE = frozenset(CapacityClass)
GERMAN = frozenset({"DE"})


def supposed(what_if: WhatIf, **changes: str) -> dict[str, list[Prospect]]:
    """By name."""
    found: dict[str, list[Prospect]] = {}
    for each in prospects(read_bundle(residency_files(**changes)), what_if):
        for name in each.names:
            found.setdefault(name, []).append(each)
    return found


def test_a_project_whose_only_region_is_lost_has_nowhere_to_go_and_others_have() -> None:
    found = supposed(WhatIf(NOON_S, NOON_S, frozenset({"no-east-1"})))
    assert {each.straits for each in found["acme/one-region"]} == {(Strait.nowhere,)}
    assert {each.straits for each in found["eea"]} == {()}
    assert {each.straits for each in found["acme/no-aws"]} == {(Strait.one_region,)}
    assert not any(each.is_touched for each in found["us-health"])


def test_nothing_lost_and_no_day_passed_changes_nothing() -> None:
    assert not any(each.is_touched for found in supposed(WhatIf(NOON_S, NOON_S)).values() for each in found)


def test_who_fares_worst_comes_first() -> None:
    told = [*prospects(read_bundle(residency_files()), WhatIf(NOON_S, NOON_S, frozenset({"no-east-1"})))]
    assert told[0].names == ("acme/one-region",)


def test_a_day_on_which_a_rule_begins_to_forbid_is_found() -> None:
    found = supposed(WhatIf(NOON_S, seconds_of("2026-10-02T00:00:00Z")))
    assert {each.before.process - each.after.process for each in found["global"]} == {
        frozenset({"us-east-1", "us-west-1"})
    }
    assert not any(each.is_touched for each in found["eea"])


def test_a_bundle_that_has_expired_lets_nobody_go_anywhere() -> None:
    found = supposed(WhatIf(NOON_S, seconds_of("2027-01-02T00:00:00Z")))
    assert {strait for each in found["eea"] for strait in each.straits} == {Strait.nowhere}


def test_an_edge_site_recognises_nobody_and_phi_needs_reserved_machines() -> None:
    sites = Sites({"us-east-1": frozenset({CapacityClass.spot}), "us-west-1": frozenset(), "eu-west-1": EVERYWHERE})
    found = supposed(WhatIf(NOON_S, NOON_S, sites=sites))
    (clinic,) = found["clinic/notes"]
    assert (clinic.data_class, clinic.before.process, clinic.before.gateways) == (
        DataClass.phi,
        frozenset(),
        frozenset({"us-east-1"}),
    )
    assert {each.before.process for each in found["eea"]} == {frozenset({"eu-west-1"})}


def test_sessions_that_may_begin_elsewhere_but_not_go_on_there_are_told() -> None:
    text = 'forbid (principal, action == Asr::Action::"failover", resource in Asr::Jurisdiction::"EU");'
    found = supposed(WhatIf(NOON_S, NOON_S, frozenset({"no-east-1"})), more_rules=rule("X", text))
    assert {each.straits for each in found["eea"]} == {(Strait.cut,)}


def test_commit_points_that_may_be_kept_nowhere_are_told() -> None:
    text = 'forbid (principal, action == Asr::Action::"store_checkpoint", resource in Asr::Jurisdiction::"EU");'
    found = supposed(WhatIf(NOON_S, NOON_S, frozenset({"no-east-1"})), more_rules=rule("X", text))
    assert {each.straits for each in found["acme/no-aws"]} == {(Strait.one_region, Strait.no_checkpoint)}


def test_projects_of_the_same_row_with_other_defaults_are_asked_apart() -> None:
    more = PROJECTS + project_row("acme/kids", "eea", 'data_class = "minors"')
    found = supposed(WhatIf(NOON_S, NOON_S), projects=more)
    assert {each.data_class for each in found["acme/kids"]} == {DataClass.minors}
    assert {each.data_class for each in found["eea"]} == {DataClass.personal}


def test_where_somebody_may_go_is_what_a_gateway_would_find(is_long: bool) -> None:
    """The same of the table that gateways use, over all gateways that may end the connection."""
    bundle = read_bundle(starter_files() if is_long else residency_files())
    at_s = seconds_of("2027-01-10T00:00:00Z") if is_long else NOON_S
    table = DecisionTable(ResidencyEngine(bundle, at_s))
    regions = [*table.engine.regions]
    held = 0
    for each in prospects(bundle, WhatIf(at_s, at_s)):
        if each.names[0] in bundle.projects or (each.speakers and "EU (such as DE)" not in each.speakers):
            continue
        consents = bundle.profiles[each.profile].requires_consent
        situation = Situation(each.profile, subject_countries=GERMAN, has_consent=consents)
        ends = [here for here in regions if table.decide(Question(situation, Action.terminate, here)).is_allowed]
        sets = [table.permitted(situation, regions, here=here) for here in ends]
        assert frozenset(ends) == each.before.gateways
        for permitted in sets:
            assert permitted.process <= each.before.process
            assert permitted.checkpoint == each.before.checkpoints
        if sets:
            assert frozenset().union(*(permitted.process for permitted in sets)) == each.before.process
        held += len(sets)
    assert held > 10


def test_what_begins_and_ends_is_listed_in_order() -> None:
    bundle = read_bundle(residency_files())
    assert dated_changes(bundle, NOON_S, NOON_S) == ()
    assert [text for _, text in dated_changes(bundle, NOON_S, seconds_of("2027-02-01T00:00:00Z"))] == [
        "date in rule F08-us-sunset",
        "ends: the bundle test 1; everything is denied",
    ]


def test_a_reach_is_compared_as_a_whole() -> None:
    empty = Reach(frozenset(), frozenset(), frozenset(), frozenset())
    assert Prospect(("a",), "a", DataClass.personal, (), empty, empty).straits == ()
