"""Follows the chain of one writer through its files, and says where it breaks and how.

A record's hash covers the whole of its line, so a changed one no longer is what the next one follows; the number of a
record tells taken away, put in and moved ones from each other.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from typing import TYPE_CHECKING

from policies.residency.record import Event
from policies.residency.record_chain.chain import (
    BEGAN,
    CONTINUED,
    FIRST_FILE,
    PRUNED,
    ZERO_HASH,
    NotCanonical,
    read_link,
    records_file,
)
from policies.residency.record_chain.checkpoint import CheckpointKind
from policies.residency.record_chain.log_findings import Finding, FindingKind, Findings, WriterEnd, WriterVerified
from policies.residency.record_chain.merkle import tree_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from policies.residency.record_chain.chain import Link
    from policies.residency.record_chain.clean_file import CleanFile
    from policies.residency.record_chain.verify_checkpoints import CheckpointsOfWriter, Witness


class ChainOfWriter:
    """Give it the writer's files in order, then `end`.

    Args:
        witnesses: by the number of the record that they speak of.
    """

    def __init__(
        self,
        writer: str,
        checkpoints: CheckpointsOfWriter,
        witnesses: Mapping[int, list[Witness]],
        findings: Findings,
    ) -> None:
        self.writer = writer
        self._checkpoints = checkpoints
        self._witnesses = witnesses
        self._findings = findings
        self._said = sorted({*witnesses, *checkpoints.by_seq})
        self.missing_files: list[Finding] = []
        """These may have been deleted as old; who verifies all writers knows."""
        self.pruned: set[str] = set()
        """Files, of any writer, that this one says it deleted, under a checkpoint."""
        self.pruned_unsigned: set[str] = set()
        """The same under no checkpoint yet: anybody who may write the files can say so."""
        self._file = ""
        self._expected_file = FIRST_FILE
        self._is_over = False
        self._num_files = 0
        self._num_records = 0
        self._next: int | None = 0
        """Number of the record that should come; None: not known."""
        self._link: str | None = ZERO_HASH
        """Hash of the line that it should follow; None: not known."""
        self._malformed = 0
        """Lines in a row, just before, that are no records."""
        self._at = ("", 0)
        """File and line of the record before."""
        self._last_hash = ""
        self._gaps: list[tuple[int, int, str, int]] = []
        """First and last number of what did not come, and the place of what came instead."""
        self._entries: list[bytes] = []
        self._is_whole = True
        """Nothing was wrong since the last checkpoint."""

    # --- files --------------------------------------------------------------------------------------------

    def file(
        self, number: int, lines: Callable[[], Iterable[bytes]], *, is_last: bool, clean: CleanFile | None = None
    ) -> None:
        """Read one; its number is higher than that of any before. `clean`: it was read before, and nothing is wrong."""
        self._file = records_file(self.writer, number)
        self._num_files += 1
        if self._is_over:
            self._add(FindingKind.appended, 0, None, "its writer had closed its log before")
        for missing in range(self._expected_file, number):
            self._skip(missing)
        self._expected_file = number + 1
        torn_bytes = 0
        if clean is not None and self._fits(number, clean):
            self._take_all(clean)
        else:
            torn_bytes = self._lines(number, lines())
        self._end_of_file(number, torn_bytes, is_last=is_last)

    def _skip(self, number: int) -> None:
        """The file is not there: the chain goes on from what its last checkpoint says."""
        name = records_file(self.writer, number)
        text = "the file is missing"
        self.missing_files.append(Finding(FindingKind.missing_file, name, 0, self.writer, None, text))
        final = self._checkpoints.final.get(number)
        self._next = None if final is None else final.seq + 1
        self._link = None if final is None else final.hash
        self._entries.clear()
        self._is_whole = final is not None

    def _fits(self, number: int, clean: CleanFile) -> bool:
        """It goes on where the file before ended, and nobody says of its records what was not compared with them."""
        if self._malformed or self._entries or not self._is_whole:
            return False
        if (clean.first_seq, clean.first_prev) != (self._next, self._link):
            return False
        here = range(clean.first_seq, clean.last_seq + 1)
        return not any(
            checkpoint.file != number for seq in self._known(here) if (checkpoint := self._checkpoints.by_seq.get(seq))
        ) and all(witness.file in (0, number) for seq in self._known(here) for witness in self._witnesses.get(seq, ()))

    def _known(self, here: range) -> list[int]:
        """Numbers of records here of which somebody says something."""
        said = self._said
        return said[bisect_left(said, here.start) : bisect_left(said, here.stop)]

    def _take_all(self, clean: CleanFile) -> None:
        self._next, self._link, self._last_hash = clean.last_seq + 1, clean.last_hash, clean.last_hash
        self._at = (self._file, clean.num_lines)
        self._num_records += clean.num_lines
        self._entries = list(clean.open_entries)
        self.pruned |= clean.pruned
        self.pruned_unsigned |= clean.pruned_unsigned

    def _lines(self, number: int, lines: Iterable[bytes]) -> int:
        """How many bytes of a last line are there that has no end."""
        line_number = 0
        for raw in lines:
            line_number += 1
            if raw[-1:] != b"\n":
                return len(raw)
            line = raw[:-1]
            try:
                record = read_link(line)
            except NotCanonical as wrong:
                self._add(FindingKind.malformed, line_number, self._guess(), str(wrong))
                self._malformed += 1
                self._is_whole = False
                continue
            entry = hashlib.sha256(line)
            digest = entry.hexdigest()
            is_next = (
                record.seq == self._next
                and record.prev_hash == self._link
                and record.gateway == self.writer
                and not self._malformed
            )
            if not is_next and not self._may_stand(record, digest, line_number):
                continue
            if record.event is Event.log or line_number == 1:
                self._about_the_log(record, number, line_number)
            self._take(record.seq, digest, entry.digest(), line_number)
        return 0

    def _take(self, seq: int, digest: str, entry: bytes, line_number: int) -> None:
        """The record is the next one."""
        self._next = seq + 1
        self._malformed = 0
        self._num_records += 1
        self._at = (self._file, line_number)
        self._last_hash = digest
        self._entries.append(entry)
        if self._link is _SPOILT:
            self._link = None
        else:
            self._link = digest
        if seq in self._witnesses:
            self._hear(seq, digest, line_number)
        checkpoint = self._checkpoints.by_seq.get(seq)
        if checkpoint is not None:
            is_comparable = self._is_whole and len(self._entries) == checkpoint.seq - checkpoint.first + 1
            if is_comparable and digest == checkpoint.hash and tree_root(self._entries).hex() != checkpoint.root:
                self._add(FindingKind.checkpoint_root, line_number, seq, "its checkpoint has another root of the tree")
            elif is_comparable and digest == checkpoint.hash:
                self.pruned |= self.pruned_unsigned
            self.pruned_unsigned = set()
            self._entries = []
            self._is_whole = True

    # --- what is not as it should be ----------------------------------------------------------------------

    def _may_stand(self, record: Link, digest: str, line: int) -> bool:
        """Something is wrong with it, or may be. Whether it is to be taken as the next one all the same."""
        seq, prev = record.seq, record.prev_hash
        expected, link = self._next, self._link
        self._is_whole = False
        if record.gateway != self.writer:
            is_changed = seq == expected and prev == link
            text = "it names another writer"
            self._add(FindingKind.changed if is_changed else FindingKind.foreign, line, seq, text)
            if is_changed:
                self._link = _SPOILT
            return is_changed
        if expected is None:
            return True
        if self._malformed and expected <= seq:
            return self._after_malformed(record, line)
        if seq == expected:
            if link is not None and prev != link:
                self._changed_before(seq, line)
            return True
        if prev == link:
            self._add(FindingKind.changed, line, expected, f"its number is {seq}, where {expected} should be")
            self._take_as(expected)
            return False
        if seq > expected:
            self._gaps.append((expected, seq - 1, self._file, line))
            return True
        self._again(seq, digest, line)
        return False

    def _take_as(self, seq: int) -> None:
        """A record whose number was changed: what follows is not compared with it."""
        self._next = seq + 1
        self._link = None
        self._num_records += 1

    def _after_malformed(self, record: Link, line: int) -> bool:
        expected = self._next or 0
        if record.seq == expected:
            if self._link is not None and record.prev_hash != self._link:
                self._changed_before(record.seq, line)
        elif record.seq > expected + self._malformed:
            self._gaps.append((expected + self._malformed, record.seq - 1, self._file, line))
        return True

    def _changed_before(self, seq: int, line: int) -> None:
        file, before = self._at
        if seq == 0 or not file:
            self._add(FindingKind.changed, line, seq, "the first record follows another one")
            return
        text = f"it is not the record that {self._file}:{line} follows (or that one was changed)"
        self._findings.add(Finding(FindingKind.changed, file, before, self.writer, seq - 1, text))

    def _again(self, seq: int, digest: str, line: int) -> None:
        for index, (first, last, file, at) in enumerate(self._gaps):
            if first <= seq <= last:
                self._add(FindingKind.reordered, line, seq, f"it should stand before {file}:{at}")
                left = [(first, seq - 1, file, at), (seq + 1, last, file, at)]
                self._gaps[index : index + 1] = [gap for gap in left if gap[0] <= gap[1]]
                if seq in self._witnesses:
                    self._hear(seq, digest, line)
                return
        if digest == self._last_hash:
            self._add(FindingKind.duplicated, line, seq, "it is the record before, once more")
            return
        self._add(FindingKind.inserted, line, seq, "there is another record of that number before")

    def _about_the_log(self, record: Link, number: int, line: int) -> None:
        if record.event is Event.log and record.action == PRUNED:
            self.pruned_unsigned.add(record.detail)
        if line != 1:
            return
        follows = "" if number == FIRST_FILE else records_file(self.writer, number - 1)
        action = BEGAN if number == FIRST_FILE else CONTINUED
        if (record.event, record.action, record.detail) != (Event.log, action, follows):
            self._is_whole = False
            self._add(FindingKind.changed, line, record.seq, "a file does not begin so: its first record is missing")

    def _hear(self, seq: int, digest: str, line: int) -> None:
        for witness in self._witnesses[seq]:
            if witness.hash != digest:
                text = f"{witness.who} names another hash: this record, or one after the checkpoint before, was changed"
                self._add(FindingKind.checkpoint_hash, line, seq, text)
                return

    # --- ends ---------------------------------------------------------------------------------------------

    def _end_of_file(self, number: int, torn_bytes: int, *, is_last: bool) -> None:
        final = self._checkpoints.final.get(number)
        line = self._at[1] if self._at[0] == self._file else 0
        if final is None:
            if not is_last:
                self._add(
                    FindingKind.unsealed_file, 0, None, "another file follows, and this one has no last checkpoint"
                )
            if torn_bytes and is_last:
                self._findings.notes.append(
                    f"{self._file}: unsealed tail: {torn_bytes} bytes of a record not written whole"
                )
            elif torn_bytes:
                self._add(FindingKind.truncated, line + 1, self._guess(), "the line has no end")
            return
        self._is_over = final.kind in (CheckpointKind.closed, CheckpointKind.found)
        if self._next is not None and self._next - 1 > final.seq:
            text = f"the file ended with record {final.seq}, and goes on"
            self._add(FindingKind.appended, line, self._next - 1, text)
        if torn_bytes != final.torn_bytes:
            text = f"{torn_bytes} bytes without an end; its last checkpoint says {final.torn_bytes}"
            kind = FindingKind.appended if torn_bytes > final.torn_bytes else FindingKind.truncated
            self._add(kind, line + 1, self._guess(), text)

    def end(self, last_number: int, *, is_copy: bool) -> WriterVerified:
        """`last_number`: of the last file that its checkpoints speak of. `is_copy`: what was not sealed yet is not
        expected to be there.
        """
        for number in range(self._expected_file, last_number + 1):
            if not is_copy or number in self._checkpoints.final:
                self._skip(number)
        for first, last, file, line in self._gaps:
            text = f"records {first} to {last} are missing before it" if last > first else f"record {first} is missing"
            self._findings.add(Finding(FindingKind.missing, file, line, self.writer, first, text))
        if not self.missing_files or self._num_files:
            self._beyond_the_end(is_copy=is_copy)
        last_checkpoint = self._checkpoints.last
        num_unsigned = self._unsigned()
        end = WriterEnd.open
        if last_checkpoint is not None and last_checkpoint.kind is CheckpointKind.closed:
            end = WriterEnd.closed
        elif last_checkpoint is not None and last_checkpoint.kind is CheckpointKind.found:
            end = WriterEnd.found
        last_seq = -1 if self._next is None else self._next - 1
        return WriterVerified(self.writer, self._num_files, self._num_records, last_seq, num_unsigned, end)

    def _beyond_the_end(self, *, is_copy: bool) -> None:
        if self._next is None:
            return
        beyond = [seq for seq in self._witnesses if seq >= self._next]
        if not beyond:
            return
        furthest = max(beyond)
        who = self._witnesses[furthest][0].who
        text = f"it ends before record {self._next}; {who} knows record {furthest}"
        if is_copy:
            self._findings.notes.append(f"{self.writer}: {text}")
            return
        file, line = self._at
        name = file or records_file(self.writer, FIRST_FILE)
        self._findings.add(Finding(FindingKind.truncated, name, line + 1, self.writer, self._next, text))

    def _unsigned(self) -> int:
        last = self._checkpoints.last
        if self._next is None:
            return 0
        num_unsigned = self._next - 1 - (-1 if last is None else last.seq)
        allowed = 1 if last is None else last.every
        if num_unsigned > allowed:
            file, line = self._at
            text = f"{num_unsigned} records follow the last checkpoint; a writer leaves at most {allowed}"
            self._findings.add(Finding(FindingKind.checkpoint_missing, file, line, self.writer, self._next - 1, text))
        return max(0, num_unsigned)

    def _guess(self) -> int | None:
        return None if self._next is None else self._next + self._malformed

    def _add(self, kind: FindingKind, line: int, seq: int | None, text: str) -> None:
        self._findings.add(Finding(kind, self._file, line, self.writer, seq, text))


_SPOILT = "spoilt"
"""Stands for the hash of a record that was changed: the next one cannot follow it."""
