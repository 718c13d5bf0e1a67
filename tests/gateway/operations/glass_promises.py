"""What every store of emergency permissions promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.operations.glass_document import version_of
from policies.residency.break_glass import Permissions
from tests.gateway.operations.test_glass_document import ONE

if TYPE_CHECKING:
    from gateway.operations.glass_store import GlassStore

FIRST, SECOND = Permissions(1, (ONE,)), Permissions(2)


async def store_keeps_its_promises(store: GlassStore) -> None:
    assert await store.look("?") == (False, "", None)
    put = await store.change(FIRST, known_version="")
    assert (put.is_written, put.version) == (True, version_of(FIRST))
    assert (await store.look("?")).permissions == FIRST
    assert (await store.look(put.version)).permissions is None
    late = await store.change(SECOND, known_version="")
    assert (late.is_written, late.permissions) == (False, FIRST)
    assert (await store.change(SECOND, known_version=put.version)).is_written
