"""Clients of a region that is emptied are sent elsewhere in turn; who may connect nowhere else stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.admission.policy_sets import PolicySet
from gateway.clients_away import ClientsAway
from gateway.errors import Reason, RegionEmptied
from gateway.session_registry import Terms
from gateway.wire.messages import ErrorMessage
from policies.orders import Order, OrderKind, OrderState, Scope, Target
from regions.orders.book import OrderBook
from tests.gateway.admission.test_policy_sets import CENTRAL, caller, sets
from tests.gateway.test_session_registry import make
from tests.gateway.test_session_runner import Session

pytestmark = pytest.mark.unit

WEST = Order(
    id="0123456789ab",
    target=Target(Scope.region, "eu-west"),
    kind=OrderKind.drain,
    state=OrderState.in_force,
    reason="kernel update",
    given_by="ada",
    given_at_unix_ms=1,
    pace_per_s=10,
    with_clients=True,
)


class Emptied:
    """Sessions of callers of one profile in eu-west, and what sends them away."""

    def __init__(self, *sessions: Session, profile: str = "eu") -> None:
        self.now_ms = 0
        self.sessions = sessions
        self.registry = make(*sessions)
        for session in sessions:
            policies = sets().permitted(caller(profile))
            assert isinstance(policies, PolicySet)
            self.registry.add(session.runner, caller(profile), Terms(policies))
        self.book = OrderBook(gateway="a", store=None, copy=None)
        self.policies = sets()
        self.away = ClientsAway(
            self.book,
            self.registry,
            self.policies,
            region="eu-west",
            gateways=lambda: 1,
            now_ms=lambda: self.now_ms,
        )

    @property
    def ended(self) -> list[bool]:
        return [session.runner.machine.is_closed for session in self.sessions]


async def test_clients_go_at_the_pace_of_the_order_and_new_ones_are_told_where() -> None:
    emptied = Emptied(Session(), Session())
    await emptied.book.change(lambda _: (WEST,))
    emptied.away.step()
    assert emptied.ended == [True, False]
    assert emptied.away.left(WEST.id) == (1, 0)
    emptied.now_ms += 100
    emptied.away.step()
    assert emptied.ended == [True, True]
    messages, _ = await emptied.sessions[0].runner.queue.take()
    (error,) = [message for message in messages if isinstance(message, ErrorMessage)]
    assert (error.reason, error.retryable) == (Reason.draining, True)
    permitted = emptied.policies.permitted(caller("eu"))
    refusal = emptied.policies.emptied_here(permitted, None)  # type: ignore[arg-type]
    assert isinstance(refusal, RegionEmptied)
    assert (refusal.reason, refusal.gateways) == (Reason.draining, CENTRAL.gateways)
    assert emptied.policies.gateways_for(permitted, None)[0] == CENTRAL.gateways[0]  # type: ignore[arg-type]


async def test_who_may_connect_nowhere_else_stays_and_is_let_in() -> None:
    emptied = Emptied(Session())
    emptied.policies._sets["west-only"] = PolicySet.of_list(frozenset({"eu-west"}), "west-only")
    emptied.registry.terms_of(emptied.sessions[0].runner).policies = emptied.policies._sets["west-only"]
    await emptied.book.change(lambda _: (WEST,))
    emptied.away.step()
    assert emptied.ended == [False]
    assert emptied.away.left(WEST.id) == (1, 1)
    permitted = emptied.policies.permitted(caller("west-only"))
    assert emptied.policies.emptied_here(permitted, None) is None  # type: ignore[arg-type]


async def test_nobody_is_sent_to_a_region_that_is_out_of_reach_or_emptied_too() -> None:
    emptied = Emptied(Session())
    emptied.policies.may_send_to = lambda _region: False
    await emptied.book.change(lambda _: (WEST,))
    emptied.away.step()
    assert (emptied.ended, emptied.away.left(WEST.id)) == ([False], (1, 1))
    assert emptied.policies.emptied_here(emptied.policies.permitted(caller("eu")), None) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "order", [replace(WEST, with_clients=False), replace(WEST, state=OrderState.pending)], ids=["streams", "pending"]
)
async def test_an_order_that_does_not_ask_for_it_sends_nobody(order: Order) -> None:
    emptied = Emptied(Session())
    await emptied.book.change(lambda _: (order,))
    emptied.away.step()
    assert emptied.ended == [False]
    assert not emptied.policies.sends_clients_away()


async def test_a_stopped_order_sends_nobody_more_and_takes_nobody() -> None:
    emptied = Emptied(Session())
    await emptied.book.change(lambda _: (replace(WEST, state=OrderState.stopped),))
    emptied.away.step()
    assert emptied.ended == [False]
    assert emptied.policies.sends_clients_away()
