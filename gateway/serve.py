"""The composition root of a gateway process: builds each part once and owns the tasks that run them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import aiohttp
import grpc
import structlog
from aiohttp import web

from gateway import logs
from gateway.admin_http import AdminHttp
from gateway.admission.addresses import AddressLimits
from gateway.admission.admit import Admission, AdmissionSteps
from gateway.admission.client_address import TrustedProxies
from gateway.admission.geography import Geography, GeographyRefused
from gateway.admission.geography_metrics import GeographyMetrics
from gateway.admission.metrics import AdmissionMetrics
from gateway.admission.tokens import token_verifier
from gateway.audio.decoders import AudioDecoders
from gateway.clients_away import ClientsAway
from gateway.console import pages as console
from gateway.console.pages import ConsolePages
from gateway.decision_log.building import DecisionLogRefused, decision_log
from gateway.drain import Readiness, drain
from gateway.limiting import limiting, read_plans_of
from gateway.metrics import GatewayMetrics
from gateway.operations.building import Operations, OperationsParts
from gateway.policy_followed import PolicyFollowed
from gateway.reception import House, Reception, monotonic_ms, monotonic_us
from gateway.regional import regional
from gateway.route_http import RouteHttp
from gateway.scaler_http import ScalerHttp
from gateway.session_decisions import SessionDecisions
from gateway.session_registry import SessionRegistry
from gateway.settings import SettingsRefused
from gateway.tracing import Tracing
from gateway.transports import regions_http, websocket
from gateway.transports.grpc_stream import SpeechService
from gateway.transports.proxy_protocol_listener import ProxyRules, bound_sockets, listening
from gateway.transports.regions_http import RegionsHttp
from gateway.transports.request_deadline import RequestDeadline
from gateway.transports.websocket import WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from prometheus_client import CollectorRegistry

    from gateway.admission.revocation_check import RevocationCheck
    from gateway.admission.tokens import TokenVerifier
    from gateway.decision_log.interface import DecisionLog
    from gateway.regional import Regional
    from gateway.settings import GatewaySettings
    from gateway.transcripts.keeping import TranscriptKeeper
    from gateway.transports.settings import ListenSettings, TlsSettings
    from regions.relay.settings import RelaySettings

log = structlog.get_logger("gateway")

_GRPC_SLACK_BYTES = 65_536
_LISTEN_BACKLOG = 1_024


class ListenFailed(Exception):
    """A port cannot be had; nothing runs then."""

    def __init__(self, name: str, listen: ListenSettings | RelaySettings, why: str) -> None:
        super().__init__(f"cannot listen for {name} on {_authority(listen.host, listen.port)}: {why}")


class Pages(Protocol):
    """What stands beside sessions on the public listener, or beside metrics on that for administrators."""

    def add_to(self, app: web.Application) -> None: ...


@dataclass(frozen=True, slots=True)
class PageSets:
    """What stands on which listener."""

    public: Sequence[Pages]
    private: Sequence[Pages]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running gateway is reached."""

    http: str
    websocket: str
    grpc: str
    metrics: str
    console: str | None = None


