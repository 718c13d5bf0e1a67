"""Token buckets by address, with a bound on memory that no flood of addresses can turn to its profit. Pure.

A bucket is one instant: when it will be full again. One that is full says nothing and may be forgotten; one that is not
is a debt and is never forgotten. When there is room for no more debts, addresses that have none yet share a fixed
number of buckets, chosen by a keyed hash: whoever brings a million addresses gets what the table and these hold, keeps
every debt that he made, and cannot choose with whom he shares.

Instants are microseconds of one clock that does not go back.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

NUM_SHARED = 1_024
_LOOKS = 8
"""Old entries looked at for each newcomer while the table is full."""


class AddressBuckets:
    """`per_minute` and `burst` of one address; at most `max_addresses` have a bucket of their own."""

    def __init__(self, *, per_minute: int, burst: int, max_addresses: int, secret: bytes) -> None:
        self._interval_us = 60_000_000 // per_minute
        self._burst_us = burst * self._interval_us
        self._max_addresses = max_addresses
        self._secret = secret
        self._full_at_us: OrderedDict[bytes, int] = OrderedDict()
        self._shared_full_at_us = [0] * NUM_SHARED

    def __len__(self) -> int:
        """Addresses with a bucket of their own."""
        return len(self._full_at_us)

    def wait_us(self, address: bytes, now_us: int) -> int:
        """How long until one more fits; 0: it does now. Nothing is taken."""
        full_at_us = self._full_at_us.get(address)
        if full_at_us is None:
            if len(self._full_at_us) < self._max_addresses:
                return 0
            full_at_us = self._shared_full_at_us[self._place(address)]
        return self._wait_us(full_at_us, now_us)

    def take(self, address: bytes, now_us: int) -> int:
        """Take one and give 0; or take nothing, and give how long until one more fits."""
        full_at_us = self._full_at_us.get(address)
        if full_at_us is None and not self._has_room(now_us):
            place = self._place(address)
            shared_us = self._shared_full_at_us[place]
            wait_us = self._wait_us(shared_us, now_us)
            if wait_us == 0:
                self._shared_full_at_us[place] = max(shared_us, now_us) + self._interval_us
            return wait_us
        full_at_us = now_us if full_at_us is None else full_at_us
        wait_us = self._wait_us(full_at_us, now_us)
        if wait_us == 0:
            self._full_at_us[address] = max(full_at_us, now_us) + self._interval_us
            self._full_at_us.move_to_end(address)
        return wait_us

    def _wait_us(self, full_at_us: int, now_us: int) -> int:
        return max(0, full_at_us + self._interval_us - self._burst_us - now_us)

    def _has_room(self, now_us: int) -> bool:
        """Forget buckets that are full again, oldest first; a debt that is met moves behind the others."""
        table = self._full_at_us
        if len(table) < self._max_addresses:
            return True
        for _ in range(_LOOKS):
            oldest = next(iter(table))
            if table[oldest] <= now_us:
                del table[oldest]
                return True
            table.move_to_end(oldest)
        return False

    def _place(self, address: bytes) -> int:
        digest = hashlib.blake2b(address, digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest, "big") % NUM_SHARED
