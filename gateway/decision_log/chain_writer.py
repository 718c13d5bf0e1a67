"""One writer's chain on the disk: records become lines, lines go to files, files end with a signed word.

These must stay true:
  - A record is counted into the chain only when it is on the disk. What failed may be given again.
  - No record follows `every` others that no checkpoint covers.
  - A file that another one follows has a last checkpoint, even if the file itself is lost.

Blocking; the writer's thread calls it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gateway.decision_log.log_file import FileLost, LogFileOpen, append_line
from policies.residency.record import DecisionRecord, Event
from policies.residency.record_chain.chain import (
    BEGAN,
    CONTINUED,
    FIRST_FILE,
    MAX_LINE_BYTES,
    ZERO_HASH,
    canonical,
    checkpoints_file,
    line_hash,
    records_file,
)
from policies.residency.record_chain.checkpoint import Checkpoint, CheckpointKind, Seen, encode_checkpoint, signed
from policies.residency.record_chain.merkle import tree_root

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gateway.decision_log.signing import Signer

_CUT = "(too long to be kept)"


@dataclass(frozen=True, slots=True)
class ChainLimits:
    checkpoint_records: int
    checkpoint_ms: int
    rotate_bytes: int
    rotate_ms: int


class ChainWriter:
    """`writer`: REGION/ID. `seen`: how far others in the directory are.

    Every method may raise OSError; then it has not happened, and may be called again.
    """

    def __init__(
        self,
        directory: Path,
        writer: str,
        limits: ChainLimits,
        signer: Signer | None,
        *,
        now_ms: Callable[[], int],
        seen: Callable[[], tuple[Seen, ...]],
    ) -> None:
        self.writer = writer
        self._directory = directory
        self._limits = limits
        self._signer = signer
        self._now_ms = now_ms
        self._seen = seen
        self._file: LogFileOpen | None = None
        self._lost: tuple[int, int] | None = None
        """Number and torn bytes of a file that was given up, and that has no last checkpoint yet."""
        self._number = FIRST_FILE - 1
        self._opened_at_ms = 0
        self._began_with = -1
        """Number of the first record of the file."""
        self._seq = -1
        self._hash = ZERO_HASH
        self._entries: list[bytes] = []
        """Hashes of the lines that no checkpoint covers."""
        self._uncovered_since_ms: int | None = None
        self._checkpoint_hash = ZERO_HASH
        self.on_checkpoint: Callable[[Checkpoint], None] = lambda _checkpoint: None
        self.on_lost: Callable[[str, str], None] = lambda _file, _why: None

    # --- records ------------------------------------------------------------------------------------------

    def room(self) -> int:
        """So many records may be written before a checkpoint is due."""
        return self._limits.checkpoint_records - len(self._entries)

    def write(self, records: Sequence[tuple[int, DecisionRecord]]) -> None:
        """All of them or none; not more than `room`. Each with when it was given, in Unix milliseconds."""
        self._be_open()
        self._append(records)

    def check(self) -> None:
        """Have a file to write to; notices one that was taken away, though nothing is written."""
        if self._file is not None:
            try:
                self._file.check()
            except FileLost as lost:
                self._give_up(str(lost))
        self._be_open()

    def _append(self, records: Sequence[tuple[int, DecisionRecord]]) -> None:
        file = self._file
        if file is None:
            raise OSError("no file")
        seq, last, lines, entries = self._seq, self._hash, [], []
        for at_ms, record in records:
            seq += 1
            line = _line_of(msgspec.structs.replace(record, seq=seq, ts=at_ms, gateway=self.writer, prev_hash=last))
            entry = hashlib.sha256(line)
            last = entry.hexdigest()
            lines.append(line + b"\n")
            entries.append(entry.digest())
        try:
            file.append(b"".join(lines))
        except FileLost as lost:
            self._give_up(str(lost))
            raise OSError(str(lost)) from lost
        self._seq, self._hash = seq, last
        self._entries += entries
        if self._uncovered_since_ms is None:
            self._uncovered_since_ms = self._now_ms()

    # --- files --------------------------------------------------------------------------------------------

    def _be_open(self) -> None:
        if self._file is not None:
            return
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._lost is not None:
            number, torn_bytes = self._lost
            self._checkpoint(CheckpointKind.sealed, number, torn_bytes)
            self._lost = None
        number = self._number + 1
        path = self._directory / records_file(self.writer, number)
        try:
            self._file = LogFileOpen(path)
        except FileExistsError:  # what could not be taken away when its first record failed
            self._number, self._lost = number, (number, path.stat().st_size)
            raise
        self._opened_at_ms = self._now_ms()
        follows = "" if number == FIRST_FILE else records_file(self.writer, number - 1)
        action = BEGAN if number == FIRST_FILE else CONTINUED
        try:
            self._append([(self._now_ms(), DecisionRecord(event=Event.log, action=action, detail=follows))])
        except OSError:
            if self._file is not None:
                self._file.close()
            self._file, self._lost = None, None
            path.unlink(missing_ok=True)  # nothing is in it: its number is free again
            raise
        self._number, self._began_with = number, self._seq
        if number == FIRST_FILE:
            self._checkpoint(CheckpointKind.periodic, number, 0)

    def _give_up(self, why: str) -> None:
        """Another file comes next; what is left of this one is told in its last checkpoint."""
        if self._file is None:
            return
        torn_bytes = self._file.torn_bytes()
        name = self._file.path.name
        self._file.close()
        self._file, self._lost = None, (self._number, torn_bytes)
        self.on_lost(name, why)

    @property
    def is_rotation_due(self) -> bool:
        if self._file is None:
            return False
        is_old = self._now_ms() >= self._opened_at_ms + self._limits.rotate_ms
        return self._file.size_bytes >= self._limits.rotate_bytes or (is_old and self._seq > self._began_with)

    def rotate(self) -> None:
        """Seal the file; the next one is begun when something is written."""
        if self._file is None:
            return
        self._checkpoint(CheckpointKind.sealed, self._number, 0)
        self._file.close()
        self._file = None

    def close(self) -> None:
        """The writer ends in order."""
        if self._file is not None:
            self._checkpoint(CheckpointKind.closed, self._number, 0)
            self._file.close()
            self._file = None

    # --- checkpoints --------------------------------------------------------------------------------------

    @property
    def is_checkpoint_due(self) -> bool:
        since_ms = self._uncovered_since_ms
        if since_ms is None:
            return False
        return self.room() <= 0 or self._now_ms() >= since_ms + self._limits.checkpoint_ms

    def checkpoint_in_ms(self) -> int | None:
        """None: nothing is new."""
        since_ms = self._uncovered_since_ms
        return None if since_ms is None else max(0, since_ms + self._limits.checkpoint_ms - self._now_ms())

    def checkpoint(self) -> None:
        if self._file is not None:
            self._checkpoint(CheckpointKind.periodic, self._number, 0)

    def _checkpoint(self, kind: CheckpointKind, number: int, torn_bytes: int) -> None:
        made = Checkpoint(
            kind=kind,
            writer=self.writer,
            file=number,
            first=self._seq - len(self._entries) + 1,
            seq=self._seq,
            hash=self._hash,
            root=tree_root(self._entries).hex(),
            ts=self._now_ms(),
            every=self._limits.checkpoint_records,
            prev=self._checkpoint_hash,
            torn_bytes=torn_bytes,
            seen=() if kind is CheckpointKind.periodic and self._checkpoint_hash != ZERO_HASH else self._seen(),
        )
        if self._signer is not None:
            made = signed(made, self._signer.key_id, self._signer.sign)
        line = encode_checkpoint(made)
        append_line(self._directory / checkpoints_file(self.writer, number), line)
        self._checkpoint_hash = line_hash(line)
        self._entries = []
        self._uncovered_since_ms = None
        self.on_checkpoint(made)


def _line_of(record: DecisionRecord) -> bytes:
    """Halves of surrogate pairs become question marks; what is far too long is not kept."""
    try:
        line = canonical(record)
    except UnicodeEncodeError:
        record = msgspec.convert(_speakable(msgspec.to_builtins(record)), DecisionRecord)
        line = canonical(record)
    if len(line) <= MAX_LINE_BYTES:
        return line
    return canonical(msgspec.structs.replace(record, detail=_CUT, errors=(_CUT,), candidate_regions=(_CUT,)))


def _speakable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {name: _speakable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_speakable(part) for part in value]
    return value
