"""Which regions a session does without for a while."""

from __future__ import annotations

import pytest

from regions.session_losses import SessionLosses

pytestmark = pytest.mark.unit


def test_a_region_that_lost_one_engine_is_tried_again() -> None:
    losses = SessionLosses(avoided_ms=1_000)
    losses.note("north", 0, is_suspect=False)
    assert losses.avoided(0) == frozenset()


def test_a_region_that_took_audio_and_said_nothing_is_avoided_for_a_while() -> None:
    losses = SessionLosses(avoided_ms=1_000)
    losses.note("north", 0, is_suspect=True)
    assert (losses.avoided(999), losses.avoided(1_000)) == (frozenset({"north"}), frozenset())


def test_two_losses_in_a_row_make_a_region_avoided() -> None:
    losses = SessionLosses(avoided_ms=1_000)
    losses.note("north", 0, is_suspect=False)
    losses.note("north", 500, is_suspect=False)
    losses.note("south", 500, is_suspect=False)
    assert losses.avoided(500) == frozenset({"north"})


def test_two_losses_far_apart_do_not() -> None:
    losses = SessionLosses(avoided_ms=1_000)
    losses.note("north", 0, is_suspect=False)
    losses.note("north", 1_000, is_suspect=False)
    assert losses.avoided(1_000) == frozenset()


def test_a_final_in_between_makes_them_two_single_losses() -> None:
    losses = SessionLosses(avoided_ms=1_000)
    losses.note("north", 0, is_suspect=False)
    losses.proven("north")
    losses.note("north", 500, is_suspect=False)
    assert losses.avoided(500) == frozenset()
