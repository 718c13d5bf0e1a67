"""Orders over HTTP: who may, what is answered, and that every act is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from policies.orders import OrderState, Scope, Target
from regions.orders.reports import GatewayReport, SessionGroupFacts
from tests.gateway.operations.operations_world import OperationsWorld

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.unit

Client = TestClient[web.Request, web.Application]
DRAIN_EAST = {"scope": "region", "region": "east", "kind": "drain", "reason": "new kernel"}


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[OperationsWorld]:
    async with ClientSession() as http:
        yield OperationsWorld(tmp_path, http)


@pytest.fixture
async def client(there: OperationsWorld) -> AsyncIterator[Client]:
    async with TestClient(TestServer(there.app)) as client:
        yield client


async def said(client: Client, path: str) -> Any:
    return await (await client.get(path)).json()


async def act(client: Client, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    answer = await client.post(path, json=body, headers=headers)
    return answer.status, await answer.json()


async def audited(client: Client) -> list[tuple[str, str, str]]:
    """(who, act, outcome), newest first."""
    return [(each["who"], each["act"], each["outcome"]) for each in (await said(client, "/v1/audit"))["events"]]


async def test_an_order_is_given_listed_stopped_resumed_and_withdrawn(there: OperationsWorld, client: Client) -> None:
    ada = there.as_("ada")
    status, answer = await act(client, "/v1/orders", DRAIN_EAST | {"pace_per_s": 5}, ada)
    order = answer["order"]
    assert (status, answer["outcome"], order["state"], order["given_by"]) == (201, "in_force", "in_force", "ada")
    listed = await said(client, "/v1/orders")
    assert (listed["here"], listed["store"], [each["id"] for each in listed["orders"]]) == (
        "north",
        "none",
        [order["id"]],
    )
    assert (await said(client, f"/v1/orders/{order['id']}"))["target"] == {
        "scope": "region",
        "region": "east",
        "name": "",
    }
    for verb, outcome, state in (("stop", "stopped", "stopped"), ("resume", "resumed", "in_force")):
        status, answer = await act(client, f"/v1/orders/{order['id']}/{verb}", {"reason": "lunch"}, ada)
        assert (status, answer["outcome"], answer["order"]["state"]) == (200, outcome, state)
    status, answer = await act(client, f"/v1/orders/{order['id']}/withdraw", {}, ada)
    assert (status, answer["outcome"], there.book.orders.orders) == (200, "withdrawn", ())
    assert await audited(client) == [
        ("ada", "withdraw", "withdrawn"),
        ("ada", "resume", "resumed"),
        ("ada", "stop", "stopped"),
        ("ada", "give", "in_force"),
    ]


async def test_the_same_order_again_changes_nothing_and_says_so(there: OperationsWorld, client: Client) -> None:
    _, first = await act(client, "/v1/orders", DRAIN_EAST, there.as_("ada"))
    revision = there.book.orders.revision
    status, again = await act(client, "/v1/orders", DRAIN_EAST | {"reason": "me too"}, there.as_("bob"))
    assert (status, again["outcome"], again["order"]["id"]) == (200, "already", first["order"]["id"])
    assert there.book.orders.revision == revision


async def test_another_wish_for_the_same_target_replaces_the_first_under_a_new_id(
    there: OperationsWorld, client: Client
) -> None:
    _, first = await act(client, "/v1/orders", DRAIN_EAST, there.as_("ada"))
    _, second = await act(client, "/v1/orders", DRAIN_EAST | {"kind": "disable"}, there.as_("ada"))
    assert second["order"]["id"] != first["order"]["id"]
    assert [order.id for order in there.book.orders.orders] == [second["order"]["id"]]


async def test_the_last_region_of_a_jurisdiction_takes_two_people(there: OperationsWorld, client: Client) -> None:
    for region in ("east", "south"):
        await act(client, "/v1/orders", DRAIN_EAST | {"region": region}, there.as_("ada"))
    status, answer = await act(client, "/v1/orders", DRAIN_EAST | {"region": "north"}, there.as_("ada"))
    order = answer["order"]
    assert (status, answer["outcome"], answer["needs_second_person_for"]) == (202, "pending", ["eu"])
    assert order["expires_at_unix_ms"] == order["given_at_unix_ms"] + 900_000
    path = f"/v1/orders/{order['id']}"
    status, answer = await act(client, f"{path}/confirm", {}, there.as_("ada"))
    assert (status, answer["error"]["reason"]) == (409, "same_person")
    status, answer = await act(client, f"{path}/stop", {}, there.as_("bob"))
    assert (status, answer["error"]["reason"]) == (409, "needs_second_person")
    status, answer = await act(client, f"{path}/confirm", {}, there.as_("bob"))
    assert (status, answer["outcome"], answer["order"]["confirmed_by"]) == (200, "confirmed", "bob")
    known = there.book.orders.of(Target(Scope.region, "north"))
    assert known is not None
    assert known.state is OrderState.in_force
    assert (await audited(client))[:3] == [
        ("bob", "confirm", "confirmed"),
        ("bob", "stop", "needs_second_person"),
        ("ada", "confirm", "same_person"),
    ]


async def test_who_may_not_act_is_told_why_and_written_down(there: OperationsWorld, client: Client) -> None:
    cases: list[tuple[dict[str, str] | None, int, str]] = [
        (None, 401, "token_missing"),
        ({"Authorization": "Bearer no"}, 401, "token_malformed"),
        (there.as_("eve", scopes=("speech:stream",)), 403, "scope_missing"),
        (there.as_(""), 403, "subject_missing"),
    ]
    for headers, status, reason in cases:
        got, answer = await act(client, "/v1/orders", DRAIN_EAST, headers)
        assert (got, answer["error"]["reason"]) == (status, reason)
    assert there.book.orders.orders == ()
    assert await audited(client) == [
        ("", "give", "subject_missing"),
        ("eve", "give", "scope_missing"),
        ("", "give", "token_malformed"),
        ("", "give", "token_missing"),
    ]


async def test_reads_and_dry_runs_need_no_token(there: OperationsWorld, client: Client) -> None:
    group = SessionGroupFacts(
        permitted=("east", "north"), tier="standard", model="", model_version="", language="", region="north", count=4
    )
    there.book.report_of = lambda question: GatewayReport(answers=question, groups=(group,))
    status, answer = await act(client, "/v1/orders", DRAIN_EAST | {"region": "north", "dry_run": True})
    plan = answer["plan"]
    assert (status, answer["outcome"], answer["order"]) == (200, "dry_run", None)
    assert [(row["count"], row["to"]) for row in plan["rows"]] == [(4, "east")]
    assert (plan["sessions"], plan["suffices"], plan["needs_second_person_for"]) == (4, True, [])
    assert there.book.orders.orders == ()
    assert (await said(client, "/v1/engines"))["engines"][0]["address"] == "north:1"
    assert (await said(client, "/v1/pools"))["pools"][0]["name"] == "l4"


async def test_every_mistake_of_a_body_is_told_at_once(there: OperationsWorld, client: Client) -> None:
    body = {"scope": "planet", "kind": "drain", "reason": "x", "pace_per_s": -1, "colour": "red"}
    status, answer = await act(client, "/v1/orders", body, there.as_("ada"))
    assert (status, answer["error"]["reason"]) == (400, "bad_request")
    assert [mistake.split(":")[0] for mistake in answer["error"]["mistakes"]] == ["scope", "pace_per_s", "colour"]


async def test_what_is_not_there_is_answered_with_what_is(there: OperationsWorld, client: Client) -> None:
    status, answer = await act(client, "/v1/orders", DRAIN_EAST | {"region": "mars"}, there.as_("ada"))
    assert (status, answer["error"]["reason"]) == (404, "unknown_target")
    assert "north, east, south" in answer["error"]["detail"]
    status, answer = await act(client, "/v1/orders/000000000000/stop", {}, there.as_("ada"))
    assert (status, answer["error"]["reason"]) == (404, "unknown_order")


async def test_a_body_without_end_is_refused(there: OperationsWorld, client: Client) -> None:
    answer = await client.post("/v1/orders", data=b" " * 20_000, headers=there.as_("ada"))
    assert (answer.status, (await answer.json())["error"]["reason"]) == (413, "body_too_large")


@pytest.mark.parametrize("limit", ["0", "x", "1001", "-1", "9" * 40, "0" * 8 + "1" * 5000])
async def test_so_many_audit_events_cannot_be_asked_for(client: Client, limit: str) -> None:
    assert (await client.get("/v1/audit", params={"limit": limit})).status == 400
