"""The gateway's journal on a real disk: group commits, a disk that fails, and a process that is killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.metering.errors import JournalFailed, JournalUnusable
from gateway.metering.journal import FileJournal
from gateway.metering.journal_metrics import JournalMetrics
from gateway.metering.settings import JournalSettings
from tests.gateway.metering.test_journal_files import files_no_larger_than
from tests.harness.journal_writer import SESSIONS, WINDOW_SLICES, journal_in
from tests.harness.usage import caller_plan, labels_of, piece_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Opened:
    """A journal whose `run` runs, and what it counts."""

    def __init__(self, directory: Path, **settings: int) -> None:
        self.registry = CollectorRegistry()
        self.journal = FileJournal(
            JournalSettings(directory=directory, **{"group_commit_ms": 1, **settings}),
            JournalMetrics(self.registry),
            window_slices=WINDOW_SLICES,
        )

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def opened(directory: Path, **settings: int) -> AsyncIterator[Opened]:
    running = Opened(directory, **settings)
    task = asyncio.create_task(running.journal.run())
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.wait([task])
        await running.journal.close()


def use(journal: FileJournal, session_id: str, count: int) -> None:
    journal.opened(labels_of(session_id), caller_plan())
    for number in range(count):
        journal.used(session_id, piece_of(number))


@pytest.mark.unit
async def test_what_was_committed_is_left_open_for_the_next_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        use(first.journal, "s", 6)
        first.journal.recorded("s", 4)
        await first.journal.committed()
        assert first.journal.left_open() == []
    async with opened(tmp_path) as second:
        (tab,) = second.journal.left_open()
        assert (tab.is_over, tab.recorded, tab.slices) == (True, 4, [piece_of(4), piece_of(5)])
        assert [(event.first, event.last) for event in second.journal.recent_events()] == [(0, 3)]
        assert second.journal.tab("s") is tab
        second.journal.recorded("s", 6)
        assert second.journal.left_open() == []
        await second.journal.committed()
    async with opened(tmp_path) as third:
        assert third.journal.left_open() == []
        assert [(event.first, event.last) for event in third.journal.recent_events()] == [(0, 3), (4, 5)]


@pytest.mark.unit
async def test_closing_writes_what_nobody_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        use(first.journal, "s", 2)
    async with opened(tmp_path) as second:
        assert [tab.slices for tab in second.journal.left_open()] == [[piece_of(0), piece_of(1)]]


@pytest.mark.unit
async def test_however_many_wait_they_wait_for_few_syncs(tmp_path: Path) -> None:
    async with opened(tmp_path, group_commit_ms=50) as running:
        journal = running.journal

        async def session(number: int) -> None:
            use(journal, f"session-{number}", 3)
            await journal.committed()

        await asyncio.gather(*(session(number) for number in range(200)))
        assert 1 <= running.counted("patchbay_journal_commit_seconds_count") <= 2
        assert running.counted("patchbay_journal_open_tabs") == 200


@pytest.mark.unit
async def test_nothing_to_commit_is_committed(tmp_path: Path) -> None:
    async with opened(tmp_path) as running:
        await running.journal.committed()
        assert running.counted("patchbay_journal_commit_seconds_count") == 0


@pytest.mark.unit
async def test_a_full_disk_is_told_counted_and_forgotten_when_there_is_room(tmp_path: Path) -> None:
    async with opened(tmp_path) as running:
        journal = running.journal
        use(journal, "s", 3)
        await journal.committed()
        with files_no_larger_than(1_000):
            for number in range(3, 100):
                journal.used("s", piece_of(number))
            with pytest.raises(JournalFailed) as failed:
                await journal.committed()
            journal.used("s", piece_of(100))
            with pytest.raises(JournalFailed):
                await journal.committed()
        assert failed.value.reason == "efbig"
        assert running.counted("patchbay_journal_failures_total", reason="efbig") >= 2
        async with asyncio.timeout(60):
            while True:
                try:
                    await journal.committed()
                except JournalFailed:
                    continue
                break
    async with opened(tmp_path) as second:
        assert second.counted("patchbay_journal_damages_total") == 0
        assert [len(tab.slices) for tab in second.journal.left_open()] == [101]


@pytest.mark.unit
async def test_a_disk_that_does_not_answer_is_waited_for_only_so_long(tmp_path: Path) -> None:
    never_run = Opened(tmp_path, commit_timeout_ms=20).journal
    use(never_run, "s", 1)
    with pytest.raises(JournalFailed, match="timeout"):
        await never_run.committed()
    await never_run.close()
    await never_run.committed()
    never_run.over("s")
    with pytest.raises(JournalFailed, match="closed"):
        await never_run.committed()


@pytest.mark.unit
async def test_usage_of_a_session_that_nobody_opened_stops_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as running:
        running.journal.used("nobody", piece_of(0))
        running.journal.recorded("nobody", 1)
        running.journal.over("nobody")
        await running.journal.committed()


@pytest.mark.unit
async def test_two_gateways_never_share_a_journal(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(JournalUnusable, match="another process"):
            Opened(tmp_path)


@pytest.mark.unit
async def test_a_journal_that_cannot_be_read_lets_its_directory_go(tmp_path: Path) -> None:
    (tmp_path / "tabs-00000000.journal").mkdir()
    with pytest.raises(JournalUnusable, match="cannot be read"):
        Opened(tmp_path)
    (tmp_path / "tabs-00000000.journal").rmdir()
    async with opened(tmp_path):
        pass


@pytest.mark.integration
def test_a_killed_process_loses_nothing_that_it_was_told_is_committed(tmp_path: Path) -> None:
    told = {}
    for life in range(3):
        folder = tmp_path / str(life)
        with subprocess.Popen(
            [sys.executable, "-m", "tests.harness.journal_writer", str(folder)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(20 + 7 * life)]
            writer.kill()
            lines += writer.stdout.read().split(b"\n")
        told[folder] = max(int(line) for line in lines if line.strip().isdigit())
    for folder, committed in told.items():
        tabs = journal_in(folder).left_open()
        assert len(tabs) >= SESSIONS // 2
        for tab in tabs:
            assert tab.following >= committed
            assert tab.slices == [piece_of(number) for number in range(tab.recorded, tab.following)]
            assert tab.compute_before_us == sum(10_000 + number for number in range(tab.recorded))
