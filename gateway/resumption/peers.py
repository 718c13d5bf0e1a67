"""Other regions, as this one tells them where its sessions stand and asks them for theirs: client of region.proto.

A region that cannot be reached holds nobody up: what it lacks is sent when it is back, the newest of each session.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from engines.server.alarms import Alarms
from gateway.metering.exporter.backoff import backoff_ms
from gateway.resumption.point_codec import decode_point, encode_point, without_situation
from gateway.resumption.waiting import WaitingPoints
from regions.proto import region_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.resumption.interface import CommitPoint
    from gateway.resumption.metrics import ResumptionMetrics
    from regions.links.peer_channels import PeerChannel

log = structlog.get_logger("gateway")

SERVICE = pb.DESCRIPTOR.services_by_name["Region"].full_name
_CAPACITY = 100_000
_TICK_S = 0.25
_STORE_TIMEOUT_S = 2.0
_POINTS_A_CALL = 2_000


class PeerRegions:
    """`channels`: the other regions as they are by now, nearest first. `copies`: how many get one of each session."""

    def __init__(
        self,
        channels: Callable[[], Sequence[PeerChannel]],
        metrics: ResumptionMetrics,
        *,
        region: str,
        copies: int,
        claim_timeout_ms: int,
    ) -> None:
        self._channels = channels
        self._metrics = metrics
        self._region = region
        self._copies = copies
        self._claim_timeout_s = claim_timeout_ms / 1_000
        self._peers: dict[str, _Peer] = {}
        self._alarms = Alarms(time.monotonic)
        self.on_superseded: Callable[[CommitPoint], None] = lambda _point: None
        """Another region has the session of this point by now."""

    def put(self, point: CommitPoint, permitted: frozenset[str]) -> frozenset[str]:
        """Send copies soon, to permitted regions alone; gives which."""
        chosen = self._chosen(permitted)
        for name in chosen:
            self._peer(name).waiting.put(point)
        return frozenset(chosen)

    def put_finished(self, point: CommitPoint, permitted: frozenset[str]) -> None:
        for name in self._chosen(permitted):
            self._peer(name).waiting.put_finished(point)

    def forget(self, session_id: str, *, but_in: frozenset[str]) -> None:
        """Nothing of it goes to other regions than these any more."""
        for name, peer in self._peers.items():
            if name not in but_in:
                peer.waiting.forget(session_id)

    def end_copies(self, point: CommitPoint, regions: frozenset[str]) -> None:
        """What these regions have of the session should not stay there."""
        for name in regions:
            self._peer(name).waiting.put_finished(point)

    def _chosen(self, permitted: frozenset[str]) -> list[str]:
        if not self._copies:
            return []
        names = [each.region for each in self._channels() if each.region in permitted and each.region != self._region]
        names.sort(key=lambda name: not self._peer(name).is_reached)  # otherwise as near as they were
        return names[: self._copies]

    def _peer(self, name: str) -> _Peer:
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = _Peer(name)
        return peer

    async def claim(self, region: str, session_id: str, org: str) -> CommitPoint | None:
        """Ask the region that had a session. None: it does not know it, or does not answer in time."""
        channel = self._channel_of(region)
        if channel is None:
            return None
        call = _unary(channel, "ClaimSession", pb.CommitPoint)
        try:
            answer = await call(
                pb.ClaimSessionRequest(session_id=session_id, org=org),
                timeout=self._claim_timeout_s,
                wait_for_ready=True,
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                self._metrics.copy_failures.labels(region).inc()
            return None
        point = decode_point(answer)
        return point if (point.session_id, point.org) == (session_id, org) else None

    def _channel_of(self, region: str) -> grpc.aio.Channel | None:
        return next((each.channel for each in self._channels() if each.region == region), None)

    async def run(self) -> None:
        """For ever."""
        running: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                for name, peer in self._peers.items():
                    if name not in running:
                        running[name] = tasks.create_task(self._send_for_ever(peer))
                await asyncio.sleep(_TICK_S)

    async def _send_for_ever(self, peer: _Peer) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(_TICK_S)
            if not peer.waiting:
                continue
            if await self._send(peer):
                attempt = 0
                continue
            attempt += 1
            pause_ms = backoff_ms(attempt, first_ms=200, max_ms=5_000, dice=random.random())
            await asyncio.sleep(pause_ms / 1_000)

    async def _send(self, peer: _Peer) -> bool:
        channel = self._channel_of(peer.name)
        if channel is None:
            return False
        points, finished = peer.waiting.take()
        call = _unary(channel, "StoreCommits", pb.StoreCommitsReply)
        try:
            for first in range(0, max(len(points), 1), _POINTS_A_CALL):
                some = points[first : first + _POINTS_A_CALL]
                request = pb.StoreCommitsRequest(
                    region=self._region,
                    points=map(encode_point, some),
                    finished=map(encode_point, map(without_situation, finished if first == 0 else ())),
                )
                reply = await call(request, timeout=_STORE_TIMEOUT_S)
                self._metrics.copies.labels(peer.name).inc(len(some) - len(reply.not_permitted))
                self._not_permitted(peer, len(reply.not_permitted))
                superseded = frozenset(reply.superseded)
                for point in some:
                    if point.session_id in superseded:
                        self.on_superseded(point)
        except grpc.aio.AioRpcError as error:
            peer.waiting.put_back(points, finished)
            self._metrics.copy_failures.labels(peer.name).inc()
            if peer.is_reached:
                peer.is_reached = False
                log.warning("commit_points.peer_away", peer=peer.name, status=error.code().name)
            return False
        if not peer.is_reached:
            peer.is_reached = True
            log.info("commit_points.peer_back", peer=peer.name)
        return True

    def _not_permitted(self, peer: _Peer, sessions: int) -> None:
        """The other region's policy forbids what this one's permits: one of them is wrong, or not the newest."""
        if sessions:
            self._metrics.copies_not_permitted.labels(peer.name).inc(sessions)
            if times := self._alarms.raised(peer.name):
                log.error("commit_points.not_permitted", peer=peer.name, sessions=sessions, times=times)


class _Peer:
    """What one region lacks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting = WaitingPoints(_CAPACITY)
        self.is_reached = True


def _unary(channel: grpc.aio.Channel, method: str, answer: Any) -> Any:
    return channel.unary_unary(
        f"/{SERVICE}/{method}", request_serializer=_serialized, response_deserializer=answer.FromString
    )


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
