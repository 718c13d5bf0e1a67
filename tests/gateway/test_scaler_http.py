"""A region's capacity and what autoscalers should keep, as programs read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.scaler_http import ScalerHttp
from tests.regions.capacity.reports import SPOT, engine
from tests.regions.capacity.test_watch import Watched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.unit

REPORTS = (
    engine("base", slots=10, used=4),
    engine("spot", SPOT, "a", slots=8, used=2),
    engine("spot", SPOT, "b", slots=8),
)


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
async def client(watched: Watched) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    ScalerHttp("eu-west", watched.watch, lambda: {"premium": 20, "standard": 20, "economy": 18}).add_to(app)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_all_of_it_is_as_it_is_documented(
    client: TestClient[web.Request, web.Application], watched: Watched
) -> None:
    watched.look(0, *REPORTS)
    answer = await (await client.get("/v1/capacity")).json()
    (fleet,) = answer.pop("fleets")
    assert answer == {
        "region": "eu-west",
        "watched_ms": 0,
        "is_settled": True,
        "headroom_permille": 0,
        "tier_headroom_permille": {"standard": 0, "economy": 0},
        "reserved_floor_slots": 0,
        "free_slots_of_tier": {"premium": 20, "standard": 20, "economy": 18},
    }
    assert (fleet["models"], fleet["zone_loss"]["holds"], fleet["zone_loss"]["left_slots"]) == (["en"], True, 18)


async def test_a_drain_of_one_pool_can_be_asked_for(
    client: TestClient[web.Request, web.Application], watched: Watched
) -> None:
    watched.look(0, *REPORTS)
    answer = await (await client.get("/v1/capacity", params={"without": "base"})).json()
    assert answer["fleets"][0]["zone_loss_without"]["left_slots"] == 8


UNKNOWN_POOL = {"reason": "unknown_pool", "detail": "no pool of this region has that name; there are: base, spot"}


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/v1/capacity?without=other", 404, UNKNOWN_POOL),
        ("/v1/scaler/other", 404, UNKNOWN_POOL),
        (
            "/v1/capacity?pool=base",
            400,
            {"reason": "bad_request", "detail": "unknown: pool; what may be asked: without"},
        ),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused(
    client: TestClient[web.Request, web.Application], watched: Watched, path: str, status: int, error: dict[str, str]
) -> None:
    watched.look(0, *REPORTS)
    response = await client.get(path)
    assert (response.status, await response.json()) == (status, {"error": error})


async def test_numbers_are_where_an_autoscaler_looks_for_them(
    client: TestClient[web.Request, web.Application], watched: Watched
) -> None:
    """KEDA's `valueLocation` is a path of keys: `wanted_slots`, `zones.a.wanted_slots`, `pools.base.wanted_slots`."""
    watched.look(0, *REPORTS)
    of_pool = await (await client.get("/v1/scaler/spot")).json()
    of_all = await (await client.get("/v1/scaler")).json()
    numbers = (of_pool["wanted_slots"], of_pool["zones"]["a"]["wanted_slots"], of_all["pools"]["base"]["wanted_slots"])
    assert numbers == (16, 8, 10)
    assert all(type(number) is int for number in numbers), "a JSON number without quotes"


@pytest.mark.parametrize("path", ["/v1/scaler", "/v1/scaler/base"])
async def test_no_number_is_given_before_any_engine_spoke(
    client: TestClient[web.Request, web.Application], path: str
) -> None:
    """An autoscaler that reads 0 lets all engines go."""
    response = await client.get(path)
    assert (response.status, (await response.json())["error"]["reason"]) == (503, "too_early")


async def test_no_number_is_given_while_all_engines_that_are_listed_are_silent(
    client: TestClient[web.Request, web.Application], watched: Watched
) -> None:
    watched.look(0, *REPORTS)
    watched.silent = 3
    watched.look(3_600_000)
    response = await client.get("/v1/scaler/base")
    error = {"reason": "engines_silent", "detail": "3 engines are listed, and none of them answers"}
    assert (response.status, await response.json()) == (503, {"error": error})
