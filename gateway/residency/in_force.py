"""The bundle in force: followed under live traffic, changed at its dates, and at its end nothing is permitted.

These must stay true:
  - What cannot be used changes nothing: the last good bundle stays in force, until its own end.
  - A table answers only for the stretch of time that it was made for. Without one for now, everything is denied.
  - A folder that is being written never comes into force: a change is read when two looks saw it the same, and taken
    only if it was the same before and after reading.
  - Nothing here blocks the loop: folders are read and engines made in a thread, tables warmed one decision a turn.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from gateway.residency.bundle_folder import stamp_of
from gateway.residency.loading import BundleUnusable, load
from policies.residency.bundles.instants import FAR_S, text_of
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.deciding.table import DecisionTable
from policies.residency.decision import Decision, Situation
from policies.residency.policy_time import PolicyClock
from policies.residency.record import DecisionRecord, Event
from policies.residency.situation import SituationConflict, Sources, situation_of
from policies.residency.vocabulary import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from gateway.decision_log.interface import DecisionLog
    from gateway.residency.bundle_folder import Stamp
    from gateway.residency.last_good import LastGood
    from gateway.residency.loading import Loaded, Trust
    from gateway.residency.metrics import ResidencyMetrics
    from policies.residency.bundles.bundle import Bundle
    from policies.residency.decision import Question

log = structlog.get_logger("residency")

_AHEAD_S = 60.0
"""How long before a date the table that holds from then on is made."""
_LEAST_WAIT_S = 0.01
_WARMED_SITUATIONS = 512
_WARM_AT_MOST_S = 2.0
"""What is in force waits for no more than this; sessions whose decisions were not made by then make them in turns."""
_DECISIONS_A_LOOK = 64
"""After so many of a new table's the clock is looked at again: all of them may take many seconds."""
_LOGGED_MISTAKES = 20
_KEEP_AGAIN_S = 60.0
"""After the last good one could not be kept."""


def policy_clock() -> Callable[[], float]:
    """Policy's time of this process, Unix seconds."""
    clock = PolicyClock(wall_s=time.time(), monotonic_s=time.monotonic())
    return lambda: clock.now_s(wall_s=time.time(), monotonic_s=time.monotonic())


