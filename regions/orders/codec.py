"""Orders as bytes, for Redis and for the copy on disk.

Fields of a later release are passed over. An order that cannot be read makes all of them unreadable: to leave it out
would end it when they are written again.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from policies.orders import Order, Orders
from regions.orders.errors import OrdersMalformed

MAX_ORDERS_BYTES = 1_048_576
_FORMAT = 1
_DIGEST_CHARS = 16


class Version(NamedTuple):
    """Of two sets of orders the greater one holds: the later revision, and of one revision the same one everywhere."""

    revision: int
    digest: str

    def __str__(self) -> str:
        return f"{self.revision}.{self.digest}"


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    format: int = _FORMAT
    revision: int
    orders: tuple[Order, ...]


def encode_orders(orders: Orders) -> bytes:
    """The same bytes for the same orders."""
    return msgspec.json.encode(_Document(revision=orders.revision, orders=orders.orders))


def decode_orders(raw: bytes) -> Orders:
    """Raises OrdersMalformed."""
    if len(raw) > MAX_ORDERS_BYTES:
        raise OrdersMalformed(f"larger than {MAX_ORDERS_BYTES} bytes")
    try:
        document = msgspec.json.decode(raw, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OrdersMalformed(str(error)) from None
    if document.format > _FORMAT or document.revision < 0:
        raise OrdersMalformed("of a later release")
    return Orders(document.revision, document.orders)


def version_of(orders: Orders) -> Version:
    digest = hashlib.sha256(encode_orders(orders)).hexdigest()[:_DIGEST_CHARS]
    return Version(orders.revision, digest)


def newer(one: Orders, other: Orders) -> Orders:
    """Which of two holds: the same one wherever it is asked, in whatever order they came."""
    return max(one, other, key=version_of)
