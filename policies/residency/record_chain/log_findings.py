"""What a verifier found in a decision log, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    changed = "changed"
    """The record is not the one that the next one follows, or that it says it is."""
    malformed = "malformed"
    """The line is no record in canonical form."""
    missing = "missing"
    """Records between two others are not there."""
    inserted = "inserted"
    """A second record of the same number."""
    duplicated = "duplicated"
    reordered = "reordered"
    foreign = "foreign"
    """The record names another writer than its file does."""
    truncated = "truncated"
    """The log ends before something that is known of it."""
    appended = "appended"
    """There is more after the last word of a file."""
    missing_file = "missing_file"
    missing_writer = "missing_writer"
    """Another writer saw one of which no file is left."""
    unsealed_file = "unsealed_file"
    """Another file follows one that has no last checkpoint."""
    checkpoint_malformed = "checkpoint_malformed"
    checkpoint_signature = "checkpoint_signature"
    checkpoint_key = "checkpoint_key"
    """Signed by a key that was not given."""
    checkpoint_unsigned = "checkpoint_unsigned"
    checkpoint_chain = "checkpoint_chain"
    """A checkpoint does not follow the one before."""
    checkpoint_hash = "checkpoint_hash"
    """A checkpoint, or a copy of one, names another hash than the record has."""
    checkpoint_root = "checkpoint_root"
    checkpoint_missing = "checkpoint_missing"
    """More records than a writer leaves without one, or a copy has one that the log has not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`file`: its name. `line`: from 1; 0: the file as a whole. `seq`: of the record; None: it is about none, or cannot
    be read.
    """

    kind: FindingKind
    file: str
    line: int
    writer: str
    seq: int | None
    text: str


class WriterEnd(StrEnum):
    closed = "closed"
    found = "found"
    """It did not end in order; a later writer signed what was left."""
    open = "open"
    """It writes, or was killed and nobody came after it."""


@dataclass(frozen=True, slots=True)
class WriterVerified:
    """`last_seq`: -1 where there is no record. `num_unsigned`: records after the last checkpoint."""

    writer: str
    num_files: int
    num_records: int
    last_seq: int
    num_unsigned: int
    end: WriterEnd


@dataclass(frozen=True, slots=True)
class Verified:
    """`notes`: what is no sign of tampering and yet worth knowing. `num_findings` may be more than are listed."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    writers: tuple[WriterVerified, ...]
    num_findings: int

    @property
    def is_intact(self) -> bool:
        return self.num_findings == 0

    @property
    def num_records(self) -> int:
        return sum(writer.num_records for writer in self.writers)


class Findings:
    """Gathers them; beyond `max_listed` they are only counted."""

    def __init__(self, max_listed: int = 1_000) -> None:
        self._max_listed = max_listed
        self._listed: list[Finding] = []
        self.num_found = 0
        self.notes: list[str] = []

    def add(self, finding: Finding) -> None:
        self.num_found += 1
        if len(self._listed) < self._max_listed:
            self._listed.append(finding)

    @property
    def listed(self) -> tuple[Finding, ...]:
        return tuple(sorted(self._listed, key=lambda found: (found.writer, found.file, found.line)))
