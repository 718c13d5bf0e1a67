"""What gateway/limits/quota.lua does, in Python on plain dictionaries: the oracle of its tests.

The arithmetic of buckets is policies.compute_quota's; this adds tabs, places, events and the tally. Integers of Python
have no limit, so a number that leaves the exact range of Lua's shows as a difference.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.limits.calls import Close, Open, Record, RefusedFor, Reply, Request, Restore, Run, Status
from gateway.metering.entries import MS_PER_HOUR, Slice, TabLabels, UsageEvent
from policies.compute_quota import Bucket
from policies.plans import MICRO, Level, LevelLimits, Rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.limits.script_codec import ScriptRules
    from gateway.redis_link.keys import Names
    from policies.plans import CallerPlan

OPEN, CLOSED, SWEPT, RECORDED = range(4)
BITS = {Level.key: 1, Level.project: 2, Level.org: 4}


@dataclass(frozen=True)
class Used:
    """What all slices below `before` used."""

    before: int
    compute_us: int = 0
    audio_ms: int = 0
    connection_ms: int = 0

    def plus(self, piece: Slice) -> Used:
        return Used(
            piece.number + 1,
            self.compute_us + piece.compute_us,
            self.audio_ms + piece.audio_ms,
            self.connection_ms + piece.connection_ms,
        )


@dataclass
class Tab:
    labels: TabLabels
    state: int
    settled: Used
    recorded: Used
    held_at: frozenset[Level] = frozenset()
    held_us: int = 0
    at_ms: int = 0
    num_cuts: int = 0
    last_cut: int = 0


@dataclass
class Verdict:
    level: Level | None = None
    refused_for: RefusedFor | None = None
    retry_after_ms: int | None = None
    shadow_level: Level | None = None
    shadow_for: RefusedFor | None = None


@dataclass
class QuotaTwin:
    """The state of one Redis. Keys are named as there."""

    names: Names
    rules: ScriptRules
    buckets: dict[str, Bucket] = field(default_factory=dict)
    leases: dict[str, dict[str, int]] = field(default_factory=dict)
    tabs: dict[str, Tab] = field(default_factory=dict)
    events: list[UsageEvent] = field(default_factory=list)
    tally: dict[str, int] = field(default_factory=dict)
    now_us: int = 0

    @property
    def now_ms(self) -> int:
        return self.now_us // 1_000

    def carry_out(self, org: str, requests: Sequence[Request], *, now_us: int) -> list[Reply]:
        """One call of the script, at a time of the clock of Redis."""
        self.now_us = now_us
        self._tidied: set[str] = set()
        replies = []
        for request in requests:
            match request:
                case Open():
                    replies.append(self._open(request))
                case Run():
                    replies.append(self._run(request))
                case Close():
                    replies.append(self._close(request))
                case Restore():
                    replies.append(self._restore(request))
                case Record():
                    replies.append(self._record(request))
        return replies

    # Requests

    def _open(self, request: Open) -> Reply:
        key = self._tab_key(request.labels)
        tab = self.tabs.get(key)
        if tab is not None and tab.state in (CLOSED, RECORDED):
            return Reply(Status.unknown_tab)
        is_start = tab is None
        if tab is None:
            tab = Tab(request.labels, OPEN, Used(0), Used(0))
        self._align(tab, request.plan)
        verdict, more_us = self._judge(request.plan, tab.held_us, request.hold_us, request.least_hold_us, is_start)
        if is_start and verdict.level:
            return self._reply(Status.refused, None, request.plan, verdict)
        if is_start:
            for level, limits in self._levels(request.plan):
                if limits.starts is not None:
                    bucket = self._bucket(self.names.starts(request.plan.principal, level), limits.starts)
                    bucket.spend_in_shadow(MICRO) if limits.is_shadow else bucket.settle(MICRO, out_of_us=0)
        self._hold(tab, request.plan, more_us)
        self._take_places(tab, request.plan)
        tab.state = OPEN
        self.tabs[key] = tab
        return self._reply(Status.refused if verdict.level else Status.ok, tab, request.plan, verdict)

    def _run(self, request: Run) -> Reply:
        tab = self.tabs.get(self._tab_key(request.labels))
        if tab is None or tab.state == RECORDED:
            return Reply(Status.unknown_tab)
        if not _follow(request.slices, tab.settled.before):
            return self._reply(Status.missing_slices, tab)
        if tab.state == CLOSED:
            if any(piece.number >= tab.settled.before for piece in request.slices):
                self._align(tab, request.plan)
                self._settle(tab, request.plan, request.slices)
                self._record_open(tab, is_last=True)
            return self._reply(Status.ok, tab, request.plan, Verdict())
        if request.has_new_labels and request.labels != tab.labels:
            self._cut(tab)
            tab.labels = request.labels
        self._align(tab, request.plan)
        self._settle(tab, request.plan, request.slices)
        verdict, more_us = self._judge(request.plan, tab.held_us, request.hold_us, request.least_hold_us, False)
        self._hold(tab, request.plan, more_us)
        if request.renews_lease or tab.state == SWEPT:
            self._take_places(tab, request.plan)
        tab.state = OPEN
        return self._reply(Status.refused if verdict.level else Status.ok, tab, request.plan, verdict)

    def _close(self, request: Close) -> Reply:
        tab = self.tabs.get(self._tab_key(request.labels))
        if request.is_swept:
            self._tidy(request.plan, Level.org)
            org = self.leases.get(self.names.leases(request.plan.principal, Level.org), {})
            if org.get(request.labels.session_id, 0) > self.now_ms:
                held = Verdict(Level.org, RefusedFor.sessions, self.rules.unknown_retry_ms)
                return self._reply(Status.refused, tab, None, held)
        if tab is None or tab.state == RECORDED:
            self._give_places(request.labels.session_id, request.plan)
            return Reply(Status.unknown_tab)
        if not _follow(request.slices, tab.settled.before):
            return self._reply(Status.missing_slices, tab)
        self._align(tab, request.plan)
        self._settle(tab, request.plan, request.slices)
        self._release(tab, request.plan)
        if request.is_swept:
            self._cut(tab)
        else:
            self._record_open(tab, is_last=True)
        if not request.is_swept:
            tab.state = CLOSED
        elif tab.state == OPEN:
            tab.state = SWEPT
        self._give_places(request.labels.session_id, request.plan)
        return self._reply(Status.ok, tab)

    def _restore(self, request: Restore) -> Reply:
        key = self._tab_key(request.labels)
        tab = self.tabs.get(key)
        if not _follow(request.slices, request.recorded):
            return self._reply(Status.missing_slices, tab)
        before = Used(
            request.recorded, request.compute_before_us, request.audio_before_ms, request.connection_before_ms
        )
        if tab is None:
            tab = self.tabs[key] = Tab(request.labels, RECORDED, before, before)
        if tab.state == RECORDED or tab.settled.before == 0:
            tab.labels = request.labels
        self._catch_up(tab, before, request.slices)
        is_over = request.is_over or tab.state == CLOSED
        self._align(tab, request.plan)
        self._settle(tab, request.plan, request.slices)
        if is_over:
            self._release(tab, request.plan)
            self._record_open(tab, is_last=True)
            tab.state = CLOSED
            self._give_places(request.labels.session_id, request.plan)
        else:
            self._hold(tab, request.plan, max(0, request.hold_us - tab.held_us))
            self._take_places(tab, request.plan)
            tab.state = OPEN
        return self._reply(Status.ok, tab, request.plan, Verdict())

    def _catch_up(self, tab: Tab, before: Used, slices: Sequence[Slice]) -> None:
        if tab.state == RECORDED and tab.recorded.before >= before.before:
            known = sum(piece.compute_us for piece in slices if piece.number < tab.settled.before)
            total_us = before.compute_us + known
            tab.settled = dataclasses.replace(tab.settled, compute_us=total_us)
            tab.recorded = dataclasses.replace(tab.recorded, compute_us=total_us)
        elif tab.settled.before < before.before:
            if tab.state == RECORDED:
                tab.settled = tab.recorded = before
            else:
                self._tally(tab.at_ms, "settled_us", before.compute_us - tab.settled.compute_us)
                tab.settled = before
                self._record_open(tab, is_last=False)

    def _record(self, request: Record) -> Reply:
        event = request.event
        key = self._tab_key(event.labels)
        tab = self.tabs.get(key)
        if tab is not None and tab.recorded.before > event.first:
            return self._reply(Status.ok, tab)
        if tab is not None and event.first > tab.recorded.before and tab.settled != tab.recorded:
            return self._reply(Status.missing_slices, tab)
        if tab is None:
            start = Used(event.first, 0, event.audio_before_ms, event.connection_before_ms)
            tab = self.tabs[key] = Tab(event.labels, RECORDED, start, start)
        self._write(event)
        tab.recorded = Used(
            event.last + 1,
            tab.recorded.compute_us + event.compute_us,
            event.audio_before_ms + event.audio_ms,
            event.connection_before_ms + event.connection_ms,
        )
        if tab.settled.before <= event.last:
            self._tally(event.at_ms, "settled_us", tab.recorded.compute_us - tab.settled.compute_us)
            tab.settled, tab.at_ms = tab.recorded, event.at_ms
        return self._reply(Status.ok, tab)

    # Tabs

    def _tab_key(self, labels: TabLabels) -> str:
        return self.names.tab(labels.org, labels.session_id)

    def _settle(self, tab: Tab, plan: CallerPlan, slices: Sequence[Slice]) -> None:
        due = [piece for piece in slices if piece.number >= tab.settled.before]
        for piece in due:
            if piece.at_ms // MS_PER_HOUR != tab.at_ms // MS_PER_HOUR:
                self._record_open(tab, is_last=False)
            tab.settled, tab.at_ms = tab.settled.plus(piece), piece.at_ms
            self._tally(piece.at_ms, "settled_us", piece.compute_us)
            if tab.settled.before % self.rules.event_window_slices == 0:
                self._record_open(tab, is_last=False)
        if not due:
            return
        cost_us = sum(piece.compute_us for piece in due)
        for level, limits in self._levels(plan):
            if limits.compute is not None:
                bucket = self._bucket(self.names.bucket(plan.principal, level), limits.compute)
                if limits.is_shadow:
                    bucket.spend_in_shadow(cost_us)
                else:
                    bucket.settle(cost_us, out_of_us=tab.held_us)
        tab.held_us = max(0, tab.held_us - cost_us)

    def _align(self, tab: Tab, plan: CallerPlan) -> None:
        wanted = frozenset(level for level, _ in self._enforced(plan))
        for level, limits in self._levels(plan):
            if tab.held_us > 0 and (level in wanted) != (level in tab.held_at):
                key = self.names.bucket(plan.principal, level)
                if level in wanted and limits.compute is not None:
                    self._bucket(key, limits.compute).hold(tab.held_us)
                elif limits.compute is not None:
                    self._bucket(key, limits.compute).release(tab.held_us)
                elif key in self.buckets:
                    self.buckets[key].release(tab.held_us)
        tab.held_at = wanted

    def _hold(self, tab: Tab, plan: CallerPlan, amount_us: int) -> None:
        if amount_us > 0:
            tab.held_us += amount_us
            for level, rate in self._enforced(plan):
                self._bucket(self.names.bucket(plan.principal, level), rate).hold(amount_us)

    def _release(self, tab: Tab, plan: CallerPlan) -> None:
        if tab.held_us > 0:
            for level, rate in self._enforced(plan):
                self._bucket(self.names.bucket(plan.principal, level), rate).release(tab.held_us)
        tab.held_us = 0

    def _cut(self, tab: Tab) -> None:
        if tab.settled.before != tab.recorded.before:
            tab.num_cuts, tab.last_cut = tab.num_cuts + 1, tab.settled.before
        self._record_open(tab, is_last=False)

    def _record_open(self, tab: Tab, *, is_last: bool) -> None:
        start, end = tab.recorded, tab.settled
        if start.before == end.before:
            return
        self._write(
            UsageEvent(
                labels=tab.labels,
                first=start.before,
                last=end.before - 1,
                compute_us=end.compute_us - start.compute_us,
                audio_ms=end.audio_ms - start.audio_ms,
                connection_ms=end.connection_ms - start.connection_ms,
                audio_before_ms=start.audio_ms,
                connection_before_ms=start.connection_ms,
                at_ms=tab.at_ms,
                is_last=is_last,
            )
        )
        tab.recorded = end

    def _write(self, event: UsageEvent) -> None:
        self.events.append(event)
        self._tally(event.at_ms, "recorded_us", event.compute_us)
        self._tally(event.at_ms, "events", 1)

    def _tally(self, at_ms: int, what: str, amount: int) -> None:
        name = f"{at_ms // MS_PER_HOUR}:{what}"
        self.tally[name] = self.tally.get(name, 0) + amount

    # Levels

    def _levels(self, plan: CallerPlan) -> Iterator[tuple[Level, LevelLimits]]:
        """Narrowest first."""
        if plan.principal.key:
            yield Level.key, plan.key
        if plan.principal.project:
            yield Level.project, plan.project
        yield Level.org, plan.org

    def _enforced(self, plan: CallerPlan) -> Iterator[tuple[Level, Rate]]:
        for level, limits in self._levels(plan):
            if limits.compute is not None and not limits.is_shadow:
                yield level, limits.compute

    def _bucket(self, key: str, rate: Rate) -> Bucket:
        bucket = self.buckets.setdefault(key, Bucket.new(rate, now_us=self.now_us))
        bucket.refill(rate, now_us=self.now_us)
        return bucket

    def _judge(
        self, plan: CallerPlan, held_us: int, hold_us: int, least_hold_us: int, is_start: bool
    ) -> tuple[Verdict, int]:
        verdict = Verdict()
        more_us, needed_us = hold_us - held_us, min(least_hold_us, hold_us) - held_us
        has_room = True
        for level, limits in self._levels(plan):
            if is_start and limits.max_sessions is not None:
                self._tidy(plan, level)
                places = self.leases.get(self.names.leases(plan.principal, level), {})
                if sum(until_ms > self.now_ms for until_ms in places.values()) >= limits.max_sessions:
                    self._refuse(verdict, level, limits, RefusedFor.sessions, self.rules.unknown_retry_ms)
            if is_start and limits.starts is not None:
                bucket = self._bucket(self.names.starts(plan.principal, level), limits.starts)
                if not bucket.may_hold(MICRO):
                    wait_ms = self._wait_ms(bucket, MICRO, limits.starts)
                    self._refuse(verdict, level, limits, RefusedFor.starts, wait_ms)
            if limits.compute is not None:
                bucket = self._bucket(self.names.bucket(plan.principal, level), limits.compute)
                if needed_us > 0 and not bucket.may_hold(needed_us):
                    wait_ms = self._wait_ms(bucket, needed_us, limits.compute)
                    if is_start and needed_us > limits.compute.burst - bucket.held_us:
                        wait_ms = max(wait_ms, self.rules.unknown_retry_ms)
                    self._refuse(verdict, level, limits, RefusedFor.compute, wait_ms)
                has_room = has_room and (limits.is_shadow or bucket.may_hold(more_us))
        if verdict.level:
            return verdict, 0
        return verdict, max(0, more_us if has_room else needed_us)

    def _wait_ms(self, bucket: Bucket, amount_us: int, rate: Rate) -> int:
        if rate.per_s == 0:
            return self.rules.unknown_retry_ms
        wait_ms = bucket.wait_ms(amount_us, rate)
        return self.rules.max_retry_ms if wait_ms is None else min(wait_ms, self.rules.max_retry_ms)

    def _refuse(
        self, verdict: Verdict, level: Level, limits: LevelLimits, what: RefusedFor, retry_after_ms: int
    ) -> None:
        if limits.is_shadow:
            if verdict.shadow_level is None:
                verdict.shadow_level, verdict.shadow_for = level, what
            return
        if verdict.level is None:
            verdict.level, verdict.refused_for = level, what
        verdict.retry_after_ms = max(verdict.retry_after_ms or 1, retry_after_ms)

    # Places

    def _tidy(self, plan: CallerPlan, level: Level) -> None:
        key = self.names.leases(plan.principal, level)
        if key in self._tidied:
            return
        self._tidied.add(key)
        most_ms = self.now_ms + self.rules.lease_ttl_ms
        places = self.leases.get(key, {})
        for session, until_ms in list(places.items()):
            if level is not Level.org and until_ms <= self.now_ms:
                del places[session]
            elif until_ms > most_ms:
                places[session] = most_ms

    def _take_places(self, tab: Tab, plan: CallerPlan) -> None:
        for level, limits in self._levels(plan):
            if level is Level.org or limits.max_sessions is not None:
                self._tidy(plan, level)
                places = self.leases.setdefault(self.names.leases(plan.principal, level), {})
                places[tab.labels.session_id] = self.now_ms + self.rules.lease_ttl_ms
            if limits.compute is not None:
                self._bucket(self.names.bucket(plan.principal, level), limits.compute)

    def _give_places(self, session_id: str, plan: CallerPlan) -> None:
        for level, _ in self._levels(plan):
            self.leases.get(self.names.leases(plan.principal, level), {}).pop(session_id, None)

    # Replies

    def _reply(
        self, status: Status, tab: Tab | None, plan: CallerPlan | None = None, verdict: Verdict | None = None
    ) -> Reply:
        left = []
        if plan is not None:
            for level, rate in self._enforced(plan):
                bucket = self._bucket(self.names.bucket(plan.principal, level), rate)
                left.append((max(0, bucket.balance_us), level))
        least = min(left, key=lambda each: each[0]) if left else (None, None)
        verdict = verdict or Verdict()
        return Reply(
            status=status,
            settled=tab.settled.before if tab else 0,
            recorded=tab.recorded.before if tab else 0,
            settled_us=tab.settled.compute_us if tab else 0,
            held_us=tab.held_us if tab else 0,
            remaining_us=least[0],
            level=verdict.level or least[1],
            retry_after_ms=verdict.retry_after_ms,
            refused_for=verdict.refused_for,
            shadow_level=verdict.shadow_level,
            shadow_for=verdict.shadow_for,
            num_cuts=tab.num_cuts if tab else 0,
            last_cut=tab.last_cut if tab else 0,
        )


def _follow(slices: Sequence[Slice], settled: int) -> bool:
    expected = settled
    for piece in slices:
        if piece.number > expected:
            return False
        if piece.number == expected:
            expected += 1
    return True
