"""The tabs that the journal's records tell of: the same step while they are written and when they are read again. Pure.

A tab goes when it is over and events cover all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.metering.entries import Slice
from gateway.metering.journal_interface import JournaledTab
from gateway.metering.journal_records import Carried, Gone, Opened, Over, Recorded, Used, tab_of
from gateway.metering.windows import events_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.metering.entries import UsageEvent
    from gateway.metering.journal_records import TabRecord


class JournalTabs:
    def __init__(self, *, window_slices: int) -> None:
        self.by_number: dict[int, JournaledTab] = {}
        self._numbers: dict[str, int] = {}
        self._window_slices = window_slices
        self.following = 0
        """A number that no tab ever had."""
        self.num_slices = 0
        """Of all tabs together, that no event covers."""

    def number_of(self, session_id: str) -> int | None:
        return self._numbers.get(session_id)

    def apply(self, record: TabRecord) -> Sequence[UsageEvent]:
        """Let the record be true; gives the events that it makes. Of a tab that is not there it says nothing."""
        self.following = max(self.following, record.tab + 1)
        match record:
            case Used(tab=number, piece=piece):
                tab = self.by_number.get(number)
                if tab is not None:
                    self._add(tab, piece)
            case Opened():
                self._open(record)
            case Carried():
                self._put(record.tab, tab_of(record))
            case Gone(tab=number):
                self._drop(number)
            case Over(tab=number):
                tab = self.by_number.get(number)
                if tab is not None:
                    tab.is_over = True
                    self._drop_if_done(number, tab)
            case Recorded(tab=number):
                tab = self.by_number.get(number)
                if tab is not None:
                    events = self._record(tab, record)
                    self._drop_if_done(number, tab)
                    return events
        return ()

    def _open(self, record: Opened) -> None:
        tab = self.by_number.get(record.tab)
        if tab is None:
            self._put(record.tab, JournaledTab(record.labels, record.plan))
            return
        tab.labels, tab.plan, tab.is_over = record.labels, record.plan, False

    def _add(self, tab: JournaledTab, piece: Slice) -> None:
        """Slices that are known already are passed over."""
        if piece.number < tab.following:
            return
        self._make_up(tab, piece.number, at_ms=piece.at_ms)
        tab.slices.append(piece)
        self.num_slices += 1

    def _make_up(self, tab: JournaledTab, below: int, *, at_ms: int) -> None:
        """Missing slices, as a damaged file has, become slices of nothing: what follows can be settled then, and what
        they cost is not charged.
        """
        while tab.following < below:
            tab.slices.append(Slice(tab.following, compute_us=0, audio_ms=0, connection_ms=0, at_ms=at_ms))
            tab.unproven_below = below
            self.num_slices += 1

    def _record(self, tab: JournaledTab, record: Recorded) -> Sequence[UsageEvent]:
        events: list[UsageEvent] = []
        if (record.num_cuts, record.last_cut) != (tab.num_cuts, tab.last_cut):
            if record.num_cuts != tab.num_cuts + 1:
                # More than one cut, or another tab of that name after Redis lost data: where is not known.
                tab.unproven_below = max(tab.unproven_below, record.last_cut)
            tab.num_cuts, tab.last_cut = record.num_cuts, record.last_cut
            events += self._cover(tab, min(record.before, record.last_cut))
        events += self._cover(tab, record.before)
        return [event for event in events if event.first >= tab.unproven_below]

    def _cover(self, tab: JournaledTab, before: int) -> Sequence[UsageEvent]:
        """The events of the slices below, the last of which ends one."""
        self._make_up(tab, before, at_ms=tab.slices[-1].at_ms if tab.slices else 0)
        covered = tab.slices[: max(0, before - tab.recorded)]
        if not covered:
            return ()
        events = tuple(
            events_of(
                tab.labels,
                covered,
                audio_before_ms=tab.audio_before_ms,
                connection_before_ms=tab.connection_before_ms,
                window_slices=self._window_slices,
                is_over=tab.is_over and len(covered) == len(tab.slices),
            )
        )
        del tab.slices[: len(covered)]
        self.num_slices -= len(covered)
        tab.recorded += len(covered)
        tab.compute_before_us += sum(event.compute_us for event in events)
        tab.audio_before_ms += sum(event.audio_ms for event in events)
        tab.connection_before_ms += sum(event.connection_ms for event in events)
        return events

    def _put(self, number: int, tab: JournaledTab) -> None:
        self._drop(number)
        self.by_number[number] = tab
        self.num_slices += len(tab.slices)
        self._numbers[tab.labels.session_id] = number

    def _drop_if_done(self, number: int, tab: JournaledTab) -> None:
        if tab.is_over and not tab.slices:
            self._drop(number)

    def _drop(self, number: int) -> None:
        tab = self.by_number.pop(number, None)
        if tab is None:
            return
        self.num_slices -= len(tab.slices)
        if self._numbers.get(tab.labels.session_id) == number:
            del self._numbers[tab.labels.session_id]
