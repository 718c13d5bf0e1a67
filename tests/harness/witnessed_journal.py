"""A real journal, and beside it a witness of the test's: what was said to the journal, and what it confirmed.

A line of the witness file is `S session org number compute_us audio_ms connection_ms at_ms` for a slice, or `C`: all
slices before it were committed. The system keeps what a killed process wrote, so nothing is synced; a last line without
its end was never whole.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.metering.entries import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gateway.metering.entries import TabLabels, UsageEvent
    from gateway.metering.journal import FileJournal
    from gateway.metering.journal_interface import JournaledTab
    from policies.plans import CallerPlan


class WitnessedJournal:
    """Implements Journal."""

    def __init__(self, journal: FileJournal, witness: Path) -> None:
        self.journal = journal
        self._orgs: dict[str, str] = {}
        self._file = os.open(witness, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def opened(self, labels: TabLabels, plan: CallerPlan) -> None:
        self._orgs[labels.session_id] = labels.org
        self.journal.opened(labels, plan)

    def used(self, session_id: str, piece: Slice) -> None:
        numbers = (piece.number, piece.compute_us, piece.audio_ms, piece.connection_ms, piece.at_ms)
        self._write("S", session_id, self._orgs[session_id], *numbers)
        self.journal.used(session_id, piece)

    def over(self, session_id: str) -> None:
        self.journal.over(session_id)

    def recorded(self, session_id: str, before: int, *, num_cuts: int = 0, last_cut: int = 0) -> None:
        self.journal.recorded(session_id, before, num_cuts=num_cuts, last_cut=last_cut)

    async def committed(self) -> None:
        """The mark must not stand after slices that were said while this waited."""
        said = self._said
        await self.journal.committed()
        self._write("C", said)

    def left_open(self) -> Sequence[JournaledTab]:
        return self.journal.left_open()

    def tab(self, session_id: str) -> JournaledTab | None:
        return self.journal.tab(session_id)

    def recent_events(self, *, since_ms: int = 0) -> Iterator[UsageEvent]:
        return self.journal.recent_events(since_ms=since_ms)

    _said = 0

    def _write(self, kind: str, *words: object) -> None:
        if kind == "S":
            self._said += 1
        os.write(self._file, (" ".join(map(str, (kind, *words))) + "\n").encode())


@dataclass(slots=True)
class Testimony:
    """Of one session: `said` are its slices in order, the first `committed` of which must be billed."""

    org: str
    said: list[Slice] = field(default_factory=list)
    committed: int = 0


def testimonies(witnesses: Iterable[Path]) -> dict[str, Testimony]:
    """By session. One file for each process."""
    found: dict[str, Testimony] = {}
    for path in witnesses:
        order: list[str] = []
        counted = 0
        numbers: defaultdict[str, int] = defaultdict(int)
        for line in path.read_text().rpartition("\n")[0].splitlines():
            kind, *words = line.split(" ")
            if kind == "C":
                for session_id in order[counted : int(words[0])]:
                    numbers[session_id] += 1
                    found[session_id].committed = numbers[session_id]
                counted = max(counted, int(words[0]))
                continue
            session_id, org, *texts = words
            order.append(session_id)
            testimony = found.setdefault(session_id, Testimony(org))
            testimony.said.append(Slice(*map(int, texts)))
    return found
