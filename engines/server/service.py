"""The engine's gRPC server: links, drain, describe, health, and the heartbeat that only a living engine has."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc
import grpc.aio
import msgspec
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from engines.interface import LossReason
from engines.proto import engine_pb2
from engines.server.leaving import Leaving
from engines.server.link import STATUS_OF_END, Link, LinkEnd, LinkSettings
from engines.server.model_admin import AdminRefused, ModelAdmin
from engines.server.notices import notice_of
from engines.server.streams import HostedStream, HostSettings, StreamHost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from engines.server.grants import GrantChecker
    from engines.server.loading import ModelLoading
    from engines.server.shelf import LoadedModel
    from policies.preemption import NoticeKind, PreemptionNotice

Answer = TypeVar("Answer")

SERVICE_NAME = "patchbay.engine.v1.Engine"
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Two engines on one port would share its connections in silence.
    ("grpc.so_reuseport", 0),
    # A gateway host that vanished sends no reset: without an answer to a ping its slots would stay taken.
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.max_concurrent_streams", 64),
)

log = structlog.get_logger("engine")


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`listen`: `unix:/path` or `host:port`, port 0 for any. `stuck_after_ms`: a step that lasts longer is given up.

    `drains_on`: notices that empty the engine although nobody has to hurry.
    """

    listen: str
    host: HostSettings
    link: LinkSettings
    stuck_after_ms: int = 10_000
    drains_on: frozenset[NoticeKind] = frozenset()
    grants: GrantChecker | None = None
    """What a stream must be permitted by; None: any is taken."""


class InferenceStuck(Exception):
    """A step did not return: only a new process helps."""


