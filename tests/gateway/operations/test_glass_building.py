"""Promises of the building of emergency permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.operations.glass_building import glass_book
from gateway.operations.settings import BreakGlassSettings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


async def test_without_a_redis_a_gateway_has_its_own(tmp_path: Path) -> None:
    book = glass_book(BreakGlassSettings(copy_file=tmp_path / "c"), None, "eu-1", CollectorRegistry())
    await book.look()
    assert (book.has_store, book.is_store_away, book.permissions.permissions) == (False, False, ())