async def serve(settings: GatewaySettings, *, is_json: bool) -> None:
    """Run until SIGTERM or SIGINT, then drain. Prints one line on standard output when ready, if `is_json`.

    Raises:
        SettingsRefused: a certificate or the plans cannot be used; no port is bound.
        ListenFailed: a port cannot be had.
    """
    certificates = _Certificates(settings)
    logs.configure(settings.log_level)
    tracing = Tracing(settings.tracing, region=settings.region)
    stop = asyncio.Event()
    _stop_on_signals(stop)
    try:
        async with _running(settings, certificates, tracing) as gateway:
            log.info("gateway.ready", region=settings.region)
            if is_json:
                sys.stdout.write(json.dumps({**_as_dict(gateway.addresses), "region": settings.region}) + "\n")
                sys.stdout.flush()
            await stop.wait()
            await drain(
                gateway.readiness,
                gateway.reception,
                gateway.registry,
                gateway.regions.drain,
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
    regions: Regional


@contextlib.asynccontextmanager
async def _running(
    settings: GatewaySettings, certificates: _Certificates, tracing: Tracing
) -> AsyncIterator[RunningGateway]:
    """All parts, connected and listening; in the end they stop in the reverse order."""
    metrics = GatewayMetrics()
    plans = read_plans_of(settings, metrics.registry)
    registry = SessionRegistry(metrics, monotonic_ms)
    readiness = Readiness()
    admission_metrics = AdmissionMetrics(metrics.registry)
    geography_metrics = GeographyMetrics(metrics.registry)
    geography = _geography(settings, geography_metrics)
    async with (
        aiohttp.ClientSession() as http,
        _decision_log(settings, metrics.registry) as decisions,
        limiting(settings, plans, registry, admission_metrics) as limited,
        regional(settings, limited.limits, metrics.registry, decisions) as regions,
        contextlib.AsyncExitStack() as listeners,
    ):
        verifier = token_verifier(settings.tokens, http)
        steps = AdmissionSteps(
            AddressLimits(settings.admission.addresses, admission_metrics, monotonic_us),
            verifier,
            limited.revocations,
            regions.policies,
            plans,
            limited.limits,
            geography,
        )
        on_record = SessionDecisions(decisions, regions.policies, here=settings.region, covering=regions.glass.covering)
        registry.on_outside = on_record.outside
        admission = Admission(steps, lambda: int(time.time()))
        admission.on_record = on_record
        transcripts = _transcripts(settings, regions, metrics.registry, decisions)
        reception = Reception(
            House(
                region=settings.region,
                admission=admission,
                placement=regions.placement,
                registry=registry,
                metrics=metrics,
                tracer=tracing.tracer,
                sessions=settings.sessions,
                decoders=AudioDecoders(settings.audio, asyncio.get_running_loop()),
                token_leeway_s=settings.tokens.leeway_s,
                credit=settings.limits.credit,
                resumption=regions.resumption,
                transcripts=transcripts,
                grants=regions.grants,
                decisions=on_record,
            )
        )
        metrics.watch(registry.figures, regions.pool.loads)
        policy_followed = PolicyFollowed(registry, regions.policies)
        regions.on_policy_changed(policy_followed.changed)
        clients_away = ClientsAway(
            regions.orders,
            registry,
            regions.policies,
            region=settings.region,
            gateways=lambda: regions.pool.dispatchers,
            now_ms=monotonic_ms,
        )
        regions.carried_out.clients_of = clients_away.left
        in_force = regions.in_force
        readiness.has_policy = lambda: in_force is None or in_force.bundle is not None
        admin = AdminHttp(readiness, lambda: regions.placement.is_ready, metrics)
        operations = _operations(
            settings, regions, verifier, limited.revocations, metrics.registry, decisions, transcripts
        )
        private_pages = (
            *operations.pages,
            RouteHttp(regions.facts, regions.placement, regions.policies, geography),
            ScalerHttp(settings.region, regions.capacity, lambda: _free_slots_here(regions)),
        )
        # Before the task group, which would wrap what is wrong with a port.
        proxies = _proxy_rules(settings, geography_metrics)
        pages = PageSets([_console(settings, regions)] if settings.console.enabled else [], private_pages)
        addresses = await _listen(settings, certificates, reception, admin, pages, proxies, listeners)
        await _listen_for_peers(settings, regions, listeners)
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(verifier.run()),
                tasks.create_task(regions.run()),
                tasks.create_task(operations.run()),
                tasks.create_task(registry.sweep_for_ever()),
                tasks.create_task(policy_followed.run()),
                tasks.create_task(clients_away.run()),
                tasks.create_task(limited.run()),
                tasks.create_task(geography.run()),
                *([] if transcripts is None else [tasks.create_task(transcripts.run())]),
            ]
            try:
                yield RunningGateway(addresses, readiness, reception, registry, regions)
            finally:
                await listeners.aclose()
                if transcripts is not None:
                    await transcripts.flush()
                for task in background:
                    task.cancel()


@contextlib.asynccontextmanager
async def _decision_log(settings: GatewaySettings, registry: CollectorRegistry) -> AsyncIterator[DecisionLog]:
    """Raises SettingsRefused."""
    try:
        async with decision_log(settings.decision_log, region=settings.region, registry=registry) as opened:
            yield opened
    except DecisionLogRefused as refused:
        raise SettingsRefused([str(refused)]) from None


