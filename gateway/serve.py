"""The composition root of a gateway process: builds each part once and owns the tasks that run them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import grpc
import structlog
from aiohttp import web

from gateway import logs
from gateway.admin_http import AdminHttp
from gateway.admission.admit import Admission, LocalSessionLimits
from gateway.admission.tokens import token_verifier
from gateway.audio.decoders import AudioDecoders
from gateway.drain import Readiness, drain
from gateway.metrics import GatewayMetrics
from gateway.reception import House, Reception, monotonic_ms
from gateway.session_registry import SessionRegistry
from gateway.tracing import Tracing
from gateway.transports import websocket
from gateway.transports.grpc_stream import SpeechService
from gateway.transports.websocket import WebSocketTransport
from gateway.wire.proto import speech_pb2_grpc
from regions.links.pool import LinkPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.settings import GatewaySettings
    from gateway.transports.settings import ListenSettings, TlsSettings

log = structlog.get_logger("gateway")

_GRPC_SLACK_BYTES = 65_536
_LISTEN_BACKLOG = 1_024


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running gateway is reached."""

    http: str
    websocket: str
    grpc: str
    metrics: str


async def serve(settings: GatewaySettings, *, is_json: bool) -> None:
    """Run until SIGTERM or SIGINT, then drain. Prints one line on standard output when ready, if `is_json`."""
    logs.configure(settings.log_level)
    tracing = Tracing(settings.tracing, region=settings.region)
    stop = asyncio.Event()
    _stop_on_signals(stop)
    try:
        async with _running(settings, tracing) as gateway:
            log.info("gateway.ready", region=settings.region)
            if is_json:
                sys.stdout.write(json.dumps({**_as_dict(gateway.addresses), "region": settings.region}) + "\n")
                sys.stdout.flush()
            await stop.wait()
            await drain(
                gateway.readiness,
                gateway.reception,
                gateway.registry,
                announce_ms=settings.drain.announce_ms,
                finish_ms=settings.drain.finish_ms,
            )
    finally:
        tracing.close()


def _stop_on_signals(stop: asyncio.Event) -> None:
    """The first signal drains, the second ends at once."""

    def on_signal() -> None:
        if stop.is_set():
            sys.exit(1)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)


@dataclass(frozen=True, slots=True)
class RunningGateway:
    addresses: Addresses
    readiness: Readiness
    reception: Reception
    registry: SessionRegistry


@contextlib.asynccontextmanager
async def _running(settings: GatewaySettings, tracing: Tracing) -> AsyncIterator[RunningGateway]:
    """All parts, connected and listening; in the end they stop in the reverse order."""
    metrics = GatewayMetrics()
    registry = SessionRegistry(metrics, monotonic_ms)
    readiness = Readiness()
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
        verifier = token_verifier(settings.tokens, http)
        pool = LinkPool(settings.engines, gateway=f"{settings.region}/{uuid.uuid4().hex[:8]}")
        reception = Reception(
            House(
                region=settings.region,
                admission=Admission(verifier, LocalSessionLimits(settings.admission), lambda: int(time.time())),
                pool=pool,
                registry=registry,
                metrics=metrics,
                tracer=tracing.tracer,
                sessions=settings.sessions,
                decoders=AudioDecoders(settings.audio, asyncio.get_running_loop()),
                token_leeway_s=settings.tokens.leeway_s,
            )
        )
        metrics.watch(registry.figures, pool.loads)
        background = [
            tasks.create_task(verifier.run()),
            tasks.create_task(pool.run()),
            tasks.create_task(registry.sweep_for_ever()),
        ]
        try:
            async with contextlib.AsyncExitStack() as listeners:
                addresses = await _listen(
                    settings, reception, AdminHttp(readiness, lambda: pool.is_ready, metrics), listeners
                )
                yield RunningGateway(addresses, readiness, reception, registry)
        finally:
            for task in background:
                task.cancel()


async def _listen(
    settings: GatewaySettings, reception: Reception, admin: AdminHttp, listeners: contextlib.AsyncExitStack
) -> Addresses:
    public = web.Application()
    public.router.add_get(websocket.PATH, WebSocketTransport(reception).handle)
    admin.add_health(public)
    http_port = await _start_http(public, settings.http, listeners)
    private = web.Application()
    admin.add_all(private)
    admin_port = await _start_http(private, settings.admin, listeners)
    grpc_port = await _start_grpc(settings, reception, listeners)
    secure = "s" if settings.http.tls else ""
    admin_secure = "s" if settings.admin.tls else ""
    return Addresses(
        http=f"http{secure}://{settings.http.host}:{http_port}",
        websocket=f"ws{secure}://{settings.http.host}:{http_port}{websocket.PATH}",
        grpc=f"{settings.grpc.host}:{grpc_port}",
        metrics=f"http{admin_secure}://{settings.admin.host}:{admin_port}/metrics",
    )


async def _start_http(app: web.Application, listen: ListenSettings, listeners: contextlib.AsyncExitStack) -> int:
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    listeners.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, listen.host, listen.port, ssl_context=_ssl_context(listen.tls), backlog=_LISTEN_BACKLOG)
    await site.start()
    port: int = runner.addresses[0][1]
    return port


def _ssl_context(tls: TlsSettings | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    return context


async def _start_grpc(settings: GatewaySettings, reception: Reception, listeners: contextlib.AsyncExitStack) -> int:
    # Four times the bound: a client's message that is too large gets our typed error; a huge one gets gRPC's own.
    largest = 4 * settings.sessions.max_message_bytes + _GRPC_SLACK_BYTES
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", largest), ("grpc.so_reuseport", 0)])
    speech_pb2_grpc.add_SpeechServicer_to_server(SpeechService(reception), server)  # type: ignore[no-untyped-call]
    where = f"{settings.grpc.host}:{settings.grpc.port}"
    tls = settings.grpc.tls
    if tls is None:
        port = server.add_insecure_port(where)
    else:
        pair = (tls.key_file.read_bytes(), tls.certificate_file.read_bytes())
        port = server.add_secure_port(where, grpc.ssl_server_credentials([pair]))
    await server.start()
    listeners.push_async_callback(server.stop, grace=1.0)
    return int(port)


def _as_dict(addresses: Addresses) -> dict[str, str]:
    return {
        "http": addresses.http,
        "websocket": addresses.websocket,
        "grpc": addresses.grpc,
        "metrics": addresses.metrics,
    }
