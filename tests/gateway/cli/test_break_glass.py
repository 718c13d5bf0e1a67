"""Promises of `patchbay break-glass`: who opens one is told that nothing is open yet, and everything is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gateway.cli.exit_codes import ExitCode
from tests.gateway.cli.admin_listener import admin_listener

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

ASK = (
    *("break-glass", "open", "--project", "acme/clinic", "--action", "support_access", "--region", "north"),
    *("--ticket", "INC-7", "--reason", "a caller [hears] nothing"),
)
SCOPE = ("break-glass",)


async def test_one_asks_another_confirms_and_it_is_listed_and_closed(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        assert "none stands" in (await there.run("break-glass", "list")).stdout
        refused = await there.run(*ASK, who="ada")
        assert refused.exit_code == ExitCode.not_permitted
        assert "`break-glass`" in refused.output
        asked = await there.run(*ASK, "--json", who="ada", scopes=SCOPE)
        assert asked.exit_code == ExitCode.not_yet
        permission = json.loads(asked.stdout.splitlines()[-1])["permission"]["id"]
        assert "confirms it" in (await there.run("break-glass", "list")).stdout
        same = await there.run("break-glass", "confirm", permission, who="ada", scopes=SCOPE)
        assert same.exit_code == ExitCode.data_rejected
        opened = await there.run("break-glass", "confirm", permission, who="grace", scopes=SCOPE)
        assert "OPEN until" in opened.stdout
        shown = (await there.run("break-glass", "list")).stdout
        assert all(word in shown for word in ("ada", "grace", "INC-7", "a caller [hears] nothing", "acme/clinic"))
        closed = await there.run("break-glass", "close", permission, who="ada", scopes=SCOPE)
        assert "covers nothing any more" in closed.stdout
        listed = json.loads((await there.run("break-glass", "list", "--json")).stdout)
        assert [one["state"] for one in listed["permissions"]] == ["closed"]


async def test_without_asking_for_json_the_next_step_is_said(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        asked = await there.run(*ASK, who="ada", scopes=SCOPE)
        assert "NOTHING IS OPEN YET" in asked.stdout
        assert "patchbay break-glass confirm" in asked.stdout
