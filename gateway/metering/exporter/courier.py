"""Brings the events of all orgs to one sink: reads, sends, writes down, acknowledges.

These must stay true:
  - An entry is acknowledged only after the receiver's yes (and its settling time), or the event's death, stands in the
    sent log on the disk.
  - At most `max_in_flight` entries are held; a receiver that is down holds up this sink alone.
  - An event that the sent log knows as delivered or dead is never sent again by itself.
  - An event that may not leave for the receiver's region is not sent. It stays in Redis, unacknowledged, and takes no
    place here: others are not held up by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
import uuid
from typing import TYPE_CHECKING, TypeVar

import structlog

from gateway.metering.cloud_events import UnknownRater, lines_of
from gateway.metering.entries import MS_PER_HOUR, TabLabels, UsageEvent
from gateway.metering.exporter.backoff import backoff_ms
from gateway.metering.exporter.held_events import HeldEvent, HeldEvents
from gateway.metering.exporter.sent_log import Death, Logged, SentLog, Source, Standing, State
from gateway.metering.sinks.interface import Accepted, Outcome, Outgoing, Refused, TryAgain
from gateway.metering.sinks.settings import StripeSettings
from gateway.metering.stream_entries import MalformedEntry, decode_event
from gateway.redis_link.client import reconnect_after_ms
from gateway.redis_link.errors import RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from gateway.metering.exporter.log_thread import LogThread
    from gateway.metering.exporter.metrics import ExporterMetrics
    from gateway.metering.exporter.permission import Permission
    from gateway.metering.exporter.settings import ExporterSettings
    from gateway.metering.exporter.streams import Entry, MeterStreams
    from gateway.metering.sinks.interface import Sink
    from gateway.metering.sinks.settings import AnySinkSettings

log = structlog.get_logger()


class NotWritten(Exception):
    """The sent log could not be written, and we stop: what was to be written is left to the next exporter."""


Answer = TypeVar("Answer")
_ORGS_AT_ONCE = 200
_SETTLED_AT_ONCE = 500
_LOOK_AGAIN_S = 0.5
_MAX_COUNTED = 100_000
"""Of the events that may not leave: more are not counted."""
_MALFORMED = uuid.UUID("b1d1f0c6-7a0e-5d6e-9a53-4e2f6ad0a9c1")


class Courier:
    """One sink's. `run` until `stop`; what is under way then may end, and what is only held is left to the next one."""

    def __init__(
        self,
        sink: Sink,
        settings: AnySinkSettings,
        exporter: ExporterSettings,
        streams: MeterStreams,
        sent: LogThread,
        metrics: ExporterMetrics,
        permission: Permission,
    ) -> None:
        self.name = settings.name
        self.has_lost_answer = False
        """Entries may be ours that we do not hold: an answer of Redis was lost, or what may leave has changed."""
        self._sink = sink
        self._settings = settings
        self._exporter = exporter
        self._streams = streams
        self._sent = sent
        self._metrics = metrics
        self._permission = permission
        self._not_permitted: set[Source] = set()
        permission.on_change(self._permission_changed)
        self._held = HeldEvents(settings.max_in_flight)
        self._to_acknowledge: set[Source] = set()
        self._orgs: list[str] = []
        self._next_org = 0
        self._paused_until_ms = 0
        self._failures = 0
        self._settles = settings.settle_ms > 0 or isinstance(settings, StripeSettings)
        """Whether an error report may come later, so that events are kept."""
        self._taking_in = asyncio.Lock()
        """The same entries can come from reading and from looking for lost ones."""
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def room(self) -> int:
        return max(0, self._held.room - len(self._to_acknowledge))

    def follow(self, orgs: list[str]) -> None:
        self._orgs = orgs

    def stop(self) -> None:
        self._stopping.set()
        self._changed.set()

    async def run(self) -> None:
        """Until `stop`, and the requests under way have ended and been written down."""
        loops = [self._keep_acknowledging(), self._keep_reading(), self._keep_looking_after()]
        loops += [self._keep_sending() for _ in range(getattr(self._settings, "concurrent_requests", 1))]
        async with asyncio.TaskGroup() as tasks:
            for loop in loops:
                tasks.create_task(_until_not_written(loop))
        with contextlib.suppress(RedisAway):
            await self._acknowledge()

    # --- taking in ------------------------------------------------------------------------------------------------

    async def _keep_reading(self) -> None:
        attempt, idle = 0, 0
        while not self._stopping.is_set():
            try:
                orgs = self._next_orgs()
                if not orgs or not await self._sink.is_ready():
                    await self._rest(self._exporter.poll_ms)
                    continue
                entries, lost = await self._streams.read(self.name, orgs, limit=self.room)
                if lost:
                    await self._streams.make_groups(lost)
                await self.take_in(entries)
                attempt = 0
            except RedisAway as away:
                self.has_lost_answer = True
                self._metrics.redis_away.labels(away.why.value).inc()
                await self._rest(reconnect_after_ms(attempt))
                attempt += 1
                continue
            idle = 0 if entries else idle + len(orgs)
            if idle >= len(self._orgs):
                idle = 0
                await self._rest(self._exporter.poll_ms)

    def _next_orgs(self) -> list[str]:
        """In turn, so many that each may give one entry."""
        size = min(len(self._orgs), self.room, _ORGS_AT_ONCE)
        if size == 0:
            return []
        begin = self._next_org % len(self._orgs)
        self._next_org = begin + size
        return (self._orgs[begin:] + self._orgs[:begin])[:size]

    async def take_in(self, entries: Sequence[Entry], *, were_anothers: bool = False) -> None:
        """Hold what is to be sent; what needs no sending is acknowledged. Known entries are passed over.

        `were_anothers`: another exporter may have tried them.
        """
        async with self._taking_in:
            await self._take_all_in(entries, were_anothers=were_anothers)

    async def _take_all_in(self, entries: Sequence[Entry], *, were_anothers: bool) -> None:
        fresh: list[tuple[Source, UsageEvent]] = []
        dead: list[tuple[Logged, Death]] = []
        oldest_hour = _now_ms() // MS_PER_HOUR - 24 * self._exporter.remember_days
        for source, fields in entries:
            if self._held.carries(source) or source in self._to_acknowledge:
                continue
            try:
                event = decode_event(fields)
                lines_of(event)
            except (MalformedEntry, UnknownRater) as error:
                dead.append((_unreadable(source), Death("malformed", repr(error), may_have_arrived=False)))
                continue
            if event.hour <= oldest_hour:
                death = Death("too_old", "older than the sent log remembers", may_have_arrived=True)
                dead.append((Logged(event.id, event, (source,)), death))
                continue
            if not self._may_leave(event):
                self._leave(source)
                continue
            fresh.append((source, event))
        if dead:
            await self._bury(dead)
        keys = [(event.hour, event.id) for _source, event in fresh]
        standings = await self._written(lambda sent: sent.standings(self.name, keys)) if keys else []
        for (source, event), standing in zip(fresh, standings or (), strict=False):
            await self._take_in(source, event, standing, were_anothers=were_anothers)
        self._changed.set()

    async def _take_in(
        self, source: Source, event: UsageEvent, standing: Standing | None, *, were_anothers: bool
    ) -> None:
        if standing is not None and standing.state in (State.delivered, State.dead):
            self._metrics.duplicates.labels(self.name).inc()
            self._to_acknowledge.add(source)
            return
        if standing is not None and standing.state is State.settling:
            await self._written(lambda sent: sent.joins_settling(self.name, event.id, event.hour, source))
            return
        held = HeldEvent(event.id, event, [source])
        if standing is not None:
            held.first_try_at_ms = standing.first_try_at_ms
        elif were_anothers:
            held.first_try_at_ms = int(source.entry.split(b"-")[0])
        held.may_have_arrived = held.first_try_at_ms is not None
        if not self._held.add(held):
            self._metrics.duplicates.labels(self.name).inc()

    # --- sending --------------------------------------------------------------------------------------------------

    async def _keep_sending(self) -> None:
        while (batch := await self._next_batch()) is not None:
            now_ms = _now_ms()
            for held in batch:
                held.first_try_at_ms = now_ms if held.first_try_at_ms is None else held.first_try_at_ms
            logged = [_logged(held) for held in batch]
            firsts = [held.first_try_at_ms or now_ms for held in batch]
            await self._written(lambda sent: sent.tried(self.name, logged, at_ms=firsts))  # noqa: B023
            began_s = time.perf_counter()
            outcomes = await self._sink.deliver(
                [Outgoing(h.event, h.event_id, h.may_have_arrived, h.times_reported) for h in batch]
            )
            self._metrics.request_elapsed.labels(self.name).observe(time.perf_counter() - began_s)
            await self._apply(batch, outcomes)

    async def _next_batch(self) -> list[HeldEvent] | None:
        """The next events whose time has come and that are not too old; None: stopping."""
        while not self._stopping.is_set():
            self._changed.clear()
            now_ms = _now_ms()
            next_ms = self._held.next_at_ms(now_ms=now_ms)
            if next_ms is not None and max(next_ms, self._paused_until_ms) <= now_ms:
                batch = self._held.take(self._settings.batch_events, now_ms=now_ms)
                batch = await self._permitted(batch)
                young = [held for held in batch if not self._is_expired(held, now_ms)]
                if len(young) < len(batch):
                    old = [held for held in batch if self._is_expired(held, now_ms)]
                    detail = f"no yes within {self._exporter.retry.max_age_ms} ms of the first attempt"
                    await self._die([(held, Refused("expired", detail)) for held in old])
                if young:
                    return young
                continue
            wait_ms = None if next_ms is None else max(next_ms, self._paused_until_ms) - now_ms
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wait_ms is None else wait_ms / 1_000):
                    await self._changed.wait()
        return None

    # --- what may not leave ---------------------------------------------------------------------------------------

    def _may_leave(self, event: UsageEvent) -> bool:
        return self._permission.permits(f"{event.labels.org}/{event.labels.project}", self._settings.region)

    def _leave(self, source: Source) -> None:
        """In Redis, where it is ours and unacknowledged."""
        if len(self._not_permitted) < _MAX_COUNTED:
            self._not_permitted.add(source)
        self._metrics.not_permitted.labels(self.name).set(len(self._not_permitted))

    def _permission_changed(self) -> None:
        """Look again at all that was left; what still may not leave is left again."""
        if not self._not_permitted:
            return
        self._not_permitted.clear()
        self._metrics.not_permitted.labels(self.name).set(0)
        self.has_lost_answer = True

    async def _permitted(self, batch: list[HeldEvent]) -> list[HeldEvent]:
        """Rules may have changed since it was taken in. A dead letter's retry has no entry to leave: it dies again."""
        denied = [held for held in batch if not self._may_leave(held.event)]
        if not denied:
            return batch
        for held in denied:
            for source in held.sources:
                self._leave(source)
        orphans = [held for held in denied if not held.sources]
        if orphans:
            await self._die([(held, Refused("not_permitted", "policy does not permit it")) for held in orphans])
        self._held.drop(denied)
        return [held for held in batch if held not in denied]

    def _is_expired(self, held: HeldEvent, now_ms: int) -> bool:
        return held.first_try_at_ms is not None and now_ms - held.first_try_at_ms >= self._exporter.retry.max_age_ms

    async def _apply(self, batch: Sequence[HeldEvent], outcomes: Sequence[Outcome]) -> None:
        accepted = [held for held, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Accepted)]
        again = [(h, o) for h, o in zip(batch, outcomes, strict=True) if isinstance(o, TryAgain)]
        refused = [(h, o) for h, o in zip(batch, outcomes, strict=True) if isinstance(o, Refused)]
        whole = [held for held, outcome in refused if outcome.is_of_batch and len(batch) > 1]
        for held in whole:
            held.batch_limit = max(1, len(batch) // 2)
            self._held.give_back(held, at_ms=_now_ms())
        if len(refused) > len(whole):
            await self._die([(held, outcome) for held, outcome in refused if held not in whole])
        if accepted:
            await self._deliver(accepted)
        self._put_off(again)
        if accepted or refused:
            self._failures = 0
            self._paused_until_ms = 0
        self._changed.set()

    def _put_off(self, again: Sequence[tuple[HeldEvent, TryAgain]]) -> None:
        now_ms = _now_ms()
        retry = self._exporter.retry
        if any(outcome.is_of_sink for _held, outcome in again):
            self._failures += 1
            if self._failures == 1:
                log.warning("exporter.sink_failed", sink=self.name, reason=again[0][1].reason)
            wait_ms = backoff_ms(self._failures, first_ms=retry.first_ms, max_ms=retry.max_ms, dice=random.random())
            asked_ms = max((outcome.after_ms or 0 for _held, outcome in again), default=0)
            self._paused_until_ms = max(self._paused_until_ms, now_ms + max(wait_ms, asked_ms))
        for held, outcome in again:
            held.attempts += 1
            held.may_have_arrived = held.may_have_arrived or outcome.may_have_arrived
            self._metrics.failed.labels(self.name, outcome.reason).inc()
            own_ms = backoff_ms(held.attempts, first_ms=retry.first_ms, max_ms=retry.max_ms, dice=random.random())
            self._held.give_back(held, at_ms=now_ms + max(own_ms, outcome.after_ms or 0))

    # --- writing down ---------------------------------------------------------------------------------------------

    async def _deliver(self, accepted: Sequence[HeldEvent]) -> None:
        settles = self._settles
        logged = [_logged(held) for held in accepted]
        if settles:
            due_at_ms = _now_ms() + self._settings.settle_ms
            await self._written(lambda sent: sent.settling(self.name, logged, due_at_ms=due_at_ms))
        else:
            await self._written(lambda sent: sent.delivered(self.name, logged))
        if not settles:
            # Not what was logged: another entry of an event may have come while this was written.
            self._to_acknowledge.update(source for held in accepted for source in held.sources)
        else:
            for held, was in zip(accepted, logged, strict=True):
                for source in held.sources[len(was.sources) :]:
                    await self._written(
                        lambda sent, held=held, source=source: sent.joins_settling(  # type: ignore[misc]
                            self.name, held.event_id, held.event.hour, source
                        )
                    )
        self._held.drop(accepted)
        self._metrics.delivered.labels(self.name).inc(len(accepted))

    async def _die(self, dead: Sequence[tuple[HeldEvent, Refused]]) -> None:
        rows = [(_logged(held), Death(refused.reason, refused.detail, held.may_have_arrived)) for held, refused in dead]
        await self._bury(rows)
        self._to_acknowledge.update(source for held, _refused in dead for source in held.sources)
        self._held.drop([held for held, _refused in dead])

    async def _bury(self, rows: Sequence[tuple[Logged, Death]]) -> None:
        await self._written(lambda sent: sent.died(self.name, rows, now_ms=_now_ms()))
        for logged, death in rows:
            self._to_acknowledge.update(logged.sources)
            self._metrics.died.labels(self.name, death.reason).inc()
        log.error("exporter.events_died", sink=self.name, events=len(rows), reason=rows[0][1].reason)

    async def _written(self, call: Callable[[SentLog], Answer]) -> Answer:
        """Ask the sent log until it can answer. Raises NotWritten."""
        while True:
            try:
                return await self._sent.ask(call)
            except sqlite3.Error as error:
                self._metrics.disk_failures.inc()
                log.error("exporter.disk_failed", sink=self.name, kind=type(error).__name__)
                if self._stopping.is_set():
                    raise NotWritten from error
                await self._rest(1_000)

    # --- beside it ------------------------------------------------------------------------------------------------

    async def _keep_acknowledging(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            try:
                await self._acknowledge()
                attempt = 0
            except RedisAway as away:
                self._metrics.redis_away.labels(away.why.value).inc()
                await self._rest(reconnect_after_ms(attempt))
                attempt += 1
                continue
            await self._rest(min(50, self._exporter.poll_ms))

    async def _acknowledge(self) -> None:
        due = list(self._to_acknowledge)
        if due:
            await self._streams.acknowledge(self.name, due)
            self._to_acknowledge.difference_update(due)

    async def _keep_looking_after(self) -> None:
        """What has settled, and dead letters that somebody wants to be sent again."""
        while not self._stopping.is_set():
            now_ms = _now_ms()
            if self._settles:
                settled = await self._written(
                    lambda sent: sent.settled(self.name, now_ms=now_ms, limit=_SETTLED_AT_ONCE)  # noqa: B023
                )
                self._to_acknowledge.update(source for source in settled if source.entry)
                if len(settled) == _SETTLED_AT_ONCE:
                    continue
            room = min(self.room, 100)
            if room and await self._sink.is_ready():
                for logged in await self._written(lambda sent: sent.take_marked(self.name, limit=room)):  # noqa: B023
                    self._held.add(HeldEvent(logged.event_id, logged.event, [], times_reported=logged.times_reported))
                    self._changed.set()
            self._metrics.held.labels(self.name).set(len(self._held))
            await self._rest(int(_LOOK_AGAIN_S * 1_000))

    async def _rest(self, wait_ms: int) -> None:
        """Until then, or until it is time to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1_000):
                await self._stopping.wait()


async def _until_not_written(loop: Coroutine[None, None, None]) -> None:
    with contextlib.suppress(NotWritten):
        await loop


def _logged(held: HeldEvent) -> Logged:
    return Logged(held.event_id, held.event, tuple(held.sources))


def _unreadable(source: Source) -> Logged:
    """What stands for an entry that is no event: nothing can be said of it but where it was."""
    event_id = str(uuid.uuid5(_MALFORMED, f"{source.org}:{source.entry.decode()}"))
    labels = TabLabels(
        session_id="", org=source.org, project="", key="", plan="", rater="", rating_version="", region=""
    )
    at_ms = int(source.entry.split(b"-")[0])
    event = UsageEvent(labels, 0, 0, 0, 0, 0, 0, 0, at_ms, is_last=False)
    return Logged(event_id, event, (source,))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
