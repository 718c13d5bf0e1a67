"""A lasting link to one engine or relay: dials, dials again, and renews the connection when certificates change.

These must stay true:
  - `open` returns at once and calls nobody back; no event comes to a stream from a later connection than its own.
  - A renewed connection is made before the old one takes no more streams; the old one ends with its last stream.
"""

from __future__ import annotations

import asyncio
import errno
import math
import random
import socket
import time
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import msgspec
import structlog

from engines.interface import RefusalReason, Refused
from policies.routing_facts import RegionState
from regions.links.connection import Connection
from regions.links.link_break import LinkBreak
from regions.links.link_stream import LinkStream
from regions.links.outcomes import StreamCancelled, StreamLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import LoadReport, MoveReason, OpenStream, StreamEvent
    from regions.links.certificates import CertificatePair, LinkTls
    from regions.links.heartbeat import RttSample
    from regions.links.outcomes import StreamOutcome
    from regions.links.region_status import RegionStatus
    from regions.links.settings import LinkSettings

_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # Reconnecting is the link's own business: the library waits a second and more between attempts.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
    # Channels to one address share a connection, and its back-off, unless told not to.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)
FAILURE_REMEMBERED_S = 5.0
_RENEW_WITHIN_S = 2.0
"""Links of all gateways see new certificates at once; they dial spread over this time."""

log = structlog.get_logger("links")


