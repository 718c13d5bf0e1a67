"""A process that writes a journal as fast as it is told to commit, and says what it was told is on the disk.

    python -m tests.harness.journal_writer DIRECTORY

Each line on standard output is a number: so many slices of every session were committed. It ends when it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry

from gateway.metering.journal import FileJournal
from gateway.metering.journal_metrics import JournalMetrics
from gateway.metering.settings import JournalSettings
from tests.harness.usage import caller_plan, labels_of, piece_of

SESSIONS = 20
WINDOW_SLICES = 4


def journal_in(directory: Path, *, group_commit_ms: int = 1) -> FileJournal:
    settings = JournalSettings(directory=directory, group_commit_ms=group_commit_ms)
    return FileJournal(settings, JournalMetrics(CollectorRegistry()), window_slices=WINDOW_SLICES)


async def write(journal: FileJournal) -> None:
    sessions = [f"session-{number}" for number in range(SESSIONS)]
    for session_id in sessions:
        journal.opened(labels_of(session_id), caller_plan())
    number = 0
    while True:
        for session_id in sessions:
            journal.used(session_id, piece_of(number))
        number += 1
        await journal.committed()
        print(number, flush=True)
        if number % WINDOW_SLICES == 0:
            for session_id in sessions[: SESSIONS // 2]:
                journal.recorded(session_id, number)


async def main() -> None:
    journal = journal_in(Path(sys.argv[1]))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(journal.run())
        tasks.create_task(write(journal))


if __name__ == "__main__":
    asyncio.run(main())
