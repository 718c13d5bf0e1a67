"""What Redis and the sent logs say of usage, read for people: nothing is changed.

Figures of several places are read one after the other; of an hour that is not complete they may be apart by what
happened in between.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.metering.exporter.reconciliation import HourAtSink
from gateway.metering.exporter.sent_log import State
from gateway.metering.exporter.streams import MeterStreams
from gateway.metering.stream_entries import MalformedEntry, decode_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.metering.exporter.sent_log import SentLog
    from gateway.redis_link.client import RedisLink

_TALLY = re.compile(rb"(\d{1,12}):(settled_us|recorded_us|events)\Z")
_CALL_MS = 5_000
_ENTRIES_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class LevelState:
    """As it was when the bucket was last used."""

    level: str
    balance_us: int
    held_us: int
    sessions: int


@dataclass(slots=True)
class OrgUsage:
    """`lag`: entries and age of the oldest, by sink."""

    org: str
    levels: list[LevelState] = field(default_factory=list)
    settled_us: int = 0
    recorded_us: int = 0
    lag: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HourRow:
    """`ids`: of dead letters, and of events that another sink or the stream has and this one's log has not."""

    org: str
    hour: int
    sink: str
    sums: HourAtSink
    dead_ids: tuple[str, ...] = ()
    missing_ids: tuple[str, ...] = ()


class UsageReader:
    """All methods raise RedisAway."""

    def __init__(self, link: RedisLink, sinks: Sequence[str], *, is_cluster: bool) -> None:
        self._link = link
        self._sinks = sinks
        self._streams = MeterStreams(link, groups=sinks, consumer="usage", is_cluster=is_cluster)

    async def orgs(self) -> list[str]:
        return await self._streams.orgs()

    async def tallies(self, org: str) -> dict[int, dict[str, int]]:
        """By hour: settled_us, recorded_us, events."""
        name = self._link.names.tally(org)
        found: Any = await self._link.ask(lambda redis: redis.hgetall(name), timeout_ms=_CALL_MS)
        hours: dict[int, dict[str, int]] = defaultdict(dict)
        for key, value in found.items():
            matched = _TALLY.match(key)
            if matched:
                hours[int(matched[1])][matched[2].decode()] = int(value)
        return hours

    async def show(self, org: str, *, hour: int, all_levels: bool) -> OrgUsage:
        """`all_levels`: of projects and keys too, which takes a walk through all keys."""
        usage = OrgUsage(org)
        tally = (await self.tallies(org)).get(hour, {})
        usage.settled_us, usage.recorded_us = tally.get("settled_us", 0), tally.get("recorded_us", 0)
        now_s, _us = await self._link.ask(lambda redis: redis.time(), timeout_ms=_CALL_MS)
        for level in await self._levels(org, all_levels=all_levels):
            usage.levels.append(await self._level(org, level, now_ms=int(now_s) * 1_000))
        state = (await self._streams.look([org], dead_after_ms=0)).get(org)
        for sink in self._sinks:
            group = None if state is None else state.groups.get(sink)
            if group is not None:
                age_ms = 0 if group.oldest_ms is None else max(0, int(now_s) * 1_000 - group.oldest_ms)
                usage.lag[sink] = (group.pending + group.lag, age_ms)
        return usage

    async def _levels(self, org: str, *, all_levels: bool) -> list[str]:
        if not all_levels:
            return ["o"]
        before = self._link.names.org(org) + ":"
        found = {"o"}

        async def walk(redis: Any) -> None:
            async for key in redis.scan_iter(match=f"{_escaped(before)}[bl]*", count=1_000):
                kind, _, level = key.decode().removeprefix(before).partition(":")
                if kind in ("bucket", "leases"):
                    found.add(level)

        await self._link.ask(walk, timeout_ms=60_000)
        return sorted(found)

    async def _level(self, org: str, level: str, *, now_ms: int) -> LevelState:
        before = self._link.names.org(org)
        bucket: Any = await self._link.ask(lambda redis: redis.hgetall(f"{before}:bucket:{level}"), timeout_ms=_CALL_MS)
        sessions: int = await self._link.ask(
            lambda redis: redis.zcount(f"{before}:leases:{level}", f"({now_ms}", "+inf"), timeout_ms=_CALL_MS
        )
        return LevelState(level, int(bucket.get(b"balance_us", 0)), int(bucket.get(b"held_us", 0)), int(sessions))

    async def in_stream(self, org: str, *, from_hour: int, to_hour: int) -> dict[int, dict[str, int]]:
        """The events of these hours that are in the org's stream, not yet trimmed: by hour, compute_us by id."""
        name, after = self._link.names.meter(org), b"-"
        found: dict[int, dict[str, int]] = defaultdict(dict)
        while True:
            page: Any = await self._link.ask(
                lambda redis, after=after: redis.xrange(name, min=after, count=_ENTRIES_AT_ONCE),  # type: ignore[misc]
                timeout_ms=_CALL_MS,
            )
            for _entry, fields in page:
                try:
                    event = decode_event(fields)
                except MalformedEntry:  # the exporter makes it a dead letter
                    continue
                if from_hour <= event.hour <= to_hour:
                    found[event.hour][event.id] = event.compute_us
            if len(page) < _ENTRIES_AT_ONCE:
                return found
            after = b"(" + page[-1][0]

    async def hours(self, org: str, logs: Sequence[SentLog], *, from_hour: int, to_hour: int) -> list[HourRow]:
        """What each sink has of the org's hours in which something happened."""
        tallies = await self.tallies(org)
        in_stream = await self.in_stream(org, from_hour=from_hour, to_hour=to_hour)
        rows = []
        for hour in range(from_hour, to_hour + 1):
            known = {sink: _merged(logs, sink, org, hour) for sink in self._sinks}
            if hour in tallies or hour in in_stream or any(known.values()):
                everywhere = in_stream[hour] | {i: us for ids in known.values() for i, (_s, us) in ids.items()}
                rows += [
                    _row(org, hour, sink, known[sink], everywhere, in_stream[hour], tallies.get(hour, {}))
                    for sink in self._sinks
                ]
        return rows


