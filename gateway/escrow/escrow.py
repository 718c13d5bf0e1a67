"""All of lending in one gateway: it answers for orgs whose home is here, and borrows for those it has sessions of."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from gateway.errors import Reason, Unavailable
from gateway.escrow.borrowed import borrowed_plan
from gateway.escrow.borrower import Borrower
from gateway.escrow.remote import RootsEverywhere
from gateway.escrow.root import RootDesk, RootServer
from policies.plans import WhenExhausted, WhenLimiterAway

if TYPE_CHECKING:
    from gateway.escrow.metrics import EscrowMetrics
    from gateway.escrow.root import RateOf
    from gateway.escrow.settings import EscrowSettings
    from gateway.limits.interface import SessionLimits, SessionTab
    from gateway.limits.limiter import CurrentPlans
    from gateway.redis_link.client import RedisLink
    from policies.plans import CallerPlan

_STOP_GRACE_S = 0.5

log = structlog.get_logger("gateway")


class Escrow:
    """`run` until cancelled. Made within a running loop. `link` is its own: it is closed by whoever made it."""

    def __init__(
        self, settings: EscrowSettings, link: RedisLink, rate_of: RateOf, metrics: EscrowMetrics, *, region: str
    ) -> None:
        desk = RootDesk(settings, link, rate_of, metrics, region=region)
        self._settings = settings
        self._server = RootServer(settings, desk)
        self._roots = RootsEverywhere(settings, desk, region=region)
        self.borrower = Borrower(settings, link, self._roots, metrics)

    @property
    def port(self) -> int:
        """Where other regions are answered."""
        return self._server.port

    def limits(self, inner: SessionLimits) -> SessionLimits:
        """The same limits for plans whose compute is borrowed."""
        return _BorrowingLimits(self._settings, self.borrower, inner)

    def plans(self, inner: CurrentPlans) -> CurrentPlans:
        """The same plans with compute that is borrowed, for sessions under way when plans change."""
        return _BorrowingPlans(self._settings, self.borrower, inner)

    async def run(self) -> None:
        await self._server.start()
        log.info("lending.listening", port=self.port)
        try:
            await self.borrower.run()
        finally:
            with contextlib.suppress(TimeoutError):
                await self._server.stop(_STOP_GRACE_S)
                await self._roots.aclose()


class _BorrowingPlans:
    """What changes of a plan is borrowed for from then on, too.

    While the root does not lend, nobody is ended for want of compute: whether there is some is not known here.
    """

    def __init__(self, settings: EscrowSettings, borrower: Borrower, inner: CurrentPlans) -> None:
        self._holding = settings.holding()
        self._borrower = borrower
        self._inner = inner

    @property
    def version(self) -> object:
        return self._inner.version, self._borrower.num_turns

    def resolve_again(self, plan: CallerPlan) -> CallerPlan | None:
        resolved = self._inner.resolve_again(plan)
        if resolved is None:
            return None
        self._borrower.note(resolved)
        borrowed = borrowed_plan(resolved, self._holding)
        if self._borrower.does_root_lend(plan.principal.org):
            return borrowed
        return replace(borrowed, when_exhausted=WhenExhausted.throttle)


class _BorrowingLimits:
    """Borrows before it lets a session in; the plan that the limiter sees is the borrowed one."""

    def __init__(self, settings: EscrowSettings, borrower: Borrower, inner: SessionLimits) -> None:
        self._holding = settings.holding()
        self._borrower = borrower
        self._inner = inner

    async def acquire(self, plan: CallerPlan, *, session_id: str) -> SessionTab:
        is_ready = await self._borrower.ready(plan)
        if not is_ready and plan.when_limiter_away is WhenLimiterAway.closed:
            raise Unavailable(
                Reason.limiter_unavailable, "the region that lends your compute cannot be reached", retry_after_ms=1_000
            )
        return await self._inner.acquire(borrowed_plan(plan, self._holding), session_id=session_id)

    async def close_left(self, org: str, tab_id: str) -> None:
        await self._inner.close_left(org, tab_id)
