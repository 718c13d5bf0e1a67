"""The lab's operator against an admin listener that says what it is told to."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from regions.lab.fault_spec import FaultKind, FaultSpec
from regions.lab.operator import Operator, OrderedTarget, OrderRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

WEST = OrderedTarget("region", "west")
DRAIN = FaultSpec(kind=FaultKind.operate, target="region/west", pace_per_s=3)


class Admin:
    """Answers each path with the next of its answers, the last one again and again."""

    def __init__(self, answers: dict[str, list[tuple[int, dict[str, Any]]]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, Any]] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        who = request.headers.get("Authorization", "").removeprefix("Bearer ")
        name = f"{request.method} {request.path}"
        self.asked.append((name, who, await request.json() if request.can_read_body else None))
        answers = self.answers[name]
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        return web.json_response(body, status=status)


@contextlib.asynccontextmanager
async def operator_at(answers: dict[str, Any]) -> AsyncIterator[tuple[Operator, Admin]]:
    admin = Admin(answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", admin.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield Operator(lambda region: [url] if region == "west" else [], lambda subject: f"token-of-{subject}"), admin
    await runner.cleanup()


async def test_an_order_is_given_and_confirmed_by_another_person_and_watched_to_its_end() -> None:
    answers = {
        "POST /v1/orders": [
            (503, {"error": {"reason": "store_away"}}),
            (202, {"outcome": "pending", "order": {"id": "o1"}}),
        ],
        "POST /v1/orders/o1/confirm": [(200, {"outcome": "confirmed", "order": {"id": "o1"}})],
        "GET /v1/orders/o1": [
            (200, {"id": "o1", "progress": None}),
            (200, {"id": "o1", "progress": {"left": 2, "done_at_unix_ms": 0}}),
            (200, {"id": "o1", "progress": {"left": 0, "done_at_unix_ms": 7}}),
        ],
    }
    async with operator_at(answers) as (operator, admin):
        run = await operator.give(WEST, DRAIN, name="region/west")
        assert await operator.watch(WEST, run, within_s=20)
    assert [(name, who) for name, who, _ in admin.asked[:3]] == [
        ("POST /v1/orders", "token-of-ada"),
        ("POST /v1/orders", "token-of-ada"),
        ("POST /v1/orders/o1/confirm", "token-of-grace"),
    ]
    assert admin.asked[0][2]["pace_per_s"] == 3
    assert (run.outcome, run.done_at_s is not None, run.as_figures()["progress"]["left"]) == ("confirmed", True, 0)


async def test_what_was_ordered_is_found_again_and_taken_back() -> None:
    target = {"scope": "region", "region": "west", "name": ""}
    answers = {
        "GET /v1/orders": [(200, {"orders": [{"id": "o2", "target": target}]})],
        "POST /v1/orders/o2/withdraw": [(200, {"outcome": "withdrawn", "order": {"id": "o2"}})],
    }
    async with operator_at(answers) as (operator, _):
        run = await operator.give(WEST, DRAIN.model_copy(update={"act": "undrain"}), name="region/west")
        assert run.outcome == "withdrawn"


async def test_an_order_that_is_not_there_cannot_be_taken_back() -> None:
    async with operator_at({"GET /v1/orders": [(200, {"orders": []})]}) as (operator, _):
        with pytest.raises(OrderRefused, match="no order about region/west"):
            await operator.give(WEST, DRAIN.model_copy(update={"act": "stop"}), name="region/west")


async def test_an_engine_serves_when_a_gateway_knows_it_and_holds_nothing_against_it() -> None:
    engines = {"engines": [{"address": "h:1", "is_draining": False}, {"address": "h:2", "is_draining": True}]}
    async with operator_at({"GET /v1/engines": [(200, engines)]}) as (operator, _):
        assert await operator.is_serving("west", "h:1")
        assert not await operator.is_serving("west", "h:2")
        assert not await operator.is_serving("west", "h:3")
        assert not await operator.is_serving("mars", "h:1")
