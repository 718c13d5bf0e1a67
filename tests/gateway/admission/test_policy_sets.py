"""Where a caller's audio may go: what is not permitted is refused, whatever else would be possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.places import Place, PlaceSource
from gateway.admission.policy_sets import CatalogPolicySets, PolicySet, residency_mistakes
from gateway.admission.residency_settings import ProfileLists
from gateway.errors import Reason, SessionRefused, WrongRegion
from policies.facts import Caller
from policies.residency.permitted import Permitted
from policies.routing_facts import RegionState
from regions.catalog import Catalog, Location, RegionSpec

pytestmark = pytest.mark.unit


def caller(profile: str = "") -> Caller:
    return Caller("acme", "", "", "", frozenset(), profile, 0)


def region(name: str, latitude: float, longitude: float, state: RegionState | None = None) -> RegionSpec:
    gateways = (f"wss://{name}.example/v1/stream", f"grpcs://{name}.example:443")
    return RegionSpec(name, Location(latitude, longitude), "DE", frozenset(), "us", gateways, (), state=state)


def catalog_of(*specs: RegionSpec) -> Catalog:
    return Catalog({spec.name: spec for spec in specs})


WEST, CENTRAL, US = region("eu-west", 53.3, -6.3), region("eu-central", 50.1, 8.7), region("us-east", 39.0, -77.5)
CATALOG = catalog_of(WEST, CENTRAL, US)
RESIDENCY = ProfileLists(profiles={"eu": ("eu-west", "eu-central"), "us": ("us-east",)}, default=("eu-west", "us-east"))
BERLIN = Place("DE", "BE", Location(52.5, 13.4), PlaceSource.database)


def sets(residency: ProfileLists | None = RESIDENCY, *, here: str = "eu-west") -> CatalogPolicySets:
    return CatalogPolicySets(residency, region=here, catalog=lambda: CATALOG)


def refused(found: PolicySet | SessionRefused) -> Reason:
    assert isinstance(found, SessionRefused)
    return found.reason


def test_a_profile_permits_its_regions_and_no_other() -> None:
    assert sets().permitted(caller("eu")) == PolicySet.of_list(frozenset({"eu-west", "eu-central"}), "eu")


def test_a_token_without_a_profile_has_the_default() -> None:
    assert sets().permitted(caller()) == PolicySet.of_list(frozenset({"eu-west", "us-east"}))


@pytest.mark.parametrize("residency", [RESIDENCY, ProfileLists(default=("eu-west",)), None])
def test_a_profile_that_is_not_known_is_refused_and_named(residency: ProfileLists | None) -> None:
    found = sets(residency).permitted(caller("eu-strict"))
    assert refused(found) is Reason.residency_unknown_profile
    assert isinstance(found, SessionRefused)
    assert "`eu-strict`" in found.detail


def test_without_a_default_a_token_must_name_a_profile() -> None:
    no_default = ProfileLists(profiles={"eu": ("eu-west",)})
    assert refused(sets(no_default).permitted(caller())) is Reason.residency_unknown_profile


def test_without_residency_every_region_of_the_catalog_is_permitted() -> None:
    assert sets(None).permitted(caller()) == PolicySet.of_list(frozenset(CATALOG.regions))


def test_without_a_catalog_there_is_this_region_alone() -> None:
    alone = CatalogPolicySets(None, region="here", catalog=Catalog)
    permitted = alone.permitted(caller())
    assert permitted == PolicySet.of_list(frozenset({"here"}))
    assert alone.refusal_here(PolicySet.of_list(frozenset({"here"})), None) is None


def test_a_region_that_the_profile_excludes_refuses_and_names_the_permitted_gateways_nearest_first() -> None:
    here = sets(here="us-east")
    found = here.refusal_here(PolicySet.of_list(frozenset({"eu-west", "eu-central"}), "eu"), BERLIN)
    assert isinstance(found, WrongRegion)
    assert found.gateways == (*CENTRAL.gateways, *WEST.gateways)
    assert "`eu`" in found.detail
    assert "us-east" in found.detail


def test_gateways_of_regions_that_drain_or_are_disabled_are_not_named() -> None:
    draining = catalog_of(region("eu-west", 53.3, -6.3, RegionState.draining), CENTRAL)
    here = CatalogPolicySets(RESIDENCY, region="eu-central", catalog=lambda: draining)
    assert here.gateways_for(PolicySet.of_list(frozenset({"eu-west", "eu-central"})), None) == CENTRAL.gateways


def test_regions_are_told_nearest_first_and_only_those_permitted_where_that_is_known() -> None:
    here = sets(here="us-east")
    assert [spec.name for spec in here.regions_for(None, BERLIN)] == ["eu-central", "eu-west", "us-east"]
    us = PolicySet.of_list(frozenset({"us-east"}), "us")
    assert [spec.name for spec in here.regions_for(us, BERLIN)] == ["us-east"]


def test_a_catalog_that_changes_is_asked_anew() -> None:
    now = [catalog_of(WEST)]
    here = CatalogPolicySets(None, region="eu-west", catalog=lambda: now[0])
    assert here.permitted(caller()) == PolicySet.of_list(frozenset({"eu-west"}))
    now[0] = CATALOG
    assert here.permitted(caller()) == PolicySet.of_list(frozenset(CATALOG.regions))


def test_regions_that_the_catalog_lacks_are_mistakes_each_in_its_list() -> None:
    residency = ProfileLists(profiles={"eu": ("eu-west", "eu-south")}, default=("mars",))
    assert residency_mistakes(residency, catalog=CATALOG, region="eu-west") == [
        "residency.profiles.eu: the catalog has no region eu-south",
        "residency.default: the catalog has no region mars",
    ]
    assert residency_mistakes(RESIDENCY, catalog=CATALOG, region="eu-west") == []
    assert residency_mistakes(None, catalog=CATALOG, region="eu-west") == []


def test_without_a_catalog_only_this_region_can_be_named() -> None:
    residency = ProfileLists(default=("eu-west", "us-east"))
    assert residency_mistakes(residency, catalog=Catalog(), region="eu-west") == [
        "residency.default: the catalog has no region us-east"
    ]


_names = st.sampled_from(sorted(CATALOG.regions))
_lists = st.lists(_names, min_size=1, max_size=3).map(tuple)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), _lists, max_size=3),
    st.none() | _lists,
    st.sampled_from(["", "a", "b", "c", "d"]),
    _names,
)
def test_nobody_is_told_or_permitted_a_region_that_his_list_lacks(
    profiles: dict[str, tuple[str, ...]], default: tuple[str, ...] | None, profile: str, here: str
) -> None:
    if not profiles and default is None:
        return
    residency = ProfileLists(profiles=profiles, default=default or ())
    policies = sets(residency, here=here)
    found = policies.permitted(caller(profile))
    allowed = set(profiles.get(profile, ()) if profile else default or ())
    if isinstance(found, SessionRefused):
        assert not allowed
        return
    assert found.permitted == Permitted.everywhere_in(allowed)
    assert (policies.refusal_here(found, None) is None) == (here in allowed)
    assert {spec.name for spec in policies.regions_for(found, BERLIN)} <= allowed
