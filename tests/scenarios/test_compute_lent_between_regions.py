"""Two whole regions, one the home of an org: both spend its compute, and one that is cut off does as its plans say."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from gateway.cli.connection import ConnectionFailed
from gateway.dev_keys import DevClaims
from gateway.wire.messages import Usage
from tests.harness.caller import Caller, calling
from tests.harness.ports import free_port
from tests.harness.recordings import pieces_of, talk
from tests.harness.region import start_region
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.alone]

TALK = pieces_of(talk(11, duration_ms=6_000))
PLANS = """
default_plan = "closed"

[plans.closed]
when_limiter_away = "closed"
[plans.closed.org]
compute_seconds_per_second = 5
compute_seconds_burst = 20

[plans.open]
when_limiter_away = "open"
[plans.open.org]
compute_seconds_per_second = 5
compute_seconds_burst = 20

[orgs.generous]
plan = "open"
"""


def settings_of(region: str, ports: dict[str, int], plans: Path) -> dict[str, object]:
    return {
        "region": region,
        "limits__plans_file": str(plans),
        "escrow__default_home": "eu",
        "escrow__addresses": {name: f"127.0.0.1:{port}" for name, port in ports.items()},
        "escrow__secret": "a secret of regions",
        "escrow__port": ports[region],
        "escrow__report_ms": 200,
        "escrow__call_timeout_ms": 300,
        "escrow__away_after_ms": 300,
        "escrow__learning_ms": 500,
        "escrow__opening_timeout_ms": 3_000,
    }


async def speak(region: Region, org: str) -> Caller:
    token = region.keys.mint(DevClaims(tenant=org, project="calls", subject="a key"), ttl_s=600, now_s=int(time.time()))
    async with calling(region, "ws", token=token) as caller:
        await caller.start()
        await until(lambda: caller.started or caller.is_over, what="an answer")
        with contextlib.suppress(ConnectionFailed):
            await caller.say_all(TALK)
            await caller.finish()
        await caller.until_over(within_s=60)
    return caller


def charged_us(caller: Caller) -> int:
    return caller.all_of(Usage)[-1].compute_us


async def test_two_regions_spend_one_orgs_compute_and_one_that_is_cut_off_does_as_its_plans_say(
    tmp_path: Path,
) -> None:
    plans = tmp_path / "plans.toml"
    plans.write_text(PLANS)
    ports = {"eu": free_port(), "us": free_port()}
    away, home = await asyncio.gather(
        *(
            asyncio.to_thread(start_region, tmp_path / name, "--scripted", **settings_of(name, ports, plans))
            for name in ("us", "eu")
        )
    )
    with away:
        with home:
            for region in (home, away):
                caller = await speak(region, "acme")
                assert caller.is_finished, caller.error
                assert charged_us(caller) > 0
        # The home region is gone. What was lent goes on; then the plan decides.
        caller = await speak(away, "acme")
        assert caller.is_finished, caller.error
        caller = await speak(away, "generous")
        assert caller.is_finished, caller.error
        with pytest.raises(ConnectionFailed, match="limiter_unavailable"):
            await speak(away, "another")
