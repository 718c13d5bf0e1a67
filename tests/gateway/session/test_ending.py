"""Endings that wait for an utterance."""

from __future__ import annotations

import pytest

from gateway.errors import Reason
from gateway.session.ending import Ending

pytestmark = pytest.mark.unit


def test_an_ending_is_due_when_its_utterance_is_cut_or_nothing_is_waited_for() -> None:
    ending = Ending(Reason.draining, "", None, cut_at_ms=500, grace_ms=500)
    assert ending.next_ms == 500
    ending.close_at_ms = 400
    assert ending.next_ms == 400