class BundlesInForce:
    """One a process; its owner runs `run`.

    Args:
        folder: of the bundle.
        last_good: where the one in force is kept; None: nowhere.
        now_s: policy's clock.

    Raises:
        BundleUnusable: neither what is in the folder may come into force, nor what was kept.
    """

    def __init__(
        self,
        folder: Path,
        trust: Trust,
        metrics: ResidencyMetrics,
        decisions: DecisionLog,
        *,
        last_good: LastGood | None = None,
        check_interval_ms: int = 1_000,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self._folder = folder
        self._trust = trust
        self._metrics = metrics
        self._decisions = decisions
        self._last_good = last_good
        self._check_interval_s = check_interval_ms / 1_000
        self.now_s = policy_clock() if now_s is None else now_s
        self.warm_with: Callable[[DecisionTable, Iterable[Situation]], Iterable[Question]] = lambda _table, _used: ()
        """Questions that a table should know before it comes into force; given the situations that are in use."""
        self._callbacks: list[Callable[[], None]] = []
        self._taken: Stamp | None = None
        self._last_seen: Stamp | None = None
        self._comes_at_s = 0
        """When what the folder holds may come into force, as it was issued for later; 0: it is not."""
        self._unkept: Loaded | None = None
        self._keep_again_at_s = 0.0
        self._next: DecisionTable | None = None
        self._told_table: DecisionTable | None = None
        loaded = self._first()
        self._bundle = loaded.bundle
        self._ends_at_s = trust.ends_at_s(loaded.bundle)
        self._table = DecisionTable(loaded.engine)
        self._told_table = self._table
        self._took(loaded)

    # --- what is asked of it --------------------------------------------------------------------------------

    @property
    def table(self) -> DecisionTable | None:
        """What answers now; None: no bundle is in force, or none is ready for now, and everything is denied."""
        now_s = self.now_s()
        if now_s >= self._ends_at_s:
            return None
        if self._table.engine.holds_at(now_s):
            return self._table
        if self._next is not None and self._next.engine.holds_at(now_s):
            self._table, self._next = self._next, None
            return self._table
        return None

    @property
    def bundle(self) -> Bundle | None:
        """In force now."""
        return self._bundle if self.now_s() < self._ends_at_s else None

    @property
    def is_between_tables(self) -> bool:
        """A bundle is in force, and its decisions for now are being made: for a moment after a clock was set."""
        return self.table is None and self.bundle is not None

    def decide(self, question: Question) -> Decision:
        """A deny where no bundle is in force."""
        table = self.table
        if table is None:
            return Decision(Verdict.deny, errors=("no policy bundle is in force",))
        return table.decide(question)

    def situation_of_project(self, project: str) -> Situation:
        """For a question about a project (`ORG/PROJECT`) and no session. Nothing is permitted to one without a row."""
        bundle = self.bundle
        row = None if bundle is None else bundle.projects.get(project)
        found = situation_of(Sources(project, row))
        return Situation("") if isinstance(found, SituationConflict) else found

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call it whenever decisions may be others than they were. It must not raise."""
        self._callbacks.append(callback)

    # --- following --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the folder and the clock, until cancelled."""
        while True:
            await asyncio.sleep(self._wait_s())
            try:
                await self.look()
            except Exception:  # a fault of ours with what is in the folder must not end the gateway
                log.exception("residency.look_failed")
                await asyncio.sleep(self._check_interval_s)

    async def look(self) -> None:
        """One look at the clock and at the folder."""
        await self._follow_time()
        await self._follow_folder()
        self._tell_if_changed()
        if self._unkept is not None and time.monotonic() >= self._keep_again_at_s:
            await asyncio.to_thread(self._keep, self._unkept)

    def _wait_s(self) -> float:
        """To the next look: no later than the next date, so that running sessions hear of it then."""
        if self.is_between_tables:
            return _LEAST_WAIT_S
        to_date_s = min(self._table.engine.until_s, self._ends_at_s) - self.now_s()
        wait_s = self._check_interval_s
        return max(_LEAST_WAIT_S, to_date_s) if 0 < to_date_s < wait_s else wait_s

    async def _follow_time(self) -> None:
        now_s = self.now_s()
        if now_s >= self._ends_at_s:
            return
        if self.table is None:  # a date passed unforeseen, or the clock was set
            self._table, self._next = await self._table_for(int(now_s)), None
            return
        until_s = self._table.engine.until_s
        if self._next is None and until_s < min(self._ends_at_s, FAR_S) and until_s - now_s <= _AHEAD_S:
            made = await self._table_for(until_s)
            if made.engine.bundle is self._bundle:
                self._next = made

    async def _table_for(self, at_s: int) -> DecisionTable:
        began_s = time.monotonic()
        bundle = self._bundle
        engine = await asyncio.to_thread(ResidencyEngine, bundle, at_s, release_gil=True)
        return await self._warmed(DecisionTable(engine), began_s)

    async def _warmed(self, table: DecisionTable, began_s: float) -> DecisionTable:
        latest_first = self._table.situations()[: -_WARMED_SITUATIONS - 1 : -1]
        filled_by_s = time.monotonic() + _WARM_AT_MOST_S
        for number, _ in enumerate(table.fill(self.warm_with(table, latest_first))):
            await asyncio.sleep(0)
            if time.monotonic() >= filled_by_s:
                break
            if number % _DECISIONS_A_LOOK == 0:
                self._tell_if_changed()  # a date or an end does not wait for this
        self._metrics.table_build.set(time.monotonic() - began_s)
        return table

    async def _follow_folder(self) -> None:
        seen = await asyncio.to_thread(stamp_of, self._folder)
        is_still = seen == self._last_seen
        self._last_seen = seen
        is_due = 0 < self._comes_at_s <= self.now_s()
        if not is_still or (seen == self._taken and not is_due):
            return
        began_s = time.monotonic()
        not_before_s = self._bundle.issued_at_s if self._trust.required else 0
        now_s = self.now_s()
        try:
            loaded = await asyncio.to_thread(load, self._folder, self._trust, now_s=now_s, not_before_s=not_before_s)
        except BundleUnusable as unusable:
            if await self._is_as(seen):
                self._refused(unusable)
            return
        if not await self._is_as(seen):
            return
        self._metrics.is_refused.set(0)
        self._comes_at_s = 0
        if loaded.bundle.digest == self._bundle.digest:
            return
        table = await self._warmed(DecisionTable(loaded.engine), began_s)
        self._bundle, self._table, self._next = loaded.bundle, table, None
        self._ends_at_s = self._trust.ends_at_s(loaded.bundle)
        self._took(loaded)
        await asyncio.to_thread(self._keep, loaded)

    async def _is_as(self, seen: Stamp | None) -> bool:
        """Whether what was read is what was seen; then it need not be read again."""
        self._last_seen = await asyncio.to_thread(stamp_of, self._folder)
        if self._last_seen != seen:
            return False
        self._taken = seen
        return True

    # --- at the start -------------------------------------------------------------------------------------------

    def _first(self) -> Loaded:
        self._taken = self._last_seen = stamp_of(self._folder)
        kept, kept_mistakes = self._kept()
        not_before_s = 0 if kept is None or not self._trust.required else kept.bundle.issued_at_s
        try:
            loaded = load(self._folder, self._trust, now_s=self.now_s(), not_before_s=not_before_s)
        except BundleUnusable as unusable:
            if kept is None:
                raise BundleUnusable([*unusable.mistakes, *kept_mistakes], digest=unusable.digest) from None
            self._refused(unusable)
            return kept
        self._metrics.is_refused.set(0)
        self._keep(loaded)
        return loaded

    def _kept(self) -> tuple[Loaded | None, list[str]]:
        """The last good one; or None, and why what was kept is of no use."""
        folder = None if self._last_good is None else self._last_good.folder()
        if folder is None:
            return None, []
        try:
            return load(folder, self._trust, now_s=self.now_s()), []
        except BundleUnusable as unusable:
            return None, [f"of the last good one: {mistake}" for mistake in unusable.mistakes]

    def _keep(self, loaded: Loaded) -> None:
        if self._last_good is None:
            return
        self._unkept = None
        try:
            self._last_good.keep(loaded.files)
        except OSError as error:
            self._unkept, self._keep_again_at_s = loaded, time.monotonic() + _KEEP_AGAIN_S
            log.error("residency.last_good_not_kept", why=error.strerror, digest=loaded.bundle.digest)

    # --- what is told ----------------------------------------------------------------------------------------------

    def _took(self, loaded: Loaded) -> None:
        bundle = loaded.bundle
        self._metrics.loads.labels("taken").inc()
        self._metrics.took(bundle, ends_at_s=self._ends_at_s)
        log.info(
            "residency.bundle_taken",
            bundle=bundle.name,
            version=bundle.version,
            digest=bundle.digest,
            signed_by=list(loaded.signed_by),
            rules=len(bundle.rules),
            ends_at=text_of(self._ends_at_s),
        )
        detail = f"{bundle.name} {bundle.version}, approved by {', '.join(loaded.signed_by) or 'nobody'}"
        self._record("taken", detail, bundle)

    def _refused(self, unusable: BundleUnusable) -> None:
        self._comes_at_s = unusable.comes_at_s
        self._metrics.is_refused.set(1)
        self._metrics.loads.labels("refused").inc()
        log.error("residency.bundle_refused", digest=unusable.digest, mistakes=unusable.mistakes[:_LOGGED_MISTAKES])
        self._record("refused", "; ".join(unusable.mistakes[:_LOGGED_MISTAKES]), None, digest=unusable.digest)

    def _tell_if_changed(self) -> None:
        table = self.table
        self._metrics.changes_at.set(min(self._table.engine.until_s, self._ends_at_s))
        if table is self._told_table or self.is_between_tables:
            return
        was, self._told_table = self._told_table, table
        self._metrics.in_force.set(0 if table is None else 1)
        if table is None:
            log.error("residency.bundle_ended", version=self._bundle.version, digest=self._bundle.digest)
            self._record("ended", "no bundle is in force: everything is denied", self._bundle)
        elif was is not None and was.engine.bundle is table.engine.bundle:
            log.info("residency.date_passed", version=self._bundle.version, at=text_of(table.engine.from_s))
            self._record("date_passed", f"decisions as from {text_of(table.engine.from_s)}", self._bundle)
        for callback in self._callbacks:
            try:
                callback()
            except Exception:
                log.exception("residency.follower_failed")

    def _record(self, action: str, detail: str, bundle: Bundle | None, *, digest: str = "") -> None:
        self._decisions.record(
            DecisionRecord(
                event=Event.policy_change,
                action=action,
                policy_digest=digest if bundle is None else bundle.policy_digest,
                entities_digest="" if bundle is None else bundle.entities_digest,
                schema_digest="" if bundle is None else bundle.schema_digest,
                detail=detail,
            )
        )
