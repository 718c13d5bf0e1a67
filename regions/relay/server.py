"""Serves this region's engines to gateways of other regions, over mutual TLS: one link protocol everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import msgspec
import structlog

from engines.interface import LossReason
from engines.server.link import STATUS_OF_END, Link, LinkEnd, LinkSettings
from policies.routing_facts import RegionState
from regions.relay.host import RelayedStream, RelayFloor, RelayHost
from regions.relay.identity import PeerCheck, expires_in_s, may_be_called
from regions.relay.peers_only import PeersOnly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.proto import engine_pb2
    from regions.links.certificates import Certificates
    from regions.links.interface import EnginePool
    from regions.links.region_status import RegionStatus
    from regions.relay.guard import RelayGuard
    from regions.relay.metrics import RelayMetrics
    from regions.relay.settings import RelaySettings

SERVICE_NAME = "patchbay.engine.v1.Engine"
_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.max_concurrent_streams", 256),
)

# gRPC's core has a bare pointer to them; a handshake may be under way when the server is gone already.
_held: list[grpc.ServerCredentials] = []

log = structlog.get_logger("relay")


class RelayServer:
    """A relay for peers. Used on one event loop; `start`, then `run` in a task.

    Args:
        pool: this region's own engines, and none of another region.
        certificates: whose `run` their owner runs.
        status: what this region says of itself; asked for each report.
        is_peer: whether a region's name is that of a peer.
        handlers: more services on the same port, whose methods are unary. They are called by peers alone.
    """

    def __init__(
        self,
        settings: RelaySettings,
        *,
        pool: EnginePool,
        certificates: Certificates,
        status: Callable[[], RegionStatus],
        is_peer: Callable[[str], bool],
        metrics: RelayMetrics,
        handlers: Sequence[grpc.GenericRpcHandler] = (),
    ) -> None:
        self._settings = settings
        self._status = status
        self._metrics = metrics
        self._certificates = certificates
        self.peers = PeerCheck(is_peer)
        self._handlers = [PeersOnly(handler, self.peers, lambda: self._reject("unknown_peer")) for handler in handlers]
        self._floor = RelayFloor(status().region, pool, settings, metrics, is_peer)
        self._link_settings = LinkSettings(
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            silent_intervals=settings.silent_intervals,
            max_queued_events=settings.max_queued_events,
        )
        self._links: dict[Link[RelayedStream], _Peer] = {}
        self._is_leaving = False
        self._has_other_policy = asyncio.Event()
        self._server = grpc.aio.server(options=_SERVER_OPTIONS)

    @property
    def open_streams(self) -> int:
        return sum(self._floor.streams_of_peer.values())

    @property
    def num_links_in_use(self) -> int:
        """Gateways of peers that have streams here."""
        return sum(link.num_streams > 0 for link in self._links)

    def guarded_by(self, guard: RelayGuard) -> None:
        """Ask it about each stream that a peer opens from here on; without one whatever a peer opens is passed on."""
        self._floor.guard = guard

    @property
    def is_guarded(self) -> bool:
        return self._floor.guard is not None

    async def start(self) -> int:
        """Listen; the port.

        Raises:
            OSError: the address cannot be listened on.
        """
        link = grpc.stream_stream_rpc_method_handler(self._link)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE_NAME, {"Link": link}), *self._handlers)
        )
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            port: int = self._server.add_secure_port(address, _credentials(self._certificates))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}") from error
        await self._server.start()
        log.info("relay.started", port=port)
        return port

    async def run(self) -> None:
        """Report to peers until cancelled, end the links of those that are none any more or whose certificates expired,
        and keep what passes to this region's own policy.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._report())
            tasks.create_task(self._follow_policy())

    async def _report(self) -> None:
        while True:
            self._follow_state()
            await asyncio.sleep(self._settings.heartbeat_interval_ms / 1_000)
            self._follow_peers()

    def policy_changed(self) -> None:
        """This region's own policy permits something else from here on. `run` asks about what passes here in turns."""
        self._has_other_policy.set()

    async def _follow_policy(self) -> None:
        while True:
            await self._has_other_policy.wait()
            self._has_other_policy.clear()
            for peer in list(self._links.values()):
                for _ in peer.host.look_at_policy():
                    await asyncio.sleep(0)

    def begin_drain(self) -> None:
        """Take no more streams; peers hear at once that theirs should move."""
        self._is_leaving = True
        self._follow_state()

    async def drain(self, *, deadline_ms: int) -> None:
        """Wait until the peers' streams are gone; hand back what is left at the deadline."""
        self.begin_drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_ms / 1_000):
                await self._floor.until_empty()
        self._hand_back()

    async def stop(self, *, flush_ms: int = 1_000) -> None:
        """Hand all streams back, let the links send what waits, for at most `flush_ms`, then close everything."""
        self.begin_drain()
        self._hand_back()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(flush_ms / 1_000):
                for link in list(self._links):
                    await link.flush()
        for link in self._links:
            link.end(LinkEnd.engine_leaving)
        await self._server.stop(grace=0.2)

    def _follow_state(self) -> None:
        """Streams are taken while the region is active and this process stays."""
        is_draining = self._is_leaving or self._status().state is not RegionState.active
        if self._floor.is_draining == is_draining:
            return
        self._floor.is_draining = is_draining
        self._floor.changes += 1
        if is_draining:
            log.info("relay.draining", streams=self.open_streams)
        else:
            log.info("relay.admitting", streams=self.open_streams)
        for link in self._links:
            link.beat()

    def _follow_peers(self) -> None:
        now_s = asyncio.get_running_loop().time()
        grace_s = self._settings.expired_grace_ms / 1_000
        for link, peer in self._links.items():
            if self._floor.is_peer(peer.region):
                peer.leaves_at_s = math.inf
            elif peer.leaves_at_s == math.inf:
                peer.leaves_at_s = now_s + grace_s
            if now_s >= peer.expires_at_s:
                link.end(LinkEnd.certificate_expired)
            elif now_s >= peer.leaves_at_s:
                link.end(LinkEnd.not_trusted)
            else:
                link.beat()

    def _hand_back(self) -> None:
        for peer in list(self._links.values()):
            peer.host.lose_all(LossReason.drained)

    async def _link(self, request_iterator: object, context: Any) -> None:
        region = self.peers.region_of(context)
        if region is None:
            self._reject("unknown_peer")
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the certificate is of no peer region")
            return
        host = RelayHost(self._floor, region)
        link: Link[RelayedStream] = Link(
            host,
            self._link_settings,
            admits=lambda gateway: may_be_called(gateway, region=region),
            fill_report=self._fill_report,
        )
        lives_s = expires_in_s(context) + self._settings.expired_grace_ms / 1_000
        self._links[link] = _Peer(region, host, asyncio.get_running_loop().time() + lives_s)
        self._metrics.links.labels(region).inc()
        try:
            end = await link.run(context)
        finally:
            del self._links[link]
            self._metrics.links.labels(region).dec()
        if end in (LinkEnd.not_trusted, LinkEnd.no_hello):
            self._reject(end.value)
        if end in STATUS_OF_END:
            await context.abort(STATUS_OF_END[end], end.value)

    def _reject(self, reason: str) -> None:
        self._metrics.rejected.labels(reason).inc()
        log.warning("relay.link_rejected", reason=reason)

    def _fill_report(self, message: engine_pb2.FromEngine) -> None:
        status = self._status()
        if self._floor.is_draining and status.state is RegionState.active:
            status = msgspec.structs.replace(status, state=RegionState.draining)
        if self._is_leaving:
            # This process goes, whatever the pace of the region's drain is.
            status = msgspec.structs.replace(status, move_gap_ms=0, is_stopped=False)
        fill_region(message.region, status)


