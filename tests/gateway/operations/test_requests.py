"""Promises of how operators' requests are read."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.operations.bodies import MAX_BODY_BYTES
from gateway.operations.requests import body_of, told

pytestmark = pytest.mark.unit


async def test_a_body_is_bounded_and_refusals_are_json() -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=await body_of(request))

    app = web.Application()
    app.router.add_post("/", told(handle))
    async with TestClient(TestServer(app)) as client:
        assert await (await client.post("/", data=b"x" * MAX_BODY_BYTES)).read() == b"x" * MAX_BODY_BYTES
        large = await client.post("/", data=b"x" * (MAX_BODY_BYTES + 1))
        assert (large.status, (await large.json())["error"]["reason"]) == (413, "body_too_large")
