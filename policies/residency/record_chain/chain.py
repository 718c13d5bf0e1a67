"""How a decision record becomes a line, and lines a chain.

A line is the record as RFC 8785 writes it, restricted to what records hold: objects with sorted keys, arrays, strings
and whole numbers, without spaces, in UTF-8. `prev_hash` of a record is the SHA-256 of the line before, without its end
of line. A writer has one chain over all of its files.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from policies.residency.record import DecisionRecord, Event, RecordContext

if TYPE_CHECKING:
    from collections.abc import Mapping

ZERO_HASH = "0" * 64
"""What the first record of a writer follows."""
FIRST_FILE = 1
MAX_LINE_BYTES = 65_536

BEGAN = "began"
"""`action` of a writer's first record, which is about the log."""
CONTINUED = "continued"
"""`action` of the first record of every further file; `detail` is the name of the file before."""
ENDED = "ended"
GAP = "gap"
"""`action` where records could not be kept; `detail` says how many."""
PRUNED = "pruned"
"""`action` where a file was deleted as old; `detail` is its name."""

_FILE_NAME = re.compile(
    r"([a-z0-9][a-z0-9-]{0,62})\.([0-9a-f]{16})\.([0-9]{6,9})\.(jsonl|checkpoints|found|until-[0-9]{1,16})"
)
_sorted = msgspec.json.Encoder(order="sorted")
_as_record = msgspec.json.Decoder(DecisionRecord)
_as_anything = msgspec.json.Decoder()


class NotCanonical(ValueError):
    """The line is not what a writer would have written; the text says why."""


def canonical(value: object) -> bytes:
    """Raises UnicodeEncodeError: a string is half of a surrogate pair, which UTF-8 cannot say."""
    return _sorted.encode(value)


def line_hash(line: bytes) -> str:
    """`line`: without its end."""
    return hashlib.sha256(line).hexdigest()


class Link(Protocol):
    """Of a record, what a chain needs."""

    @property
    def seq(self) -> int: ...
    @property
    def gateway(self) -> str: ...
    @property
    def event(self) -> Event: ...
    @property
    def action(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def prev_hash(self) -> str: ...


def read_link(line: bytes) -> Link:
    """As `read_record`, in about half the time: the event of a record of another version is `log` or any other.

    Raises:
        NotCanonical: it is no record, or not written as it would be.
    """
    try:
        link: Link = _as_link.decode(line)
        if _as_it_stands.encode(link) == line:
            return link
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    fields = _of_another_version(line)
    is_about_log = fields["event"] == Event.log.value
    return DecisionRecord(
        v=fields["v"],
        seq=fields["seq"],
        ts=fields["ts"],
        gateway=fields["gateway"],
        event=Event.log if is_about_log else Event.admission,
        action=fields["action"],
        detail=fields["detail"],
        prev_hash=fields["prev_hash"],
    )


def _in_order(of: type[msgspec.Struct], inner: Mapping[str, type[msgspec.Struct]]) -> type[msgspec.Struct]:
    """The same with its fields in the order of their names: encoding one need not sort them."""
    fields = sorted(msgspec.structs.fields(of), key=lambda field: field.encode_name)
    return msgspec.defstruct(
        f"{of.__name__}InOrder",
        [(field.name, inner.get(field.name, field.type)) for field in fields],
        kw_only=True,
        frozen=True,
        gc=False,
        rename={field.name: field.encode_name for field in fields},
    )


_as_link: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    _in_order(DecisionRecord, {"context": _in_order(RecordContext, {})})
)
_as_it_stands = msgspec.json.Encoder()


def read_record(line: bytes) -> DecisionRecord | Mapping[str, Any]:
    """A record; of another version, its fields.

    Raises:
        NotCanonical: it is no record, or not written as it would be.
    """
    try:
        record = _as_record.decode(line)
        if _sorted.encode(record) == line:
            return record
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    return _of_another_version(line)


def _of_another_version(line: bytes) -> Mapping[str, Any]:
    try:
        fields = _as_anything.decode(line)
        is_canonical = _sorted.encode(fields) == line
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NotCanonical("it is no JSON") from None
    if not is_canonical:
        raise NotCanonical("it is not in canonical form")
    if not isinstance(fields, dict) or _has_fraction(fields):
        raise NotCanonical("it is no record")
    if not all(isinstance(fields.get(name), kind) for name, kind in _NEEDED.items()):
        raise NotCanonical("it lacks what every record has")
    return fields


_NEEDED = {
    "v": int,
    "seq": int,
    "ts": int,
    "gateway": str,
    "event": str,
    "action": str,
    "detail": str,
    "prev_hash": str,
}


def _has_fraction(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_fraction(part) for part in value.values())
    if isinstance(value, list):
        return any(_has_fraction(part) for part in value)
    return isinstance(value, float)


class LogFile(NamedTuple):
    """A file of a log by its name. `writer`: as in `gateway` of its records. `kind`: the end of the name."""

    writer: str
    number: int
    kind: str

    @property
    def name(self) -> str:
        return f"{self.writer.replace('/', '.')}.{self.number:06d}.{self.kind}"


def writer_name(region: str, writer_id: str) -> str:
    """`writer_id`: 16 hexadecimal digits, drawn anew by each process."""
    return f"{region}/{writer_id}"


def records_file(writer: str, number: int) -> str:
    return LogFile(writer, number, "jsonl").name


def checkpoints_file(writer: str, number: int) -> str:
    return LogFile(writer, number, "checkpoints").name


def found_file(writer: str, number: int) -> str:
    """Where a later writer says what it found of a file that nobody had closed."""
    return LogFile(writer, number, "found").name


def until_file(writer: str, number: int, seq: int) -> str:
    """One checkpoint, in a copy: how far a file is that is still written."""
    return LogFile(writer, number, f"until-{seq}").name


def parse_file_name(name: str) -> LogFile | None:
    """None: it is no file of a log."""
    parts = _FILE_NAME.fullmatch(name)
    if parts is None:
        return None
    file = LogFile(writer_name(parts[1], parts[2]), int(parts[3]), parts[4])
    return file if file.name == name else None
