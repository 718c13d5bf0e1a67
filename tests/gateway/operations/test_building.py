"""The operations of a gateway expire what nobody confirms, and end when they are cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession

from policies.orders import Order, OrderKind, OrderState, Scope, Target
from tests.gateway.operations.operations_world import OperationsWorld
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


async def test_an_order_of_yesterday_that_was_never_confirmed_goes_by_itself(tmp_path: Path) -> None:
    old = Order("0" * 12, Target(Scope.region, "north"), OrderKind.drain, OrderState.pending, "why", "ada", 1)
    async with ClientSession() as http:
        there = OperationsWorld(tmp_path, http)
        await there.book.change(lambda _orders: (old,))
        running = asyncio.create_task(there.operations.run())
        await until(lambda: there.book.orders.orders == (), what="the end of an old order")
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    labels = {"act": "expire", "outcome": "expired"}
    await until(lambda: there.registry.get_sample_value("patchbay_operations_total", labels) == 1, what="its event")
