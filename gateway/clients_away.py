"""Sends the clients of a region to gateways elsewhere, where an order about the region wants that.

Each client's session ends after its utterance, with the reason `draining`, and goes on with its resume token at one of
the gateways that `started` named, or that a refusal here names. Whoever may connect nowhere else stays, and so does who
could only be sent to regions that are out of reach, ill or emptied themselves.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gateway.errors import Reason
from policies.move_turns import MoveTurns
from policies.order_effects import move_gap_ms, order_on_region
from policies.orders import OrderState

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.policy_sets import PermittedGateways
    from gateway.session_registry import SessionRegistry
    from gateway.session_runner import SessionRunner
    from policies.orders import Order
    from regions.orders.book import OrderBook

_STEP_S = 0.2
_GAP_MS = 25
"""Between two clients of one gateway, where no pace is asked for."""

log = structlog.get_logger("orders")


class ClientsAway:
    """One a gateway; its owner runs `run`.

    Args:
        gateways: how many gateways of this region share an order's pace.
    """

    def __init__(
        self,
        book: OrderBook,
        registry: SessionRegistry,
        policies: PermittedGateways,
        *,
        region: str,
        gateways: Callable[[], int],
        now_ms: Callable[[], int],
    ) -> None:
        self._book = book
        self._registry = registry
        self._policies = policies
        self._region = region
        self._gateways = gateways
        self._now_ms = now_ms
        self._turns = MoveTurns()
        self._stuck = 0
        policies.sends_clients_away = lambda: self._order() is not None

    async def run(self) -> None:
        """Send them until cancelled."""
        while True:
            await asyncio.sleep(_STEP_S)
            self.step()

    def step(self) -> None:
        """End the sessions of those whose turn it is."""
        order = self._order()
        if order is None:
            self._stuck = 0
            self._turns = MoveTurns()
            return
        goes: dict[frozenset[str], bool] = {}  # by set, which decides it: there are few of them and many sessions
        may_go = []
        for runner, _ in self._registry.sessions:
            policies = self._registry.terms_of(runner).policies
            if policies is None:
                continue
            terminate = policies.permitted.terminate
            if terminate not in goes:
                goes[terminate] = bool(self._policies.gateways_elsewhere(policies, None))
            if goes[terminate]:
                may_go.append(runner)
        self._stuck = len(self._registry) - len(may_go)
        if order.state is not OrderState.in_force:
            return
        waiting = [runner for runner in may_go if not runner.machine.is_ending]
        gap_ms = move_gap_ms(order.pace_per_s, sharers=self._gateways()) or _GAP_MS
        for runner in waiting[: self._turns.due(self._now_ms(), gap_ms=gap_ms, waiting=len(waiting))]:
            self._send(order, runner)

    def left(self, order_id: str) -> tuple[int, int]:
        """How many clients an order still sends elsewhere, and how many of them may connect nowhere else."""
        order = self._order()
        return (0, 0) if order is None or order.id != order_id else (len(self._registry), self._stuck)

    def _order(self) -> Order | None:
        order = order_on_region(self._book.orders, self._region)
        return order if order is not None and order.with_clients else None

    def _send(self, order: Order, runner: SessionRunner) -> None:
        """One session's fault must not keep the others here."""
        try:
            runner.end_after_utterance(Reason.draining)
        except Exception:
            log.exception("order.move_failed", order=order.id)