def _merged(logs: Sequence[SentLog], sink: str, org: str, hour: int) -> dict[str, tuple[State, int]]:
    """Delivered by one exporter is delivered, whatever another one says."""
    merged: dict[str, tuple[State, int]] = {}
    for log in logs:
        for event_id, (state, compute_us) in log.ids(sink, org, hour).items():
            was = merged.get(event_id)
            if was is None or state is State.delivered:
                merged[event_id] = (state, compute_us)
    return merged


def _row(
    org: str,
    hour: int,
    sink: str,
    known: dict[str, tuple[State, int]],
    everywhere: dict[str, int],
    in_stream: dict[str, int],
    tally: dict[str, int],
) -> HourRow:
    by_state: dict[State, int] = defaultdict(int)
    for state, compute_us in known.values():
        by_state[state] += compute_us
    unsent_us = sum(compute_us for event_id, compute_us in in_stream.items() if event_id not in known)
    sums = HourAtSink(
        settled_us=tally.get("settled_us", 0),
        recorded_us=tally.get("recorded_us", 0),
        delivered_us=by_state[State.delivered],
        in_flight_us=by_state[State.trying] + by_state[State.settling] + unsent_us,
        dead_us=by_state[State.dead],
    )
    return HourRow(
        org,
        hour,
        sink,
        sums,
        dead_ids=tuple(sorted(event_id for event_id, (state, _us) in known.items() if state is State.dead)),
        missing_ids=tuple(sorted(i for i in everywhere if i not in known and i not in in_stream)),
    )


def _escaped(text: str) -> str:
    """For a pattern of Redis's."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)
