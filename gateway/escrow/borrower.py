"""Borrows for the orgs that this gateway has sessions of: watches what the region holds, and asks ahead.

These must stay true:
  - An org has one task, so one ask at a time from here; of a region's gateways only the one whose turn it is asks.
  - A loan that could not be credited is credited later or heard of again; nothing is credited twice (policies.escrow).
  - Sessions never wait for this, but for the first of an org in this region, and that for a bounded time.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import structlog

from gateway.escrow import script_calls
from gateway.escrow.borrowed import borrowed_levels
from gateway.escrow.borrowed_level import BorrowedLevel
from gateway.escrow.lending import MAX_LEVELS, RootRefusal, RootRefused
from gateway.redis_link.client import reconnect_after_ms
from gateway.redis_link.errors import RedisAway
from policies.escrow import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.escrow.lending import LevelAsk, Roots
    from gateway.escrow.metrics import EscrowMetrics
    from gateway.escrow.settings import EscrowSettings
    from gateway.redis_link.client import RedisLink
    from policies.plans import CallerPlan, Level, Principal

_MICRO = 1_000_000

log = structlog.get_logger("gateway")


class Borrower:
    """`run` serves what `note` and `ready` ask for. Made within a running loop."""

    def __init__(self, settings: EscrowSettings, link: RedisLink, roots: Roots, metrics: EscrowMetrics) -> None:
        self._settings = settings
        self._link = link
        self._roots = roots
        self._metrics = metrics
        self._asker = uuid.uuid4().hex
        self._orgs: dict[str, _Org] = {}
        self._away_homes: set[str] = set()
        self.num_turns = 0
        """Changes whenever an org's root begins or ends to lend to us."""
        self._new: asyncio.Queue[_Org] = asyncio.Queue()

    @property
    def num_orgs(self) -> int:
        """Orgs that are borrowed for."""
        return len(self._orgs)

    def does_root_lend(self, org_name: str) -> bool:
        """False: it is away, or learns; what is missing then may be there, and nobody is to be ended for it."""
        org = self._orgs.get(org_name)
        return org is None or org.is_lent_to

    def note(self, plan: CallerPlan) -> list[BorrowedLevel]:
        """A session is about to be opened: its levels are watched from here on. Does not wait."""
        who, now_ms = plan.principal, self._now_ms()
        org = self._orgs.get(who.org)
        if org is None:
            org = self._orgs[who.org] = _Org(who.org)
            self._new.put_nowait(org)
        levels = []
        for level, rate in borrowed_levels(plan):
            borrowed = org.level(who, level, self._settings, now_ms=now_ms)
            borrowed.noted(plan.name, rate, plan.when_limiter_away, now_ms=now_ms)
            levels.append(borrowed)
        if not levels and not org.levels:
            org.is_over = True
        org.wake.set()
        return levels

    async def ready(self, plan: CallerPlan) -> bool:
        """Wait until it is known of every level of the plan what the region may spend, or the time for it is over.

        Returns:
            False: there is too little for a session at one of them, and its root is away, or learns.
        """
        levels = self.note(plan)
        for level in levels:
            level.num_waiting += 1
        try:
            async with asyncio.timeout(self._settings.opening_timeout_ms / 1_000):
                for level in levels:
                    await level.is_known.wait()
        except TimeoutError:
            pass  # what came in that time is looked at below
        finally:
            for level in levels:
                level.num_waiting -= 1
        return all(level.does_root_lend or level.may_open for level in levels)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                org = await self._new.get()
                tasks.create_task(self._tend(org))

    async def _tend(self, org: _Org) -> None:
        failures = 0
        while not org.is_over:
            due = org.due(self._now_ms())
            if not due:
                await org.sleep(self._now_ms())
                continue
            try:
                asks = await self._look(org, due)
            except RedisAway:
                await asyncio.sleep(reconnect_after_ms(failures) / 1_000)
                failures += 1
                continue
            failures = 0
            if asks:
                await self._ask(org, asks)
            org.forget_done()
        if self._orgs.get(org.name) is org:
            del self._orgs[org.name]

    async def _look(self, org: _Org, due: Sequence[BorrowedLevel]) -> list[tuple[BorrowedLevel, LevelAsk]]:
        looks = [((level.who, level.level), level.step(self._asker)) for level in due]
        found = await script_calls.look(self._link, looks)
        now_ms = self._now_ms()
        asks = []
        for level, (seen, num_sessions) in zip(due, found, strict=True):
            self._metrics.credited.inc(seen.credited_us / _MICRO)
            if seen.may_ask:
                self._metrics.minted.inc(org.newly_minted_us(level, seen.ask.generation, seen.minted_us) / _MICRO)
            ask = level.seen(seen, num_sessions, now_ms=now_ms)
            if ask is not None:
                asks.append((level, ask))
        return asks

    async def _ask(self, org: _Org, asks: Sequence[tuple[BorrowedLevel, LevelAsk]]) -> None:
        began_s = asyncio.get_running_loop().time()
        try:
            loans = await self._roots.lend(org.name, [ask for _, ask in asks])
        except RootRefused as error:
            self._metrics.asks.labels(error.refusal.value).inc(len(asks))
            self._note_away(org, error.refusal)
            for level, _ in asks:
                level.unanswered(now_ms=self._now_ms())
            self._note_lending(org)
            return
        finally:
            self._metrics.ask_elapsed.observe(asyncio.get_running_loop().time() - began_s)
        self._note_back(org)
        for (level, _), loan in zip(asks, loans, strict=True):
            self._metrics.asks.labels(loan.outcome.value).inc()
            if loan.outcome in (Outcome.absurd, Outcome.unlimited):
                log.warning("lending.ask_refused", reason=loan.outcome.value, level=level.level.value)
            level.answered(loan, now_ms=self._now_ms())
        self._note_lending(org)

    def _note_lending(self, org: _Org) -> None:
        is_lent_to = org.refusal is None and all(level.does_root_lend for level in org.levels.values())
        if is_lent_to != org.is_lent_to:
            org.is_lent_to = is_lent_to
            self.num_turns += 1

    def _note_away(self, org: _Org, refusal: RootRefusal) -> None:
        """A home that does not answer is told once, not for each org."""
        home = self._settings.home_of(org.name)
        is_new = home not in self._away_homes if refusal is RootRefusal.away else org.refusal is not refusal
        if refusal is RootRefusal.away:
            self._away_homes.add(home)
        org.refusal = refusal
        if is_new:
            log.warning("lending.root_away", home=home, reason=refusal.value)

    def _note_back(self, org: _Org) -> None:
        home = self._settings.home_of(org.name)
        if home in self._away_homes or org.refusal not in (None, RootRefusal.away):
            log.info("lending.root_back", home=home)
        self._away_homes.discard(home)
        org.refusal = None

    def _now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1_000)


