"""Settings of resumption say what is wrong with them, and show no key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from gateway.resumption.settings import ResumptionSettings

pytestmark = pytest.mark.unit


def test_keys_come_from_one_place() -> None:
    with pytest.raises(ValidationError, match="not both"):
        ResumptionSettings(keys=(SecretStr("k" * 32),), key_file=Path("keys"))


def test_a_key_that_can_be_guessed_is_refused_and_not_shown() -> None:
    with pytest.raises(ValidationError, match="32 characters") as refused:
        ResumptionSettings(keys=(SecretStr("guessable"),))
    assert "guessable" not in str(refused.value)


def test_addresses_of_webtransport_are_ones_that_clients_can_use() -> None:
    good = ("ws://here/v1/stream", "grpc://here", "https://here:4433/v1/stream")
    assert ResumptionSettings(resume_at=good).resume_at == good
    with pytest.raises(ValidationError, match="address 2 of resume_at: must be an address and nothing else") as refused:
        ResumptionSettings(resume_at=("ws://here/v1/stream", "https://me:hidden@here:4433/v1/stream"))
    assert "hidden" not in str(refused.value)