def _free_slots_here(regions: Regional) -> Mapping[str, int]:
    """By tier, in this region; nothing where the catalog does not hold it."""
    here = regions.facts.here
    snapshot = regions.placement.snapshot
    return next((region.free_slots_of_tier for region in snapshot.regions if region.name == here), {})


def _operations(
    settings: GatewaySettings,
    regions: Regional,
    verifier: TokenVerifier,
    revocations: RevocationCheck,
    registry: CollectorRegistry,
    decisions: DecisionLog,
    transcripts: TranscriptKeeper | None,
) -> Operations:
    parts = OperationsParts(
        facts=regions.facts,
        engines=regions.pool,
        book=regions.orders,
        weights=regions.weights,
        verifier=verifier,
        revocations=revocations,
        stream=regions.audit_stream,
        registry=registry,
        glass=regions.glass,
        decisions=decisions,
        transcripts=transcripts,
        bundles=regions.in_force,
    )
    return Operations(settings.operations, parts)


def _transcripts(
    settings: GatewaySettings, regions: Regional, registry: CollectorRegistry, decisions: DecisionLog
) -> TranscriptKeeper | None:
    """None: no word is kept of anybody. Raises SettingsRefused."""
    if settings.transcripts is None:
        return None
    from gateway.transcripts.building import TranscriptsRefused, transcript_keeper

    try:
        return transcript_keeper(
            settings.transcripts, regions.in_force, decisions, region=settings.region, registry=registry
        )
    except TranscriptsRefused as refused:
        raise SettingsRefused(refused.mistakes) from None


class _Certificates:
    """The TLS contexts and pairs of every listener. Raises SettingsRefused with what is wrong with each."""

    def __init__(self, settings: GatewaySettings) -> None:
        mistakes: list[str] = []
        self.http = _ssl_context("http", settings.http.tls, mistakes)
        self.admin = _ssl_context("admin", settings.admin.tls, mistakes)
        _ssl_context("grpc", settings.grpc.tls, mistakes)  # gRPC itself would only say that it cannot bind
        if mistakes:
            raise SettingsRefused(mistakes)
        tls = settings.grpc.tls
        self.grpc = None if tls is None else (tls.key_file.read_bytes(), tls.certificate_file.read_bytes())


def _ssl_context(name: str, tls: TlsSettings | None, mistakes: list[str]) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # With a password given, an encrypted key is refused; without one, OpenSSL would ask the terminal.
        context.load_cert_chain(tls.certificate_file, tls.key_file, password="")
    except OSError as error:
        why = error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror or str(error)
        mistakes.append(f"{name}.tls: {tls.certificate_file} and {tls.key_file} cannot be used together: {why}")
    return context


async def _listen(
    settings: GatewaySettings,
    certificates: _Certificates,
    reception: Reception,
    admin: AdminHttp,
    pages: PageSets,
    proxies: ProxyRules | None,
    listeners: contextlib.AsyncExitStack,
) -> Addresses:
    public = web.Application()
    public.router.add_get(websocket.PATH, WebSocketTransport(reception).handle)
    public.router.add_get(regions_http.PATH, RegionsHttp(reception).handle)
    admin.add_health(public)
    for page in pages.public:
        page.add_to(public)
    deadline_ms = settings.sessions.handshake_timeout_ms
    http_port = await _start_http("http", public, settings.http, certificates.http, deadline_ms, listeners, proxies)
    private = web.Application()
    admin.add_all(private)
    for page in pages.private:
        page.add_to(private)
    admin_port = await _start_http("admin", private, settings.admin, certificates.admin, deadline_ms, listeners)
    grpc_port = await _start_grpc(settings, certificates, reception, listeners)
    secure = "s" if settings.http.tls else ""
    http = _authority(settings.http.host, http_port)
    grpc_at = _authority(settings.grpc.host, grpc_port)
    return Addresses(
        http=f"http{secure}://{http}",
        websocket=f"ws{secure}://{http}{websocket.PATH}",
        grpc=f"grpcs://{grpc_at}" if settings.grpc.tls else grpc_at,
        metrics=f"http{'s' if settings.admin.tls else ''}://{_authority(settings.admin.host, admin_port)}/metrics",
        console=f"http{secure}://{http}{console.PATH}" if settings.console.enabled else None,
    )


