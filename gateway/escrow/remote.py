"""The roots of orgs: those whose home is here are asked at once, the others through a gRPC channel to their region."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc.aio

from gateway.escrow import proto_codec
from gateway.escrow.lending import RootRefusal, RootRefused
from gateway.escrow.root import MAX_MESSAGE_BYTES, METHOD, SECRET_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.escrow.lending import LevelAsk
    from gateway.escrow.root import RootDesk
    from gateway.escrow.settings import EscrowSettings
    from policies.escrow import Loan

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    # A connection that a firewall forgot is found out within seconds.
    ("grpc.keepalive_time_ms", 3_000),
    ("grpc.keepalive_timeout_ms", 2_000),
)


class RootsEverywhere:
    """Implements gateway.escrow.lending.Roots. Made within a running loop; `aclose` at the end.

    Args:
        desk: of this region; None: no org has its home here.
    """

    def __init__(self, settings: EscrowSettings, desk: RootDesk | None, *, region: str) -> None:
        self._settings = settings
        self._desk = desk
        self._region = region
        self._metadata = ((SECRET_HEADER, settings.secret.get_secret_value()),)
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def lend(self, org: str, asks: Sequence[LevelAsk]) -> Sequence[Loan]:
        home = self._settings.home_of(org)
        timeout_s = self._settings.call_timeout_ms / 1_000
        try:
            async with asyncio.timeout(timeout_s):
                if home == self._region and self._desk is not None:
                    return await self._desk.lend(self._region, org, asks)
                call = self._channel(home).unary_unary(METHOD)
                payload = proto_codec.encode_request(self._region, org, asks)
                answer = await call(payload, timeout=timeout_s, metadata=self._metadata)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, TimeoutError):
            raise RootRefused(RootRefusal.away) from None
        return proto_codec.decode_reply(answer, num_asks=len(asks))

    async def aclose(self) -> None:
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()

    def _channel(self, region: str) -> grpc.aio.Channel:
        channel = self._channels.get(region)
        if channel is None:
            channel = grpc.aio.insecure_channel(self._settings.addresses[region], options=_OPTIONS)
            self._channels[region] = channel
        return channel
