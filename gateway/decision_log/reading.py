"""Reads records from a directory, of all of its writers, by time."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gateway.decision_log.opened_files import log_files
from policies.residency.record import DecisionRecord
from policies.residency.record_chain.chain import NotCanonical, parse_file_name, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from policies.residency.record_chain.verify_checkpoints import Lines


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which records; what is empty or None asks for nothing. `from_ms` to before `until_ms`, Unix milliseconds."""

    session: str = ""
    org: str = ""
    project: str = ""
    from_ms: int = 0
    until_ms: int | None = None

    def needles(self) -> list[bytes]:
        """What stands in every line that is wanted."""
        named = (("session", self.session), ("org", self.org), ("project", self.project))
        return [b'"%s":%s' % (name.encode(), msgspec.json.encode(value)) for name, value in named if value]

    def takes(self, record: DecisionRecord) -> bool:
        return (
            record.ts >= self.from_ms
            and (self.until_ms is None or record.ts < self.until_ms)
            and (not self.session or record.session == self.session)
            and (not self.org or record.org == self.org)
            and (not self.project or record.project == self.project)
        )


def read_records(
    directory: Path,
    *,
    session: str = "",
    org: str = "",
    project: str = "",
    from_ms: int = 0,
    until_ms: int | None = None,
) -> Iterator[DecisionRecord]:
    """By time, then writer and number. Lines that are no records are passed over: verifying is another matter.

    Raises:
        OSError: the directory or a file cannot be read.
    """
    wanted = Wanted(session, org, project, from_ms, until_ms)
    files = log_files(directory)
    by_writer: dict[str, list[Lines]] = {}
    for name in sorted(files):
        file = parse_file_name(name)
        if file is not None and file.kind == "jsonl":
            by_writer.setdefault(file.writer, []).append(files[name])
    streams = [_of_writer(lines, wanted) for lines in by_writer.values()]
    yield from heapq.merge(*streams, key=lambda record: (record.ts, record.gateway, record.seq))


def _of_writer(files: Iterable[Lines], wanted: Wanted) -> Iterator[DecisionRecord]:
    needles = wanted.needles()
    for lines in files:
        for raw in lines():
            if not raw.endswith(b"\n") or not all(needle in raw for needle in needles):
                continue
            try:
                read = read_record(raw[:-1])
            except NotCanonical:
                continue
            record = read if isinstance(read, DecisionRecord) else _as_far_as_known(read)
            if record is not None and wanted.takes(record):
                yield record


def _as_far_as_known(fields: Mapping[str, Any]) -> DecisionRecord | None:
    """A record of another version; None: it cannot be said in the words of this one."""
    try:
        return msgspec.convert(fields, DecisionRecord)
    except msgspec.ValidationError:
        return None