class _Peer:
    """One link of a peer. On the loop's clock, with the grace: `expires_at_s`, when its certificate does;
    `leaves_at_s`, when it was no peer any more.
    """

    __slots__ = ("expires_at_s", "host", "leaves_at_s", "region")

    def __init__(self, region: str, host: RelayHost, expires_at_s: float) -> None:
        self.region = region
        self.host = host
        self.expires_at_s = expires_at_s
        self.leaves_at_s = math.inf


def fill_region(message: engine_pb2.RegionStatus, status: RegionStatus) -> None:
    message.region = status.region
    message.state = status.state.value
    message.live_permille = status.live_permille
    message.spot_permille = status.spot_permille
    message.lag_ms = status.lag_ms
    message.move_gap_ms = status.move_gap_ms
    message.is_stopped = status.is_stopped
    for tier, slots in status.free_slots_of_tier.items():
        message.free_slots_of_tier[tier] = slots
    for capacity, slots in status.free_slots_of_class.items():
        message.free_slots_of_class[capacity] = slots


def _credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Handshakes use what is in force when they begin; links that stand are left alone."""
    in_force = _InForce(certificates)
    credentials = grpc.dynamic_ssl_server_credentials(in_force.configuration(), in_force, True)
    _held.append(credentials)
    return credentials


class _InForce:
    """Asked by gRPC before each handshake, on threads of its own."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._given = certificates.current

    def configuration(self) -> Any:
        pair = self._given
        return grpc.ssl_server_certificate_configuration(
            [(pair.key_pem, pair.certificate_pem)], root_certificates=pair.ca_pem
        )

    def __call__(self) -> Any:
        """None: as before. To give the same again would have gRPC build everything anew for each handshake."""
        if self._certificates.current is self._given:
            return None
        self._given = self._certificates.current
        return self.configuration()
