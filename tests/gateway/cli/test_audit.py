"""What operators did, in a table: the newest last, refusals among it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gateway.cli.exit_codes import ExitCode
from tests.gateway.cli.admin_listener import admin_listener

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


async def test_acts_and_refusals_are_listed_with_who_and_why(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        assert "nobody did anything" in (await there.run("audit")).stdout
        refused = await there.run("region", "drain", "east", "--reason", "x")
        assert refused.exit_code == ExitCode.not_permitted
        await there.run("region", "drain", "east", "--reason", "kernel", "--no-watch", who="ada")
        lines = (await there.run("audit")).stdout.splitlines()
        assert "REFUSED: token_missing" in lines[1]
        assert all(word in lines[2] for word in ("ada", "give drain", "east", "in_force", "kernel"))
        events = json.loads((await there.run("audit", "--limit", "1", "--json")).stdout)["events"]
        assert [event["who"] for event in events] == ["ada"]


async def test_brackets_in_what_people_write_are_shown_as_they_are(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        await there.run("region", "drain", "east", "--reason", "roll back [/etc] [red]", "--no-watch", who="ada")
        for command in (("audit",), ("region", "show", "east")):
            shown = await there.run(*command)
            assert (shown.exit_code, "roll back [/etc] [red]" in shown.stdout) == (0, True)
