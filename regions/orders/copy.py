"""A gateway's own copy of its region's orders: what is in force when Redis is away, or has lost them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from regions.orders.codec import decode_orders, encode_orders
from regions.orders.errors import OrdersMalformed

if TYPE_CHECKING:
    from pathlib import Path

    from policies.orders import Orders


class OrdersCopy:
    """In one file, which is always whole: the version before, or the one after."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Orders | None:
        """None: there is none yet.

        Raises:
            OSError: it cannot be read.
            OrdersMalformed: it is damaged.
        """
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return None
        return decode_orders(raw)

    def write(self, orders: Orders) -> None:
        """On the disk when this returns. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode_orders(orders))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_copy(copy: OrdersCopy) -> tuple[Orders | None, str]:
    """What is there, and why it cannot be used where it cannot; empty where it can, or where there is none."""
    try:
        return copy.read(), ""
    except OrdersMalformed:
        return None, "malformed"
    except OSError as error:
        return None, type(error).__name__
