"""Settings of grants are few, and each has its bounds."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.residency.grant_settings import GrantSettings

pytestmark = pytest.mark.unit


def test_a_key_is_enough_and_a_grant_lives_for_a_minute() -> None:
    settings = GrantSettings.model_validate({"key_file": "/key.pem"})
    assert (settings.keys_directory, settings.lifetime_s) == (None, 60)


@pytest.mark.parametrize("wrong", [{}, {"key_file": "/k", "lifetime_s": 4}, {"key_file": "/k", "lifetime_s": 3_601}])
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GrantSettings.model_validate(wrong)
