"""A relay asks its own region's policy: the bundle in force there, or the lists of its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.admission.policy_sets import CatalogPolicySets
from gateway.residency.break_glass_union import NoGlass
from gateway.residency.grant_settings import GrantSettings
from gateway.residency.granting import ListPolicy, TablePolicy, grant_issuer, relay_guard
from gateway.residency.settings import ResidencySettings
from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.deciding.table import DecisionTable
from policies.residency.decision import Situation
from policies.residency.grant import PlacementGrant
from policies.residency.vocabulary import DataClass
from policies.routing_facts import ALL_CLASSES, CapacityClass
from regions.catalog import Catalog
from tests.harness.grants import GrantKeys
from tests.harness.residency_bundle import NOON_S, residency_files, rule

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

EMBARGO = rule(
    "F99-nobody-here", 'forbid (principal, action, resource == Asr::Region::"eu-west-1");', '@running("at_once")'
)


def table_of(more_rules: str = "") -> DecisionTable:
    return DecisionTable(ResidencyEngine(read_bundle(residency_files(more_rules=more_rules)), NOON_S))


def grant_of(profile: str, **more: Any) -> PlacementGrant:
    return PlacementGrant(
        session_id="s", tenant="t", issuer="home", profile=profile, issued_at_s=0, expires_at_s=1, **more
    )


def may(policy: TablePolicy | ListPolicy, grant: PlacementGrant, *, goes_on: bool = False) -> frozenset[CapacityClass]:
    return policy.permitted_here(grant, goes_on)


def test_what_the_bundle_here_permits_may_be_passed_on_and_nothing_else() -> None:
    table = table_of()
    here = TablePolicy("eu-west-1", lambda: table)
    german = grant_of("eu-strict", subject_countries=("DE",))
    assert may(here, german) == may(here, german, goes_on=True) == ALL_CLASSES
    assert may(here, grant_of("eu-strict")) == frozenset(), "nobody knows whose speech it is"
    assert may(here, grant_of("us-health", subject_countries=("US",))) == frozenset()
    assert may(here, grant_of("made-up")) == frozenset()
    assert may(TablePolicy("atlantis", lambda: table), german) == frozenset()


def test_machines_are_those_that_the_bundle_here_permits() -> None:
    table = table_of()
    health = grant_of("us-health", data_class=DataClass.phi, subject_countries=("US",))
    assert may(TablePolicy("us-east-1", lambda: table), health) == {CapacityClass.reserved}


class Glass(NoGlass):
    """A permission to begin sessions in one region."""

    def covering(self, situation: Situation, action: str, region: str) -> str:
        return "P-1" if (situation.profile, action, region) == ("us-health", "process", "eu-west-1") else ""


def test_an_emergency_permission_counts_where_it_is_open_and_for_what_it_covers() -> None:
    table = table_of(
        rule(
            "P99-emergency",
            'permit (principal, action in [Asr::Action::"relay", Asr::Action::"process", Asr::Action::"failover"],'
            " resource) when { context.hasBreakGlass };",
        )
    )
    american = grant_of("us-health", subject_countries=("US",))
    opened = TablePolicy("eu-west-1", lambda: table, Glass())
    assert may(opened, american) == ALL_CLASSES
    assert may(opened, american, goes_on=True) == frozenset()
    assert may(TablePolicy("eu-west-1", lambda: table), american) == frozenset()


@pytest.mark.parametrize("trigger", ["failover", "drain", "rebalance"])
@pytest.mark.parametrize("action", ["failover", "relay"])
def test_what_goes_on_is_passed_on_only_where_that_is_permitted_whatever_makes_it_move(
    trigger: str, action: str
) -> None:
    table = table_of(
        rule(
            "F98-not-so",
            f'forbid (principal, action == Asr::Action::"{action}", resource)'
            f' when {{ context.trigger == Asr::Trigger::"{trigger}" }};',
        )
    )
    german = grant_of("eu-strict", subject_countries=("DE",))
    here = TablePolicy("eu-west-1", lambda: table)
    assert may(here, german) == ALL_CLASSES
    assert may(here, german, goes_on=True) == frozenset()


def test_a_region_of_which_catalog_and_bundle_say_different_things_passes_nothing_on() -> None:
    table = table_of()
    german = grant_of("eu-strict", subject_countries=("DE",))
    here = TablePolicy("eu-west-1", lambda: table, is_agreed=lambda: False)
    assert may(here, german) == may(here, german, goes_on=True) == frozenset()


def test_a_rule_against_going_on_does_not_wait_either() -> None:
    table = table_of(
        rule(
            "F98-none-goes-on",
            'forbid (principal, action == Asr::Action::"failover", resource);',
            '@running("at_once")',
        )
    )
    grant = grant_of("eu-strict", subject_countries=("DE",))
    assert TablePolicy("eu-west-1", lambda: table).leaves_at_once(grant)


def test_where_a_session_stands_is_kept_only_where_the_policy_here_lets_it() -> None:
    table = table_of()
    german = Situation("eu-strict", subject_countries=frozenset({"DE"}))
    assert TablePolicy("eu-west-1", lambda: table).may_keep(german)
    assert not TablePolicy("us-east-1", lambda: table).may_keep(german)
    assert not TablePolicy("eu-west-1", lambda: table).may_keep(None), "an older gateway does not say whose it is"
    assert not TablePolicy("eu-west-1", lambda: table, is_agreed=lambda: False).may_keep(german)
    assert not TablePolicy("eu-west-1", lambda: None).may_keep(german)
    settings = ResidencySettings(profiles={"eu": ("here", "there"), "us": ("there",)})
    lists = ListPolicy("here", CatalogPolicySets(settings, region="here", catalog=Catalog))
    asked = (Situation("eu"), Situation("us"), Situation("?"), None)
    assert [lists.may_keep(each) for each in asked] == [True, False, False, True]


def test_without_a_bundle_in_force_nothing_is_passed_on() -> None:
    here = TablePolicy("eu-west", lambda: None)
    assert here.permitted_here(grant_of("eu-strict"), False) == frozenset()
    assert not here.leaves_at_once(grant_of("eu-strict"))


def test_a_rule_that_does_not_wait_ends_what_runs_at_once() -> None:
    before, after = table_of(), table_of(EMBARGO)
    grant = grant_of("eu-strict", subject_countries=("DE",))
    assert not TablePolicy("eu-west-1", lambda: before).leaves_at_once(grant)
    embargoed = TablePolicy("eu-west-1", lambda: after)
    assert embargoed.permitted_here(grant, False) == frozenset()
    assert embargoed.leaves_at_once(grant)


def test_lists_of_this_region_hold_where_there_is_no_bundle() -> None:
    settings = ResidencySettings(profiles={"eu": ("here", "there"), "us": ("there",)})
    here = ListPolicy("here", CatalogPolicySets(settings, region="here", catalog=Catalog))
    assert may(here, grant_of("eu")) == may(here, grant_of("eu"), goes_on=True) == ALL_CLASSES
    assert [may(here, grant_of(name)) for name in ("us", "mars", "")] == [frozenset()] * 3
    assert not here.leaves_at_once(grant_of("us"))


def test_where_settings_name_no_keys_nothing_is_signed_and_nothing_is_asked(tmp_path: Path) -> None:
    policy = TablePolicy("here", lambda: None)
    assert grant_issuer(None, region="here", now_s=lambda: 0.0) is None
    assert relay_guard(None, policy) is None
    keys = GrantKeys(tmp_path / "keys", "here")
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(keys.private_pem("here"))
    only_signs = GrantSettings(key_file=key_file)
    assert grant_issuer(only_signs, region="here", now_s=lambda: 0.0) is not None
    assert relay_guard(only_signs, policy) is None
    assert relay_guard(only_signs.model_copy(update={"keys_directory": keys.folder}), policy) is not None
