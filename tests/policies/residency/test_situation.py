"""Project, token, request and address come to one situation, and none of them can make it laxer than the others say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.decision import Situation
from policies.residency.situation import (
    NOTHING_STATED,
    Conflict,
    SituationConflict,
    Sources,
    Stated,
    situation_of,
    strictest,
)
from policies.residency.vocabulary import DataClass, LegalBasis

pytestmark = pytest.mark.unit


@dataclass(frozen=True, slots=True)
class Row:
    profile: str = "eu-strict"
    data_class: DataClass | None = None
    subject_country: str = ""
    legal_basis: LegalBasis | None = None


CLASSES = st.sampled_from(DataClass)
COUNTRIES = st.frozensets(st.sampled_from(["FR", "US", "BR"]), max_size=2)
STATED = st.builds(
    Stated,
    data_class=st.none() | CLASSES,
    subject_countries=COUNTRIES,
    has_consent=st.none() | st.booleans(),
    legal_basis=st.none() | st.sampled_from(LegalBasis),
)
ROWS = st.none() | st.builds(Row, data_class=st.none() | CLASSES, subject_country=st.sampled_from(["", "DE"]))
SOURCES = st.builds(
    Sources,
    project=st.just("acme/calls"),
    row=ROWS,
    profile=st.just(""),
    claims=STATED,
    request=STATED,
    seen_country=st.sampled_from(["", "GB"]),
)


def test_whoever_says_nothing_gets_the_projects_defaults() -> None:
    row = Row("hipaa", DataClass.phi, "US", LegalBasis.contract)
    assert situation_of(Sources("acme/clinic", row)) == Situation(
        "hipaa", "acme/clinic", DataClass.phi, frozenset({"US"}), legal_basis=LegalBasis.contract
    )


def test_without_a_row_the_tokens_profile_holds_and_without_both_none_does() -> None:
    assert situation_of(Sources("acme/calls", None, "eea")) == Situation("eea")
    assert situation_of(Sources("acme/calls", None)) == Situation("")


def test_a_token_that_names_another_profile_than_its_project_has_is_refused() -> None:
    assert situation_of(Sources("acme/calls", Row("eea"), "eea")) == Situation("eea", "acme/calls")
    found = situation_of(Sources("acme/calls", Row("eu-strict"), "global"))
    assert isinstance(found, SituationConflict)
    assert found.conflict is Conflict.other_profile
    assert "eu-strict" not in found.detail  # of which the token's holder need not know


@pytest.mark.parametrize(
    ("given_classes", "expected"),
    [
        ([], DataClass.personal),
        ([DataClass.public], DataClass.public),
        ([DataClass.public, DataClass.personal], DataClass.personal),
        ([DataClass.phi, DataClass.personal, DataClass.public], DataClass.phi),
        ([DataClass.phi, DataClass.phi], DataClass.phi),
        ([DataClass.phi, DataClass.minors], None),
    ],
)
def test_the_strictest_class_holds_and_two_that_cannot_be_compared_have_none(
    given_classes: list[DataClass], expected: DataClass | None
) -> None:
    assert strictest(given_classes) is expected


def test_classes_that_cannot_go_together_are_a_conflict() -> None:
    request = Stated(data_class=DataClass.government)
    found = situation_of(Sources("a/b", Row(data_class=DataClass.phi), request=request))
    assert isinstance(found, SituationConflict)
    assert found.conflict is Conflict.incomparable_classes


def test_a_request_alone_makes_nothing_public() -> None:
    public = Stated(data_class=DataClass.public)
    by_request = situation_of(Sources("a/b", None, "global", request=public))
    by_token = situation_of(Sources("a/b", None, "global", claims=public))
    assert isinstance(by_request, Situation)
    assert isinstance(by_token, Situation)
    assert (by_request.data_class, by_token.data_class) == (DataClass.personal, DataClass.public)


def test_whoever_roams_keeps_the_protection_of_home_and_of_where_he_is() -> None:
    found = situation_of(Sources("a/b", Row(subject_country="FR"), seen_country="BR"))
    assert isinstance(found, Situation)
    assert found.subject_countries == {"FR", "BR"}


def test_the_token_goes_before_the_request_and_the_request_before_the_project() -> None:
    row, claims, request = Row(subject_country="DE"), Stated(subject_countries=frozenset({"FR"})), Stated()
    both = Sources("a/b", row, claims=claims, request=Stated(subject_countries=frozenset({"US"})))
    of_token = situation_of(both)
    of_request = situation_of(replace(both, claims=NOTHING_STATED))
    of_project = situation_of(Sources("a/b", row, request=request))
    found = [each.subject_countries for each in (of_token, of_request, of_project) if isinstance(each, Situation)]
    assert found == [{"FR"}, {"US"}, {"DE"}]


def test_consent_that_the_token_denies_is_not_given_by_the_request() -> None:
    yes, no = Stated(has_consent=True), Stated(has_consent=False)
    for claims, request, expected in [(no, yes, False), (yes, no, True), (NOTHING_STATED, yes, True), (yes, yes, True)]:
        found = situation_of(Sources("a/b", None, "x", claims, request))
        assert isinstance(found, Situation)
        assert found.has_consent is expected


@given(SOURCES)
def test_a_request_never_lowers_the_class_nor_takes_away_a_country_that_was_seen(sources: Sources) -> None:
    with_request, without = situation_of(sources), situation_of(replace(sources, request=NOTHING_STATED))
    if isinstance(with_request, SituationConflict) or isinstance(without, SituationConflict):
        return
    assert strictest([with_request.data_class, without.data_class]) is with_request.data_class
    assert {sources.seen_country} - {""} <= with_request.subject_countries
    assert sources.claims.subject_countries <= with_request.subject_countries


@given(SOURCES)
def test_nobody_known_is_an_empty_subject(sources: Sources) -> None:
    found = situation_of(replace(sources, claims=NOTHING_STATED, request=NOTHING_STATED, row=None, seen_country=""))
    assert isinstance(found, Situation)
    assert found.subject_countries == frozenset()
