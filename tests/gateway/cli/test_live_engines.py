"""Engines and pools of a running region, with what was ordered of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gateway.cli.exit_codes import ExitCode
from tests.gateway.cli.admin_listener import admin_listener

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


async def test_engines_and_pools_are_shown(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        await there.run("pool", "drain", "l4", "--reason", "kernel", "--no-watch", who="ada")
        pools, engines = await there.run("pool", "list"), await there.run("engine", "list")
        assert "draining, by ada" in pools.stdout
        assert "its pool: draining, by ada" in engines.stdout
        shown = await there.run("engine", "show", "north:1")
        assert "kernel" in shown.stdout
        assert json.loads((await there.run("pool", "show", "l4", "--json")).stdout)["engines"] == 1


@pytest.mark.parametrize("scope", ["pool", "engine"])
async def test_what_is_not_there_is_answered_with_what_is(tmp_path: Path, scope: str) -> None:
    async with admin_listener(tmp_path) as there:
        shown = await there.run(scope, "show", "gold")
        assert (shown.exit_code, "it has" in shown.stderr) == (ExitCode.no_input, True)
