"""Services beside the links: nobody but a peer region is served, whoever signed his certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.harness.relay_world import HERE, relay_world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

ECHO = "/patchbay.test.Echo/Say"


def echo(heard: list[bytes]) -> grpc.GenericRpcHandler:
    async def say(request: bytes, _context: Any) -> bytes:
        heard.append(request)
        return request

    methods = {"Say": grpc.unary_unary_rpc_method_handler(say)}
    return grpc.method_handlers_generic_handler("patchbay.test.Echo", methods)


async def test_a_certificate_of_no_peer_region_is_served_nothing(tmp_path: Path) -> None:
    heard: list[bytes] = []
    async with relay_world(tmp_path) as world:
        await world.start(handlers=(echo(heard),))
        for region, is_served in ((HERE, True), ("us-east", False)):
            key, certificate = world.authority.made(region)
            channel = await world.bare_channel(
                root_certificates=world.authority.files(HERE).ca_file.read_bytes(),
                private_key=key,
                certificate_chain=certificate,
            )
            call = channel.unary_unary(ECHO)(region.encode(), timeout=5)
            if is_served:
                assert await call == region.encode()
                continue
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
            with pytest.raises(grpc.aio.AioRpcError) as unknown:
                await channel.unary_unary("/patchbay.test.Echo/Sing")(b"", timeout=5)
            assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert heard == [HERE.encode()]
        assert world.sample("patchbay_relay_rejected_links_total", reason="unknown_peer") == 1
