"""A session as the journal knows it."""

from __future__ import annotations

import pytest

from gateway.metering.journal_interface import JournaledTab
from tests.harness.usage import caller_plan, labels_of, piece_of

pytestmark = pytest.mark.unit


def test_the_slice_that_comes_next_follows_the_last_one_known() -> None:
    tab = JournaledTab(labels_of("s"), caller_plan(), recorded=30)
    assert tab.following == 30
    tab.slices.append(piece_of(30))
    assert tab.following == 31
