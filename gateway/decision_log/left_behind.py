"""What writers left that did not end in order: their files are signed as they are found, and are never touched."""

from __future__ import annotations

import fcntl
import hashlib
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.decision_log.log_file import write_whole
from policies.residency.record import DecisionRecord
from policies.residency.record_chain.chain import (
    ZERO_HASH,
    LogFile,
    NotCanonical,
    checkpoints_file,
    found_file,
    line_hash,
    parse_file_name,
    read_record,
    records_file,
)
from policies.residency.record_chain.checkpoint import (
    FINAL,
    Checkpoint,
    CheckpointKind,
    Seen,
    decode_checkpoint,
    encode_checkpoint,
    signed,
)
from policies.residency.record_chain.merkle import tree_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.decision_log.signing import Signer

MAX_SEEN = 64


class LeftBroken(Exception):
    """What was left is no chain: nobody signs it. The text says where."""


@dataclass(frozen=True, slots=True)
class Found:
    """`num_records`: that were under no checkpoint."""

    file: str
    num_records: int
    torn_bytes: int


def last_checkpoint(directory: Path, writer: str, number: int) -> Checkpoint | None:
    """Of that file. None: it has none that can be read."""
    for name in (found_file(writer, number), checkpoints_file(writer, number)):
        try:
            lines = (directory / name).read_bytes().split(b"\n")[:-1]
        except OSError:
            continue
        for line in reversed(lines):
            try:
                return decode_checkpoint(line)
            except NotCanonical:
                continue
    return None


def newest_files(directory: Path) -> dict[str, int]:
    """By writer, the number of its last file of records. Raises OSError."""
    newest: dict[str, int] = defaultdict(int)
    for path in directory.iterdir():
        file = parse_file_name(path.name)
        if file is not None and file.kind == "jsonl":
            newest[file.writer] = max(newest[file.writer], file.number)
    return dict(newest)


def writers_seen(directory: Path, *, but: str) -> tuple[Seen, ...]:
    """How far the others are by their last checkpoints; of very many, those that wrote last."""
    seen = []
    try:
        for writer, number in newest_files(directory).items():
            if writer == but:
                continue
            checkpoint = last_checkpoint(directory, writer, number)
            if checkpoint is not None and checkpoint.seq >= 0:
                seen.append((checkpoint.ts, Seen(writer, checkpoint.seq, checkpoint.hash)))
    except OSError:
        return ()
    seen.sort(key=lambda pair: pair[0], reverse=True)
    return tuple(sorted((one for _, one in seen[:MAX_SEEN]), key=lambda one: one.writer))


def unsealed_files(directory: Path, *, but: str) -> list[LogFile]:
    """The last files of others that have no last word. Raises OSError."""
    unsealed = []
    for writer, number in newest_files(directory).items():
        if writer == but:
            continue
        checkpoint = last_checkpoint(directory, writer, number)
        if checkpoint is None or checkpoint.kind not in FINAL:
            unsealed.append(LogFile(writer, number, "jsonl"))
    return sorted(unsealed)


def seal_as_found(directory: Path, file: LogFile, *, by: str, signer: Signer | None, now_ms: int) -> Found | None:
    """Say what is there. None: its writer lives, or somebody else says it.

    Raises:
        LeftBroken: it is no chain.
        OSError: it cannot be read, or what is found cannot be written.
    """
    with _lock(directory / file.name) as is_ours:
        if not is_ours or (directory / found_file(file.writer, file.number)).exists():
            return None
        before = _checkpoint_before(directory, file)
        left = _read(directory / file.name, before)
        allowed = 1 if before is None else before.every
        if len(left.entries) > allowed:
            # Whoever takes checkpoints away and writes the records anew shall not get a signature for it.
            raise LeftBroken(f"{file.name}: {len(left.entries)} records are under no checkpoint, of at most {allowed}")
        last_lines = _complete_lines(directory / checkpoints_file(file.writer, file.number))
        made = Checkpoint(
            kind=CheckpointKind.found,
            writer=file.writer,
            file=file.number,
            first=left.seq - len(left.entries) + 1,
            seq=left.seq,
            hash=left.hash,
            root=tree_root(left.entries).hex(),
            ts=now_ms,
            every=1 if before is None else before.every,
            prev=_hash_of_last(directory, file) if not last_lines else line_hash(last_lines[-1]),
            torn_bytes=left.torn_bytes,
            by=by,
        )
        if signer is not None:
            made = signed(made, signer.key_id, signer.sign)
        write_whole(directory / found_file(file.writer, file.number), encode_checkpoint(made) + b"\n")
        return Found(file.name, len(left.entries), left.torn_bytes)


def _checkpoint_before(directory: Path, file: LogFile) -> Checkpoint | None:
    for number in (file.number, file.number - 1):
        if (checkpoint := last_checkpoint(directory, file.writer, number)) is not None:
            return checkpoint
    return None


def _hash_of_last(directory: Path, file: LogFile) -> str:
    """Of the last checkpoint of the file before, as a line."""
    lines = _complete_lines(directory / checkpoints_file(file.writer, file.number - 1))
    return line_hash(lines[-1]) if lines else ZERO_HASH


def _complete_lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except OSError:
        return []


@dataclass(slots=True)
class _Left:
    seq: int
    hash: str
    entries: list[bytes]
    torn_bytes: int = 0


def _read(path: Path, before: Checkpoint | None) -> _Left:
    """What is in the file after the last checkpoint."""
    left = _Left(-1, ZERO_HASH, []) if before is None else _Left(before.seq, before.hash, [])
    covered_until = left.seq
    has_checkpointed = covered_until < 0
    last: str | None = None
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            if not raw.endswith(b"\n"):
                left.torn_bytes = len(raw)
                break
            line = raw[:-1]
            try:
                record = read_record(line)
            except NotCanonical as wrong:
                raise LeftBroken(f"{path.name}:{number}: {wrong}") from None
            if isinstance(record, DecisionRecord):
                seq, prev = record.seq, record.prev_hash
            else:
                seq, prev = record["seq"], record["prev_hash"]
            entry = hashlib.sha256(line)
            if last is not None and prev != last:
                raise LeftBroken(f"{path.name}:{number}: it does not follow the record before")
            last = entry.hexdigest()
            has_checkpointed = has_checkpointed or seq == covered_until
            if seq <= covered_until:
                if before is not None and seq == before.seq and last != before.hash:
                    raise LeftBroken(f"{path.name}:{number}: its checkpoint names another hash")
                continue
            if seq != left.seq + 1 or prev != left.hash:
                raise LeftBroken(f"{path.name}:{number}: record {left.seq + 1} should be here")
            left.seq, left.hash = seq, last
            left.entries.append(entry.digest())
    if before is not None and records_file(before.writer, before.file) == path.name and not has_checkpointed:
        raise LeftBroken(f"{path.name}: it ends before its last checkpoint")
    return left


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether it is ours: a writer that lives holds its file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
