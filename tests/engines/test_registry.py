"""Promises of the choice among loaded models."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.interface import RefusalReason, StreamOptions
from engines.registry import ModelOffer, choose_model, shares_with, speaks

pytestmark = pytest.mark.unit


def offer(bay: int, name: str = "a", version: str = "1", language: str = "en", share: int = 1_000) -> ModelOffer:
    return ModelOffer(bay=bay, name=name, version=version, language=language, share_permille=share)


def chosen(offers: list[ModelOffer], *, session_id: str = "s", **options: str) -> int | RefusalReason:
    found = choose_model(offers, StreamOptions(**options), default="a", session_id=session_id)
    return found.bay if isinstance(found, ModelOffer) else found


EN, DE, OTHER = offer(0), offer(1, "b", language="de-DE"), offer(2, "c", language="en-GB")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0),
        ({"language": "en-US"}, 0),
        ({"language": "de"}, 1),
        ({"model": "c"}, 2),
        ({"model": "c", "language": "en"}, 2),
        ({"model": "c", "language": "de"}, RefusalReason.unsupported_language),
        ({"language": "fr"}, RefusalReason.unsupported_language),
        ({"model": "d"}, RefusalReason.unknown_model),
        ({"model": "a", "model_version": "1"}, 0),
        ({"model": "a", "model_version": "2"}, RefusalReason.unknown_model),
        ({"model": "b", "model_version": "1"}, 1),
        ({"model_version": "9"}, 3),
        ({"model_version": "9", "language": "fr"}, RefusalReason.unsupported_language),
        ({"model_version": "8"}, RefusalReason.unknown_model),
    ],
)
def test_a_stream_gets_the_model_it_asks_for_or_one_that_speaks_its_language(
    options: dict[str, str], expected: int | RefusalReason
) -> None:
    assert chosen([EN, DE, OTHER, offer(3, "d2", version="9")], **options) == expected


def test_a_model_without_a_language_answers_for_any() -> None:
    assert chosen([offer(0, language="")], language="fr") == 0


def test_new_sessions_are_shared_out_by_share_and_a_session_is_always_answered_alike() -> None:
    versions = [offer(0, share=950), offer(1, version="2", share=50)]
    answers = {number: chosen(versions, session_id=f"session-{number}") for number in range(4_000)}
    assert 140 <= Counter(answers.values())[1] <= 260  # 200 expected, more than four deviations either way
    assert all(chosen(versions, session_id=f"session-{n}") == bay for n, bay in answers.items())


def test_a_session_pinned_to_a_version_gets_it_whatever_its_share() -> None:
    leaving = msgspec.structs.replace(offer(1, version="2", share=0), is_leaving=True)
    assert chosen([offer(0), leaving], model="a", model_version="2") == 1
    assert {chosen([offer(0), leaving], session_id=str(n)) for n in range(50)} == {0}


def test_a_model_whose_versions_all_leave_says_that_it_drains() -> None:
    leaving = msgspec.structs.replace(offer(0), is_leaving=True)
    assert chosen([leaving, DE]) == RefusalReason.draining


@given(
    shares=st.lists(st.integers(0, 1_000), min_size=1, max_size=5),
    data=st.data(),
    permille=st.integers(0, 1_000),
)
def test_shares_add_up_and_the_one_that_was_asked_for_is_exact(
    shares: list[int], data: st.DataObject, permille: int
) -> None:
    number = data.draw(st.integers(0, len(shares) - 1))
    found = shares_with(shares, number=number, permille=permille)
    assert sum(found) == 1_000
    assert all(share >= 0 for share in found)
    assert found[number] == (permille if len(shares) > 1 else 1_000)


def test_the_other_versions_keep_their_proportions() -> None:
    assert shares_with([600, 200, 200], number=0, permille=0) == [0, 500, 500]
    assert shares_with([500, 500, 0], number=2, permille=100) == [450, 450, 100]


def test_a_language_is_spoken_when_its_primary_subtag_is() -> None:
    assert speaks("en", "en-GB")
    assert speaks("en-US", "EN")
    assert speaks("en", "")
    assert not speaks("en", "de")
