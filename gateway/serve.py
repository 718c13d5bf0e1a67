"""The composition root of a gateway process: builds each part once and owns the tasks that run them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import structlog

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
from gateway.console.pages import ConsolePages, WebTransportOffer
from gateway.decision_log.building import DecisionLogRefused, decision_log
from gateway.drain import Readiness, drain
from gateway.limiting import limiting, read_plans_of
from gateway.listening import Addresses, Certificates, ListenFailed, Listening, PageSets, listen
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
from gateway.transports.proxy_protocol_listener import ProxyRules
from gateway.webtransport_building import edge_processes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from prometheus_client import CollectorRegistry

    from gateway.admission.revocation_check import RevocationCheck
    from gateway.admission.tokens import TokenVerifier
    from gateway.decision_log.interface import DecisionLog
    from gateway.regional import Regional
    from gateway.settings import GatewaySettings
    from gateway.transcripts.keeping import TranscriptKeeper
    from gateway.webtransport.processes import EdgeProcesses

log = structlog.get_logger("gateway")


async def serve(settings: GatewaySettings, *, is_json: bool) -> None:
    """Run until SIGTERM or SIGINT, then drain. Prints one line on standard output when ready, if `is_json`.

    Raises:
        SettingsRefused: a certificate or the plans cannot be used; no port is bound.
        ListenFailed: a port cannot be had.
    """
    certificates = Certificates(settings)
    logs.configure(settings.log_level)
    tracing = Tracing(settings.tracing, region=settings.region)
    stop = asyncio.Event()
    _stop_on_signals(stop)
    try:
        async with _running(settings, certificates, tracing) as gateway:
            log.info("gateway.ready", region=settings.region)
            if is_json:
                sys.stdout.write(json.dumps({**gateway.addresses.told(), "region": settings.region}) + "\n")
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
    settings: GatewaySettings, certificates: Certificates, tracing: Tracing
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
        edges = edge_processes(settings, metrics.registry, listeners)
        pages = PageSets([_console(settings, regions, edges)] if settings.console.enabled else [], private_pages)
        parts = Listening(settings, certificates, reception, admin, pages, proxies, edges)
        addresses = await listen(parts, listeners)
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
                tasks.create_task(certificates.reloaded.run()),
                *([] if transcripts is None else [tasks.create_task(transcripts.run())]),
                *([] if edges is None else [tasks.create_task(edges.run())]),
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


def _console(settings: GatewaySettings, regions: Regional, edges: EdgeProcesses | None) -> ConsolePages:
    def webtransport() -> WebTransportOffer | None:
        return None if edges is None else WebTransportOffer(edges.url, edges.certificate_hashes)

    def gateways() -> Iterator[str]:
        for spec in regions.facts.catalog.regions.values():
            yield from spec.gateways
        yield from settings.resumption.resume_at

    return ConsolePages(settings.region, settings.sessions, webtransport=webtransport, gateways=gateways)


async def _listen_for_peers(settings: GatewaySettings, regions: Regional, listeners: contextlib.AsyncExitStack) -> None:
    try:
        await regions.listen(listeners)
    except OSError as error:
        if settings.regions is None or settings.regions.relay is None:
            raise
        raise ListenFailed("relay", settings.regions.relay, str(error)) from error


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
