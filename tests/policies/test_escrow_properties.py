"""Whatever is lost, repeated, reordered, restarted or asked for: compute is only moved, and the bound holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.compute_quota import Bucket
from policies.escrow import Ask, Loan, Terms
from policies.escrow_region import Books, Look, Minting, Seen, look
from policies.escrow_root import Root, lend
from policies.plans import MICRO, Rate
from tests.harness.window_checker import worst_excess_us

pytestmark = pytest.mark.unit

RATE = Rate(per_s=7 * MICRO, burst=20 * MICRO)
HOLDING_US = 5 * MICRO
TERMS = Terms(RATE, HOLDING_US, learning_us=MICRO)
REGIONS = ("eu", "us", "ap")
STEP = Look("g", MICRO, HOLDING_US, Minting.never, 0, MICRO)
BEGAN = 10**15


@dataclass
class Region:
    bucket: Bucket = field(default_factory=lambda: Bucket(0, 0, BEGAN, 0))
    books: Books | None = None
    life: int = 0
    asks: list[Ask] = field(default_factory=list)
    loans: list[Loan] = field(default_factory=list)


@dataclass
class World:
    """A network that delivers any message of the past at any time, or never."""

    terms: Terms = TERMS
    now_us: int = BEGAN
    root: Root | None = None
    root_life: int = 0
    regions: dict[str, Region] = field(default_factory=lambda: {name: Region() for name in REGIONS})
    spends: list[tuple[int, int]] = field(default_factory=list)

    def look(self, name: str, **step: object) -> Seen:
        region = self.regions[name]
        region.books, seen = look(
            region.books,
            region.bucket,
            replace(STEP, **step),  # type: ignore[arg-type]
            now_us=self.now_us,
            server=f"{name}{region.life}",
        )
        held_us = region.bucket.balance_us + region.bucket.held_us
        assert held_us <= HOLDING_US
        return seen

    def act(self, kind: int, name: str, pick: int, amount_us: int) -> None:
        region = self.regions[name]
        match kind:
            case 0 | 1:
                region.asks.append(replace(self.look(name).ask, wanted_us=amount_us))
            case 2 | 3 if region.asks:
                ask = region.asks[-1 - pick % min(3, len(region.asks))]
                self.root, loan = lend(
                    self.root, name, ask, self.terms, now_us=self.now_us, server=f"root{self.root_life}"
                )
                region.loans.append(loan)
            case 4 | 5 if region.loans:
                self.look(name, loan=region.loans[-1 - pick % min(3, len(region.loans))])
            case 6 | 7:
                spent_us = min(amount_us, max(0, region.bucket.balance_us))
                region.bucket.balance_us -= spent_us
                self.spends.append((self.now_us, spent_us))
            case 8:
                self.look(name, gives_back=True)
            case 9:
                self.now_us += amount_us // 8
            case 10 if pick == 0:
                self.root_life += 1
            case 11 if pick == 0:
                self.root = None
            case 12 if pick == 0:
                region.life += 1


ACTS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(REGIONS), st.integers(0, 3), st.integers(0, 8 * MICRO)), max_size=120
)


@settings(max_examples=100, deadline=None)
@given(acts=ACTS)
def test_no_history_of_messages_spends_more_than_the_bound(acts: list[tuple[int, str, int, int]]) -> None:
    world = World()
    for kind, name, pick, amount_us in acts:
        world.act(kind, name, pick, amount_us)
    excess_us = worst_excess_us(world.spends, per_s=RATE.per_s, burst=RATE.burst)
    assert excess_us <= len(REGIONS) * HOLDING_US


@settings(max_examples=100, deadline=None)
@given(acts=ACTS)
def test_with_loans_counted_against_the_burst_no_history_has_any_excess(
    acts: list[tuple[int, str, int, int]],
) -> None:
    """But for losses of a region's books: what it held then is written off before it is gone."""
    world = World(terms=replace(TERMS, covers_loans=True))
    for kind, name, pick, amount_us in acts:
        world.act(9 if kind == 12 else kind, name, pick, amount_us)
    assert worst_excess_us(world.spends, per_s=RATE.per_s, burst=RATE.burst) <= 0


def fill_and_spend(terms: Terms) -> int:
    """Every region and the root are full, then all is spent at once; the excess."""
    world = World(terms=terms)
    for seconds in (0, 2, 4):
        world.now_us = BEGAN + seconds * MICRO
        for name in REGIONS:
            ask = replace(world.look(name).ask, wanted_us=HOLDING_US)
            world.root, loan = lend(world.root, name, ask, terms, now_us=world.now_us, server="root")
            world.look(name, loan=loan)
    world.now_us += 60 * MICRO
    for _ in range(5):
        for name in REGIONS:
            bucket = world.regions[name].bucket
            world.spends.append((world.now_us, bucket.balance_us))
            bucket.balance_us = 0
            ask = replace(world.look(name).ask, wanted_us=HOLDING_US)
            world.root, loan = lend(world.root, name, ask, terms, now_us=world.now_us, server="root")
            world.look(name, loan=loan)
    return worst_excess_us(world.spends, per_s=RATE.per_s, burst=RATE.burst)


def test_the_bound_is_reached_so_none_below_it_could_be_promised() -> None:
    assert fill_and_spend(TERMS) == len(REGIONS) * HOLDING_US


def test_with_loans_counted_against_the_burst_the_same_has_no_excess() -> None:
    assert fill_and_spend(replace(TERMS, covers_loans=True)) == 0
