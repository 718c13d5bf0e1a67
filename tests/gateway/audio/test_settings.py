"""The bounds of this room."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.audio.settings import AudioSettings

pytestmark = pytest.mark.unit


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ValidationError) as error:
        AudioSettings.model_validate({"max_container_decoders": 0, "decode_turn_us": 1, "max_threads": 3})
    assert {mistake["loc"][0] for mistake in error.value.errors()} == {
        "max_container_decoders",
        "decode_turn_us",
        "max_threads",
    }
