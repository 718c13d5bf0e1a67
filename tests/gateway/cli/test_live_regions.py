"""Regions as a gateway sees them now, with what was ordered of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gateway.cli.exit_codes import ExitCode
from tests.gateway.cli.admin_listener import admin_listener

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


async def test_regions_are_shown_with_their_state_room_and_orders(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        await there.run("region", "drain", "east", "--reason", "kernel", "--no-watch", who="ada")
        listed = await there.run("region", "list")
        assert listed.exit_code == 0
        rows = {line.split()[0]: line for line in listed.stdout.splitlines()}
        assert "(here)" in rows["north"]
        assert "draining, by ada" in rows["east"]
        shown = await there.run("region", "show", "east")
        assert "kernel" in shown.stdout
        tree = json.loads((await there.run("region", "show", "south", "--json")).stdout)
        assert (tree["name"], tree["order"]) == ("south", None)


async def test_a_region_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        shown = await there.run("region", "show", "mars")
        assert (shown.exit_code, "north, east, south" in shown.stderr) == (ExitCode.no_input, True)


async def test_a_catalog_and_a_gateway_cannot_be_asked_at_once(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        listed = await there.run("region", "list", "--catalog", "x.toml")
        assert listed.exit_code == ExitCode.usage