class GrpcLink:
    """A link to `address`, `unix:/path` or `host:port`; `run` makes it, and makes it again.

    Args:
        gateway: what this gateway process calls itself; for a relay it begins with its region's name and a `/`.
        retry_after_ms: advice to sessions that are refused because the engine is not connected.
        tls: for a relay, which is another region's; None: plain.
        on_outcome, on_rtt: called from inside; must return at once.
    """

    def __init__(
        self,
        address: str,
        settings: LinkSettings,
        *,
        gateway: str,
        retry_after_ms: int = 500,
        tls: LinkTls | None = None,
        on_outcome: Callable[[StreamOutcome], None] | None = None,
        on_rtt: Callable[[RttSample], None] | None = None,
    ) -> None:
        self.address = address
        self._settings = settings
        self._gateway = gateway
        self._retry_after_ms = retry_after_ms
        self._tls = tls
        self._on_outcome = on_outcome
        self._on_rtt = on_rtt
        self.is_held: Callable[[LoadReport], bool] = lambda _load: False
        """Whether the engine that says such things is to take no streams, whatever it says; asked often."""
        self._held: tuple[LoadReport, LoadReport] | None = None
        """The last report of an engine that is held out, and the same one saying that it drains."""
        self._connection: Connection | None = None
        self._retiring: set[Connection] = set()
        self._untrusted_digest: str | None = None
        self._failed_at_s = -math.inf
        self.heard_at_s = -math.inf
        """When the last load report came, on the loop's clock."""
        self.rtt: RttSample | None = None
        """The last one measured."""
        self.last_break: LinkBreak | None = None
        """Why the last connection was lost, or not made."""

    @property
    def is_connected(self) -> bool:
        """Whether the engine answers: it sent a load report on this connection."""
        return self._connection is not None and self._connection.is_connected

    @property
    def load(self) -> LoadReport | None:
        """The last report of the connected engine. One that is held out drains as far as anybody here is concerned."""
        connection = self._connection
        if connection is None or not connection.is_connected:
            return None
        load = connection.load
        if load is None or not self.is_held(load):
            return load
        if self._held is None or self._held[0] is not load:
            self._held = (load, msgspec.structs.replace(load, is_draining=True))
        return self._held[1]

    @property
    def answers_since_s(self) -> float:
        """Since when what is connected answers, on the loop's clock; inf: it does not."""
        return math.inf if self._connection is None else self._connection.answers_since_s

    @property
    def region(self) -> RegionStatus | None:
        """What the connected relay said last of its region."""
        connection = self._connection
        return connection.region if connection is not None and connection.is_connected else None

    @property
    def is_draining(self) -> bool:
        """Whether what is connected takes no streams, because it, or its region, is going away."""
        load, region = self.load, self.region
        return (load is not None and load.is_draining) or (
            region is not None and region.state is not RegionState.active
        )

    @property
    def placed_since_report(self) -> int:
        """Streams that the last report does not count yet."""
        return 0 if self._connection is None else self._connection.placed_since_report

    @property
    def free_slots(self) -> int:
        """Of all models together, by the last report, less what was placed since."""
        load = self.load
        return 0 if load is None else load.slots_total - load.slots_used - self.placed_since_report

    @property
    def open_streams(self) -> int:
        current = () if self._connection is None else (self._connection,)
        return sum(len(connection.streams) for connection in (*current, *self._retiring))

    @property
    def has_failed_lately(self) -> bool:
        """Whether the engine gave up a stream of its own accord a moment ago, though its connection stands; or a
        session found it wanting.
        """
        return asyncio.get_running_loop().time() - self._failed_at_s < FAILURE_REMEMBERED_S

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> LinkStream:
        """Ask the engine for a slot; `Refused` with `unreachable` when it is not connected. See EnginePool.open."""
        if self._connection is not None and self._connection.is_connected:
            return self._connection.open(stream, on_event)
        refused = LinkStream(_Nowhere(self), 0, stream, on_event)
        refusal = Refused(stream.epoch, RefusalReason.unreachable, self._retry_after_ms)
        asyncio.get_running_loop().call_soon(refused.receive, refusal)
        return refused

    def move_away(self, reason: MoveReason, *, within_ms: int) -> None:
        """Every stream that this connection has, or gets, hears `MoveAway`, paced. A drain does that by itself."""
        if self._connection is not None:
            self._connection.move_away(reason, within_ms=within_ms)

    async def run(self) -> None:
        """Keep the link up until cancelled; then every stream is lost."""
        # Held for the life of the process: grpcio ends its poller with the last channel, and waits for it on the event
        # loop, for ever if the channel's last write is still under way (seen with an engine that was stopped).
        grpc.aio.init_grpc_aio()
        attempts = 0
        async with asyncio.TaskGroup() as tasks:
            while True:
                ended = await self._converse(tasks)
                self._note_end(ended)
                attempts = 1 if ended.load is not None else attempts + 1
                await self._wait_to_dial(attempts)

    # --- what connections tell ----------------------------------------------------------------------------

    def note_load(self, connection: Connection) -> None:
        if connection is self._connection:
            self.heard_at_s = asyncio.get_running_loop().time()

    def note_outcome(self, connection: Connection | None, outcome: StreamOutcome) -> None:
        is_alive = connection is not None and not connection.is_broken
        match outcome:
            case StreamLost() if is_alive:
                self._failed_at_s = asyncio.get_running_loop().time()
            case StreamCancelled(reason=reason) if is_alive and reason is not None:
                self._failed_at_s = asyncio.get_running_loop().time()
            case _:
                pass
        if self._on_outcome is not None:
            try:
                self._on_outcome(outcome)
            except Exception:
                log.exception("link.callback_failed", replica=self.address)

    def note_rtt(self, sample: RttSample) -> None:
        self.rtt = sample
        if self._on_rtt is not None:
            self._on_rtt(sample)

    # --- connections --------------------------------------------------------------------------------------

    async def _converse(self, tasks: asyncio.TaskGroup) -> Connection:
        """From dialling to the loss of the connection, or of the last of those that renewed it."""
        connection, running = self._dial(tasks)
        self._connection = connection
        while (renewed := await self._renewed(tasks, connection, running)) is not None:
            self._retire(connection, running)
            connection, running = renewed
            self._connection = connection
        return connection

    async def _renewed(
        self, tasks: asyncio.TaskGroup, connection: Connection, running: asyncio.Task[None]
    ) -> tuple[Connection, asyncio.Task[None]] | None:
        """A second connection, with the certificates that came meanwhile, once it stands; None when the first is over.

        A second one that is not made leaves the first as it is.
        """
        if self._tls is None or connection.pair is None:
            await asyncio.wait({running})
            return None
        while True:
            changed = tasks.create_task(self._tls.certificates.until_other_than(connection.pair.digest))
            await asyncio.wait({running, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            await asyncio.wait({running}, timeout=random.uniform(0, _RENEW_WITHIN_S))
            if running.done():
                return None
            successor, succeeding = self._dial(tasks)
            connected = tasks.create_task(successor.until_connected())
            await asyncio.wait({running, succeeding, connected}, return_when=asyncio.FIRST_COMPLETED)
            connected.cancel()
            if successor.is_connected:
                return successor, succeeding
            succeeding.cancel()
            self._note_end(successor)
            await asyncio.wait({running}, timeout=self._settings.reconnect_max_ms / 1_000)

    def _retire(self, connection: Connection, running: asyncio.Task[None]) -> None:
        self._retiring.add(connection)
        running.add_done_callback(lambda _: self._retiring.discard(connection))
        expires_in_s = 0.0 if connection.pair is None else connection.pair.expires_at_unix_s - time.time()
        connection.retire(move_in_s=max(0.0, expires_in_s - 2 * self._settings.move_within_ms / 1_000))

    def _dial(self, tasks: asyncio.TaskGroup) -> tuple[Connection, asyncio.Task[None]]:
        """With the certificates in force."""
        pair = None if self._tls is None else self._tls.certificates.current
        connection = Connection(self.address, self._settings, self, pair=pair)
        return connection, tasks.create_task(connection.run(self._channel(pair), gateway=self._gateway))

    def _channel(self, pair: CertificatePair | None) -> grpc.aio.Channel:
        if self._tls is None or pair is None:
            return grpc.aio.insecure_channel(self.address, options=_CHANNEL_OPTIONS)
        credentials = grpc.ssl_channel_credentials(pair.ca_pem, pair.key_pem, pair.certificate_pem)
        name = self._tls.server_name
        options = (*_CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", name), ("grpc.default_authority", name))
        return grpc.aio.secure_channel(self.address, credentials, options=options)

    def _note_end(self, connection: Connection) -> None:
        cause, pair = connection.cause, connection.pair
        if cause is LinkBreak.unreachable and pair is not None and pair.is_expired:
            cause = LinkBreak.untrusted  # the relay only hung up
        self.last_break = cause
        if self._tls is None or pair is None or cause is not LinkBreak.untrusted:
            return
        if self._tls.certificates.metrics is not None:
            self._tls.certificates.metrics.untrusted.labels(self._tls.server_name).inc()
        if self._untrusted_digest != pair.digest:
            self._untrusted_digest = pair.digest
            log.warning("link.untrusted", to_region=self._tls.server_name, is_expired=pair.is_expired)

    async def _wait_to_dial(self, attempts: int) -> None:
        settings = self._settings
        if self.address.startswith("unix:"):
            while True:
                await asyncio.sleep(settings.local_probe_ms / 1_000)
                if _is_listening(self.address.removeprefix("unix:")):
                    return
        longest_ms = min(settings.reconnect_max_ms, settings.reconnect_min_ms * 2 ** min(attempts - 1, 16))
        await asyncio.sleep(random.uniform(longest_ms / 2, longest_ms) / 1_000)


class _Nowhere:
    """Carries a stream that no engine was asked for."""

    def __init__(self, link: GrpcLink) -> None:
        self._link = link

    def queue(self, command: bytes) -> None:
        """Nobody listens."""

    def queue_audio(self, head: bytes, pcm16: bytes) -> None:
        """Nobody listens."""

    def note_granted(self, stream: LinkStream) -> None:
        """Nobody grants."""

    def forget(self, stream: LinkStream, outcome: StreamOutcome) -> None:
        self._link.note_outcome(None, outcome)


def _is_listening(path: str) -> bool:
    """Costs a few microseconds, where dialling through gRPC costs a channel. Without a file descriptor to spare, and at
    a path that cannot be one, nobody listens.
    """
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            return probe.connect_ex(path) in (0, errno.EAGAIN, errno.EINPROGRESS)
    except (OSError, ValueError):
        return False
