"""How the journal's records are laid out in a file, and how they are found again in a damaged one. Pure.

A frame is MAGIC, the CRC-32 of all that follows, the length of the record (both 32 bits, little-endian), and the record
itself in MessagePack. A tab is written as a number that no other tab of the journal ever has. These must stay
true, so that a file can be read from its begin, whatever was lost before it and inside of it:
  - `Carried` replaces all that was said of its tab before; a tab that was not opened or carried is not there.
  - `Billed` follows the `Named` of its tab in the same file.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import msgspec

from gateway.metering.entries import Slice, TabLabels, UsageEvent
from gateway.metering.journal_interface import JournaledTab
from policies.plans import CallerPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT_VERSION = 1
MAGIC = b"\xb1J"
_HEADER = struct.Struct("<2sII")
_CHECKSUM = struct.Struct("<2sI")
_LENGTH = struct.Struct("<I")
MAX_RECORD_BYTES = 2**26


class Began(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """The first record of every file."""

    version: int
    at_ms: int


class Opened(msgspec.Struct, frozen=True, array_like=True, tag=1):
    tab: int
    labels: TabLabels
    plan: CallerPlan


class Used(msgspec.Struct, frozen=True, array_like=True, tag=2):
    tab: int
    piece: Slice


class Over(msgspec.Struct, frozen=True, array_like=True, tag=3):
    tab: int


class Recorded(msgspec.Struct, frozen=True, array_like=True, tag=4):
    tab: int
    before: int
    num_cuts: int = 0
    last_cut: int = 0


class Carried(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """All that is known of a tab, so that files with its earlier records can go."""

    tab: int
    labels: TabLabels
    plan: CallerPlan
    recorded: int
    compute_before_us: int
    audio_before_ms: int
    connection_before_ms: int
    slices: list[Slice]
    is_over: bool
    num_cuts: int
    last_cut: int
    unproven_below: int


class Gone(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The tab is over and wholly recorded, which earlier records may not say."""

    tab: int


class Named(msgspec.Struct, frozen=True, array_like=True, tag=7):
    tab: int
    labels: TabLabels


class Billed(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """A UsageEvent without its labels."""

    tab: int
    first: int
    last: int
    compute_us: int
    audio_ms: int
    connection_ms: int
    audio_before_ms: int
    connection_before_ms: int
    at_ms: int
    is_last: bool


TabRecord = Opened | Used | Over | Recorded | Carried | Gone
EventRecord = Named | Billed
Record = Began | TabRecord | EventRecord


class Damage(msgspec.Struct, frozen=True):
    """Bytes of a file that are no record. `is_tail`: nothing that can be read follows."""

    offset_bytes: int
    length_bytes: int
    is_tail: bool


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def frame(record: Record) -> bytes:
    """As it stands in a file."""
    payload = _encode(record)
    checked = _LENGTH.pack(len(payload)) + payload
    return _CHECKSUM.pack(MAGIC, zlib.crc32(checked)) + checked


def records_in(data: bytes) -> Iterator[Record | Damage]:
    """All records of a file, in order, and the parts between them that cannot be read."""
    view = memoryview(data)
    offset = damaged_from = 0
    while offset < len(data):
        read = _record_at(view, offset)
        if read is None:
            found = data.find(MAGIC, offset + 1)
            offset = found if found >= 0 else len(data)
            continue
        if damaged_from < offset:
            yield Damage(damaged_from, offset - damaged_from, is_tail=False)
        record, offset = read
        damaged_from = offset
        yield record
    if damaged_from < offset:
        yield Damage(damaged_from, offset - damaged_from, is_tail=True)


def _record_at(data: memoryview, offset: int) -> tuple[Record, int] | None:
    """The record that begins here, and where the next one does."""
    begin = offset + _HEADER.size
    if begin > len(data):
        return None
    magic, checksum, length_bytes = _HEADER.unpack_from(data, offset)
    end = begin + length_bytes
    if magic != MAGIC or length_bytes > MAX_RECORD_BYTES or end > len(data):
        return None
    if zlib.crc32(data[offset + _CHECKSUM.size : end]) != checksum:
        return None
    try:
        return _decode(data[begin:end]), end
    except msgspec.MsgspecError:
        return None


def carried(number: int, tab: JournaledTab) -> Carried:
    return Carried(
        tab=number,
        labels=tab.labels,
        plan=tab.plan,
        recorded=tab.recorded,
        compute_before_us=tab.compute_before_us,
        audio_before_ms=tab.audio_before_ms,
        connection_before_ms=tab.connection_before_ms,
        slices=tab.slices,
        is_over=tab.is_over,
        num_cuts=tab.num_cuts,
        last_cut=tab.last_cut,
        unproven_below=tab.unproven_below,
    )


def tab_of(record: Carried) -> JournaledTab:
    return JournaledTab(
        labels=record.labels,
        plan=record.plan,
        recorded=record.recorded,
        compute_before_us=record.compute_before_us,
        audio_before_ms=record.audio_before_ms,
        connection_before_ms=record.connection_before_ms,
        slices=list(record.slices),
        is_over=record.is_over,
        num_cuts=record.num_cuts,
        last_cut=record.last_cut,
        unproven_below=record.unproven_below,
    )


def billed(number: int, event: UsageEvent) -> Billed:
    return Billed(
        tab=number,
        first=event.first,
        last=event.last,
        compute_us=event.compute_us,
        audio_ms=event.audio_ms,
        connection_ms=event.connection_ms,
        audio_before_ms=event.audio_before_ms,
        connection_before_ms=event.connection_before_ms,
        at_ms=event.at_ms,
        is_last=event.is_last,
    )


def event_of(record: Billed, labels: TabLabels) -> UsageEvent:
    return UsageEvent(
        labels=labels,
        first=record.first,
        last=record.last,
        compute_us=record.compute_us,
        audio_ms=record.audio_ms,
        connection_ms=record.connection_ms,
        audio_before_ms=record.audio_before_ms,
        connection_before_ms=record.connection_before_ms,
        at_ms=record.at_ms,
        is_last=record.is_last,
    )
