"""CloudEvents in files: each id on one line, whatever happened to the writer."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from gateway.metering.sinks.interface import Accepted, Outgoing, TryAgain
from gateway.metering.sinks.json_lines import JsonLines
from gateway.metering.sinks.settings import JsonLinesSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.integration


def lines_sink(directory: Path, **settings: Any) -> JsonLines:
    tree = {"kind": "json_lines", "name": "files", "directory": directory} | settings
    return JsonLines(JsonLinesSettings.model_validate(tree), source="here")


def ids(directory: Path) -> list[str]:
    return [
        json.loads(line)["id"]
        for path in sorted(directory.glob("files-*"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def files(directory: Path, pattern: str) -> list[Path]:
    return sorted(directory.glob(pattern))


def tried(batch: list[Outgoing]) -> list[Outgoing]:
    return [Outgoing(out.event, out.event_id, was_tried=True) for out in batch]


async def test_an_event_that_was_written_and_never_acknowledged_is_not_written_again(
    tmp_path: Path, outgoing: Callable[..., list[Outgoing]]
) -> None:
    batch = outgoing(count=5)
    sink = lines_sink(tmp_path)
    assert await sink.deliver(batch[:3]) == [Accepted()] * 3
    await sink.aclose()
    again = lines_sink(tmp_path)
    assert await again.deliver(tried(batch)) == [Accepted()] * 5
    await again.aclose()
    assert ids(tmp_path) == [out.event_id for out in batch]


async def test_a_line_that_a_crash_cut_off_is_cut_away_and_written_whole(
    tmp_path: Path, outgoing: Callable[..., list[Outgoing]]
) -> None:
    batch = outgoing(count=3)
    sink = lines_sink(tmp_path)
    await sink.deliver(batch)
    await sink.aclose()
    (part,) = files(tmp_path, "*.part")
    os.truncate(part, part.stat().st_size - 7)
    again = lines_sink(tmp_path)
    assert await again.deliver(tried(batch)) == [Accepted()] * 3
    await again.aclose()
    assert ids(tmp_path) == [out.event_id for out in batch]


async def test_a_full_file_becomes_whole_and_the_next_begins(
    tmp_path: Path, outgoing: Callable[..., list[Outgoing]]
) -> None:
    batch = outgoing(count=20)
    sink = lines_sink(tmp_path, max_file_bytes=4_096)
    for out in batch:
        assert await sink.deliver([out]) == [Accepted()]
    await sink.aclose()
    done = files(tmp_path, "*.jsonl")
    assert len(done) >= 2
    assert len(files(tmp_path, "*.part")) <= 1
    assert all(path.read_bytes().endswith(b"\n") for path in done)
    assert ids(tmp_path) == [out.event_id for out in batch]


async def test_a_file_of_an_hour_that_is_over_is_finished_without_another_event(
    tmp_path: Path, outgoing: Callable[..., list[Outgoing]]
) -> None:
    sink = lines_sink(tmp_path)
    await sink.deliver(outgoing(count=1))
    assert files(tmp_path, "*.jsonl") == []
    sink._hour -= 1
    assert await sink.is_ready()
    assert len(files(tmp_path, "*.jsonl")) == 1
    await sink.aclose()


async def test_one_process_writes_and_the_other_is_not_ready_until_it_ends(
    tmp_path: Path, outgoing: Callable[..., list[Outgoing]]
) -> None:
    one, two = lines_sink(tmp_path), lines_sink(tmp_path)
    batch = outgoing(count=2)
    assert await one.is_ready()
    assert not await two.is_ready()
    assert await two.deliver(batch) == [TryAgain("file_failed")] * 2
    assert await one.deliver(batch) == [Accepted()] * 2
    await one.aclose()
    assert await two.is_ready()
    assert await two.deliver(tried(batch)) == [Accepted()] * 2
    await two.aclose()
    assert ids(tmp_path) == [out.event_id for out in batch]


async def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_accepted(
    tmp_path: Path, outgoing: Callable[..., list[Outgoing]]
) -> None:
    (tmp_path / "file").write_text("")
    sink = lines_sink(tmp_path / "file" / "below")
    assert not await sink.is_ready()
    assert await sink.deliver(outgoing(count=1)) == [TryAgain("file_failed")]
    await sink.aclose()


async def test_a_full_disk_accepts_nothing_and_leaves_no_half_line(
    tmp_path: Path, outgoing: Callable[..., list[Outgoing]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = lines_sink(tmp_path)
    batch = outgoing(count=2)

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    assert await sink.is_ready()
    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        assert await sink.deliver(batch) == [TryAgain("file_failed", may_have_arrived=True)] * 2
    assert await sink.deliver(tried(batch)) == [Accepted()] * 2
    await sink.aclose()
    assert ids(tmp_path) == [out.event_id for out in batch]
