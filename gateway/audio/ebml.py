"""The numbers of EBML, which Matroska and WebM are written in. Source: RFC 8794, sections 4 to 7."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.audio.faults import undecodable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.audio.byte_queue import ByteQueue, Reading

_MAX_DEPTH = 8


class Element(NamedTuple):
    """One element's header; `size` None means that it ends where its parent's next element begins."""

    id: int
    size: int | None


def next_element(queue: ByteQueue) -> Reading[Element]:
    """Read an element's header."""
    first = yield from _vint_length(queue, 4)
    element_id = int.from_bytes((yield from queue.exactly(first)), "big")
    length = yield from _vint_length(queue, 8)
    raw = int.from_bytes((yield from queue.exactly(length)), "big")
    size = raw & (1 << 7 * length) - 1
    return Element(element_id, None if size == (1 << 7 * length) - 1 else size)


def _vint_length(queue: ByteQueue, most: int) -> Reading[int]:
    if not len(queue):
        yield from queue.at_least(1)
    length = 9 - queue.peek(1)[0].bit_length()
    if length > most:
        raise undecodable(
            "a stream of webm_opus must be made of EBML elements; a number of more than 8 bytes was found"
        )
    return length


def parse_vint(data: bytes, at: int) -> tuple[int, int]:
    """A number without its length marker, and where it ends. Raises ClientFault."""
    length = 9 - data[at].bit_length() if at < len(data) else 9
    if length > 8 or at + length > len(data):
        raise undecodable("a number within a WebM element is cut off")
    return int.from_bytes(data[at : at + length], "big") & (1 << 7 * length) - 1, at + length


def children(data: bytes, depth: int = 0) -> Iterator[tuple[int, bytes]]:
    """Ids and contents of the elements within a whole element. Raises ClientFault."""
    if depth > _MAX_DEPTH:
        raise undecodable(f"WebM elements may nest at most {_MAX_DEPTH} deep")
    at = 0
    while at < len(data):
        length = 9 - data[at].bit_length()
        element_id = int.from_bytes(data[at : at + length], "big")
        size, start = parse_vint(data, at + length)
        if length > 4 or start + size > len(data):
            raise undecodable("a WebM element is longer than the one it lies in")
        yield element_id, data[start : start + size]
        at = start + size


def unsigned(content: bytes) -> int:
    return int.from_bytes(content, "big")


def signed(content: bytes) -> int:
    return int.from_bytes(content, "big", signed=True)
