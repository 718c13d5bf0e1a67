"""The operators' hand over HTTP, on the listener for administrators alone.

Reads are free there, as metrics are. Acts need a token with the scope `operate`. The requests, and all answers, are in
docs/operations.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.admission.strict_json import NotStrictJson, loads
from gateway.operations.acts import Done, expires_at_ms
from gateway.operations.audit import MAX_SHOWN
from gateway.operations.audit_event import Act, event_json
from gateway.operations.bodies import ActBody, OrderBody, read_body
from gateway.operations.operators import OperatorRefused
from gateway.operations.order_words import order_json
from gateway.operations.refusals import ActReason, ActRefused, refused
from gateway.operations.requests import body_of, told
from policies.orders import OrderState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gateway.operations.acts import OrderActs
    from gateway.operations.audit import AuditLog
    from gateway.operations.dry_run import DryRun
    from gateway.operations.operators import Operator, Operators
    from gateway.operations.places import Places
    from policies.orders import Order
    from regions.orders.book import OrderBook
    from regions.orders.reports import OrderProgress

_SHOWN_BY_DEFAULT = 100
_CREATED, _ACCEPTED = 201, 202
_SAID = {
    "in_force": "it is in force; gateways follow within a second",
    "already": "it was so already: nothing was changed",
    "pending": "it has no effect yet: somebody else has to confirm it",
    "confirmed": "it is in force; gateways follow within a second",
    "stopped": "nobody more is moved, and nothing new comes; resume it or withdraw it",
    "resumed": "moving goes on",
    "withdrawn": "it is gone: what it was about takes sessions again",
}


class OperationsHttp:
    """Made by gateway.operations.building."""

    def __init__(
        self,
        *,
        operators: Operators,
        acts: OrderActs,
        audit: AuditLog,
        places: Places,
        dry_run: DryRun,
        book: OrderBook,
    ) -> None:
        self._operators = operators
        self._acts = acts
        self._audit = audit
        self._places = places
        self._dry_run = dry_run
        self._book = book

    def add_to(self, app: web.Application) -> None:
        router = app.router
        router.add_get("/v1/orders", told(self._list))
        router.add_get("/v1/orders/{id}", told(self._show))
        router.add_get("/v1/audit", told(self._audited))
        router.add_get("/v1/engines", told(self._engines))
        router.add_get("/v1/pools", told(self._pools))
        router.add_post("/v1/orders", told(self._give))
        for act in (Act.confirm, Act.stop, Act.resume, Act.withdraw):
            router.add_post(f"/v1/orders/{{id}}/{act.value}", told(self._acting(act)))

    # --- reads --------------------------------------------------------------------------------------------

    async def _list(self, _request: web.Request) -> web.Response:
        progress = await self._book.progress()
        orders = [self._json(order, progress) for order in self._acts.standing()]
        return web.json_response(
            {
                "here": self._places.here,
                "revision": self._book.orders.revision,
                "store": self._store_word(),
                "orders": orders,
            }
        )

    async def _show(self, request: web.Request) -> web.Response:
        order = next((one for one in self._acts.standing() if one.id == request.match_info["id"]), None)
        if order is None:
            raise refused(ActReason.unknown_order, "no order has this id; `GET /v1/orders` lists those that stand")
        return web.json_response(self._json(order, await self._book.progress()))

    async def _audited(self, request: web.Request) -> web.Response:
        text = request.query.get("limit", str(_SHOWN_BY_DEFAULT))
        if not text.isdecimal() or len(text) > len(str(MAX_SHOWN)) or not 1 <= int(text) <= MAX_SHOWN:
            mistake = f"limit: a number from 1 to {MAX_SHOWN}"
            raise refused(ActReason.bad_request, mistake, mistakes=(mistake,))
        page = await self._audit.recent(int(text))
        return web.json_response(
            {
                "here": self._places.here,
                "is_complete": page.is_complete,
                "events": [event_json(event) for event in page.events],
            }
        )

    async def _engines(self, _request: web.Request) -> web.Response:
        return web.json_response({"here": self._places.here, "engines": self._places.engines_json()})

    async def _pools(self, _request: web.Request) -> web.Response:
        return web.json_response({"here": self._places.here, "pools": self._places.pools_json()})

    # --- acts ---------------------------------------------------------------------------------------------

    async def _give(self, request: web.Request) -> web.Response:
        raw = await body_of(request)
        if _is_dry_run(raw):
            return await self._plan(read_body(OrderBody, raw))
        operator = await self._operator(request, Act.give)
        try:
            body = read_body(OrderBody, raw)
            target = self._places.target(body.scope, body.region, body.name)
        except ActRefused as error:
            await self._acts.note_refused(Act.give, error, who=operator.subject)
            raise
        done = await self._acts.give(operator, target, body)
        status = {"in_force": _CREATED, "pending": _ACCEPTED}.get(done.outcome, 200)
        return self._answer(done, status)

    async def _plan(self, body: OrderBody) -> web.Response:
        target = self._places.target(body.scope, body.region, body.name)
        plan = await self._dry_run.plan(target, body.kind, pace_per_s=body.pace_per_s)
        return web.json_response({"outcome": "dry_run", "order": None, "plan": plan, "detail": "nothing was changed"})

    def _acting(self, act: Act) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
        do = {
            Act.confirm: self._acts.confirm,
            Act.stop: self._acts.stop,
            Act.resume: self._acts.resume,
            Act.withdraw: self._acts.withdraw,
        }[act]

        async def handle(request: web.Request) -> web.Response:
            raw = await body_of(request)
            operator = await self._operator(request, act)
            try:
                body = read_body(ActBody, raw)
            except ActRefused as error:
                await self._acts.note_refused(act, error, who=operator.subject)
                raise
            return self._answer(await do(operator, request.match_info["id"], body.reason))

        return handle

    async def _operator(self, request: web.Request, act: Act) -> Operator:
        try:
            return await self._operators.identify(request.headers.getall("Authorization", []))
        except OperatorRefused as error:
            await self._acts.note_refused(act, error, who=error.subject)
            raise

    # --- parts --------------------------------------------------------------------------------------------

    def _store_word(self) -> str:
        if not self._book.has_store:
            return "none"
        return "away" if self._book.is_store_away else "redis"

    def _json(self, order: Order, progress: dict[str, OrderProgress]) -> dict[str, Any]:
        is_pending = order.state is OrderState.pending
        ends = expires_at_ms(order) if is_pending else None
        return order_json(order, progress.get(order.id), expires_at_unix_ms=ends)

    def _answer(self, done: Done, status: int = 200) -> web.Response:
        return web.json_response(
            {
                "outcome": done.outcome,
                "order": None if done.order is None else self._json(done.order, {}),
                "needs_second_person_for": list(done.emptied) if done.outcome == "pending" else [],
                "detail": _SAID.get(done.outcome, ""),
            },
            status=status,
        )


def _is_dry_run(raw: bytes) -> bool:
    try:
        tree = loads(raw)
    except NotStrictJson:
        return False
    return isinstance(tree, dict) and tree.get("dry_run") is True
