"""What an edge process passes on of a client's request, and what of the gateway's answer."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from gateway.transports.hop_listener import PEER_HEADER
from gateway.webtransport.hop import HopLost, HopRefused
from tests.harness.fake_webtransport_session import connect_request
from tests.harness.hop_end import hop_and_its_end

pytestmark = pytest.mark.integration


async def test_the_gateway_sees_the_clients_request_and_address() -> None:
    request = connect_request(
        "/v1/stream?token=a.b%2Cc&x=%20y",
        headers=(
            ("authorization", "Bearer t"),
            ("patchbay-resume", "r"),
            ("origin", "https://app.example"),
            ("user-agent", "Browser/1"),
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "198.51.100.2"),
            ("cf-ipcountry", "FR"),
        ),
        protocols=("patchbay.v1", "bearer.token", "not a token", ""),
    )
    async with hop_and_its_end() as (hop, end):
        async with await hop.connect(request) as socket:
            assert socket.protocol == "patchbay.v1"
        (seen,) = end.requests
    assert seen.raw_path == "/v1/stream?token=a.b%2Cc&x=%20y"
    assert seen.headers.getall("X-Forwarded-For") == ["198.51.100.1", "198.51.100.2"]
    assert {name: seen.headers[name] for name in ("Authorization", "Patchbay-Resume", "Origin", "User-Agent")} == {
        "Authorization": "Bearer t",
        "Patchbay-Resume": "r",
        "Origin": "https://app.example",
        "User-Agent": "Browser/1",
    }
    assert (seen.headers["cf-ipcountry"], seen.headers["Host"]) == ("FR", "speech.example")
    assert seen.headers["Sec-WebSocket-Protocol"] == "patchbay.v1,bearer.token"
    assert seen.headers.getall(PEER_HEADER) == ["192.0.2.7"]
    assert "Accept" not in seen.headers, "nothing is added that the client did not say"


async def test_what_is_of_one_connection_or_ours_alone_is_not_passed_on() -> None:
    headers = (
        ("patchbay-peer-address", "203.0.113.9"),
        ("Patchbay-Peer-Address", "203.0.113.9"),
        ("connection", "close"),
        ("upgrade", "h2c"),
        ("sec-websocket-key", "AAAA"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("host", "elsewhere.example"),
    )
    async with hop_and_its_end() as (hop, end):
        async with await hop.connect(connect_request(headers=headers)) as socket:
            assert not socket.closed
        (seen,) = end.requests
    assert seen.headers.getall(PEER_HEADER) == ["192.0.2.7"]
    assert seen.headers.getall("Host") == ["speech.example"]
    assert "Sec-WebSocket-Extensions" not in seen.headers
    assert "Transfer-Encoding" not in seen.headers


@pytest.mark.parametrize(
    "headers", [(("x", "a\r\nPatchbay-Peer-Address: 203.0.113.9"),), (("x\r\ny", "a"),), (("x", "\0"),)]
)
async def test_a_header_cannot_become_two(headers: tuple[tuple[str, str], ...]) -> None:
    async with hop_and_its_end() as (hop, end):
        with pytest.raises(HopRefused):
            await hop.connect(connect_request(headers=headers))
        assert (await hop.page(connect_request("/v1/regions", method="GET", headers=headers))).status == 400
        assert all(request.headers.getall(PEER_HEADER) == ["192.0.2.7"] for request in end.requests)


async def test_another_answer_than_an_upgrade_is_a_refusal() -> None:
    async with hop_and_its_end() as (hop, end):
        end.status = 400
        with pytest.raises(HopRefused) as refused:
            await hop.connect(connect_request())
        assert refused.value.status == 400
        with pytest.raises(HopRefused):
            await hop.connect(connect_request(f"/v1/stream?token={'a' * 20_000}"))


async def test_a_gateway_that_is_not_there_is_lost() -> None:
    async with hop_and_its_end() as (hop, end):
        await end.listening.aclose()
        with pytest.raises(HopLost):
            await hop.connect(connect_request())
        assert (await hop.page(connect_request("/v1/regions", method="GET"))).status == 503


def pages() -> web.Application:
    async def page(request: web.Request) -> web.Response:
        if request.path == "/large":
            return web.Response(body=bytes(2 * 1_048_576 + 1))
        if request.path == "/largest":
            return web.Response(body=bytes(2 * 1_048_576))
        if request.path == "/moved":
            raise web.HTTPSeeOther("/elsewhere")
        response = web.Response(text=f"{request.method} {request.raw_path}", headers={"ETag": '"x"'})
        if request.query.get("gzip"):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:(?!v1/stream).*}", page)
    return app


async def test_pages_come_as_they_are() -> None:
    async with hop_and_its_end(pages()) as (hop, _):
        answer = await hop.page(connect_request("/a?b=%20c", method="GET"))
        assert (answer.status, answer.body) == (200, b"GET /a?b=%20c")
        headers = dict(answer.headers)
        assert (headers["etag"], headers["content-type"]) == ('"x"', "text/plain; charset=utf-8")
        assert not {"connection", "transfer-encoding", "content-length"} & set(headers)
        head = await hop.page(connect_request("/a", method="HEAD"))
        assert (head.status, head.body) == (200, b"")
        moved = await hop.page(connect_request("/moved", method="GET"))
        assert (moved.status, dict(moved.headers)["location"]) == (303, "/elsewhere")
        packed = await hop.page(connect_request("/a?gzip=1", method="GET"))
        assert dict(packed.headers)["content-encoding"] == "gzip"
        assert packed.body.startswith(b"\x1f\x8b")


async def test_a_page_is_bounded() -> None:
    async with hop_and_its_end(pages()) as (hop, _):
        asked = [hop.page(connect_request(path, method="GET")) for path in ("/large", "/largest")]
        large, largest = await asyncio.gather(*asked)
        assert (large.status, large.body) == (502, b"")
        assert (largest.status, len(largest.body)) == (200, 2 * 1_048_576)
