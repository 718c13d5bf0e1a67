"""Reads a file of records in which nothing is wrong, and says what a chain needs of it; of any other it says nothing.

Most files are of this kind, and many can be read at once, in processes of their own. What is wrong with another one is
for policies.residency.record_chain.verify_chain to say.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from policies.residency.record import Event
from policies.residency.record_chain.chain import (
    BEGAN,
    CONTINUED,
    FIRST_FILE,
    PRUNED,
    NotCanonical,
    read_link,
    records_file,
)
from policies.residency.record_chain.merkle import tree_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from policies.residency.record_chain.chain import Link
    from policies.residency.record_chain.verify_checkpoints import CheckpointsOfWriter, Witness


class Covers(NamedTuple):
    """Of a checkpoint: the number of the first record that it covers, the hash of the last, the root."""

    first: int
    hash: str
    root: str


class FileJob(NamedTuple):
    """A file to be read, and what is said of it. `covers`, `said`: by number of the record."""

    writer: str
    number: int
    covers: Mapping[int, Covers]
    said: Mapping[int, frozenset[str]]

    @property
    def name(self) -> str:
        return records_file(self.writer, self.number)


class CleanFile(NamedTuple):
    """`open_entries`: hashes of its last lines, which no checkpoint covers. `pruned`: files that it says were deleted,
    under a checkpoint; `pruned_unsigned`: under none yet.
    """

    first_seq: int
    first_prev: str
    last_seq: int
    last_hash: str
    num_lines: int
    open_entries: Sequence[bytes]
    pruned: frozenset[str]
    pruned_unsigned: frozenset[str]


def file_job(
    writer: str, number: int, checkpoints: CheckpointsOfWriter, witnesses: Mapping[int, Sequence[Witness]]
) -> FileJob:
    covers = {
        seq: Covers(one.first, one.hash, one.root) for seq, one in checkpoints.by_seq.items() if one.file == number
    }
    said = {
        seq: frozenset(one.hash for one in heard)
        for seq, heard in witnesses.items()
        if any(one.file in (0, number) for one in heard)
    }
    return FileJob(writer, number, covers, said)


def read_clean(job: FileJob, lines: Iterable[bytes]) -> CleanFile | None:
    """None: something is wrong with it, or is not as it mostly is.

    Args:
        lines: with their ends.
    """
    first: Link | None = None
    seq, last, num_lines = -1, "", 0
    entries: list[bytes] = []
    pruned: set[str] = set()
    unsigned: set[str] = set()
    for raw in lines:
        line = raw[:-1]
        if raw[-1:] != b"\n":
            return None
        try:
            record = read_link(line)
        except NotCanonical:
            return None
        if first is None:
            if not _begins(job, record):
                return None
            first = record
        elif record.seq != seq + 1 or record.prev_hash != last:
            return None
        if record.gateway != job.writer:
            return None
        if record.event is Event.log and record.action == PRUNED:
            unsigned.add(record.detail)
        entry = hashlib.sha256(line)
        seq, last, num_lines = record.seq, entry.hexdigest(), num_lines + 1
        entries.append(entry.digest())
        if seq in job.said and job.said[seq] != {last}:
            return None
        covers = job.covers.get(seq)
        if covers is None:
            continue
        if covers.hash != last or len(entries) != seq - covers.first + 1 or tree_root(entries).hex() != covers.root:
            return None
        pruned |= unsigned
        unsigned, entries = set(), []
    if first is None:
        return None
    return CleanFile(first.seq, first.prev_hash, seq, last, num_lines, entries, frozenset(pruned), frozenset(unsigned))


def _begins(job: FileJob, record: Link) -> bool:
    is_first = job.number == FIRST_FILE
    follows = "" if is_first else records_file(job.writer, job.number - 1)
    return (record.event, record.action, record.detail) == (Event.log, BEGAN if is_first else CONTINUED, follows)
