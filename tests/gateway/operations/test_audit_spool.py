"""Events that wait survive the process, are bounded, and outlive a disk that is full for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.operations.audit_event import Act, AuditEvent, encode_event
from gateway.operations.audit_spool import AuditSpool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def event(number: int) -> AuditEvent:
    return AuditEvent(id=str(number), act=Act.stop, outcome="stopped")


def test_what_waits_is_there_after_a_restart_until_it_is_delivered(tmp_path: Path) -> None:
    path = tmp_path / "new" / "audit.jsonl"
    spool = AuditSpool(path)
    for number in range(3):
        assert spool.add(event(number))
    assert path.stat().st_mode & 0o777 == 0o600
    again = AuditSpool(path)
    assert again.events == (event(0), event(1), event(2))
    again.delivered((event(0), event(1)))
    assert AuditSpool(path).events == (event(2),)


def test_the_oldest_goes_where_there_is_no_room() -> None:
    spool = AuditSpool(None, max_events=2)
    assert [spool.add(event(number)) for number in range(3)] == [True, True, False]
    assert spool.events == (event(1), event(2))


def test_lines_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"half a li\n" + encode_event(event(1)) + b"\n")
    assert AuditSpool(path).events == (event(1),)


def test_a_file_that_cannot_be_written_says_why_and_loses_nothing(tmp_path: Path) -> None:
    in_the_way = tmp_path / "folder"
    in_the_way.write_text("")
    spool = AuditSpool(in_the_way / "audit.jsonl")
    spool.add(event(1))
    assert (spool.error, spool.events) == ("FileExistsError", (event(1),))
    in_the_way.unlink()
    spool.add(event(2))
    assert (spool.error, AuditSpool(in_the_way / "audit.jsonl").events) == ("", (event(1), event(2)))