class EngineService:
    """Serves models. Used on one event loop; `start` before anything else.

    Args:
        models: rehearsed; the first is the default.
        loading: how more of them are loaded.
        on_death: the inference thread is over or stuck. Every stream has been told `Lost`; the process should end.
        on_leaving: the engine is to leave: `leave` should be called, then the process should end.
    """

    def __init__(
        self,
        models: Sequence[LoadedModel],
        loading: ModelLoading,
        settings: ServiceSettings,
        *,
        on_death: Callable[[BaseException], None],
        on_leaving: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._on_death = on_death
        self._links: set[Link[HostedStream]] = set()
        self._host = StreamHost(settings.host, on_death=on_death, grants=settings.grants)
        for model in models:
            self._host.shelf.add(model)
        self.leaving = Leaving(self._host, drains_on=settings.drains_on, on_begin=on_leaving)
        """Told of whatever ends this engine."""
        self._admin = ModelAdmin(self._host, loading)
        self._server = grpc.aio.server(options=_SERVER_OPTIONS)
        self._health = health.aio.HealthServicer()
        self._drain_deadline: asyncio.TimerHandle | None = None

    @property
    def host(self) -> StreamHost:
        return self._host

    async def start(self) -> str:
        """Listen; the address that a gateway dials.

        Raises:
            OSError: the address cannot be listened on.
        """
        listen = self._settings.listen
        self._server.add_generic_rpc_handlers((_handlers(self),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        try:
            port = self._server.add_insecure_port(listen)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {listen}") from error
        self._host.start()
        await self._server.start()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"

    async def beat_for_ever(self) -> None:
        """The heartbeat. A link hears it only if the inference thread turned since the last one."""
        interval_ms = self._settings.link.heartbeat_interval_ms
        turned_at_s = time.monotonic()
        turns = -1
        while True:
            stalled_ms = int((time.monotonic() - turned_at_s) * 1_000)
            if self._host.turns != turns:
                turns = self._host.turns
                turned_at_s = time.monotonic()
                self._host.is_stalled = False
                for link in self._links:
                    link.beat()
            elif stalled_ms > self._settings.stuck_after_ms:
                log.error("engine.stuck", stalled_ms=stalled_ms)
                self._host.lose_all(LossReason.engine_failed)
                self._on_death(InferenceStuck(f"no turn for {stalled_ms} ms"))
                return
            elif stalled_ms > 2 * interval_ms:
                self._host.is_stalled = True
            await asyncio.sleep(interval_ms / 2_000)

    async def leave(self) -> None:
        """After `on_leaving`: not serving from now on; returns when no stream is left."""
        for link in self._links:
            link.beat()
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self.leaving.until_left()

    async def stop(self, *, flush_ms: int = 1_000) -> None:
        """Let the links send what waits, for at most `flush_ms`, then close everything."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(flush_ms / 1_000):
                for link in list(self._links):
                    await link.flush()
        if self._drain_deadline is not None:
            self._drain_deadline.cancel()
        for link in self._links:
            link.end(LinkEnd.engine_leaving)
        await self._server.stop(grace=0.2)
        self._host.stop(timeout_ms=flush_ms)

    async def link(self, request_iterator: object, context: Any) -> None:
        link = Link(self._host, self._settings.link, fill_report=self._count_gateways)
        self._links.add(link)
        try:
            end = await link.run(context)
        finally:
            self._links.discard(link)
        if end in STATUS_OF_END:
            await context.abort(STATUS_OF_END[end], end.value)

    def _count_gateways(self, message: engine_pb2.FromEngine) -> None:
        """Into a load report. A gateway that renews its link has two for a while."""
        message.load.gateways = len({link.gateway for link in self._links if link.gateway})

    async def drain_rpc(self, request: engine_pb2.DrainRequest, context: object) -> engine_pb2.DrainReply:
        """Begins the drain and answers at once; the deadline is kept here. The process goes on."""
        self._host.begin_drain()
        self._host.leave_by(asyncio.get_running_loop().time() + max(0, request.deadline_ms) / 1_000)
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        if self._drain_deadline is not None:
            self._drain_deadline.cancel()
        self._drain_deadline = asyncio.get_running_loop().call_later(
            max(0, request.deadline_ms) / 1_000, self._host.lose_all, LossReason.drained
        )
        return engine_pb2.DrainReply(open_streams=self._host.open_streams)

    async def preempt_rpc(self, request: engine_pb2.PreemptRequest, context: Any) -> engine_pb2.PreemptReply:
        """A notice by hand: answers at once, and the process ends as after any other notice."""
        notice = notice_of(request)
        if notice is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "kind or lead_ms is not one that can be told")
        self.leaving.noticed(cast("PreemptionNotice", notice))
        for link in self._links:
            link.beat()
        return engine_pb2.PreemptReply(
            open_streams=self._host.open_streams,
            leaves_in_ms=self._host.leaves_in_ms,
            is_at_risk=self._host.is_at_risk,
        )

    async def describe_rpc(self, request: object, context: object) -> engine_pb2.Description:
        return self._admin.description(heartbeat_interval_ms=self._settings.link.heartbeat_interval_ms)

    async def load_model_rpc(self, request: engine_pb2.LoadModelRequest, context: Any) -> engine_pb2.ModelState:
        return await self._answer(context, self._admin.load(request))

    async def unload_model_rpc(self, request: engine_pb2.UnloadModelRequest, context: Any) -> engine_pb2.ModelState:
        return await self._answer(context, self._admin.unload(request))

    async def share_traffic_rpc(self, request: engine_pb2.ShareTrafficRequest, context: Any) -> engine_pb2.Description:
        await self._answer(context, self._admin.share(request))
        return await self.describe_rpc(request, context)

    async def _answer(self, context: Any, work: Awaitable[Answer]) -> Answer:
        """Give what the work gives; a refusal ends the call with its status."""
        try:
            answer = await work
        except AdminRefused as refusal:
            return cast("Answer", await context.abort(refusal.status, str(refusal)))
        for link in self._links:
            link.beat()  # gateways learn at once what they may open streams on
        return answer

    async def _set_health(self, status: int) -> None:
        for service in ("", SERVICE_NAME):
            await self._health.set(service, status)


def _handlers(service: EngineService) -> Any:
    """Links exchange bytes, so that a message which is none is the link's own business."""
    return grpc.method_handlers_generic_handler(
        SERVICE_NAME,
        {
            "Link": grpc.stream_stream_rpc_method_handler(service.link),
            "Drain": grpc.unary_unary_rpc_method_handler(
                service.drain_rpc,
                request_deserializer=engine_pb2.DrainRequest.FromString,
                response_serializer=engine_pb2.DrainReply.SerializeToString,
            ),
            "Preempt": grpc.unary_unary_rpc_method_handler(
                service.preempt_rpc,
                request_deserializer=engine_pb2.PreemptRequest.FromString,
                response_serializer=engine_pb2.PreemptReply.SerializeToString,
            ),
            "Describe": grpc.unary_unary_rpc_method_handler(
                service.describe_rpc,
                request_deserializer=engine_pb2.DescribeRequest.FromString,
                response_serializer=engine_pb2.Description.SerializeToString,
            ),
            "LoadModel": grpc.unary_unary_rpc_method_handler(
                service.load_model_rpc,
                request_deserializer=engine_pb2.LoadModelRequest.FromString,
                response_serializer=engine_pb2.ModelState.SerializeToString,
            ),
            "UnloadModel": grpc.unary_unary_rpc_method_handler(
                service.unload_model_rpc,
                request_deserializer=engine_pb2.UnloadModelRequest.FromString,
                response_serializer=engine_pb2.ModelState.SerializeToString,
            ),
            "ShareTraffic": grpc.unary_unary_rpc_method_handler(
                service.share_traffic_rpc,
                request_deserializer=engine_pb2.ShareTrafficRequest.FromString,
                response_serializer=engine_pb2.Description.SerializeToString,
            ),
        },
    )
