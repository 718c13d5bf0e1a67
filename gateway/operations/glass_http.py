"""Emergency permissions over HTTP, on the listener for administrators alone.

Reading is free there. Asking, confirming and closing need a token with the scope `break-glass`. docs/operations.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.operations.audit_event import Act
from gateway.operations.bodies import ActBody, read_body
from gateway.operations.glass_bodies import GlassBody
from gateway.operations.operators import OperatorRefused
from gateway.operations.refusals import ActRefused
from gateway.operations.requests import body_of, told
from policies.residency.break_glass import PermissionState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gateway.operations.glass_acts import GlassActs, GlassDone
    from gateway.operations.glass_book import GlassBook
    from gateway.operations.operators import Operator, Operators
    from policies.residency.break_glass import Permission

_ACCEPTED = 202
_SAID = {
    "pending": "it covers nothing yet: somebody else has to confirm it",
    "opened": "it is open; gateways follow within a second, and every use of it is told",
    "closed": "it covers nothing any more; gateways follow within a second",
    "already": "it was so already: nothing was changed",
}


class GlassHttp:
    """Made by gateway.operations.building."""

    def __init__(self, operators: Operators, acts: GlassActs, book: GlassBook, *, here: str) -> None:
        self._operators = operators
        self._acts = acts
        self._book = book
        self._here = here

    def add_to(self, app: web.Application) -> None:
        router = app.router
        router.add_get("/v1/break-glass", told(self._list))
        router.add_post("/v1/break-glass", told(self._ask))
        router.add_post("/v1/break-glass/{id}/confirm", told(self._moving(Act.confirm, self._acts.confirm)))
        router.add_post("/v1/break-glass/{id}/close", told(self._moving(Act.withdraw, self._acts.close)))

    async def _list(self, _request: web.Request) -> web.Response:
        store = "none" if not self._book.has_store else "away" if self._book.is_store_away else "redis"
        standing = [permission_json(one) for one in self._acts.standing()]
        return web.json_response({"here": self._here, "store": store, "permissions": standing})

    async def _ask(self, request: web.Request) -> web.Response:
        raw = await body_of(request)
        operator = await self._operator(request, Act.give)
        try:
            body = read_body(GlassBody, raw)
        except ActRefused as error:
            await self._acts.note_refused(Act.give, error, who=operator.subject)
            raise
        return _answer(await self._acts.ask(operator, body), _ACCEPTED)

    def _moving(
        self, act: Act, do: Callable[[Operator, str], Coroutine[Any, Any, GlassDone]]
    ) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            raw = await body_of(request)
            operator = await self._operator(request, act)
            read_body(ActBody, raw)
            return _answer(await do(operator, request.match_info["id"]))

        return handle

    async def _operator(self, request: web.Request, act: Act) -> Operator:
        try:
            return await self._operators.identify(request.headers.getall("Authorization", []))
        except OperatorRefused as error:
            await self._acts.note_refused(act, error, who=error.subject)
            raise


def permission_json(permission: Permission) -> dict[str, Any]:
    return {
        "id": permission.id,
        "state": permission.state.value,
        "person": permission.person,
        "approver": permission.approver,
        "ticket": permission.ticket,
        "reason": permission.reason,
        "project": permission.project,
        "actions": list(permission.actions),
        "regions": list(permission.regions),
        "given_at_unix_s": permission.given_at_s,
        "minutes": (permission.not_after_s - permission.given_at_s) // 60,
        "not_after_unix_s": None if permission.state is PermissionState.pending else permission.not_after_s,
    }


def _answer(done: GlassDone, status: int = 200) -> web.Response:
    said = {
        "outcome": done.outcome,
        "permission": permission_json(done.permission),
        "detail": _SAID.get(done.outcome, ""),
    }
    return web.json_response(said, status=status)
