"""Refusals are typed, and say no more than their word."""

from __future__ import annotations

import pytest

from gateway.escrow.lending import RootRefusal, RootRefused

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("refusal", list(RootRefusal))
def test_a_refusal_says_its_word(refusal: RootRefusal) -> None:
    error = RootRefused(refusal)
    assert (error.refusal, str(error)) == (refusal, refusal.value)
