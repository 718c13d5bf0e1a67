"""What the bundle in force says of a caller: his set, or a refusal that names rules and permitted gateways alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.admission.policy_sets import PolicySet
from gateway.errors import Reason, SessionRefused, WrongRegion
from policies.residency.situation import NOTHING_STATED, Stated
from policies.residency.vocabulary import Action, DataClass
from policies.routing_facts import CapacityClass
from regions.catalog import Catalog
from tests.harness.residency_bundle import PROFILES, RULES, project_row, residency_files, rule
from tests.harness.residency_world import CATALOG, ResidencyWorld, calling, spec_of

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.residency.policy_sets import BundlePolicySets
    from policies.residency.decision import Situation
    from tests.harness.residency_world import Calling

pytestmark = pytest.mark.unit

EU = {"eu-central-1", "eu-west-1"}
EMBARGOED = "no-east-1"


def set_of(sets: BundlePolicySets, who: Calling, request: Stated = NOTHING_STATED) -> PolicySet:
    found = sets.permitted(who.caller, request, who.place)
    assert isinstance(found, PolicySet), found
    return found


def reason_of(sets: BundlePolicySets, who: Calling, request: Stated = NOTHING_STATED) -> Reason:
    found = sets.permitted(who.caller, request, who.place)
    assert isinstance(found, SessionRefused)
    return found.reason


async def test_a_callers_set_is_what_the_bundle_permits_his_project(tmp_path: Path) -> None:
    sets = ResidencyWorld(tmp_path).sets()
    found = set_of(sets, calling("calls"))
    assert (found.permitted.terminate, found.permitted.process) == (EU, EU)
    assert (found.profile, found.is_restricted) == ("eu-strict", True)
    assert found.digests.version == "1"
    assert sets.refusal_here(found, None) is None
    assert sets.gateways_for(found, None) == (
        "wss://eu-central-1.example/v1/stream",
        "wss://eu-west-1.example/v1/stream",
    )


async def test_a_prepared_answer_is_a_look_up(tmp_path: Path) -> None:
    world, who = ResidencyWorld(tmp_path), calling("calls")
    sets = world.sets()
    await sets.prepare(who.caller, NOTHING_STATED, who.place)
    assert world.in_force.table is not None
    asked = world.in_force.table.cold_count
    set_of(sets, who)
    assert world.in_force.table.cold_count == asked > 0


async def test_profiles_that_nobody_knows_or_names_are_refused(tmp_path: Path) -> None:
    sets = ResidencyWorld(tmp_path).sets()
    assert reason_of(sets, calling("none", profile="mars")) is Reason.residency_unknown_profile
    assert reason_of(sets, calling("none")) is Reason.residency_unknown_profile
    assert reason_of(sets, calling("calls", profile="global")) is Reason.residency_conflict
    assert set_of(sets, calling("none", profile="eea")).situation is not None


async def test_a_request_that_raises_the_data_class_is_decided_anew(tmp_path: Path) -> None:
    sets, who = ResidencyWorld(tmp_path).sets(), calling("none", profile="global")
    assert "no-east-1" in set_of(sets, who).permitted.process
    phi = set_of(sets, who, Stated(data_class=DataClass.phi))
    assert phi.permitted.process == {"eu-central-1", "eu-west-1", "us-east-1"}
    assert phi.permitted.classes_in("us-east-1") == {CapacityClass.reserved}


async def test_whoever_is_seen_nowhere_is_denied_by_a_restricted_profile_and_told_the_rule(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    sets = world.sets()
    found = set_of(sets, calling("calls", country=""))
    refusal = sets.refusal_here(found, None)
    assert refusal is not None
    sets.note_refused(found)
    assert (refusal.reason, type(refusal)) == (Reason.residency_denied, SessionRefused)
    assert "F09-restricted-needs-subject" in refusal.detail
    assert (
        world.figure("patchbay_residency_denials_total", rule="F09-restricted-needs-subject", action="terminate") == 1
    )


async def test_what_only_a_start_can_say_is_waited_for(tmp_path: Path) -> None:
    consent = PROFILES.replace("requires_consent = false", "requires_consent = true")
    sets = ResidencyWorld(tmp_path, residency_files(profiles=consent)).sets()
    for who, expected in [
        (calling("calls", country=""), True),
        (calling("calls"), True),
        (calling("one-region"), False),
        (calling("none", profile="mars"), False),
    ]:
        assert await sets.may_yet_permit(who.caller, who.place) is expected


async def test_a_default_country_of_the_project_is_not_the_last_word_before_start(tmp_path: Path) -> None:
    not_of_us = rule(
        "F91", 'forbid (principal, action, resource) when { context.subject.contains(Asr::Jurisdiction::"US") };'
    )
    rows = project_row("acme/calls", "eu-strict", 'subject_country = "US"')
    world = ResidencyWorld(tmp_path, residency_files(more_rules=not_of_us, projects=rows))
    for here, who, expected in [
        ("eu-central-1", calling("calls"), True),
        ("eu-central-1", calling("calls", country=""), True),
        ("eu-central-1", calling("calls", country="US"), False),
        ("us-east-1", calling("calls"), False),
    ]:
        assert await world.sets(here).may_yet_permit(who.caller, who.place) is expected, (here, who.place)


async def test_what_a_start_might_say_takes_no_place_in_the_table_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent = PROFILES.replace("requires_consent = false", "requires_consent = true")
    world = ResidencyWorld(tmp_path, residency_files(profiles=consent))
    sets, who, table = world.sets("us-east-1"), calling("calls"), world.in_force.table
    assert table is not None
    await sets.prepare(who.caller, NOTHING_STATED, who.place)
    assert not await sets.may_yet_permit(who.caller, who.place)
    assert len(table.situations()) == 1
    monkeypatch.setattr(table.engine, "decide", lambda _question: pytest.fail("asked again"))
    assert not await sets.may_yet_permit(who.caller, who.place)


async def test_a_refusal_asks_for_no_set_of_another_gateway_where_something_can_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = ResidencyWorld(tmp_path)
    sets, table = world.sets("us-east-1"), world.in_force.table
    assert table is not None
    found = set_of(sets, calling("calls"))
    monkeypatch.setattr(table, "permitted", lambda *_given, **_named: pytest.fail("asked"))
    assert isinstance(sets.refusal_here(found, None), WrongRegion)


async def test_at_the_wrong_gateway_he_is_told_permitted_ones_and_no_other(tmp_path: Path) -> None:
    sets = ResidencyWorld(tmp_path).sets("us-east-1")
    refusal = sets.refusal_here(set_of(sets, calling("calls")), None)
    assert isinstance(refusal, WrongRegion)
    assert set(refusal.gateways) == {f"wss://{name}.example/v1/stream" for name in EU}
    assert "us-east" not in refusal.detail


async def test_a_gateway_from_which_nothing_may_be_recognised_sends_him_to_one_where_something_may(
    tmp_path: Path,
) -> None:
    forbid = 'forbid (principal, action == Asr::Action::"process", resource == Asr::Region::"eu-central-1");'
    more = (
        rule("F90-no-engines-here", forbid)
        + rule(
            "F91-no-relays",
            'forbid (principal, action == Asr::Action::"relay", resource);',
        )
        + rule(
            "F92-nothing-goes-on-here",
            'forbid (principal, action == Asr::Action::"failover", resource == Asr::Region::"eu-central-1");',
        )
    )
    sets = ResidencyWorld(tmp_path, residency_files(more_rules=more)).sets("eu-central-1")
    found = set_of(sets, calling("calls"))
    assert found.permitted.process == frozenset()
    refusal = sets.refusal_here(found, None)
    assert isinstance(refusal, WrongRegion)
    assert refusal.gateways == ("wss://eu-west-1.example/v1/stream",)
    assert "F90-no-engines-here" in refusal.detail


async def test_a_region_on_which_catalog_and_bundle_differ_is_in_no_set_and_told(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    moved = Catalog(
        {
            **CATALOG.regions,
            "eu-west-1": spec_of("eu-west-1", "IE", "Somebody"),
            "new-1": spec_of("new-1", "DE", "Amazon"),
        }
    )
    assert set_of(world.sets(catalog=moved), calling("calls")).permitted.terminate == {"eu-central-1"}
    for region in ("eu-west-1", "new-1"):
        assert world.figure("patchbay_residency_region_differs", region=region) == 1
    assert world.figure("patchbay_residency_region_differs", region="eu-central-1") is None


async def test_without_a_bundle_in_force_nobody_has_a_set(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    sets = world.sets()
    world.now_s = 1_798_761_600.0
    assert reason_of(sets, calling("calls")) is Reason.residency_unavailable
    assert sets.is_ready, "running sessions must hear of it"


async def test_while_decisions_are_made_anew_callers_come_again_and_sessions_wait(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    sets = world.sets()
    world.now_s += 150 * 86_400.0  # past a date in a rule
    refusal = sets.permitted(calling("calls").caller)
    assert isinstance(refusal, SessionRefused)
    assert (refusal.reason, refusal.retry_after_ms, sets.is_ready) == (Reason.residency_unavailable, 200, False)


async def test_only_what_a_rule_says_is_left_at_once(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    who = calling("none", profile="global")
    sets = world.sets()
    assert sets.leaves_at_once(set_of(sets, who)) == {"kp-1"}
    embargo = rule(
        "F93-embargo-north",
        f'forbid (principal, action, resource == Asr::Region::"{EMBARGOED}");',
        '@kind("statutory") @running("at_once")',
    )
    await world.put(residency_files(more_rules=embargo, version="2"))
    assert sets.leaves_at_once(set_of(sets, who)) == {"kp-1", EMBARGOED}
    assert sets.leaves_at_once(set_of(sets, calling("calls"))) == {"kp-1", EMBARGOED}


class OneGlass:
    """Support may look, and Norway may be used."""

    def __init__(self) -> None:
        self.used: list[str] = []

    def covering(self, situation: Situation, action: str, region: str) -> str:
        return "bg-1" if (action, region) == (Action.process, "no-east-1") else ""

    def note_used(self, permission_id: str, *, action: str, region: str, session: str = "", who: str = "") -> None:
        self.used.append(f"{permission_id} {session}")


async def test_an_emergency_permission_adds_what_the_rules_let_it_and_its_use_is_told(tmp_path: Path) -> None:
    more = rule(
        "P90-emergency",
        'permit (principal in Asr::Profile::"eu-strict", action in [Asr::Action::"process", Asr::Action::"relay"], '
        "resource) when { context.hasBreakGlass };",
    ) + rule(
        "P91-relay-in-norway",
        'permit (principal in Asr::Profile::"eu-strict", action == Asr::Action::"relay", '
        'resource == Asr::Region::"no-east-1");',
    )
    glass = OneGlass()
    sets = ResidencyWorld(tmp_path, residency_files(rules=RULES + more)).sets(glass=glass)
    found = set_of(sets, calling("calls"))
    assert found.permitted.process == EU | {"no-east-1"}
    assert found.permitted.failover == EU, "only what it covers"
    assert found.break_glass == "bg-1"
    sets.note_session(found, "s-1")
    sets.note_session(replace(found, break_glass=""), "s-2")
    assert glass.used == ["bg-1 s-1"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    project=st.sampled_from(["calls", "one-region", "no-aws", "none"]),
    profile=st.sampled_from(["", "eea", "global", "us-health"]),
    country=st.sampled_from(["", "FR", "US", "KP"]),
    data_class=st.none() | st.sampled_from(DataClass),
    here=st.sampled_from(sorted(CATALOG.regions)),
)
async def test_every_region_of_a_set_or_a_hint_is_one_that_the_engine_permits(
    worlds: dict[str, ResidencyWorld],
    project: str,
    profile: str,
    country: str,
    data_class: DataClass | None,
    here: str,
) -> None:
    world = worlds["only"]
    sets, who = world.sets(here), calling(project, profile=profile, country=country)
    found = sets.permitted(who.caller, Stated(data_class=data_class), who.place)
    if isinstance(found, SessionRefused):
        return
    allowed = {
        (action, region)
        for action in Action
        for region in CATALOG.regions
        if (decision := sets.decision_on(found, action, region)) is not None and decision.is_allowed
    }
    permitted = found.permitted
    assert {(Action.terminate, region) for region in permitted.terminate} <= allowed
    assert {(Action.relay, region) for region in permitted.process - {here}} <= allowed
    assert {(Action.store_checkpoint, region) for region in permitted.checkpoint} <= allowed
    refusal = sets.refusal_here(found, who.place)
    if isinstance(refusal, WrongRegion):
        hinted = {gateway.removeprefix("wss://").split(".")[0] for gateway in refusal.gateways}
        assert hinted <= permitted.terminate - {here}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ResidencyWorld]:
    return {"only": ResidencyWorld(tmp_path_factory.mktemp("bundle"))}
