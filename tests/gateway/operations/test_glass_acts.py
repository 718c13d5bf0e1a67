"""Promises of acts with emergency permissions: two people, an end, and a trace in every log."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from gateway.operations.audit_event import Act
from gateway.operations.refusals import ActRefused
from policies.residency.break_glass import PermissionState
from tests.gateway.operations.glass_world import ADA, CLINIC, GRACE, GlassWorld, wish
from tests.harness.waiting import until

pytestmark = pytest.mark.unit


async def test_nothing_is_covered_before_a_second_person_agreed() -> None:
    world = GlassWorld()
    asked = await world.acts.ask(ADA, wish())
    assert (asked.outcome, asked.permission.state) == ("pending", PermissionState.pending)
    assert not world.covers()
    with pytest.raises(ActRefused, match="same_person"):
        await world.acts.confirm(ADA, asked.permission.id)
    assert not world.covers()
    opened = await world.acts.confirm(GRACE, asked.permission.id)
    assert (opened.outcome, opened.permission.approver) == ("opened", "grace")
    assert world.covers()
    assert world.told == [("give", "pending"), ("confirm", "same_person"), ("confirm", "opened")]


async def test_its_time_begins_when_it_is_confirmed_and_ends_by_itself() -> None:
    world = GlassWorld()
    asked = await world.acts.ask(ADA, wish(minutes=10))
    world.now_s += 300
    await world.acts.confirm(GRACE, asked.permission.id)
    world.now_s += 599
    assert world.covers()
    world.now_s += 1
    assert not world.covers()
    assert await world.acts.expire() == 1
    assert world.book.permissions.permissions == ()
    assert world.told[-1] == ("expire", "expired")
    assert world.records[-1].action == "expired"


async def test_one_that_nobody_confirms_is_gone_after_a_quarter_of_an_hour() -> None:
    world = GlassWorld()
    asked = await world.acts.ask(ADA, wish())
    world.now_s += 900
    with pytest.raises(ActRefused, match="unknown_permission"):
        await world.acts.confirm(GRACE, asked.permission.id)
    assert world.acts.standing() == ()


async def test_one_that_is_closed_covers_nothing_and_does_not_come_back() -> None:
    world = GlassWorld()
    permission = await world.opened()
    done = await world.acts.close(GRACE, permission)
    assert done.outcome == "closed"
    assert not world.covers()
    assert (await world.acts.close(ADA, permission)).outcome == "already"
    # It is kept until its end, so that no older copy opens it again.
    assert [one.state for one in world.book.permissions.permissions] == [PermissionState.closed]


async def test_nobody_gets_longer_than_the_settings_allow() -> None:
    world = GlassWorld()
    with pytest.raises(ActRefused, match="at most 240"):
        await world.acts.ask(ADA, wish(minutes=241))
    assert world.told == [("give", "bad_request")]


async def test_every_step_is_an_error_in_the_log_a_record_and_a_figure() -> None:
    world = GlassWorld()
    with structlog.testing.capture_logs() as logs:
        permission = await world.opened()
        assert world.figure("patchbay_break_glass_open") == 1
        found = world.book.covering(CLINIC, "support_access", "eu-1")
        world.book.note_used(found, action="support_access", region="eu-1", session="s1", who="ada")
        await world.acts.close(GRACE, permission)
    said = [(row["event"], row["log_level"]) for row in logs]
    assert said == [
        ("break_glass.asked", "error"),
        ("break_glass.opened", "error"),
        ("break_glass.used", "error"),
        ("break_glass.closed", "error"),
    ]
    assert {row["ticket"] for row in logs} == {"INC-7"}
    assert world.figure("patchbay_break_glass_open") == 0
    assert world.figure("patchbay_break_glass_used_total", action="support_access") == 1
    assert [record.action for record in world.records] == ["pending", "opened", "used support_access", "closed"]
    assert {record.context.break_glass for record in world.records} == {permission}
    assert all("INC-7" in record.detail and "ada" in record.detail for record in world.records)


async def test_uses_are_audited_together_where_they_are_many() -> None:
    world = GlassWorld()
    await world.opened()
    for number in range(500):
        world.book.note_used(
            world.book.permissions.permissions[0].id, action="support_access", region="eu-1", session=f"s{number}"
        )
    running = asyncio.create_task(world.acts.run())
    await until(lambda: any(event.act is Act.use for event in world.events))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    uses = [event for event in world.events if event.act is Act.use]
    assert [(event.times, event.who) for event in uses] == [(500, "ada")]
    assert len(world.records) == 502
