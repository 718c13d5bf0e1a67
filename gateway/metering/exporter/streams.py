"""The meter streams of all orgs, as consumer groups: reading, acknowledging, taking over from the dead, and trimming.

A live exporter is heard of through its reads: Redis keeps for each consumer when it last asked. Entries are taken over
from consumers that were silent for too long, and never from one that only waits for its receiver, as XAUTOCLAIM by the
idle time of entries would do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from gateway.metering.exporter.sent_log import Source
from gateway.redis_link.errors import AwayReason, RedisAway, away_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis.asyncio import Redis

    from gateway.redis_link.client import RedisLink

Entry = tuple[Source, dict[bytes, bytes]]
_KEYS_AT_ONCE = 200
_BEYOND = "18446744073709551615-18446744073709551614"
"""The last id that is none: the very last one means `>` to Redis, and would read new entries."""
_CALL_MS = 5_000
_TRIM_AT_ONCE = 10_000
_FORGET_CONSUMER_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class GroupState:
    """Of one group on one org's stream. `oldest_ms`: Unix time of the oldest entry that is not acknowledged."""

    pending: int
    lag: int
    last_delivered: bytes
    oldest: bytes | None

    @property
    def oldest_ms(self) -> int | None:
        return None if self.oldest is None else int(self.oldest.split(b"-")[0])


@dataclass(slots=True)
class OrgState:
    """What one look at an org's stream found. `dead`: consumers to take over from, by group."""

    groups: dict[str, GroupState] = field(default_factory=dict)
    dead: dict[str, list[bytes]] = field(default_factory=dict)


