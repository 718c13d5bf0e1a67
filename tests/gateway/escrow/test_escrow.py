"""All of lending in a gateway: sessions are let in with a plan whose compute is borrowed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.errors import Reason, Unavailable
from gateway.escrow.borrowed import borrowed_plan
from gateway.session.credit import QuotaUpdate
from policies.plans import WhenExhausted, WhenLimiterAway
from tests.harness.escrow_regions import lending_regions, plan
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.limits.interface import LimitedSession, SessionTab
    from policies.plans import CallerPlan

pytestmark = pytest.mark.integration


class Tab:
    opening = QuotaUpdate(granted_us=None)

    def attach(self, session: LimitedSession, *, add_ons: tuple[str, ...]) -> None: ...

    def release(self) -> None: ...


class Limits:
    """Lets everybody in."""

    def __init__(self) -> None:
        self.plans: list[CallerPlan] = []

    async def acquire(self, plan: CallerPlan, *, session_id: str) -> SessionTab:
        self.plans.append(plan)
        return Tab()

    async def close_left(self, org: str, tab_id: str) -> None: ...


async def test_a_session_is_let_in_with_a_borrowed_plan_once_the_region_holds_something(tmp_path: Path) -> None:
    inner = Limits()
    async with lending_regions(tmp_path, "eu", "us") as regions:
        region = regions["us"]
        await region.running.limits(inner).acquire(plan(), session_id="s")
        assert await region.balance_us() > 0
        assert inner.plans == [borrowed_plan(plan(), region.settings.holding())]


class Plans:
    """What holds by now."""

    version = 2

    def __init__(self, now: CallerPlan | None) -> None:
        self._now = now

    def resolve_again(self, plan: CallerPlan) -> CallerPlan | None:
        return self._now


async def test_a_limit_that_comes_with_new_plans_is_borrowed_for_while_the_session_runs(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us") as regions:
        region = regions["us"]
        plans = region.running.plans(Plans(plan()))
        assert plans.version == (2, 0)
        assert plans.resolve_again(plan(rate=None)) == borrowed_plan(plan(), region.settings.holding())
        await region.received()
        assert region.running.plans(Plans(None)).resolve_again(plan()) is None


@pytest.mark.parametrize("when_away", [WhenLimiterAway.closed, WhenLimiterAway.open])
async def test_without_the_root_and_with_nothing_in_hand_only_closed_plans_are_refused(
    tmp_path: Path, when_away: WhenLimiterAway
) -> None:
    inner = Limits()
    async with lending_regions(tmp_path, "eu", "us", opening_timeout_ms=700) as regions:
        await regions["eu"].kill()
        limits = regions["us"].running.limits(inner)
        if when_away is WhenLimiterAway.closed:
            with pytest.raises(Unavailable) as caught:
                await limits.acquire(plan(when_away), session_id="s")
            assert caught.value.reason is Reason.limiter_unavailable
        else:
            await limits.acquire(plan(when_away), session_id="s")
    assert len(inner.plans) == (when_away is not WhenLimiterAway.closed)


async def test_while_the_root_does_not_lend_a_plan_that_finishes_holds_audio_instead(tmp_path: Path) -> None:
    finishing = replace(plan(), when_exhausted=WhenExhausted.finish)
    async with lending_regions(tmp_path, "eu", "us") as regions:
        region = regions["us"]
        await region.running.limits(Limits()).acquire(finishing, session_id="s")
        plans = region.running.plans(Plans(finishing))

        def says() -> WhenExhausted | None:
            now = plans.resolve_again(finishing)
            return None if now is None else now.when_exhausted

        await until(lambda: says() is WhenExhausted.finish, what="the root's answer")
        version = plans.version
        await regions["eu"].kill()
        await until(lambda: says() is WhenExhausted.throttle, what="the root's absence")
        assert plans.version != version, "running sessions would not hear of it"
