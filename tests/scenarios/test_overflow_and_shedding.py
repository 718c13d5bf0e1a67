"""A region fills up: spot first, then reserved; then economy is refused, and ends for premium, losing no word."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from gateway.dev_keys import DevClaims
from gateway.wire.messages import Ack, Resume, Start, Started
from tests.harness.caller import calling
from tests.harness.engine import describe, running_engine
from tests.harness.metrics import scrape
from tests.harness.recordings import pieces_of, talk
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.harness.caller import Caller
    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120), pytest.mark.alone]

PLANS = "".join(
    f'\n[plans.{tier}]\ntier = "{tier}"\nwhen_exhausted = "throttle"\nwhen_limiter_away = "open"\n'
    f"max_session_ms = 600_000\n[plans.{tier}.org]\nmax_sessions = 100\n"
    for tier in ("premium", "standard", "economy")
)
SLOTS = 1
TALK = talk(7, duration_ms=5_000)
BYTES_PER_SAMPLE = 2


@contextlib.asynccontextmanager
async def session(region: Region, tier: str, start: Start | None = None) -> AsyncIterator[Caller]:
    token = region.keys.mint(DevClaims(tenant=tier, plan=tier), ttl_s=600, now_s=int(time.time()))
    async with calling(region, token=token) as caller:
        await caller.start(start)
        yield caller


async def slots_used(address: str) -> int:
    return (await describe(address)).load.slots_used


async def whole(region: Region, tier: str, pcm16: bytes, start: Start | None = None) -> Caller:
    async with session(region, tier, start) as caller:
        await caller.say_all(pieces_of(pcm16))
        await caller.finish()
        await caller.until_over()
    return caller


def acked_sample(caller: Caller) -> int:
    return max((ack.sample for ack in caller.all_of(Ack)), default=0)


async def test_economy_overflows_from_spot_to_reserved_and_ends_for_premium(
    new_region: Callable[..., Region], tmp_path: Path
) -> None:
    plans = tmp_path / "plans.toml"
    plans.write_text('default_plan = "standard"\n' + PLANS)
    region = new_region(
        *("--scripted", "--slots", str(SLOTS)), limits__plans_file=str(plans), sessions__opening_timeout_ms=1_600
    )
    reserved = str(region.running()["engines"][0]["address"])
    registered = ("--register", str(region.ready["redis"]), "--region", "local", "--slots", str(SLOTS))
    async with (
        running_engine(tmp_path, "--recogniser", "scripted", "--capacity", "spot", *registered) as spot,
        contextlib.AsyncExitStack() as stack,
    ):
        await until(lambda: len(region.events("link.connected")) > 1, what="a link to the spot engine")
        undisturbed = (await whole(region, "premium", TALK)).words
        assert undisturbed

        async def is_free() -> bool:
            return (await scrape(region))("patchbay_engine_slots_used") == 0

        await until_true(is_free, what="free slots")
        first = await stack.enter_async_context(session(region, "economy"))
        await first.until_started()
        assert (await slots_used(spot.address), await slots_used(reserved)) == (1, 0)
        second = await stack.enter_async_context(session(region, "economy"))
        await second.until_started()
        assert (await slots_used(spot.address), await slots_used(reserved)) == (1, 1)
        speaking = [asyncio.create_task(caller.say_all(pieces_of(TALK), speed=3.0)) for caller in (first, second)]

        third = await stack.enter_async_context(session(region, "economy"))
        await third.until_over()
        assert second.finals
        premium = await stack.enter_async_context(session(region, "premium"))
        await premium.say_all(pieces_of(TALK))
        await premium.finish()
        await asyncio.gather(second.until_over(), premium.until_over())
        speaking[1].cancel()

        refused, shed = third.error, second.error
        assert refused is not None
        assert shed is not None
        assert (refused.reason, refused.retryable, bool(refused.retry_after_ms)) == ("no_capacity", True, True)
        assert (shed.reason, shed.retryable) == ("capacity_shed", True)
        assert "a session of a higher tier" in shed.message
        assert 1_000 <= (shed.retry_after_ms or 0) < 3_000
        assert (premium.is_finished, premium.words) == (True, undisturbed)
        assert second.words == undisturbed[: len(second.words)]

        await asyncio.gather(speaking[0])
        await first.finish()
        await first.until_over()
        assert (first.is_finished, first.words) == (True, undisturbed)

        sample = acked_sample(second)
        resume = Start(resume=Resume(token=second.all_of(Started)[0].resume_token, from_sample=sample))
        gone_on = await whole(region, "economy", TALK[sample * BYTES_PER_SAMPLE :], resume)
        assert gone_on.error is None
        assert second.words + gone_on.words == undisturbed

        figures = await scrape(region)
        assert figures("patchbay_sessions_shed_total", tier="economy", for_tier="premium") == 1
        assert figures("patchbay_sessions_shed_total") == 1
        assert len(region.events("session.shed")) == 1
