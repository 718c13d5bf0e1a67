"""What other regions ask this one for: server of region.proto, mounted on the relay, which knows its callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from gateway.resumption.interface import StoreAway
from gateway.resumption.peers import SERVICE
from gateway.resumption.point_codec import decode_point, encode_point, without_situation
from regions.proto import region_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.resumption.points import StoredCommitPoints

Context = Any  # grpc.aio.ServicerContext has no type information


class RegionService:
    """`close_left`: see gateway.limits.interface.SessionLimits; of a session that goes on elsewhere."""

    def __init__(self, points: StoredCommitPoints, close_left: Callable[[str, str], Awaitable[None]]) -> None:
        self._points = points
        self._close_left = close_left
        self.handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "StoreCommits": _handler(self._store, pb.StoreCommitsRequest, pb.StoreCommitsReply),
                "ClaimSession": _handler(self._claim, pb.ClaimSessionRequest, pb.CommitPoint),
            },
        )

    async def _store(self, request: pb.StoreCommitsRequest, context: Context) -> pb.StoreCommitsReply:
        try:
            answer = await self._points.keep_copies(
                list(map(decode_point, request.points)), list(map(decode_point, request.finished))
            )
        except StoreAway:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the store is away")
            raise AssertionError("abort always raises") from None
        return pb.StoreCommitsReply(superseded=answer.superseded, not_permitted=answer.not_permitted)

    async def _claim(self, request: pb.ClaimSessionRequest, context: Context) -> pb.CommitPoint:
        point = await self._points.claim_for_peer(request.session_id, request.org)
        if point is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such session")
            raise AssertionError("abort always raises")
        await self._close_left(point.org, point.tab_id)
        return encode_point(without_situation(point))


def _handler(method: Any, request: Any, answer: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        method, request_deserializer=request.FromString, response_serializer=answer.SerializeToString
    )
