"""A batch of requests as the keys and arguments of quota.lua, and its answer as replies. Pure.

The argument is one MessagePack value: [rules, levels, callers, requests]. What the requests of a batch have in common
is sent once and named by its place in its list, counted from 1; so are keys, by their place in KEYS.

    rules    [lease_ttl_ms, event_window_slices, tab_ttl_s, max_retry_ms, unknown_retry_ms, tally_hours]
    level    [1 key | 2 project | 3 org, bucket, starts, leases, is_shadow,
              per_s | -1, burst, max_sessions | -1, starts_per_s | -1, starts_burst]
    caller   its levels, narrowest first; the last is the org
    request  [OPEN, tab, session, caller, labels, hold_us, least_hold_us]
             [RUN, tab, session, caller, labels | "", slices, hold_us, least_hold_us, renews_lease]
             [CLOSE, tab, session, caller, slices, is_swept]
             [RESTORE, tab, session, caller, labels, recorded, compute_before_us, audio_before_ms,
              connection_before_ms, slices, hold_us, is_over]
             [RECORD, tab, labels, first, last, compute_us, audio_ms, connection_ms, audio_before_ms,
              connection_before_ms, at_ms, is_last]
    labels   as they go into the stream (gateway.metering.stream_entries)
    slices   the five numbers of each slice, one after the other

The answer is a flat list of integers, `_PER_REPLY` of them for each request, -1 and 0 where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.limits.calls import Close, Open, Record, RefusedFor, Reply, Request, Restore, Run, Status
from gateway.metering.stream_entries import encode_labels
from policies.plans import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.metering.entries import Slice
    from gateway.redis_link.keys import Names
    from policies.plans import CallerPlan, LevelLimits

OPEN, RUN, CLOSE, RESTORE, RECORD = range(1, 6)
_PER_REPLY = 13
_NONE = -1
_STATUSES = (Status.ok, Status.refused, Status.unknown_tab, Status.missing_slices)
_LEVELS: tuple[Level | None, ...] = (None, Level.key, Level.project, Level.org)
_REFUSALS: tuple[RefusedFor | None, ...] = (None, RefusedFor.sessions, RefusedFor.starts, RefusedFor.compute)


class ScriptRules(msgspec.Struct, frozen=True, array_like=True):
    """What holds for all requests alike. All gateways of an installation must agree on the first two.

    `tab_ttl_s`: how long a closed tab is known, and one that nobody renews or sweeps; longer than a journal gives its
    events again. `unknown_retry_ms`: the hint where nobody knows when to try again: a place comes free when a session
    ends, a bucket without a rate is filled by credits. `tally_hours`: how many hours the tally goes back, and a swept
    tab is known: its gateway may come back late with slices that are billed.
    """

    lease_ttl_ms: int = 15_000
    event_window_slices: int = 30
    tab_ttl_s: int = 172_800
    max_retry_ms: int = 3_600_000
    unknown_retry_ms: int = 1_000
    tally_hours: int = 960


def encode(names: Names, org: str, requests: Sequence[Request], rules: ScriptRules) -> tuple[list[str], list[bytes]]:
    """Keys and arguments of one call; everything in it is of one org.

    Raises:
        ValueError: a request is of another org.
    """
    batch = _Batch(names, org)
    encoded = [batch.request(request) for request in requests]
    return batch.keys, [msgspec.msgpack.encode((rules, batch.levels, batch.callers, encoded))]


def decode(answer: Sequence[int]) -> list[Reply]:
    """One reply for each request, in their order."""
    return [_reply(*answer[at : at + _PER_REPLY]) for at in range(0, len(answer), _PER_REPLY)]


def _reply(
    status: int, settled: int, recorded: int, settled_us: int, held_us: int, remaining_us: int, level: int, *rest: int
) -> Reply:
    retry_after_ms, refused_for, shadow_level, shadow_for, num_cuts, last_cut = rest
    return Reply(
        status=_STATUSES[status],
        settled=settled,
        recorded=recorded,
        settled_us=settled_us,
        held_us=held_us,
        remaining_us=None if remaining_us == _NONE else remaining_us,
        level=_LEVELS[level],
        retry_after_ms=None if retry_after_ms == _NONE else retry_after_ms,
        refused_for=_REFUSALS[refused_for],
        shadow_level=_LEVELS[shadow_level],
        shadow_for=_REFUSALS[shadow_for],
        num_cuts=num_cuts,
        last_cut=last_cut,
    )


class _Batch:
    """Gathers the keys and levels that the requests of one call name."""

    def __init__(self, names: Names, org: str) -> None:
        self._names = names
        self._org = org
        self.keys: list[str] = [names.meter(org), names.tally(org)]
        self.levels: list[tuple[int, ...]] = []
        self.callers: list[list[int]] = []
        self._key_places: dict[str, int] = {}
        self._level_places: dict[tuple[int, ...], int] = {}
        self._caller_places: dict[int, int] = {}
        """By identity: the requests keep the plans alive for as long as this is in use."""

    def request(self, request: Request) -> tuple[Any, ...]:
        if isinstance(request, Record):
            return self._record(request)
        head = (self._tab(request.labels.session_id), request.labels.session_id, self._caller(request.plan))
        match request:
            case Run():
                labels = encode_labels(request.labels) if request.has_new_labels else ""
                credit = (request.hold_us, request.least_hold_us)
                return (RUN, *head, labels, _flat(request.slices), *credit, request.renews_lease)
            case Open():
                return (OPEN, *head, encode_labels(request.labels), request.hold_us, request.least_hold_us)
            case Close():
                return (CLOSE, *head, _flat(request.slices), request.is_swept)
            case Restore():
                before = (request.compute_before_us, request.audio_before_ms, request.connection_before_ms)
                labels = encode_labels(request.labels)
                new = (_flat(request.slices), request.hold_us, request.is_over)
                return (RESTORE, *head, labels, request.recorded, *before, *new)

    def _record(self, request: Record) -> tuple[Any, ...]:
        event = request.event
        if event.labels.org != self._org:
            raise ValueError(f"an event of {event.labels.org!r} in a batch of {self._org!r}")
        used = (event.compute_us, event.audio_ms, event.connection_ms)
        before = (event.audio_before_ms, event.connection_before_ms)
        labels = encode_labels(event.labels)
        covers = (event.first, event.last)
        return (RECORD, self._tab(event.labels.session_id), labels, *covers, *used, *before, event.at_ms, event.is_last)

    def _tab(self, session_id: str) -> int:
        return self._place(self._names.tab(self._org, session_id))

    def _caller(self, plan: CallerPlan) -> int:
        place = self._caller_places.get(id(plan))
        if place is None:
            who = plan.principal
            if who.org != self._org:
                raise ValueError(f"a caller of {who.org!r} in a batch of {self._org!r}")
            named = (who.key, who.project, who.org)
            self.callers.append(
                [
                    self._level(plan, level, number)
                    for number, level in enumerate(_LEVELS)
                    if level and named[number - 1]
                ]
            )
            place = self._caller_places[id(plan)] = len(self.callers)
        return place

    def _level(self, plan: CallerPlan, level: Level, number: int) -> int:
        who, names = plan.principal, self._names
        encoded = (
            number,
            self._place(names.bucket(who, level)),
            self._place(names.starts(who, level)),
            self._place(names.leases(who, level)),
            *_limits(plan.of(level)),
        )
        place = self._level_places.get(encoded)
        if place is None:
            self.levels.append(encoded)
            place = self._level_places[encoded] = len(self.levels)
        return place

    def _place(self, key: str) -> int:
        """In KEYS, from 1; the first two are the stream and the tally."""
        place = self._key_places.get(key)
        if place is None:
            self.keys.append(key)
            place = self._key_places[key] = len(self.keys)
        return place


def _limits(limits: LevelLimits) -> tuple[int, ...]:
    compute, starts = limits.compute, limits.starts
    return (
        limits.is_shadow,
        *((_NONE, 0) if compute is None else (compute.per_s, compute.burst)),
        _NONE if limits.max_sessions is None else limits.max_sessions,
        *((_NONE, 0) if starts is None else (starts.per_s, starts.burst)),
    )


def _flat(slices: Iterable[Slice]) -> list[int]:
    flat: list[int] = []
    for piece in slices:
        flat += (piece.number, piece.compute_us, piece.audio_ms, piece.connection_ms, piece.at_ms)
    return flat
