"""Reads the checkpoints of a decision log and checks what can be said of them without its records."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from policies.residency.record_chain.chain import ZERO_HASH, LogFile, NotCanonical, line_hash, parse_file_name
from policies.residency.record_chain.checkpoint import (
    FINAL,
    Checkpoint,
    CheckpointKind,
    decode_checkpoint,
    encode_checkpoint,
    signature_of,
    signed_bytes,
)
from policies.residency.record_chain.log_findings import Finding, FindingKind, Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Lines = Callable[[], Iterable[bytes]]
    """Opens a file and gives its lines, each with its end."""
    LogFiles = Mapping[str, Lines]
    Keys = Mapping[str, Callable[[bytes, bytes], bool]]
    """By key id: whether a signature of a message is that key's. Empty: signatures are not checked."""


class Witness(NamedTuple):
    """Somebody says what the hash of a record is. `file`: of the records, 0 where that is not said. `line`: hash of the
    checkpoint that says so, where it is one of the record's own writer.
    """

    writer: str
    seq: int
    hash: str
    file: int
    who: str
    line: str = ""


@dataclass(slots=True)
class CheckpointsOfWriter:
    """`all`: in their order. `final`: by number of file."""

    all: list[Checkpoint] = field(default_factory=list)
    final: dict[int, Checkpoint] = field(default_factory=dict)
    by_seq: dict[int, Checkpoint] = field(default_factory=dict)
    lines: set[str] = field(default_factory=set)
    """Hashes of them, as lines."""

    @property
    def last(self) -> Checkpoint | None:
        return self.all[-1] if self.all else None


class CheckpointReader:
    """Reads those of one directory. `witnesses` grows: what they say of their own records and of other writers."""

    def __init__(self, files: LogFiles, keys: Keys, findings: Findings) -> None:
        self._files = files
        self._keys = keys
        self._findings = findings
        self.witnesses: list[Witness] = []

    def read(self) -> dict[str, CheckpointsOfWriter]:
        """By writer."""
        numbers: dict[str, set[int]] = defaultdict(set)
        for name in self._files:
            if (file := parse_file_name(name)) is not None and file.kind in ("checkpoints", "found"):
                numbers[file.writer].add(file.number)
        return {writer: self._of_writer(writer, sorted(files)) for writer, files in sorted(numbers.items())}

    def _of_writer(self, writer: str, numbers: list[int]) -> CheckpointsOfWriter:
        of_writer = CheckpointsOfWriter()
        prev: str | None = ZERO_HASH
        for number in numbers:
            for kind in ("checkpoints", "found"):
                file = LogFile(writer, number, kind)
                if file.name not in self._files:
                    continue
                for line_number, line in enumerate(self._files[file.name](), start=1):
                    prev = self._line(of_writer, file, line_number, line, prev)
        for checkpoint in of_writer.all:
            for seen in checkpoint.seen:
                who = f"{checkpoint.by or writer} at {checkpoint.seq}"
                self.witnesses.append(Witness(seen.writer, seen.seq, seen.hash, 0, who))
        return of_writer

    def _line(
        self, of_writer: CheckpointsOfWriter, file: LogFile, number: int, line: bytes, prev: str | None
    ) -> str | None:
        """The hash that the next one should follow; None: not known."""
        if not line.endswith(b"\n"):
            self._torn(file, number)
            return prev
        try:
            checkpoint = decode_checkpoint(line[:-1])
        except NotCanonical as wrong:
            self._add(FindingKind.checkpoint_malformed, file, number, None, str(wrong))
            return None
        if not self._is_good(file, number, checkpoint):
            return None
        self._take(of_writer, file, number, checkpoint, prev)
        return line_hash(line[:-1])

    def _take(
        self, of_writer: CheckpointsOfWriter, file: LogFile, number: int, checkpoint: Checkpoint, prev: str | None
    ) -> None:
        last = of_writer.last
        if (checkpoint.writer, checkpoint.file) != (file.writer, file.number):
            text = f"it is one of {checkpoint.writer}, file {checkpoint.file}"
            self._add(FindingKind.checkpoint_chain, file, number, checkpoint.seq, text)
            return
        is_next = last is None or prev is None or checkpoint.first == last.seq + 1
        if (prev is not None and checkpoint.prev != prev) or not is_next:
            text = "it does not follow the checkpoint before it: one was changed, taken away, put in or moved"
            self._add(FindingKind.checkpoint_chain, file, number, checkpoint.seq, text)
        of_writer.all.append(checkpoint)
        of_writer.by_seq.setdefault(checkpoint.seq, checkpoint)
        if checkpoint.kind in FINAL:
            of_writer.final[checkpoint.file] = checkpoint
        who = "its checkpoint" if not checkpoint.by else f"the checkpoint of {checkpoint.by}"
        line = line_hash(encode_checkpoint(checkpoint))
        of_writer.lines.add(line)
        self.witnesses.append(Witness(file.writer, checkpoint.seq, checkpoint.hash, checkpoint.file, who, line))

    def _is_good(self, file: LogFile, number: int, checkpoint: Checkpoint) -> bool:
        if not self._keys:
            return True
        fault = fault_of_signature(checkpoint, self._keys)
        if fault is None:
            return True
        self._add(fault, file, number, checkpoint.seq, _FAULTS[fault])
        return False

    def _torn(self, file: LogFile, number: int) -> None:
        is_last = not any(
            (other := parse_file_name(name)) is not None
            and other.writer == file.writer
            and other.number > file.number
            and other.kind != "found"
            for name in self._files
        )
        if is_last and file.kind == "checkpoints":
            self._findings.notes.append(f"{file.name}: its last line was not written whole")
        else:
            self._add(FindingKind.checkpoint_malformed, file, number, None, "the line has no end")

    def _add(self, kind: FindingKind, file: LogFile, line: int, seq: int | None, text: str) -> None:
        self._findings.add(Finding(kind, file.name, line, file.writer, seq, text))


