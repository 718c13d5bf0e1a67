"""Who owns which slot of the recogniser. PURE.

A slot is used again and again; its generation says by whom. Whatever carries an old generation (an event on its way, a
command that came late) belongs to nobody: it never reaches the slot's new owner.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

Owner = TypeVar("Owner")


class Slot(msgspec.Struct, frozen=True):
    """One owner's hold on one slot of the model in `bay`. `generation` grows each time the slot changes hands."""

    index: int
    generation: int
    bay: int = 0


class SlotTable(Generic[Owner]):
    """A fixed number of slots of the model in `bay`, each with at most one owner."""

    def __init__(self, size: int, *, bay: int = 0) -> None:
        self._bay = bay
        self._owners: list[Owner | None] = [None] * size
        self._generations = [0] * size
        # The lowest free index first, so that a half-empty engine touches the same memory again.
        self._free = list(reversed(range(size)))

    @property
    def size(self) -> int:
        return len(self._owners)

    @property
    def used(self) -> int:
        return len(self._owners) - len(self._free)

    def allocate(self, owner: Owner) -> Slot | None:
        """Give a free slot to `owner`; None when all are taken."""
        if not self._free:
            return None
        index = self._free.pop()
        self._generations[index] += 1
        self._owners[index] = owner
        return Slot(index, self._generations[index], self._bay)

    def owner_of(self, slot: Slot) -> Owner | None:
        """Who holds this slot in this generation; None once it was released, whoever has it by then."""
        if self._generations[slot.index] != slot.generation:
            return None
        return self._owners[slot.index]

    def release(self, slot: Slot) -> bool:
        """Take the slot back; False, and nothing happens, when it was released before."""
        if self.owner_of(slot) is None:
            return False
        self._owners[slot.index] = None
        self._free.append(slot.index)
        return True

    def owners(self) -> list[Owner]:
        """All owners of this moment, by slot index."""
        return [owner for owner in self._owners if owner is not None]
