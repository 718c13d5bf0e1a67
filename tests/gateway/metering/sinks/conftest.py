"""Batches as the exporter gives them to a sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.metering.sinks.interface import Outgoing
from tests.harness.exporter import usage_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.metering.entries import UsageEvent


@pytest.fixture
def outgoing() -> Callable[..., list[Outgoing]]:
    """Of these events, or of so many of an org's."""

    def make(*events: UsageEvent, count: int = 0, org: str = "acme", was_tried: bool = False) -> list[Outgoing]:
        made = [*events, *(usage_event(org, number) for number in range(count))]
        return [Outgoing(event, event.id, was_tried) for event in made]

    return make
