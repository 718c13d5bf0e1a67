"""What is lost, repeated, killed or restarted between two regions mints nothing, and what it strands comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.escrow import script_calls
from gateway.escrow.lending import LevelAsk
from gateway.escrow.remote import RootsEverywhere
from policies.escrow import Loan, Outcome
from policies.escrow_region import Look, Minting, Seen
from policies.plans import MICRO, Level
from tests.harness.escrow_regions import RATE, WHO, lending_regions
from tests.harness.ports import free_port
from tests.harness.tcp_relay import TcpRelay
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.escrow_regions import LendingRegion

pytestmark = [pytest.mark.integration, pytest.mark.alone]

ORG = (WHO, Level.org)


def a_look(region: LendingRegion, *, asker: str = "by hand", loan: Loan | None = None) -> Look:
    settings = region.settings
    holding_us = settings.holding().holding_us(RATE)
    return Look(asker, settings.turn_ms * 1_000, holding_us, Minting.never, 0, 10**9, loan=loan)


async def looked(region: LendingRegion, *, asker: str = "by hand", loan: Loan | None = None) -> Seen:
    ((seen, _),) = await script_calls.look(region.link, [(ORG, a_look(region, asker=asker, loan=loan))])
    return seen


async def ask_by_hand(region: LendingRegion, seen: Seen, *, wanted_us: int) -> Loan:
    """Over gRPC, as a gateway of a region that is not the home asks."""
    roots = RootsEverywhere(region.settings, None, region=region.name)
    ask = LevelAsk(*ORG, "plan", replace(seen.ask, wanted_us=wanted_us))
    try:
        (loan,) = await roots.lend("acme", [ask])
    finally:
        await roots.aclose()
    return loan


async def filled(home: LendingRegion, at_least_us: int) -> None:
    """The root has learnt, and has so much to lend."""

    async def has() -> bool:
        seen = await looked(home)
        await script_calls.lend(home.link, home.name, [(ORG, seen.ask, home.settings.terms(RATE))])
        return await home.root_book("balance_us") >= at_least_us

    await until_true(has, what="the root's balance")


async def granted_us(home: LendingRegion, region: str) -> int:
    key = home.link.names.lend(*ORG)
    text = await home.link.ask(lambda redis: redis.hget(key, f"a:{region}"))
    return int((text or b"0 0 0").split()[2])


async def test_a_loan_between_grant_and_credit_of_a_killed_gateway_is_credited_by_the_next(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us") as regions:
        home, region = regions["eu"], regions["us"]
        await filled(home, 5 * MICRO)
        loan = await ask_by_hand(region, await looked(region), wanted_us=MICRO)
        assert (loan.granted_us, await region.book("received_us")) == (MICRO, 0)
        # Nobody credits it: its asker is gone. Another gateway takes the turn over, and hears of it.
        region.borrows()
        await region.received(MICRO)
        assert await region.balance_us() >= MICRO


async def test_repeated_and_reordered_messages_over_the_wire_do_nothing_twice(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us") as regions:
        home, region = regions["eu"], regions["us"]
        await filled(home, 5 * MICRO)
        first = await looked(region)
        second = await looked(region)
        later = await ask_by_hand(region, second, wanted_us=2 * MICRO)
        again = await ask_by_hand(region, second, wanted_us=2 * MICRO)
        early = await ask_by_hand(region, first, wanted_us=3 * MICRO)
        assert (later.outcome, again.outcome, early.outcome) == (Outcome.lent, Outcome.stale, Outcome.stale)
        assert {later.granted_us, again.granted_us, early.granted_us} == {2 * MICRO}
        for loan in (again, later, early, later):
            await looked(region, loan=loan)
        assert await region.balance_us() == 2 * MICRO


@pytest.mark.parametrize("is_durable", [False, True], ids=["empty", "older data"])
async def test_a_root_whose_redis_restarts_learns_before_it_lends(tmp_path: Path, is_durable: bool) -> None:
    async with lending_regions(tmp_path, "eu", "us", is_durable=is_durable) as regions:
        home, region = regions["eu"], regions["us"]
        region.borrows()
        await region.received()
        epoch = await home.root_book("epoch")
        held_us = await region.balance_us()
        home.server.restart()
        await region.asked("learning")
        assert await home.root_book("epoch") > epoch
        assert await home.root_book("balance_us") == 0
        assert await region.balance_us() <= held_us
        # It goes on lending afterwards: what the region returns to spend is asked for again.
        await spend_all(region)
        await region.received()
        assert await region.book("epoch") > epoch


async def test_a_killed_root_gateway_is_replaced_by_another_and_no_book_is_lost(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us") as regions:
        home, region = regions["eu"], regions["us"]
        region.borrows()
        await region.received()
        epoch = await region.book("epoch")
        await home.kill()
        await region.asked("away")
        home.start()
        await region.asked("lent")
        assert await region.book("epoch") == epoch


async def test_a_clock_that_jumps_at_the_root_gains_at_most_a_burst_and_stops_nothing(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us") as regions:
        home, region = regions["eu"], regions["us"]
        region.borrows()
        await region.received()
        for hours in (-1, 1):
            # As seen from the books, the clock now stands so much later, or earlier.
            await move_books(home, -hours * 3_600 * MICRO)
            received_us = await region.book("received_us")
            await spend_all(region)
            await region.received(received_us + 1)
            assert await home.root_book("balance_us") <= RATE.burst


async def test_a_partition_either_way_strands_nothing_for_good(tmp_path: Path) -> None:
    home_port = free_port()
    async with (
        TcpRelay(home_port) as relay,
        lending_regions(tmp_path, "eu", "us", ports={"eu": home_port}, through={"us": relay.port}) as regions,
    ):
        home, region = regions["eu"], regions["us"]
        region.borrows()
        await region.received()
        for is_reply_lost in (False, True):
            relay.swallow(there=not is_reply_lost, back=is_reply_lost)
            await spend_all(region)
            await region.asked("away")
            stranded_us = await granted_us(home, "us") - await region.book("received_us")
            assert (stranded_us > 0) is is_reply_lost
            assert await region.balance_us() == 0
            relay.open()
            await region.asked("lent")

            async def is_all_received() -> bool:
                return await granted_us(home, "us") == await region.book("received_us")

            await until_true(is_all_received, what="all that was granted")
            assert await region.balance_us() > 0


async def spend_all(region: LendingRegion) -> None:
    bucket = region.link.names.bucket(*ORG)
    await region.link.ask(lambda redis: redis.hset(bucket, "balance_us", "0"))


async def move_books(home: LendingRegion, by_us: int) -> None:
    key = home.link.names.lend(*ORG)
    await home.link.ask(lambda redis: redis.hincrby(key, "at_us", by_us))
