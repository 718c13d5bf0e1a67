"""Promises of the place of permissions: compare-and-set, and the latest wins."""

from __future__ import annotations

import pytest

from gateway.operations.glass_store import OwnGlassStore
from tests.gateway.operations.glass_promises import store_keeps_its_promises


@pytest.mark.unit
async def test_a_gateway_that_is_alone_keeps_its_own() -> None:
    await store_keeps_its_promises(OwnGlassStore())