_FAULTS = {
    FindingKind.checkpoint_unsigned: "nobody signed it",
    FindingKind.checkpoint_key: "it is signed by a key that was not given",
    FindingKind.checkpoint_signature: "its signature is wrong",
}


def fault_of_signature(checkpoint: Checkpoint, keys: Keys) -> FindingKind | None:
    if not checkpoint.key_id:
        return FindingKind.checkpoint_unsigned
    verify = keys.get(checkpoint.key_id)
    if verify is None:
        return FindingKind.checkpoint_key
    if not verify(signed_bytes(checkpoint), signature_of(checkpoint)):
        return FindingKind.checkpoint_signature
    return None


def witnesses_of_copy(copy: LogFiles, keys: Keys, findings: Findings) -> list[Witness]:
    """What a second copy knows. What is wrong in it is told too: a copy is evidence."""
    reader = CheckpointReader(copy, keys, findings)
    reader.read()
    for name in sorted(copy):
        file = parse_file_name(name)
        if file is None or not file.kind.startswith("until-"):
            continue
        for line in copy[name]():
            try:
                checkpoint = decode_checkpoint(line.removesuffix(b"\n"))
            except NotCanonical as wrong:
                findings.add(Finding(FindingKind.checkpoint_malformed, name, 1, file.writer, None, str(wrong)))
                continue
            fault = fault_of_signature(checkpoint, keys) if keys else None
            if fault is not None:
                findings.add(Finding(fault, name, 1, file.writer, checkpoint.seq, _FAULTS[fault]))
                continue
            reader.witnesses.append(
                Witness(
                    checkpoint.writer,
                    checkpoint.seq,
                    checkpoint.hash,
                    checkpoint.file,
                    "its checkpoint",
                    line_hash(encode_checkpoint(checkpoint)),
                )
            )
    return [witness._replace(who=f"{witness.who} in the copy") for witness in reader.witnesses]


def is_closed(checkpoint: Checkpoint | None) -> bool:
    return checkpoint is not None and checkpoint.kind in (CheckpointKind.closed, CheckpointKind.found)
