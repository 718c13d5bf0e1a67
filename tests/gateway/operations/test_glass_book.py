"""Promises of the permissions that a gateway goes by: restarts, an absent store and an older copy change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.operations.glass_book import TooManyPermissions
from gateway.operations.glass_store import GlassStoreAway, OwnGlassStore
from gateway.operations.refusals import ActRefused
from policies.residency.break_glass import MAX_PERMISSIONS
from policies.residency.decision import Situation
from tests.gateway.operations.glass_world import ADA, GRACE, GlassWorld, wish

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.operations.glass_store import Seen

pytestmark = pytest.mark.unit


class AwayStore(OwnGlassStore):
    is_away = False

    async def look(self, known_version: str) -> Seen:
        if self.is_away:
            raise GlassStoreAway("unreachable")
        return await super().look(known_version)


async def test_it_holds_after_a_restart(tmp_path: Path) -> None:
    copy = tmp_path / "glass.json"
    await GlassWorld(copy).opened()
    assert GlassWorld(copy).covers()
    assert copy.stat().st_mode & 0o777 == 0o600


async def test_a_damaged_copy_opens_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "glass.json"
    await GlassWorld(copy).opened()
    copy.write_bytes(copy.read_bytes()[:-9])
    assert not GlassWorld(copy).covers()


async def test_gateways_of_a_region_follow_one_another() -> None:
    shared = OwnGlassStore()
    one, other = GlassWorld(store=shared), GlassWorld(store=shared)
    permission = await one.opened()
    assert not other.covers()
    await other.book.look()
    assert other.covers()
    await other.acts.close(GRACE, permission)
    await one.book.look()
    assert not one.covers()


async def test_a_store_that_lost_everything_gets_the_latest_back_and_a_closed_one_stays_closed() -> None:
    shared = OwnGlassStore()
    late, early = GlassWorld(store=shared), GlassWorld(store=shared)
    permission = await late.opened()
    await early.book.look()
    await late.acts.close(GRACE, permission)
    empty = OwnGlassStore()
    late.book._store = early.book._store = empty
    await early.book.look()
    await late.book.look()
    await early.book.look()
    assert not early.covers()
    assert not late.covers()


async def test_while_the_store_is_away_what_is_open_stays_so_until_its_end_and_nothing_is_opened() -> None:
    store = AwayStore()
    world = GlassWorld(store=store)
    await world.opened(minutes=10)
    store.is_away = True
    await world.book.look()
    assert world.covers()
    assert world.figure("patchbay_break_glass_store_away") == 1
    with pytest.raises(ActRefused, match="store_away"):
        await world.acts.ask(ADA, wish())
    world.now_s += 600
    assert not world.covers()


async def test_watchers_hear_of_the_end_too() -> None:
    world = GlassWorld()
    heard: list[bool] = []
    world.book.on_change(lambda: heard.append(world.covers()))
    await world.opened(minutes=10)
    world.now_s += 600
    await world.book.look()
    assert heard == [True, False]


async def test_a_caller_without_a_row_is_covered_by_nothing() -> None:
    world = GlassWorld()
    await world.opened(project="acme/*")
    assert not world.book.has_break_glass(Situation(profile="global"), "support_access", "eu-1")


async def test_there_is_a_bound() -> None:
    world = GlassWorld()
    for _ in range(MAX_PERMISSIONS):
        await world.acts.ask(ADA, wish())
    with pytest.raises(ActRefused, match="too_many_permissions"):
        await world.acts.ask(ADA, wish())
    with pytest.raises(TooManyPermissions):
        await world.book.change(lambda known: known.permissions * 2)


async def test_a_use_of_a_permission_that_is_not_known_is_nothing() -> None:
    world = GlassWorld()
    world.book.note_used("", action="process", region="eu-1")
    assert world.records == []
