"""Promises of the link settings."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from regions.links.settings import LinkSettings, PoolSettings

pytestmark = pytest.mark.unit


def test_the_shortest_wait_between_attempts_may_not_exceed_the_longest() -> None:
    with pytest.raises(ValidationError, match="reconnect_min_ms must not exceed reconnect_max_ms"):
        LinkSettings(reconnect_min_ms=200, reconnect_max_ms=100)


def test_a_pool_may_be_without_replicas_and_takes_no_unknown_setting() -> None:
    assert PoolSettings().addresses == ()
    with pytest.raises(ValidationError):
        PoolSettings.model_validate({"addresses": ("a:1",), "adresses": ()})
