"""Who belongs to a pool, told from listings that come and go. Pure: told the time and which links stand.

A member that left the listing stays for a grace period: nobody loses his engine because a listing blinked. Then it
retires: no new streams, its sessions move away. It is gone when its last stream is over, or at the deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regions.discovery.interface import EngineAddress


@dataclass(frozen=True, slots=True)
class MembershipLimits:
    """As in regions.links.settings.PoolSettings."""

    removal_grace_ms: int
    retire_within_ms: int


@dataclass(slots=True)
class Entry:
    """One address. `number`: the least that was free when it came; stays while it is here.

    `missing_since_ms`: of the listing. `outlives_listing`: while its link stands it is a member, listed or not.
    """

    facts: EngineAddress
    number: int
    outlives_listing: bool
    missing_since_ms: int | None = None
    retiring_since_ms: int | None = None

    @property
    def is_retiring(self) -> bool:
        return self.retiring_since_ms is not None


class Membership:
    """Of one pool."""

    def __init__(self, limits: MembershipLimits) -> None:
        self._limits = limits
        self._entries: dict[str, Entry] = {}

    @property
    def entries(self) -> dict[str, Entry]:
        """By address, those that retire among them."""
        return self._entries

    def listed(
        self, fixed: Iterable[EngineAddress], found: Iterable[EngineAddress], *, keeps: bool, now_ms: int
    ) -> None:
        """What is listed from here on; the first of two of one address counts.

        Args:
            fixed: what an operator named.
            found: what a discovery told. `keeps`: its Discovery.keeps_connected.
        """
        listing = {facts.address: (facts, keeps) for facts in found} | {
            facts.address: (facts, False) for facts in fixed
        }
        for address, entry in self._entries.items():
            if address not in listing and entry.missing_since_ms is None:
                entry.missing_since_ms = now_ms
        for address, (facts, outlives_listing) in listing.items():
            known = self._entries.get(address)
            if known is None:
                self._entries[address] = Entry(facts, self._free_number(), outlives_listing)
                continue
            known.facts = facts
            known.outlives_listing = outlives_listing
            known.missing_since_ms = known.retiring_since_ms = None

    def retire_due(self, now_ms: int, connected: Iterable[str]) -> list[str]:
        """Addresses that retire now. `connected`: of those whose link stands."""
        standing = frozenset(connected)
        due = [
            address
            for address, entry in self._entries.items()
            if entry.missing_since_ms is not None
            and not entry.is_retiring
            and now_ms - entry.missing_since_ms >= self._limits.removal_grace_ms
            and not (entry.outlives_listing and address in standing)
        ]
        for address in due:
            self._entries[address].retiring_since_ms = now_ms
        return due

    def remove_due(self, now_ms: int, busy: Iterable[str]) -> list[str]:
        """Addresses that are gone from here on. `busy`: of those that still have streams."""
        working = frozenset(busy)
        due = [
            address
            for address, entry in self._entries.items()
            if entry.retiring_since_ms is not None
            and (address not in working or now_ms - entry.retiring_since_ms >= self._limits.retire_within_ms)
        ]
        for address in due:
            del self._entries[address]
        return due

    @property
    def is_settled(self) -> bool:
        """Whether time alone changes nothing."""
        return all(entry.missing_since_ms is None for entry in self._entries.values())

    def _free_number(self) -> int:
        taken = {entry.number for entry in self._entries.values()}
        return next(number for number in range(len(taken) + 1) if number not in taken)
