"""What a `start` says about the speech is read whole, or every mistake in it is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.messages import ResidencySpec, Start
from gateway.wire.option_digests import different_options, option_digests
from gateway.wire.proto_codec import decode_client, encode_client
from gateway.wire.stated import read_consent, read_countries, read_stated
from policies.residency.situation import NOTHING_STATED, Stated
from policies.residency.vocabulary import DataClass, LegalBasis

pytestmark = pytest.mark.unit

SPEC = ResidencySpec(data_class="phi", subject_country="US", consent=False, legal_basis="contract", subject_id="p-17")


def test_all_of_it_is_read() -> None:
    mistakes: list[str] = []
    assert read_stated(SPEC, mistakes) == Stated(
        DataClass.phi, frozenset({"US"}), has_consent=False, legal_basis=LegalBasis.contract, subject_id="p-17"
    )
    assert mistakes == []


def test_nothing_said_is_nothing_stated() -> None:
    assert read_stated(ResidencySpec(), []) is NOTHING_STATED


def test_every_mistake_is_named() -> None:
    mistakes: list[str] = []
    read_stated(ResidencySpec(data_class="secret", subject_country="fr", legal_basis="x", subject_id="\n"), mistakes)
    assert [mistake.split(" ")[0] for mistake in mistakes] == [
        "residency.data_class",
        "residency.subject_country",
        "residency.legal_basis",
        "residency.subject_id",
    ]


@pytest.mark.parametrize("letters", ["ZZ", "XX", "EU", "QQ", "fr", "FRA", " FR", "", "\u0424\u0420"])
def test_letters_that_are_no_country_make_nobody_known(letters: str) -> None:
    mistakes: list[str] = []
    assert read_countries("residency.subject_country", letters, mistakes) == frozenset()
    assert len(mistakes) == 1


def test_a_claim_may_name_several_countries_and_not_too_many() -> None:
    mistakes: list[str] = []
    assert read_countries("c", ["FR", "DE"], mistakes) == {"FR", "DE"}
    assert mistakes == []
    read_countries("c", ["FR"] * 17, mistakes)
    read_countries("c", {"FR": 1}, mistakes)
    assert len(mistakes) == 2


def test_consent_is_a_truth_value_and_no_word_for_one() -> None:
    mistakes: list[str] = []
    assert read_consent("consent", "yes", mistakes) is None
    assert mistakes == ["consent must be true or false"]


@given(st.sampled_from([None, True, False]), st.sampled_from(["", "FR"]))
def test_it_travels_as_protobuf_unchanged(consent: bool | None, country: str) -> None:
    start = Start(residency=ResidencySpec(data_class="public", subject_country=country, consent=consent))
    assert decode_client(encode_client(start)) == start


def test_a_session_goes_on_with_what_was_said_about_it() -> None:
    assert different_options(option_digests(Start(residency=SPEC)), option_digests(Start())) == ["residency"]
