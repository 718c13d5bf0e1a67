"""An org's root is asked where its home is, and one that does not answer is away in time."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.escrow.lending import LevelAsk, RootRefused
from gateway.escrow.remote import RootsEverywhere
from policies.escrow import Ask, Loan, Outcome
from policies.plans import Level, Principal
from tests.harness.escrow_regions import escrow_settings
from tests.harness.ports import free_port

pytestmark = pytest.mark.integration

ASK = LevelAsk(Principal("acme", "", ""), Level.org, "plan", Ask(0, 1, 1, 0, 0, 0, 5))


class Desk:
    """Lends everything."""

    async def lend(self, region: str, org: str, asks: list[LevelAsk]) -> list[Loan]:
        return [Loan(Outcome.lent, 1, ask.ask.generation, ask.ask.wanted_us, 0) for ask in asks]


async def test_an_org_whose_home_is_here_is_lent_to_without_a_wire() -> None:
    roots = RootsEverywhere(escrow_settings(), Desk(), region="eu")  # type: ignore[arg-type]
    assert await roots.lend("acme", [ASK]) == [Loan(Outcome.lent, 1, 1, 5, 0)]
    await roots.aclose()


@pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "nobody answers"])
async def test_a_root_that_does_not_answer_is_away_within_the_timeout(listens: bool) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        port = silent.getsockname()[1] if listens else free_port()
        addresses = {"eu": "127.0.0.1:1", "us": f"127.0.0.1:{port}"}
        settings = escrow_settings(addresses=addresses, default_home="us")
        roots = RootsEverywhere(settings, None, region="eu")
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(RootRefused, match="away"):
            await roots.lend("acme", [ASK])
        assert asyncio.get_running_loop().time() - began_s < 5
        await roots.aclose()