def _console(settings: GatewaySettings, regions: Regional) -> ConsolePages:
    def gateways() -> Iterator[str]:
        for spec in regions.facts.catalog.regions.values():
            yield from spec.gateways
        yield from settings.resumption.resume_at

    return ConsolePages(settings.region, settings.sessions, webtransport=lambda: None, gateways=gateways)


def _authority(host: str, port: int) -> str:
    """RFC 3986 §3.2.2: an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _listen_for_peers(settings: GatewaySettings, regions: Regional, listeners: contextlib.AsyncExitStack) -> None:
    try:
        await regions.listen(listeners)
    except OSError as error:
        if settings.regions is None or settings.regions.relay is None:
            raise
        raise ListenFailed("relay", settings.regions.relay, str(error)) from error


async def _start_http(
    name: str,
    app: web.Application,
    listen: ListenSettings,
    certificate: ssl.SSLContext | None,
    request_deadline_ms: int,
    listeners: contextlib.AsyncExitStack,
    proxies: ProxyRules | None = None,
) -> int:
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    listeners.push_async_callback(runner.cleanup)
    if runner.server is not None:
        deadline = RequestDeadline(runner.server, request_deadline_ms)
        deadline.start()
        listeners.callback(deadline.stop)
    try:
        if proxies is not None and runner.server is not None:
            sockets = await bound_sockets(listen.host, listen.port, backlog=_LISTEN_BACKLOG)
            await listeners.enter_async_context(listening(runner.server, sockets, certificate, proxies))
            return int(sockets[0].getsockname()[1])
        site = web.TCPSite(runner, listen.host, listen.port, ssl_context=certificate, backlog=_LISTEN_BACKLOG)
        await site.start()
    except OSError as error:
        raise ListenFailed(name, listen, error.strerror or str(error)) from error
    port: int = runner.addresses[0][1]
    return port


def _geography(settings: GatewaySettings, metrics: GeographyMetrics) -> Geography:
    try:
        return Geography(settings.geography, metrics)
    except GeographyRefused as error:
        raise SettingsRefused(error.mistakes) from None


def _proxy_rules(settings: GatewaySettings, metrics: GeographyMetrics) -> ProxyRules | None:
    """None: clients, and proxies that speak plain HTTP, connect by themselves."""
    if settings.geography.proxy_protocol == "off":
        return None
    trusted = TrustedProxies(settings.geography.trusted_proxies)
    return ProxyRules(trusted, settings.sessions.handshake_timeout_ms, metrics.proxy_headers)


async def _start_grpc(
    settings: GatewaySettings,
    certificates: _Certificates,
    reception: Reception,
    listeners: contextlib.AsyncExitStack,
) -> int:
    # Four times the bound: a client's message that is too large gets our typed error; a huge one gets gRPC's own.
    largest = 4 * settings.sessions.max_message_bytes + _GRPC_SLACK_BYTES
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", largest), ("grpc.so_reuseport", 0)])
    SpeechService(reception).add_to(server)
    where = _authority(settings.grpc.host, settings.grpc.port)
    try:
        if certificates.grpc is None:
            port = server.add_insecure_port(where)
        else:
            port = server.add_secure_port(where, grpc.ssl_server_credentials([certificates.grpc]))
    except RuntimeError as error:  # all that gRPC says
        raise ListenFailed("grpc", settings.grpc, "the port is taken, or the host is not of this machine") from error
    await server.start()
    listeners.push_async_callback(server.stop, grace=1.0)
    return int(port)


def _as_dict(addresses: Addresses) -> dict[str, str]:
    told = {
        "http": addresses.http,
        "websocket": addresses.websocket,
        "grpc": addresses.grpc,
        "metrics": addresses.metrics,
        "console": addresses.console,
    }
    return {name: address for name, address in told.items() if address is not None}
