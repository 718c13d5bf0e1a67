"""What was sent, is settling or is dead: an SQLite file that outlives the exporter and the receivers' memory.

These must stay true:
  - An event is in it, as tried, before its first attempt: the age of a retry survives a restart.
  - What is written is on the disk when a call returns (WAL, synchronous = FULL).
  - An event becomes delivered once, and its compute is counted once, whoever says so and how often.

Rows lie by sink, hour and id: new ones beside each other, old hours go in one piece, and an id of which nobody knows
the hour is found by asking for it in each. Several exporters of one machine share the file.
"""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import msgspec

from gateway.metering.entries import UsageEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

FILE_NAME = "sent.sqlite3"
_BUSY_S = 10.0
_DECODER = msgspec.msgpack.Decoder(UsageEvent)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS events (
  sink INTEGER NOT NULL, hour INTEGER NOT NULL, id BLOB NOT NULL, org INTEGER NOT NULL, compute_us INTEGER NOT NULL,
  state INTEGER NOT NULL, first_try_at_ms INTEGER NOT NULL, PRIMARY KEY (sink, hour, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_events ON events (sink, hour, state) WHERE state <> 3;
CREATE TABLE IF NOT EXISTS delivered (
  sink INTEGER NOT NULL, hour INTEGER NOT NULL, org INTEGER NOT NULL, events INTEGER NOT NULL,
  compute_us INTEGER NOT NULL, PRIMARY KEY (sink, hour, org)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settling (
  sink INTEGER NOT NULL, due_at_ms INTEGER NOT NULL, id BLOB NOT NULL, hour INTEGER NOT NULL, org INTEGER NOT NULL,
  entry BLOB NOT NULL, PRIMARY KEY (sink, due_at_ms, id, entry)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (
  sink INTEGER NOT NULL, hour INTEGER NOT NULL, id BLOB NOT NULL, event BLOB NOT NULL,
  times_reported INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (sink, hour, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (
  sink INTEGER NOT NULL, hour INTEGER NOT NULL, id BLOB NOT NULL, at_ms INTEGER NOT NULL, reason TEXT NOT NULL,
  detail TEXT NOT NULL, may_have_arrived INTEGER NOT NULL, is_to_be_retried INTEGER NOT NULL DEFAULT 0,
  event BLOB, PRIMARY KEY (sink, hour, id)
) WITHOUT ROWID;
"""


class State(IntEnum):
    """Of an event at a sink. Numbers stand in the file."""

    trying = 1
    settling = 2
    delivered = 3
    dead = 4


@dataclass(frozen=True, slots=True)
class Standing:
    """What the log knows of an event."""

    state: State
    first_try_at_ms: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where an event stands in Redis: the org's stream and the entry."""

    org: str
    entry: bytes


@dataclass(frozen=True, slots=True)
class Logged:
    """An event under its id, with the entries that carry it."""

    event_id: str
    event: UsageEvent
    sources: tuple[Source, ...] = ()
    times_reported: int = 0
    """How often the receiver took back its yes: it must be told that this is not what it refused."""


@dataclass(frozen=True, slots=True)
class Death:
    """Why an event is not sent any more. `may_have_arrived`: an attempt ended without an answer."""

    reason: str
    detail: str
    may_have_arrived: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`event` is None where it is not known any more: then it cannot be sent again."""

    sink: str
    event_id: str
    org: str
    hour: int
    compute_us: int
    at_ms: int
    death: Death
    is_to_be_retried: bool
    event: UsageEvent | None


@dataclass(frozen=True, slots=True)
class Sum:
    """Of one org in one hour at one sink, in one state."""

    sink: str
    org: str
    hour: int
    state: State
    events: int
    compute_us: int


class SentLog:
    """Blocking; for one thread. Raises sqlite3.Error when the disk is full or broken: nothing of the call was done."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(
            directory / FILE_NAME, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        self._db.close()

    # --- the way of an event ------------------------------------------------------------------------------------

    def standings(self, sink: str, events: Sequence[tuple[int, str]]) -> list[Standing | None]:
        """By (hour, id), in their order."""
        number = self._number(sink)
        found = []
        for hour, event_id in events:
            row = self._db.execute(
                "SELECT state, first_try_at_ms FROM events WHERE sink = ? AND hour = ? AND id = ?",
                (number, hour, _bytes(event_id)),
            ).fetchone()
            found.append(None if row is None else Standing(State(row[0]), row[1]))
        return found

    def tried(self, sink: str, events: Sequence[Logged], *, at_ms: Sequence[int]) -> None:
        """They are about to be sent; known ones keep the time of their first attempt."""
        with _Transaction(self._db):
            number = self._number(sink)
            self._db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO NOTHING",
                [
                    (number, e.event.hour, _bytes(e.event_id), self._number(e.event.labels.org), e.event.compute_us, at)
                    for e, at in zip(events, at_ms, strict=True)
                ],
            )

    def delivered(self, sink: str, events: Sequence[Logged]) -> None:
        with _Transaction(self._db):
            number = self._number(sink)
            for logged in events:
                self._deliver(number, logged.event.hour, _bytes(logged.event_id))

    def settling(self, sink: str, events: Sequence[Logged], *, due_at_ms: int) -> None:
        """The receiver said yes; until `due_at_ms` an error report may come. The events themselves are kept."""
        with _Transaction(self._db):
            number = self._number(sink)
            for logged in events:
                event_id, hour = _bytes(logged.event_id), logged.event.hour
                changed = self._db.execute(
                    "UPDATE events SET state = 2 WHERE sink = ? AND hour = ? AND id = ? AND state = 1",
                    (number, hour, event_id),
                ).rowcount
                self._keep(number, hour, event_id, logged.event)
                if changed:
                    self._bury(number, hour, event_id)
                for source in logged.sources or (Source(logged.event.labels.org, b""),):
                    self._await_settling(number, due_at_ms, event_id, hour, source)

    def joins_settling(self, sink: str, event_id: str, hour: int, source: Source) -> None:
        """Another entry carries an event that is settling: it is acknowledged with the first."""
        with _Transaction(self._db):
            number, event = self._number(sink), _bytes(event_id)
            row = self._db.execute(
                "SELECT min(due_at_ms) FROM settling WHERE sink = ? AND id = ?", (number, event)
            ).fetchone()
            self._await_settling(number, row[0] or 0, event, hour, source)

    def settled(self, sink: str, *, now_ms: int, limit: int) -> list[Source]:
        """Those whose time is over become delivered, unless they were reported; their entries can be acknowledged."""
        with _Transaction(self._db):
            number = self._number(sink)
            rows = self._db.execute(
                "SELECT due_at_ms, id, hour, org, entry FROM settling WHERE sink = ? AND due_at_ms <= ? "
                "ORDER BY due_at_ms LIMIT ?",
                (number, now_ms, limit),
            ).fetchall()
            for due_at_ms, event_id, hour, _org, entry in rows:
                self._deliver(number, hour, event_id, only_from=State.settling)
                self._db.execute(
                    "DELETE FROM settling WHERE sink = ? AND due_at_ms = ? AND id = ? AND entry = ?",
                    (number, due_at_ms, event_id, entry),
                )
            return [Source(self._name(row[3]), row[4]) for row in rows]

    def died(self, sink: str, events: Sequence[tuple[Logged, Death]], *, now_ms: int) -> None:
        """An event that was delivered stays so."""
        with _Transaction(self._db):
            number = self._number(sink)
            for logged, death in events:
                event = logged.event
                event_id, org = _bytes(logged.event_id), self._number(event.labels.org)
                changed = self._db.execute(
                    "INSERT INTO events VALUES (?, ?, ?, ?, ?, 4, ?) "
                    "ON CONFLICT DO UPDATE SET state = 4 WHERE state <> 3",
                    (number, event.hour, event_id, org, event.compute_us, now_ms),
                ).rowcount
                if changed:
                    encoded = msgspec.msgpack.encode(event)
                    self._lay_out(number, event.hour, event_id, now_ms, death, encoded)

    def reported(self, sink: str, event_id: str, *, times_before: int, death: Death, now_ms: int) -> State | None:
        """The receiver takes back its yes: the event dies. The state that it had; None: it is not known.

        `times_before`: of the call that the report is about. One that came before changes nothing: `State.dead`.
        """
        with _Transaction(self._db):
            number, event = self._number(sink), _bytes(event_id)
            hour = self._hour_of(number, event)
            if hour is None:
                return None
            key = (number, hour, event)
            org, compute_us, state = self._db.execute(
                "SELECT org, compute_us, state FROM events WHERE sink = ? AND hour = ? AND id = ?", key
            ).fetchone()
            kept = self._db.execute(
                "SELECT event, times_reported FROM kept WHERE sink = ? AND hour = ? AND id = ?", key
            ).fetchone()
            if state == State.dead or (kept is not None and kept[1] > times_before):
                return State.dead
            if state == State.delivered:
                self._db.execute(
                    "UPDATE delivered SET events = events - 1, compute_us = compute_us - ? "
                    "WHERE sink = ? AND hour = ? AND org = ?",
                    (compute_us, number, hour, org),
                )
            self._db.execute("UPDATE events SET state = 4 WHERE sink = ? AND hour = ? AND id = ?", key)
            self._db.execute(
                "UPDATE kept SET times_reported = times_reported + 1 WHERE sink = ? AND hour = ? AND id = ?", key
            )
            self._lay_out(number, hour, event, now_ms, death, None if kept is None else kept[0])
            return State(state)

    # --- dead letters -----------------------------------------------------------------------------------------------

    def dead_letters(self, *, sink: str | None = None, org: str | None = None, limit: int = -1) -> Iterator[DeadLetter]:
        """Oldest hour first."""
        where, values = ["1"], []
        for column, name in (("d.sink", sink), ("e.org", org)):
            if name is not None:
                where.append(f"{column} = (SELECT number FROM names WHERE name = ?)")
                values.append(name)
        rows = self._db.execute(
            "SELECT d.sink, d.id, e.org, d.hour, e.compute_us, d.at_ms, d.reason, d.detail, d.may_have_arrived, "
            "d.is_to_be_retried, d.event FROM dead d JOIN events e USING (sink, hour, id) "
            f"WHERE {' AND '.join(where)} ORDER BY d.hour, d.at_ms LIMIT ?",
            (*values, limit),
        )
        for row in rows.fetchall():
            yield DeadLetter(
                sink=self._name(row[0]),
                event_id=str(uuid.UUID(bytes=row[1])),
                org=self._name(row[2]),
                hour=row[3],
                compute_us=row[4],
                at_ms=row[5],
                death=Death(row[6], row[7], bool(row[8])),
                is_to_be_retried=bool(row[9]),
                event=None if row[10] is None else _DECODER.decode(row[10]),
            )

    def mark_for_retry(self, letters: Iterable[DeadLetter]) -> int:
        """The exporter sends them again; until the receiver says yes they stay dead letters. How many were marked."""
        with _Transaction(self._db):
            return sum(
                self._db.execute(
                    "UPDATE dead SET is_to_be_retried = 1 WHERE sink = ? AND hour = ? AND id = ? AND event IS NOT NULL",
                    (self._number(letter.sink), letter.hour, _bytes(letter.event_id)),
                ).rowcount
                for letter in letters
            )

    def take_marked(self, sink: str, *, limit: int) -> list[Logged]:
        """Marked dead letters, which are then not marked any more: one exporter sends each."""
        with _Transaction(self._db):
            rows = self._db.execute(
                "UPDATE dead SET is_to_be_retried = 0 WHERE (sink, hour, id) IN (SELECT sink, hour, id FROM dead "
                "WHERE sink = ? AND is_to_be_retried AND event IS NOT NULL LIMIT ?) RETURNING id, event",
                (self._number(sink), limit),
            ).fetchall()
            marked = [self._marked(self._number(sink), *row) for row in rows]
            self._db.executemany(
                "UPDATE events SET state = 1 WHERE sink = ? AND hour = ? AND id = ? AND state = 4",
                [(self._number(sink), each.event.hour, _bytes(each.event_id)) for each in marked],
            )
        return marked

    def count_dead(self, sink: str) -> int:
        row = self._db.execute("SELECT count(*) FROM dead WHERE sink = ?", (self._number(sink),)).fetchone()
        return int(row[0])

    def count_settling(self, sink: str) -> int:
        row = self._db.execute("SELECT count(*) FROM settling WHERE sink = ?", (self._number(sink),)).fetchone()
        return int(row[0])

    # --- sums ---------------------------------------------------------------------------------------------------------

    def sums(self, *, from_hour: int, to_hour: int) -> Iterator[Sum]:
        """Of the hours from the first to the last, both included."""
        for row in self._db.execute(
            "SELECT sink, org, hour, 3, events, compute_us FROM delivered WHERE hour BETWEEN ? AND ? UNION ALL "
            "SELECT sink, org, hour, state, count(*), sum(compute_us) FROM events "
            "WHERE state <> 3 AND hour BETWEEN ? AND ? GROUP BY sink, org, hour, state",
            (from_hour, to_hour, from_hour, to_hour),
        ).fetchall():
            yield Sum(self._name(row[0]), self._name(row[1]), row[2], State(row[3]), row[4], row[5])

    def ids(self, sink: str, org: str, hour: int) -> dict[str, tuple[State, int]]:
        """Every event of the org's hour at the sink: its state and compute_us. Looks at the whole hour."""
        rows = self._db.execute(
            "SELECT id, state, compute_us FROM events WHERE sink = ? AND hour = ? AND org = ?",
            (self._number(sink), hour, self._number(org)),
        ).fetchall()
        return {str(uuid.UUID(bytes=row[0])): (State(row[1]), row[2]) for row in rows}

    def prune(self, *, before_hour: int, limit: int = 5_000) -> int:
        """Forget events before that hour, but no dead letter; at most `limit`. How many went."""
        with _Transaction(self._db):
            gone = 0
            for (sink,) in self._db.execute("SELECT DISTINCT sink FROM delivered").fetchall():
                gone += self._db.execute(
                    "DELETE FROM events WHERE (sink, hour, id) IN "
                    "(SELECT sink, hour, id FROM events WHERE sink = ? AND hour < ? AND state <> 4 LIMIT ?)",
                    (sink, before_hour, limit),
                ).rowcount
            for table in ("delivered", "kept"):
                self._db.execute(f"DELETE FROM {table} WHERE hour < ?", (before_hour,))
            return gone

    # --- inside a transaction -----------------------------------------------------------------------------------------

    def _deliver(self, sink: int, hour: int, event_id: bytes, *, only_from: State | None = None) -> None:
        row = self._db.execute(
            "SELECT org, compute_us, state FROM events WHERE sink = ? AND hour = ? AND id = ?", (sink, hour, event_id)
        ).fetchone()
        if row is None or row[2] == State.delivered or (only_from is not None and row[2] != only_from):
            return
        self._db.execute("UPDATE events SET state = 3 WHERE sink = ? AND hour = ? AND id = ?", (sink, hour, event_id))
        self._db.execute(
            "INSERT INTO delivered VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET events = events + 1, "
            "compute_us = compute_us + excluded.compute_us",
            (sink, hour, row[0], row[1]),
        )
        self._bury(sink, hour, event_id)

    def _marked(self, sink: int, event_id: bytes, encoded: bytes) -> Logged:
        event = _DECODER.decode(encoded)
        row = self._db.execute(
            "SELECT times_reported FROM kept WHERE sink = ? AND hour = ? AND id = ?", (sink, event.hour, event_id)
        ).fetchone()
        return Logged(str(uuid.UUID(bytes=event_id)), event, times_reported=0 if row is None else row[0])

    def _bury(self, sink: int, hour: int, event_id: bytes) -> None:
        self._db.execute("DELETE FROM dead WHERE sink = ? AND hour = ? AND id = ?", (sink, hour, event_id))

    def _lay_out(self, sink: int, hour: int, event_id: bytes, now_ms: int, death: Death, event: bytes | None) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (sink, hour, event_id, now_ms, death.reason, death.detail[:500], death.may_have_arrived, event),
        )

    def _keep(self, sink: int, hour: int, event_id: bytes, event: UsageEvent) -> None:
        self._db.execute(
            "INSERT INTO kept (sink, hour, id, event) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (sink, hour, event_id, msgspec.msgpack.encode(event)),
        )

    def _await_settling(self, sink: int, due_at_ms: int, event_id: bytes, hour: int, source: Source) -> None:
        self._db.execute(
            "INSERT INTO settling VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (sink, due_at_ms, event_id, hour, self._number(source.org), source.entry),
        )

    def _hour_of(self, sink: int, event_id: bytes) -> int | None:
        """The youngest first: a report comes soon after its event."""
        hour = self._db.execute("SELECT max(hour) FROM events WHERE sink = ?", (sink,)).fetchone()[0]
        while hour is not None:
            row = self._db.execute(
                "SELECT 1 FROM events WHERE sink = ? AND hour = ? AND id = ?", (sink, hour, event_id)
            ).fetchone()
            if row is not None:
                return int(hour)
            hour = self._db.execute(
                "SELECT max(hour) FROM events WHERE sink = ? AND hour < ?", (sink, hour)
            ).fetchone()[0]
        return None

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            self._db.execute("INSERT INTO names (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
            number = int(self._db.execute("SELECT number FROM names WHERE name = ?", (name,)).fetchone()[0])
            if not self._db.in_transaction:  # one that is rolled back takes its new names along
                self._numbers[name] = number
        return number

    def _name(self, number: int) -> str:
        return str(self._db.execute("SELECT name FROM names WHERE number = ?", (number,)).fetchone()[0])


class _Transaction:
    """All or nothing; takes the file's lock at once: two exporters wait for each other and never fail half-way."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _bytes(event_id: str) -> bytes:
    return uuid.UUID(event_id).bytes
