"""An operator's night: looking, emptying, agreeing, stopping, taking back; with wrong names and without a token."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from gateway.dev_keys import DevClaims
from regions.discovery.interface import EngineAddress
from tests.gateway.cli.admin_listener import admin_listener
from tests.harness.caller import calling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from tests.harness.region import Region


@pytest.mark.unit
async def test_an_order_is_given_stopped_gone_on_with_and_taken_back(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        given = await there.run("region", "drain", "east", "--reason", "kernel", "--no-watch", who="ada")
        assert (given.exit_code, "to undo it: patchbay region undrain east" in given.stdout) == (0, True)
        again = await there.run("region", "drain", "east", "--reason", "kernel", "--no-watch", who="bob")
        assert "already draining" in again.stdout
        stopped = await there.run("region", "stop", "east", who="ada")
        assert "nobody moves" in stopped.stdout
        resumed = await there.run("region", "resume", "east", "--no-watch", who="ada")
        assert resumed.exit_code == 0
        undone = await there.run("region", "undrain", "east", who="ada")
        assert "takes sessions again" in undone.stdout
        nothing = await there.run("region", "undrain", "east", who="ada")
        assert (nothing.exit_code, "nothing to undo" in nothing.stdout) == (0, True)


@pytest.mark.unit
async def test_what_takes_two_people_says_who_has_to_do_what(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        for region in ("east", "south"):
            await there.run("region", "disable", region, "--reason", "x", "--no-watch", who="ada")
        last = await there.run("region", "drain", "north", "--reason", "x", who="ada")
        assert (last.exit_code, "patchbay region confirm north" in last.stdout) == (ExitCode.not_yet, True)
        assert (await there.run("region", "watch", "north")).exit_code == ExitCode.not_yet
        alone = await there.run("region", "confirm", "north", who="ada")
        assert (alone.exit_code, "same_person" in alone.stderr) == (ExitCode.data_rejected, True)
        agreed = await there.run("region", "confirm", "north", "--no-watch", who="bob")
        assert (agreed.exit_code, "ada ordered: drain north, because: x" in agreed.stdout) == (0, True)


@pytest.mark.unit
async def test_what_another_order_still_holds_is_not_said_to_take_sessions(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        await there.run("engine", "drain", "north:1", "--reason", "x", "--no-watch", who="ada")
        await there.run("region", "drain", "north", "--reason", "x", "--no-watch", who="ada")
        undone = await there.run("engine", "undrain", "north:1", who="ada")
        assert (undone.exit_code, "still takes no sessions" in undone.stdout) == (0, True)
        assert "takes sessions again" in (await there.run("region", "undrain", "north", who="ada")).stdout


@pytest.mark.unit
async def test_an_engine_is_undrained_by_either_of_its_names(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        there.world.world.pools["north"].members = (EngineAddress("north:1", instance="i-7"),)
        await there.run("engine", "drain", "north:1", "--reason", "x", "--no-watch", who="ada")
        assert "i-7 takes sessions again" in (await there.run("engine", "undrain", "i-7", who="ada")).stdout


@pytest.mark.unit
async def test_mistakes_are_told_before_and_after_asking(tmp_path: Path) -> None:
    async with admin_listener(tmp_path) as there:
        assert (await there.run("region", "drain", "east", who="ada")).exit_code == ExitCode.usage
        assert (await there.run("region", "drain", "mars", "--reason", "x", who="ada")).exit_code == ExitCode.no_input
        assert (await there.run("region", "stop", "east", who="ada")).exit_code == ExitCode.no_input
        assert (await there.run("pool", "drain", "gold", "--dry-run")).exit_code == ExitCode.no_input
        assert (await there.run("engine", "drain", "north:1", "--dry-run")).exit_code == 0


@pytest.mark.integration
async def test_an_engine_of_a_real_region_is_emptied_and_taken_back(
    new_region: Callable[..., Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    region = await asyncio.to_thread(new_region, "--engines", "2", "--scripted")
    monkeypatch.setenv("XDG_STATE_HOME", str(region.folder / "state"))

    async def run(*words: str, who: str = "") -> Result:
        claims = DevClaims(subject=who, scopes=("operate",))
        token = region.keys.mint(claims, ttl_s=600, now_s=int(time.time()))
        environment = {"COLUMNS": "200", "PATCHBAY_OPERATOR_TOKEN": token if who else ""}
        return await asyncio.to_thread(CliRunner().invoke, app, list(words), env=environment)

    async with calling(region, "ws") as one, calling(region, "ws") as other:
        for caller in (one, other):
            await caller.start()
            await caller.until_started()
        dry = json.loads((await run("engine", "drain", "0", "--dry-run", "--json")).stdout)
        assert (dry["sessions"], dry["suffices"], dry["needs_second_person_for"]) == (1, True, [])
        drained = await run("engine", "drain", "0", "--reason", "kernel", who="ada")
        assert (drained.exit_code, "1 moved" in drained.stderr) == (0, True)
        last = await run("engine", "drain", "1", "--reason", "kernel", who="ada")
        assert last.exit_code == ExitCode.not_yet
        agreed = await run("engine", "confirm", "1", "--no-watch", who="bob")
        assert agreed.exit_code == 0
        for number in ("1", "0"):
            assert "takes sessions again" in (await run("engine", "undrain", number, who="bob")).stdout
        assert [caller.error for caller in (one, other)] == [None, None]
    said = json.loads((await run("audit", "--json")).stdout)
    assert [(event["who"], event["outcome"]) for event in said["events"][::-1]] == [
        ("ada", "in_force"),
        ("ada", "pending"),
        ("bob", "confirmed"),
        ("bob", "withdrawn"),
        ("bob", "withdrawn"),
    ]
    assert said["is_complete"]
