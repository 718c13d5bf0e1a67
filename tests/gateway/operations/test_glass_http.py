"""Promises of emergency permissions over HTTP: a scope of their own, and everything told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from tests.gateway.operations.operations_world import OperationsWorld

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

BODY: dict[str, Any] = {
    "project": "acme/clinic",
    "actions": ["support_access"],
    "regions": ["north"],
    "ticket": "INC-7",
    "reason": "a caller hears nothing",
    "minutes": 30,
}


async def test_two_people_open_one_and_it_is_shown_and_audited(tmp_path: Path) -> None:
    async with ClientSession() as http:
        world = OperationsWorld(tmp_path, http)
        scope = {"scopes": ("break-glass",)}
        async with TestClient(TestServer(world.app)) as client:
            refused = await client.post("/v1/break-glass", json=BODY, headers=world.as_("ada"))
            assert (refused.status, (await refused.json())["error"]["reason"]) == (403, "scope_missing")
            asked = await client.post("/v1/break-glass", json=BODY, headers=world.as_("ada", **scope))
            said = await asked.json()
            assert (asked.status, said["outcome"], said["permission"]["not_after_unix_s"]) == (202, "pending", None)
            place = f"/v1/break-glass/{said['permission']['id']}"
            own = await client.post(f"{place}/confirm", headers=world.as_("ada", **scope))
            assert own.status == 409
            confirmed = await client.post(f"{place}/confirm", headers=world.as_("grace", **scope))
            assert (await confirmed.json())["permission"]["state"] == "open"
            shown = await (await client.get("/v1/break-glass")).json()
            assert [(one["person"], one["approver"], one["ticket"]) for one in shown["permissions"]] == [
                ("ada", "grace", "INC-7")
            ]
            closed = await client.post(f"{place}/close", headers=world.as_("ada", **scope))
            assert (await closed.json())["outcome"] == "closed"
            events = (await (await client.get("/v1/audit")).json())["events"]
        assert [(event["act"], event["outcome"], event["kind"]) for event in events[::-1]] == [
            ("give", "scope_missing", "break_glass"),
            ("give", "pending", "break_glass"),
            ("confirm", "same_person", "break_glass"),
            ("confirm", "opened", "break_glass"),
            ("withdraw", "closed", "break_glass"),
        ]
        assert [record.action for record in world.decisions.records] == ["pending", "opened", "closed"]


async def test_a_wish_is_told_every_mistake(tmp_path: Path) -> None:
    async with ClientSession() as http:
        world = OperationsWorld(tmp_path, http)
        async with TestClient(TestServer(world.app)) as client:
            headers = world.as_("ada", scopes=("break-glass",))
            bad = {**BODY, "actions": ["listen"], "ticket": "", "regions": []}
            answer = await client.post("/v1/break-glass", json=bad, headers=headers)
            said = (await answer.json())["error"]["detail"]
        assert answer.status == 400
        assert all(word in said for word in ("actions", "ticket", "regions"))
