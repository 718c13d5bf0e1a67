"""Tells a running engine that its machine goes away, as an operator or a cloud's agent would."""

from __future__ import annotations

import contextlib

import grpc.aio

from engines.proto import engine_pb2

_PREEMPT = "/patchbay.engine.v1.Engine/Preempt"
_ASK_S = 2.0
_KIND = "interruption"


async def give_notice(address: str, *, lead_s: float) -> bool:
    """Whether the engine took it; one that does not answer is killed without having known."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(
            _PREEMPT,
            request_serializer=engine_pb2.PreemptRequest.SerializeToString,
            response_deserializer=engine_pb2.PreemptReply.FromString,
        )
        request = engine_pb2.PreemptRequest(lead_ms=round(1_000 * lead_s), kind=_KIND)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await call(request, timeout=_ASK_S)
            return True
    return False
