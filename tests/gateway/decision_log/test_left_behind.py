from __future__ import annotations

from pathlib import Path

import pytest

from gateway.decision_log.left_behind import (
    MAX_SEEN,
    Found,
    LeftBroken,
    last_checkpoint,
    newest_files,
    seal_as_found,
    unsealed_files,
    writers_seen,
)
from gateway.decision_log.opened_files import log_files
from policies.residency.record_chain.chain import LogFile, checkpoints_file, found_file, records_file
from policies.residency.record_chain.checkpoint import CheckpointKind
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import made_log, signing_keys, write, writer_in

WRITER = "eu-1/00000000000000aa"
FILE = LogFile(WRITER, 1, "jsonl")


@pytest.fixture(name="left")
def _left(tmp_path: Path) -> Path:
    """Two writers that were killed; their files are held by nobody."""
    for name, content in made_log(24, rotate_after=0, closed=False).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def seal(directory: Path, file: LogFile = FILE) -> Found | None:
    return seal_as_found(directory, file, by="eu-1/ffffffffffffffff", signer=signing_keys().signer, now_ms=5)


def test_what_was_left_is_signed_as_it_is_found_and_not_touched(left: Path) -> None:
    (left / FILE.name).write_bytes((left / FILE.name).read_bytes() + b'{"torn')
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    assert unsealed_files(left, but="") == [FILE, FILE._replace(writer="eu-1/00000000000000bb")]
    assert seal(left) == Found(FILE.name, 3, 6)
    assert {name: (left / name).read_bytes() for name in before} == before
    made = last_checkpoint(left, WRITER, 1)
    assert made is not None
    assert (made.kind, made.by, made.torn_bytes) == (CheckpointKind.found, "eu-1/ffffffffffffffff", 6)
    found = verify_log(log_files(left), signing_keys().keys)
    assert found.is_intact
    assert found.writers[0].num_unsigned == 0
    assert seal(left) is None, "it is said once"


def test_a_writer_that_lives_is_left_alone(tmp_path: Path) -> None:
    chain = writer_in(tmp_path, "00000000000000aa")
    write(chain, 3)
    assert seal(tmp_path) is None
    chain.close()
    assert unsealed_files(tmp_path, but="") == []


def test_nobody_signs_what_is_no_chain(left: Path) -> None:
    path = left / FILE.name
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for broken in (
        b"".join([*lines[:-1], lines[-1].replace(b"acme", b"evil").replace(b"globex", b"evil"), lines[-1]]),
        b"".join([*lines[:-2], lines[-1]]),
        b"".join(lines[:5]),
        b"".join([*lines[:4], b"{}\n", *lines[4:]]),
        b"".join([lines[0], *lines[2:]]),
        b"",
    ):
        path.write_bytes(broken)
        with pytest.raises(LeftBroken, match=path.name):
            seal(left)


def test_nobody_signs_what_lost_its_checkpoints(left: Path) -> None:
    """Else whoever takes them away and writes the records anew has his chain signed by the next gateway."""
    (left / checkpoints_file(WRITER, 1)).unlink()
    with pytest.raises(LeftBroken, match="under no checkpoint"):
        seal(left)
    assert not (left / found_file(WRITER, 1)).exists()


def test_a_file_in_which_nothing_was_written_yet_is_sealed_as_empty(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(b"")
    assert seal(tmp_path) == Found(FILE.name, 0, 0)
    assert verify_log(log_files(tmp_path), signing_keys().keys).is_intact


def test_others_are_seen_by_their_last_checkpoints_and_at_most_so_many(tmp_path: Path) -> None:
    assert writers_seen(tmp_path / "missing", but="") == ()
    for number in range(MAX_SEEN + 2):
        chain = writer_in(tmp_path, f"{number:016x}", now_ms=number)
        write(chain, 1)
        chain.close()
    seen = writers_seen(tmp_path, but="eu-1/0000000000000041")
    assert len(seen) == MAX_SEEN
    assert "eu-1/0000000000000041" not in {one.writer for one in seen}
    assert "eu-1/0000000000000000" not in {one.writer for one in seen}, "the oldest one goes"
    assert newest_files(tmp_path)["eu-1/0000000000000000"] == 1


def test_a_file_with_no_checkpoint_of_its_own_follows_the_one_before(tmp_path: Path) -> None:
    chain = writer_in(tmp_path, "00000000000000aa")
    write(chain, 10, rotate_after=10)
    assert chain._file is not None
    chain._file.close()  # as if the process had died here
    assert seal(tmp_path, FILE._replace(number=2)) == Found(records_file(WRITER, 2), 1, 0)
    assert verify_log(log_files(tmp_path), signing_keys().keys).is_intact
