"""Who says what was used: those who used it, journals, Redis, the exporter, the receiver. All must say the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from gateway.metering.entries import MS_PER_HOUR
from gateway.metering.exporter.sent_log import SentLog, State
from gateway.metering.journal_store import JournalStore, StoreLimits
from gateway.metering.stream_entries import decode_event
from gateway.redis_link.keys import Names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import redis.asyncio

    from gateway.metering.entries import UsageEvent
    from tests.harness.receivers import CloudEventsReceiver
    from tests.harness.witnessed_journal import Testimony

NAMES = Names("patchbay")


@dataclass(slots=True)
class Books:
    """Compute in microseconds by org, as each keeps it."""

    used: Counter[str] = field(default_factory=Counter)
    journaled: Counter[str] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)
    recorded: Counter[str] = field(default_factory=Counter)
    streamed: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    events: dict[str, UsageEvent] = field(default_factory=dict)
    """Those of the streams, by id."""
    mistakes: list[str] = field(default_factory=list)
    """What no two sums would show."""

    def __str__(self) -> str:
        sums = [f"{name} {sum(getattr(self, name).values())}" for name in _SUMS if getattr(self, name)]
        sessions = {event.labels.session_id for event in self.events.values()}
        return f"{len(sessions)} sessions, {len(self.events)} events; us of compute: {', '.join(sums)}"


_SUMS = ("used", "journaled", "settled", "recorded", "streamed", "sent", "received")


async def books_in_redis(client: redis.asyncio.Redis, orgs: Sequence[str]) -> Books:
    """The tallies and the streams, which nobody may have trimmed."""
    books = Books()
    for org in orgs:
        for name, amount in (await client.hgetall(NAMES.tally(org))).items():
            if name.endswith(b":settled_us"):
                books.settled[org] += int(amount)
            elif name.endswith(b":recorded_us"):
                books.recorded[org] += int(amount)
        for _, fields in await client.xrange(NAMES.meter(org)):
            event = decode_event(fields)
            if event.id in books.events:
                books.mistakes.append(f"{event} is in the stream twice")
            books.events[event.id] = event
            books.streamed[org] += event.compute_us
    return books


def add_journal(books: Books, directory: Path, *, window_slices: int) -> None:
    """Of a gateway that has ended."""
    store = JournalStore(directory, StoreLimits(24 * MS_PER_HOUR, 2**30), window_slices=window_slices)
    books.mistakes += [f"{directory.name} left {session_id} open" for session_id in store.recovered_sessions]
    books.mistakes += [f"{directory.name}: {damage}" for _, damage in store.recovery.damages if not damage.is_tail]
    # A crash can come between an event and the record that lets its slices go; then it is written again.
    for event in {event.id: event for event in store.recent_events(since_ms=0)}.values():
        books.journaled[event.labels.org] += event.compute_us
        in_stream = books.events.get(event.id)
        if in_stream is None:
            books.mistakes.append(f"the journal has {event}, the stream does not")
        elif msgspec.structs.replace(in_stream, is_last=event.is_last) != event:
            books.mistakes.append(f"the journal has {event}, the stream {in_stream}")


def add_sent_log(books: Books, directory: Path) -> None:
    log = SentLog(directory)
    for each in log.sums(from_hour=0, to_hour=2**40):
        if each.state is State.delivered:
            books.sent[each.org] += each.compute_us
        else:
            books.mistakes.append(f"the sent log has {each}")
    log.close()


def add_received(books: Books, receiver: CloudEventsReceiver) -> None:
    for event_id, event in receiver.events.items():
        books.received[event["subject"]] += event["data"]["compute_us"]
        if event_id not in books.events:
            books.mistakes.append(f"{event_id} was delivered and is not in the stream")


def add_testimonies(books: Books, sessions: Mapping[str, Testimony]) -> None:
    """Whether the events of each session cover what was committed, each slice once, with the values that were said."""
    by_session: dict[str, list[UsageEvent]] = {}
    for event in books.events.values():
        by_session.setdefault(event.labels.session_id, []).append(event)
    for session_id, testimony in sessions.items():
        following = 0
        for event in sorted(by_session.get(session_id, []), key=lambda event: event.first):
            if event.first != following:
                books.mistakes.append(f"{session_id}: slice {following} is followed by {event}")
            following = event.last + 1
            said = testimony.said[event.first : following]
            books.used[testimony.org] += sum(piece.compute_us for piece in said)
            if (event.compute_us, event.audio_ms, event.connection_ms) != (
                sum(piece.compute_us for piece in said),
                sum(piece.audio_ms for piece in said),
                sum(piece.connection_ms for piece in said),
            ):
                books.mistakes.append(f"{session_id}: {event} is not the sum of {said}")
        if not testimony.committed <= following <= len(testimony.said):
            books.mistakes.append(
                f"{session_id}: {testimony.committed} slices committed, {following} billed, {len(testimony.said)} said"
            )
