from __future__ import annotations

from pathlib import Path

import pytest

from gateway.decision_log.opened_files import log_files
from policies.residency.record_chain.chain import ZERO_HASH, checkpoints_file, records_file
from policies.residency.record_chain.checkpoint import Checkpoint, CheckpointKind, decode_checkpoint
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import EVERY, record, signing_keys, write, writer_in

WRITER = "eu-1/0123456789abcdef"


def checkpoints_of(directory: Path, number: int) -> list[Checkpoint]:
    return [
        decode_checkpoint(line) for line in (directory / checkpoints_file(WRITER, number)).read_bytes().splitlines()
    ]


def test_the_first_record_says_that_the_log_began_and_the_first_checkpoint_whom_it_saw(tmp_path: Path) -> None:
    other = writer_in(tmp_path, "00000000000000aa")
    write(other, 3)
    other.close()
    chain = writer_in(tmp_path)
    chain.check()
    (first,) = checkpoints_of(tmp_path, 1)
    assert (first.first, first.seq, first.prev) == (0, 0, ZERO_HASH)
    assert [seen.writer for seen in first.seen] == ["eu-1/00000000000000aa"]
    chain.close()


def test_no_record_follows_so_many_that_no_checkpoint_covers(tmp_path: Path) -> None:
    chain = writer_in(tmp_path)
    write(chain, 50)
    chain.close()
    made = checkpoints_of(tmp_path, 1)
    assert all(one.seq - one.first + 1 <= EVERY for one in made)
    assert made[-1].kind is CheckpointKind.closed
    assert [one.first for one in made[1:]] == [one.seq + 1 for one in made[:-1]]


def test_a_file_is_sealed_before_the_next_one_begins_with_its_name(tmp_path: Path) -> None:
    chain = writer_in(tmp_path, rotate_bytes=4_096)
    write(chain, 20)
    chain.close()
    files = sorted(path.name for path in tmp_path.glob("*.jsonl"))
    assert len(files) > 2
    assert checkpoints_of(tmp_path, 1)[-1].kind is CheckpointKind.sealed
    first_line = (tmp_path / files[1]).read_bytes().splitlines()[0]
    assert f'"detail":"{records_file(WRITER, 1)}"'.encode() in first_line
    assert verify_log(log_files(tmp_path), signing_keys().keys).is_intact


def test_a_file_that_is_lost_gets_its_last_word_beside_the_next_one(tmp_path: Path) -> None:
    chain = writer_in(tmp_path)
    lost: list[str] = []
    chain.on_lost = lambda file, why: lost.append(file)
    write(chain, 2)
    path = tmp_path / records_file(WRITER, 1)
    with path.open("ab") as file:
        file.write(b"somebody else's")
    with pytest.raises(OSError, match="bytes"):
        chain.write([(0, record(9))])
    chain.write([(0, record(9))])
    chain.close()
    assert lost == [path.name]
    final = checkpoints_of(tmp_path, 1)[-1]
    assert (final.kind, final.seq, final.torn_bytes) == (CheckpointKind.sealed, 2, 15)
    assert verify_log(log_files(tmp_path), signing_keys().keys).is_intact, "what is torn is told"


def test_a_name_that_is_taken_is_told_as_lost_and_the_next_number_is_used(tmp_path: Path) -> None:
    chain = writer_in(tmp_path)
    (tmp_path / records_file(WRITER, 1)).write_bytes(b"what was left of a first try")
    with pytest.raises(FileExistsError):
        chain.check()
    chain.check()
    write(chain, 3)
    chain.close()
    found = verify_log(log_files(tmp_path), signing_keys().keys)
    assert [path.name for path in sorted(tmp_path.glob("*.jsonl"))][-1] == records_file(WRITER, 2)
    assert {finding.kind.value for finding in found.findings} <= {"changed", "missing_file"}


def test_a_checkpoint_is_due_by_number_and_by_time(tmp_path: Path) -> None:
    chain = writer_in(tmp_path)
    chain.check()
    assert chain.checkpoint_in_ms() is None
    chain.write([(0, record(0))])
    assert not chain.is_checkpoint_due
    assert chain.checkpoint_in_ms() == 10_000
    while chain.room():
        chain.write([(0, record(0))])
    assert chain.is_checkpoint_due
    chain.checkpoint()
    assert not chain.is_checkpoint_due
    chain.close()
