"""Plans hold while sessions run: compute is throttled or ends a session, and places and starts are counted, over every
transport; a plan that changes changes what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest
import redis

from gateway.cli.connection import ConnectionFailed
from gateway.dev_keys import DevClaims
from gateway.wire.messages import Usage
from tests.harness.caller import Caller, calling, transcribe
from tests.harness.recordings import pieces_of, talk
from tests.harness.region import Region, start_region
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

TALK = pieces_of(talk(11, duration_ms=25_000))
WORST_CASE_US = 60_000
"""A second of audio costs about a third of that here; on a busy machine it may cost as much."""
PLANS = """
default_plan = "roomy"

[plans.roomy.org]
max_sessions = 50

[plans.slow]
when_exhausted = "throttle"
[plans.slow.org]
compute_seconds_per_second = 0.05
compute_seconds_burst = 0.2

[plans.short]
when_exhausted = "finish"
[plans.short.project]
compute_seconds_per_second = 0.001
compute_seconds_burst = 0.2

[plans.narrow.key]
max_sessions = 1

[orgs.throttled]
plan = "slow"
[orgs.ended]
plan = "short"
[orgs.single]
plan = "narrow"
[orgs.widened]
plan = "slow"
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Region, Path]]:
    """A region with plans, and the file that they stand in."""
    folder = tmp_path_factory.mktemp("region")
    plans = folder / "plans.toml"
    plans.write_text(PLANS)
    settings = {
        "limits__plans_file": str(plans),
        "limits__credit__worst_case_us_per_audio_s": WORST_CASE_US,
        "limits__credit__usage_change_ms": 0,
    }
    with start_region(folder, **settings) as running:
        yield running, plans


def usages(caller: Caller) -> list[Usage]:
    return caller.all_of(Usage)


def settled_us(region: Region, org: str) -> int:
    """What the tally of the region's Redis says that an org was charged, in all hours."""
    store = redis.Redis(unix_socket_path=str(region.ready["redis"]).removeprefix("unix://"), decode_responses=True)
    with store:
        tally = store.hgetall(f"patchbay:{{{org}}}:tally")
    return sum(int(value) for field, value in tally.items() if field.endswith(":settled_us"))


def token_of(region: Region, org: str, *, subject: str = "a key") -> str:
    claims = DevClaims(tenant=org, project="calls", subject=subject)
    return region.keys.mint(claims, ttl_s=600, now_s=int(time.time()))


async def refusal_of(region: Region, protocol: str, token: str) -> tuple[str, int | None] | None:
    """Why no session is opened, and when to come again; None: one is opened, and ended."""
    try:
        async with calling(region, protocol, token=token) as caller:
            await caller.start()
            await until(lambda: caller.started or caller.is_over, what="an answer")
            if caller.error is not None:
                return caller.error.reason, caller.error.retry_after_ms
            await caller.finish()
            await caller.until_over()
    except ConnectionFailed as failed:
        return str(failed), failed.retry_after_ms
    return None


async def speak(region: Region, org: str, protocol: str) -> Caller:
    """All of it as fast as it is taken."""
    async with calling(region, protocol, token=token_of(region, org)) as caller:
        await caller.start()
        with contextlib.suppress(ConnectionFailed):
            await caller.say_all(TALK)
            await caller.finish()
        await caller.until_over(within_s=60)
    return caller


async def test_a_session_beyond_its_rate_is_slowed_down_and_loses_no_word(limited: tuple[Region, Path]) -> None:
    region, _ = limited
    undisturbed = await transcribe(region, TALK)
    began_s = time.monotonic()
    caller = await speak(region, "throttled", "ws")
    elapsed_s = time.monotonic() - began_s
    assert caller.is_finished, caller.error
    assert caller.words == undisturbed.words
    told = usages(caller)
    assert any(usage.is_throttled and usage.level == "org" for usage in told)
    charged_us = told[-1].compute_us
    assert charged_us <= 200_000 + 50_000 * elapsed_s, "more was spent than the plan's bound"
    await until(lambda: settled_us(region, "throttled") == charged_us, what="the settlement of the last slice")


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_a_plan_that_finishes_ends_the_session_and_says_when_to_come_back(
    limited: tuple[Region, Path], protocol: str
) -> None:
    region, _ = limited
    undisturbed = await transcribe(region, TALK)
    caller = await speak(region, "ended", protocol)
    assert caller.error is not None
    assert caller.error.reason == "quota_exhausted"
    assert caller.error.retryable
    assert caller.error.retry_after_ms is not None
    assert "project" in caller.error.message
    finals = [final.text for final in caller.finals]
    heard_whole = finals[:-1]  # the last one may end where the credit did
    assert heard_whole == [final.text for final in undisturbed.finals][: len(heard_whole)]


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_a_place_is_refused_beyond_the_plan_and_free_again_after_the_session(
    limited: tuple[Region, Path], protocol: str
) -> None:
    region, _ = limited
    token = token_of(region, "single", subject=protocol)  # whose place nobody else's session still has
    async with calling(region, protocol, token=token) as first:
        await first.start()
        await first.until_started()
        refusal = await refusal_of(region, protocol, token)
        assert refusal is not None
        assert "concurrency_limit" in refusal[0]
        assert refusal[1] is not None
        await first.finish()
        await first.until_over()
    async with asyncio.timeout(60):
        while await refusal_of(region, protocol, token) is not None:
            await asyncio.sleep(0.05)


async def test_a_plan_that_changes_changes_sessions_that_run(limited: tuple[Region, Path]) -> None:
    region, plans = limited
    token = token_of(region, "widened")
    async with calling(region, token=token) as caller:
        await caller.start()
        speaking = asyncio.create_task(caller.say_all(TALK))
        await until(lambda: any(usage.is_throttled for usage in usages(caller)), what="a throttled session")
        wider = PLANS.replace('[orgs.widened]\nplan = "slow"', '[orgs.widened]\nplan = "roomy"')
        draft = plans.with_suffix(".draft")
        draft.write_text(wider)
        draft.replace(plans)
        await speaking
        await caller.finish()
        await caller.until_over(within_s=60)
    assert caller.is_finished, caller.error
    assert not usages(caller)[-1].is_throttled
