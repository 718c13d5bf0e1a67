"""Takes records out of a log, with what proves them."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import msgspec

from gateway.decision_log.opened_files import log_files
from policies.residency.record import DecisionRecord, RecordContext
from policies.residency.record_chain.chain import NotCanonical, parse_file_name, read_record, records_file
from policies.residency.record_chain.export_proof import Proof, asked_line, checkpoint_line, record_line
from policies.residency.record_chain.log_findings import Findings
from policies.residency.record_chain.merkle import Tree
from policies.residency.record_chain.verify_checkpoints import CheckpointReader, CheckpointsOfWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.decision_log.reading import Wanted
    from policies.residency.record_chain.checkpoint import Checkpoint
    from policies.residency.record_chain.export_proof import Asked
    from policies.residency.record_chain.verify_checkpoints import LogFiles

_LIST_SEPARATOR = " "


@dataclass(frozen=True, slots=True)
class Exported:
    """`num_unproven`: under no checkpoint yet, or where the log is broken; left out or not, as was asked."""

    num_records: int
    num_unproven: int


@dataclass(frozen=True, slots=True)
class _Chosen:
    line: bytes
    entry_index: int
    record: DecisionRecord


def export_lines(
    directory: Path, wanted: Wanted, asked: Asked, out: IO[bytes], *, is_proven_only: bool = False
) -> Exported:
    """Write an export as policies.residency.record_chain.export_proof reads it. Raises OSError.

    Args:
        is_proven_only: leave out what no checkpoint covers yet.
    """
    num_records = num_unproven = 0
    out.write(asked_line(asked) + b"\n")
    for checkpoint, chosen, tree in _under_checkpoints(directory, wanted):
        if checkpoint is not None and tree is not None:
            out.write(checkpoint_line(checkpoint) + b"\n")
        for one in chosen:
            proof = None
            if checkpoint is not None and tree is not None:
                path = tuple(sibling.hex() for sibling in tree.path(one.entry_index))
                proof = Proof(checkpoint.writer, checkpoint.seq, path)
            else:
                num_unproven += 1
                if is_proven_only:
                    continue
            num_records += 1
            out.write(record_line(one.line, proof) + b"\n")
    return Exported(num_records, num_unproven)


def export_csv(directory: Path, wanted: Wanted, out: IO[str]) -> int:
    """Write a table for people, which proves nothing. How many rows. Raises OSError."""
    writer = csv.DictWriter(out, _columns())
    writer.writeheader()
    num_records = 0
    for _, chosen, _ in _under_checkpoints(directory, wanted):
        for one in chosen:
            writer.writerow(_row(one.record))
            num_records += 1
    return num_records


def _columns() -> list[str]:
    names = [name for name in DecisionRecord.__struct_fields__ if name != "context"]
    return [*names, *(f"context_{name}" for name in RecordContext.__struct_fields__)]


def _row(record: DecisionRecord) -> dict[str, Any]:
    row = {name: _cell(getattr(record, name)) for name in DecisionRecord.__struct_fields__ if name != "context"}
    return row | {f"context_{name}": _cell(getattr(record.context, name)) for name in RecordContext.__struct_fields__}


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula is quoted."""
    if isinstance(value, tuple):
        value = _LIST_SEPARATOR.join(map(str, value))
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not isinstance(value, int) else text


def _under_checkpoints(
    directory: Path, wanted: Wanted
) -> Iterator[tuple[Checkpoint | None, list[_Chosen], Tree | None]]:
    """What is wanted, by the checkpoint that covers it; without one where none does, or where the log is broken."""
    files = log_files(directory)
    checkpoints = CheckpointReader(files, {}, Findings()).read()
    for writer, numbers in sorted(_files_of_writers(files).items()):
        of_writer = checkpoints.get(writer, CheckpointsOfWriter())
        for number in numbers:
            yield from _of_file(files, records_file(writer, number), of_writer, wanted)


def _files_of_writers(files: LogFiles) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for name in sorted(files):
        file = parse_file_name(name)
        if file is not None and file.kind == "jsonl":
            numbers.setdefault(file.writer, []).append(file.number)
    return numbers


def _of_file(
    files: LogFiles, name: str, of_writer: CheckpointsOfWriter, wanted: Wanted
) -> Iterator[tuple[Checkpoint | None, list[_Chosen], Tree | None]]:
    entries: list[bytes] = []
    chosen: list[_Chosen] = []
    for raw in files[name]():
        if not raw.endswith(b"\n"):
            continue
        line = raw[:-1]
        try:
            read = read_record(line)
            record = read if isinstance(read, DecisionRecord) else msgspec.convert(read, DecisionRecord)
        except (NotCanonical, msgspec.ValidationError):
            continue
        entries.append(hashlib.sha256(line).digest())
        if wanted.takes(record):
            chosen.append(_Chosen(line, len(entries) - 1, record))
        checkpoint = of_writer.by_seq.get(record.seq)
        if checkpoint is None:
            continue
        if chosen:
            tree = Tree(entries)
            is_whole = tree.root.hex() == checkpoint.root
            yield (checkpoint if is_whole else None), chosen, (tree if is_whole else None)
        entries, chosen = [], []
    if chosen:
        yield None, chosen, None
