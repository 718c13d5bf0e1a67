"""What a `start` may say: all that rules can tell apart, and nothing that is said already."""

from __future__ import annotations

import pytest

from gateway.residency.start_to_come import what_a_start_may_say
from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.situation import NOTHING_STATED, Stated
from policies.residency.vocabulary import LegalBasis
from tests.harness.residency_bundle import NOON_S, residency_files

pytestmark = pytest.mark.unit

BUNDLE = read_bundle(residency_files())
ENGINE = ResidencyEngine(BUNDLE, NOON_S)


def test_nothing_at_all_comes_first_and_what_the_token_says_is_not_varied() -> None:
    told = Stated(None, frozenset({"FR"}), False, LegalBasis.contract)
    assert list(what_a_start_may_say(told, BUNDLE.projects["clinic/notes"], ENGINE)) == [NOTHING_STATED]
    said = list(what_a_start_may_say(NOTHING_STATED, None, ENGINE))
    assert said[0] == NOTHING_STATED
    assert Stated(has_consent=True) in said
    assert all(not each.subject_countries for each in said), "there is no default that it could replace"


def test_where_a_default_names_the_country_one_of_each_kind_is_tried() -> None:
    said = list(what_a_start_may_say(Stated(has_consent=True), BUNDLE.projects["clinic/notes"], ENGINE))
    tried = {country for each in said for country in each.subject_countries}
    assert "ZZ" in tried
    areas = {ENGINE.areas_asked({country}) for country in tried}
    assert areas == {ENGINE.areas_asked({code}) for code in ("ZZ", *(row.code for row in BUNDLE.jurisdictions))}
    assert len(areas) == len(tried)
