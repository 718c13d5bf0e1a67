"""Promises of the slot table."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from engines.batching.slots import Slot, SlotTable

pytestmark = pytest.mark.unit

SIZE = 3


def test_a_full_table_gives_no_slot() -> None:
    table: SlotTable[str] = SlotTable(1)
    assert table.allocate("a") == Slot(0, 1)
    assert table.allocate("b") is None


def test_an_old_generation_belongs_to_nobody_after_the_slot_changed_hands() -> None:
    table: SlotTable[str] = SlotTable(1)
    old = table.allocate("a")
    assert old is not None
    table.release(old)
    assert table.allocate("b") == Slot(0, 2)
    assert table.owner_of(old) is None
    assert table.release(old) is False
    assert table.owner_of(Slot(0, 2)) == "b"


class Interleavings(RuleBasedStateMachine):
    """Streams open, end and are asked about in any order; slots are used again and again."""

    held = Bundle("held")
    gone = Bundle("gone")

    def __init__(self) -> None:
        super().__init__()
        self.table: SlotTable[int] = SlotTable(SIZE)
        self.owner_by_slot: dict[Slot, int] = {}
        self.streams = 0

    @rule(target=held)
    def open(self) -> Slot | None:
        self.streams += 1
        slot = self.table.allocate(self.streams)
        assert (slot is None) == (len(self.owner_by_slot) == SIZE)
        if slot is not None:
            assert slot not in self.owner_by_slot
            self.owner_by_slot[slot] = self.streams
        return slot

    @rule(target=gone, slot=consumes(held))
    def cancel(self, slot: Slot | None) -> Slot | None:
        if slot is not None:
            assert self.table.release(slot)
            del self.owner_by_slot[slot]
        return slot

    @rule(slot=gone)
    def an_event_of_an_ended_stream_reaches_nobody(self, slot: Slot | None) -> None:
        if slot is not None:
            assert self.table.owner_of(slot) is None
            assert not self.table.release(slot)

    @invariant()
    def every_holder_is_found_and_nobody_else(self) -> None:
        for slot, owner in self.owner_by_slot.items():
            assert self.table.owner_of(slot) == owner
        assert self.table.used == len(self.owner_by_slot)
        assert sorted(self.table.owners()) == sorted(self.owner_by_slot.values())
        assert len({slot.index for slot in self.owner_by_slot}) == len(self.owner_by_slot)


Interleavings.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestInterleavings = Interleavings.TestCase