class MeterStreams:
    """All methods raise RedisAway."""

    def __init__(self, link: RedisLink, *, groups: Sequence[str], consumer: str, is_cluster: bool) -> None:
        self._link = link
        self._groups = groups
        self._consumer = consumer
        self._is_cluster = is_cluster
        self._trimmed: dict[str, bytes] = {}

    async def orgs(self) -> list[str]:
        name = self._link.names.orgs
        found = await self._link.ask(lambda redis: redis.smembers(name), timeout_ms=_CALL_MS)
        return sorted(_text(org) for org in found)

    async def make_groups(self, orgs: Iterable[str]) -> None:
        """From the stream's first entry on; groups that are there stay as they are."""
        for some in _chunks(list(orgs)):

            def fill(pipe: Any, some: Sequence[str] = some) -> None:
                for org in some:
                    for group in self._groups:
                        pipe.xgroup_create(self._link.names.meter(org), group, id="0", mkstream=True)

            for answer in await self._pipeline(fill):
                if isinstance(answer, ResponseError) and not _says(answer, "BUSYGROUP"):
                    raise _away(answer)

    async def read(self, group: str, orgs: Sequence[str], *, limit: int) -> tuple[list[Entry], list[str]]:
        """New entries of these orgs, at most about `limit`; and the orgs whose group is gone.

        The orgs are at most `limit`.
        """
        each = max(1, limit // max(1, len(orgs)))
        entries: list[Entry] = []
        lost: list[str] = []
        if not self._is_cluster:
            keys: Any = {self._link.names.meter(org): ">" for org in orgs}
            try:
                answer = await self._link.ask(
                    lambda redis: redis.xreadgroup(group, self._consumer, keys, count=each), timeout_ms=_CALL_MS
                )
                return self._entries(orgs, [answer]), []
            except RedisAway as error:
                if not _says(error.__cause__, "NOGROUP"):
                    raise
        # One key a call: in a cluster the orgs live on different nodes, and one lost group must not hide the others.

        def fill(pipe: Any) -> None:
            for org in orgs:
                pipe.xreadgroup(group, self._consumer, {self._link.names.meter(org): ">"}, count=each)

        for org, answer in zip(orgs, await self._pipeline(fill), strict=True):
            if isinstance(answer, ResponseError):
                if not _says(answer, "NOGROUP"):
                    raise _away(answer)
                lost.append(org)
            else:
                entries += self._entries([org], [answer])
        return entries, lost

    def _entries(self, orgs: Sequence[str], answers: Iterable[Any]) -> list[Entry]:
        by_key = {self._link.names.meter(org).encode(): org for org in orgs}
        return [
            (Source(by_key[key], entry_id), fields or {})
            for answer in answers
            for key, entries in answer or ()
            for entry_id, fields in entries
        ]

    async def acknowledge(self, group: str, sources: Sequence[Source]) -> None:
        by_org: dict[str, list[bytes]] = {}
        for source in sources:
            by_org.setdefault(source.org, []).append(source.entry)
        for orgs in _chunks(list(by_org)):

            def fill(pipe: Any, orgs: Sequence[str] = orgs) -> None:
                for org in orgs:
                    pipe.xack(self._link.names.meter(org), group, *by_org[org])

            _raise_first(await self._pipeline(fill))

    async def heartbeat(self, orgs: Sequence[str]) -> None:
        """Be heard of on every stream, though nothing is read: ask for one's own entries after the last possible id.

        A read of new entries that finds none leaves no trace (Redis 7.0).
        """
        for some in _chunks(list(orgs)):

            def fill(pipe: Any, some: Sequence[str] = some) -> None:
                for org in some:
                    for group in self._groups:
                        pipe.xreadgroup(group, self._consumer, {self._link.names.meter(org): _BEYOND}, count=1)

            await self._pipeline(fill)

    async def look(self, orgs: Sequence[str], *, dead_after_ms: int) -> dict[str, OrgState]:
        """How far every group is, and who died. Orgs whose stream is gone are left out."""
        states: dict[str, OrgState] = {}
        for some in _chunks(list(orgs)):
            states |= await self._look(some, dead_after_ms)
        return states

    async def _look(self, orgs: Sequence[str], dead_after_ms: int) -> dict[str, OrgState]:
        names = self._link.names

        def fill(pipe: Any) -> None:
            for org in orgs:
                pipe.xinfo_groups(names.meter(org))
                for group in self._groups:
                    pipe.xinfo_consumers(names.meter(org), group)

        answers = iter(await self._pipeline(fill))
        found: dict[str, tuple[list[dict[str, Any]], OrgState]] = {}
        for org in orgs:
            groups = next(answers)
            consumers = [next(answers) for _ in self._groups]
            if isinstance(groups, Exception):
                continue
            state = OrgState()
            found[org] = (groups, state)
            for group, known in zip(self._groups, consumers, strict=True):
                if not isinstance(known, Exception):
                    state.dead[group] = [
                        one["name"]
                        for one in known
                        if one["idle"] >= dead_after_ms
                        and _text(one["name"]) != self._consumer
                        and (one["pending"] or one["idle"] >= _FORGET_CONSUMER_MS)
                    ]
        await self._look_at_oldest(found)
        return {org: state for org, (_groups, state) in found.items()}

    async def _look_at_oldest(self, found: dict[str, tuple[list[dict[str, Any]], OrgState]]) -> None:
        names = self._link.names
        wanted = [(org, group) for org, (groups, _state) in found.items() for group in groups]

        def fill(pipe: Any) -> None:
            for org, group in wanted:
                if group["pending"]:
                    pipe.xpending(names.meter(org), group["name"])
                else:
                    pipe.xrange(names.meter(org), min=b"(" + group["last-delivered-id"], count=1)

        for (org, group), answer in zip(wanted, await self._pipeline(fill), strict=True):
            if isinstance(answer, Exception):
                continue
            oldest = answer["min"] if isinstance(answer, dict) else answer[0][0] if answer else None
            lag = group.get("lag")
            unread = (0 if group["pending"] or oldest is None else 1) if lag is None else int(lag)
            last = group["last-delivered-id"]
            found[org][1].groups[_text(group["name"])] = GroupState(int(group["pending"]), unread, last, oldest)

    async def take_over(self, group: str, org: str, consumer: bytes, *, limit: int, after: bytes) -> list[Entry]:
        """Entries that a dead consumer, or this one before an answer was lost, holds with ids after `after`."""
        key = self._link.names.meter(org)
        pending: Any = await self._link.ask(
            lambda redis: redis.xpending_range(
                key, group, min=b"(" + after, max="+", count=limit, consumername=consumer
            ),
            timeout_ms=_CALL_MS,
        )
        ids = [one["message_id"] for one in pending]
        if not ids:
            return []
        claimed: Any = await self._link.ask(
            lambda redis: redis.xclaim(key, group, self._consumer, min_idle_time=0, message_ids=ids),
            timeout_ms=_CALL_MS,
        )
        kept = {entry_id: fields for entry_id, fields in claimed if fields is not None}
        # What was trimmed or deleted meanwhile is gone; its place among the pending goes with it (Redis 7.0).
        return [(Source(org, entry_id), kept[entry_id]) for entry_id in ids if entry_id in kept]

    async def forget(self, group: str, org: str, consumer: bytes) -> None:
        """A dead consumer that holds nothing."""
        key = self._link.names.meter(org)
        await self._link.ask(lambda redis: redis.xgroup_delconsumer(key, group, consumer), timeout_ms=_CALL_MS)

    async def trim(self, states: dict[str, OrgState]) -> int:
        """Drop what every group has acknowledged, also groups that are not ours. How many entries went."""
        due: dict[str, bytes] = {}
        for org, state in states.items():
            if not set(self._groups) <= set(state.groups):
                continue
            keep_from = min(
                (group.oldest or _after(group.last_delivered) for group in state.groups.values()), key=_order
            )
            if self._trimmed.get(org) != keep_from:
                due[org] = keep_from
        gone = 0
        for some in _chunks(list(due)):
            gone += await self._trim(some, due)
        return gone

    async def _trim(self, orgs: Sequence[str], due: dict[str, bytes]) -> int:
        names = self._link.names
        gone, left = 0, list(orgs)
        while left:  # whole nodes of the stream first, so many a call that nobody else waits long

            def whole_nodes(pipe: Any, left: Sequence[str] = tuple(left)) -> None:
                for org in left:
                    pipe.xtrim(names.meter(org), minid=due[org], approximate=True, limit=_TRIM_AT_ONCE)

            answers = await self._pipeline(whole_nodes)
            _raise_first(answers)
            gone += sum(answers)
            left = [org for org, answer in zip(left, answers, strict=True) if answer]

        def the_rest(pipe: Any) -> None:
            for org in orgs:
                pipe.xtrim(names.meter(org), minid=due[org], approximate=False)

        answers = await self._pipeline(the_rest)
        _raise_first(answers)
        for org in orgs:
            self._trimmed[org] = due[org]
        return gone + sum(int(answer) for answer in answers)

    async def _pipeline(self, fill: Callable[[Any], None]) -> list[Any]:
        """Many calls at once, without a transaction; an error is in the place of its answer."""

        async def call(redis: Redis) -> list[Any]:
            pipe = redis.pipeline(transaction=False)
            fill(pipe)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
            return answers

        answers = await self._link.ask(call, timeout_ms=_CALL_MS)
        for answer in answers:
            if isinstance(answer, Exception) and away_reason(answer) is not AwayReason.broken:
                raise _away(answer)
        return answers


def _says(error: BaseException | None, code: str) -> bool:
    return isinstance(error, ResponseError) and str(error).startswith(code)


def _away(error: Exception) -> RedisAway:
    return RedisAway(away_reason(error), type(error).__name__)


def _raise_first(answers: Iterable[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise _away(answer)


def _chunks(orgs: Sequence[str]) -> list[Sequence[str]]:
    return [orgs[at : at + _KEYS_AT_ONCE] for at in range(0, len(orgs), _KEYS_AT_ONCE)]


def _order(entry: bytes) -> tuple[int, int]:
    at, _, number = entry.partition(b"-")
    return int(at), int(number or 0)


def _after(entry: bytes) -> bytes:
    at, number = _order(entry)
    return b"%d-%d" % (at, number + 1)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
