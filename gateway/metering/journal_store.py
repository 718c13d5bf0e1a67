"""The journal without its clockwork: what is known, what is to be written next, and what a batch that failed means.

`take` gives all that was said since the last one as a batch; `write` puts it on the disk, in whatever thread; then
`wrote` or `failed` is told, before the next `take`. These must stay true:
  - Events are on the disk before the record that lets their slices go.
  - A tab's records are read again from its home on: the tabs file with its latest Opened or Carried. No file from the
    oldest home on is deleted. A tab of an older file than the current one is carried over, a few with each batch.
  - What a failed batch said of a tab is not written again: the whole tab is carried with the next one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from gateway.metering.errors import JournalUnusable
from gateway.metering.journal_files import FileLog
from gateway.metering.journal_records import (
    FORMAT_VERSION,
    Began,
    Billed,
    Damage,
    Gone,
    Named,
    Opened,
    Over,
    Recorded,
    Used,
    billed,
    carried,
    event_of,
    frame,
    records_in,
)
from gateway.metering.journal_tabs import JournalTabs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.metering.entries import Slice, TabLabels, UsageEvent
    from gateway.metering.journal_files import LogFile
    from gateway.metering.journal_interface import JournaledTab
    from gateway.metering.journal_records import TabRecord
    from policies.plans import CallerPlan

log = structlog.get_logger()

_TABS_FILE_BYTES = 2**24
_EVENTS_FILE_BYTES = 2**23
_EVENTS_FILES = 24
"""At least so many make up the retention time and the most bytes, so that little more than needed is dropped."""
_CARRIED_PER_BATCH = 64
_SLICE_BYTES, _TAB_BYTES, _EVENT_BYTES = 45, 1_000, 60
"""About what they take in a file; neither when to begin another nor what was dropped needs it exactly."""
MAX_WAITING_EVENTS = 100_000
"""While the disk fails."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    retention_ms: int
    max_bytes: int
    tabs_file_bytes: int = _TABS_FILE_BYTES

    @property
    def events_file_bytes(self) -> int:
        return min(_EVENTS_FILE_BYTES, self.max_bytes // _EVENTS_FILES)


@dataclass(slots=True)
class Batch:
    """`tabs`, `events`: bytes to append. `touched`: tabs that it tells of. `carried`: those wholly."""

    at_ms: int
    tabs: bytes
    events: bytes
    touched: set[int]
    carried: set[int]
    billed: list[tuple[int, UsageEvent]]
    tabs_file: int
    tabs_needed_from: int
    events_needed_from: int
    are_events_written: bool = False


@dataclass(slots=True)
class Recovery:
    """What was found at start: records read, and the parts that could not be."""

    records: int = 0
    damages: list[tuple[str, Damage]] = field(default_factory=list)


class JournalStore:
    """`directory` must be held (HeldDirectory). Reads what is there when it is made.

    Raises:
        OSError: it could not be read.
        JournalUnusable: it was written in another format.
    """

    def __init__(self, directory: Path, limits: StoreLimits, *, window_slices: int) -> None:
        self.tabs = JournalTabs(window_slices=window_slices)
        self._limits = limits
        self._tabs_log = FileLog(directory, "tabs")
        self._events_log = FileLog(directory, "events")
        self._homes: dict[int, int] = {}
        self._stale: deque[int] = deque()
        self._unsaved: set[int] = set()
        self._frames: list[tuple[int, bytes]] = []
        self._events: deque[tuple[int, UsageEvent]] = deque()
        self._writing: Batch | None = None
        self._named: set[int] = set()
        self._events_began_at_ms = 0
        self.events_dropped = 0
        """About how many events were given up: too many for `max_bytes`, or for memory while the disk fails. Those that
        are past their time do not count."""
        self.recovery = Recovery()
        self._recover()
        self.recovered_sessions = [tab.labels.session_id for tab in self.tabs.by_number.values()]

    # What is said

    def opened(self, labels: TabLabels, plan: CallerPlan) -> None:
        number = self.tabs.number_of(labels.session_id)
        self._say(Opened(self.tabs.following if number is None else number, labels, plan))

    def used(self, session_id: str, piece: Slice) -> bool:
        """Whether there is such a session."""
        number = self.tabs.number_of(session_id)
        if number is None:
            return False
        self._say(Used(number, piece))
        return True

    def over(self, session_id: str) -> None:
        number = self.tabs.number_of(session_id)
        if number is not None:
            self._say(Over(number))

    def recorded(self, session_id: str, before: int, *, num_cuts: int = 0, last_cut: int = 0) -> None:
        number = self.tabs.number_of(session_id)
        if number is not None and before > self.tabs.by_number[number].recorded:
            self._say(Recorded(number, before, num_cuts, last_cut))

    def _say(self, record: TabRecord) -> None:
        for event in self.tabs.apply(record):
            self._events.append((record.tab, event))
            if len(self._events) > MAX_WAITING_EVENTS:
                self._events.popleft()
                self.events_dropped += 1
        if record.tab not in self._unsaved:
            self._frames.append((record.tab, frame(record)))

    # What is asked

    def tab(self, session_id: str) -> JournaledTab | None:
        number = self.tabs.number_of(session_id)
        return None if number is None else self.tabs.by_number[number]

    def recent_events(self, *, since_ms: int) -> Iterator[UsageEvent]:
        """As in Journal. What is left is settled now; the files are read as they are asked for."""
        files = [(file.path, file.size_bytes) for file in self._events_log.files if file.newest_at_ms >= since_ms]
        waiting = [] if self._writing is None or self._writing.are_events_written else list(self._writing.billed)
        waiting += self._events
        return _events_since(since_ms, files, [event for _, event in waiting])

    @property
    def total_bytes(self) -> int:
        return self._tabs_log.total_bytes + self._events_log.total_bytes

    @property
    def has_more(self) -> bool:
        """Whether a batch would say anything."""
        return bool(self._frames or self._events or self._unsaved or self._stale)

    # Batches

    def take(self, now_ms: int) -> Batch:
        touched = {number for number, _ in self._frames} | self._unsaved
        events = list(self._events)
        tabs_file = self._tabs_file()
        moved = self._tabs_to_carry()
        frames = [data for number, data in self._frames if number not in self._unsaved]
        frames += [frame(carried(number, self.tabs.by_number[number])) for number in sorted(moved)]
        frames += [frame(Gone(number)) for number in sorted(self._unsaved - moved)]
        batch = Batch(
            at_ms=now_ms,
            tabs=_with_head(frames, now_ms, is_new=not self._tabs_log.is_open),
            events=self._encoded_events(events, now_ms),
            touched=touched,
            carried=moved,
            billed=events,
            tabs_file=tabs_file,
            tabs_needed_from=min((*self._homes.values(), tabs_file)),
            events_needed_from=self._events_needed_from(now_ms),
        )
        self._frames.clear()
        self._events.clear()
        self._unsaved.clear()
        self._writing = batch
        return batch

    def _tabs_file(self) -> int:
        """The file that the batch goes to; begins another when the current one is full."""
        current = self._tabs_log.current
        live_bytes = self.tabs.num_slices * _SLICE_BYTES + len(self.tabs.by_number) * _TAB_BYTES
        if current is not None and current.size_bytes < max(self._limits.tabs_file_bytes, live_bytes):
            return current.number
        self._stale = deque(self._homes)
        return self._tabs_log.begin()

    def _tabs_to_carry(self) -> set[int]:
        moved = {number for number in self._unsaved if number in self.tabs.by_number}
        for _ in range(min(_CARRIED_PER_BATCH, len(self._stale))):
            number = self._stale.popleft()
            if number in self.tabs.by_number:
                moved.add(number)
        return moved

    def _encoded_events(self, events: list[tuple[int, UsageEvent]], now_ms: int) -> bytes:
        if not events:
            return b""
        current = self._events_log.current
        is_old = now_ms - self._events_began_at_ms >= self._limits.retention_ms // _EVENTS_FILES
        is_new = current is None or is_old or current.size_bytes >= self._limits.events_file_bytes
        if is_new:
            self._events_log.begin()
            self._events_began_at_ms = now_ms
            self._named.clear()
        frames = []
        for number, event in events:
            if number not in self._named:
                self._named.add(number)
                frames.append(frame(Named(number, event.labels)))
            frames.append(frame(billed(number, event)))
        return _with_head(frames, now_ms, is_new=is_new)

    def _events_needed_from(self, now_ms: int) -> int:
        """Older files of events are past their time, or more than is to be kept."""
        files = self._events_log.files
        kept_bytes = self._events_log.total_bytes
        for file in files:
            if not self._is_past(file, now_ms) and kept_bytes <= self._limits.max_bytes:
                return file.number
            kept_bytes -= file.size_bytes
        return self._events_log.following

    def _is_past(self, file: LogFile, now_ms: int) -> bool:
        return file.newest_at_ms < now_ms - self._limits.retention_ms

    def write(self, batch: Batch) -> None:
        """May run in another thread than the rest. OSError: `failed` is due."""
        if batch.events:
            self._events_log.append(batch.events, at_ms=batch.at_ms)
        batch.are_events_written = True
        if batch.tabs:
            self._tabs_log.append(batch.tabs, at_ms=batch.at_ms)

    def wrote(self, batch: Batch) -> list[Path]:
        """Gives the files that are not needed any more, to be deleted; if they are not, it does no harm."""
        self._writing = None
        for number in batch.touched | batch.carried:
            if number not in self.tabs.by_number:
                self._homes.pop(number, None)
            elif number in batch.carried:
                self._homes[number] = batch.tabs_file
            else:
                self._homes.setdefault(number, batch.tabs_file)
        tabs = self._tabs_log.forget_below(batch.tabs_needed_from)
        events = self._events_log.forget_below(batch.events_needed_from)
        self.events_dropped += sum(
            file.size_bytes // _EVENT_BYTES for file in events if not self._is_past(file, batch.at_ms)
        )
        return [file.path for file in tabs + events]

    def failed(self, batch: Batch) -> None:
        self._writing = None
        self._unsaved |= batch.touched | batch.carried
        self._frames = [(number, data) for number, data in self._frames if number not in self._unsaved]
        if not batch.are_events_written:
            self._named.clear()
            self._events.extendleft(reversed(batch.billed))

    def close(self) -> None:
        self._tabs_log.leave()
        self._events_log.leave()

    # At start

    def _recover(self) -> None:
        for file in self._tabs_log.files:
            for record in records_in(file.path.read_bytes()):
                match record:
                    case Damage():
                        self.recovery.damages.append((file.path.name, record))
                        if record.is_tail and file is self._tabs_log.files[-1]:
                            self._tabs_log.cut(file, to_bytes=record.offset_bytes)
                    case Began(version=version) if version != FORMAT_VERSION:
                        raise JournalUnusable(
                            f"{file.path} has format {version}, and this version reads {FORMAT_VERSION}"
                        )
                    case Began() | Named() | Billed():
                        pass
                    case _:
                        self.recovery.records += 1
                        self.tabs.apply(record)
                        if record.tab in self.tabs.by_number:
                            self._homes.setdefault(record.tab, file.number)
        for number, tab in list(self.tabs.by_number.items()):
            tab.is_over = True
            if not tab.slices:
                self.tabs.apply(Gone(number))
        self._homes = {number: home for number, home in self._homes.items() if number in self.tabs.by_number}


def _with_head(frames: list[bytes], now_ms: int, *, is_new: bool) -> bytes:
    if not frames:
        return b""
    return b"".join([frame(Began(FORMAT_VERSION, now_ms)), *frames] if is_new else frames)


def _events_since(since_ms: int, files: list[tuple[Path, int]], waiting: list[UsageEvent]) -> Iterator[UsageEvent]:
    for path, size_bytes in files:
        try:
            data = path.read_bytes()[:size_bytes]
        except FileNotFoundError:
            continue
        except OSError:
            log.error("journal.damaged", file=path.name, offset_bytes=0, length_bytes=size_bytes)
            continue
        labels: dict[int, TabLabels] = {}
        for record in records_in(data):
            match record:
                case Named():
                    labels[record.tab] = record.labels
                case Billed() if record.tab in labels and record.at_ms >= since_ms:
                    yield event_of(record, labels[record.tab])
                case _:
                    pass
    yield from (event for event in waiting if event.at_ms >= since_ms)
