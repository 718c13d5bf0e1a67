"""The refusals of this room."""

from __future__ import annotations

import pytest

from gateway.audio.faults import AUDIO_REASONS, bad_format, undecodable
from gateway.errors import TABLE, Fault, Reason

pytestmark = pytest.mark.unit


def test_every_reason_of_this_room_is_the_clients_fault():
    assert {TABLE[reason].fault for reason in AUDIO_REASONS} == {Fault.client}


def test_a_refusal_carries_its_sentence():
    assert (undecodable("a").reason, undecodable("a").detail) == (Reason.undecodable_audio, "a")
    assert (bad_format("b").reason, bad_format("b").detail) == (Reason.bad_audio_format, "b")
