"""A region whose Redis is away says so to its peers, which send again later."""

from __future__ import annotations

import grpc
import pytest

from gateway.resumption.peers import SERVICE
from regions.proto import region_pb2 as pb
from tests.gateway.resumption.test_peers import serving
from tests.harness.commit_points import keeping
from tests.harness.ports import free_port
from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


async def test_what_cannot_be_kept_is_not_taken(redis_server: RedisServer) -> None:
    port = free_port()
    redis_server.kill()
    async with (
        keeping(redis_server.url) as gateway,
        serving(port, gateway, []),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        store = channel.unary_unary(
            f"/{SERVICE}/StoreCommits",
            request_serializer=pb.StoreCommitsRequest.SerializeToString,
            response_deserializer=pb.StoreCommitsReply.FromString,
        )
        request = pb.StoreCommitsRequest(region="there", points=[pb.CommitPoint(session_id="s", org="acme")])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await store(request, timeout=5)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