class _Org:
    """The levels of one org that are borrowed for here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.levels: dict[tuple[Level, str], BorrowedLevel] = {}
        self.wake = asyncio.Event()
        self.is_over = False
        self.refusal: RootRefusal | None = None
        self.is_lent_to = True
        self._minted: dict[BorrowedLevel, tuple[int, int]] = {}

    def level(self, who: Principal, level: Level, settings: EscrowSettings, *, now_ms: int) -> BorrowedLevel:
        name = {"key": who.key, "project": who.project, "org": ""}[level.value]
        borrowed = self.levels.get((level, name))
        if borrowed is None:
            borrowed = self.levels[level, name] = BorrowedLevel(who, level, settings, now_ms=now_ms)
        return borrowed

    def due(self, now_ms: int) -> list[BorrowedLevel]:
        """At most as many as fit into one message, those that wait longest first."""
        due = sorted((level for level in self.levels.values() if level.due_ms <= now_ms), key=lambda one: one.due_ms)
        return due[:MAX_LEVELS]

    async def sleep(self, now_ms: int) -> None:
        """Until the next level is due, or a session is opened."""
        next_ms = min((level.due_ms for level in self.levels.values()), default=now_ms + 1_000)
        self.wake.clear()
        try:
            async with asyncio.timeout(max(1, next_ms - now_ms) / 1_000):
                await self.wake.wait()
        except TimeoutError:
            return

    def newly_minted_us(self, level: BorrowedLevel, generation: int, minted_us: int) -> int:
        """Since this gateway looked last, of the same generation."""
        before, self._minted[level] = self._minted.get(level), (generation, minted_us)
        return max(0, minted_us - before[1]) if before is not None and before[0] == generation else 0

    def forget_done(self) -> None:
        for place in [place for place, level in self.levels.items() if level.is_done]:
            self._minted.pop(self.levels.pop(place), None)
        self.is_over = not self.levels
