"""Builds what ends WebTransport for a gateway: its edge processes, the hop to them, and how clients hear of both.

What they need is loaded only where the settings name them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.transports.hop_listener import hop_application, hop_listening, hop_path

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

    from aiohttp import web
    from prometheus_client import CollectorRegistry

    from gateway.reception import Reception
    from gateway.settings import GatewaySettings
    from gateway.webtransport.processes import EdgeProcesses
    from gateway.webtransport.settings import WebTransportSettings

_ADVERTISED_FOR_S = 3_600
"""How long browsers may remember it (RFC 7838)."""


def mistakes_of(settings: WebTransportSettings) -> list[str]:
    """What can be known to be wrong before anything starts."""
    from gateway.webtransport.edge_settings import connection_ids_of, secret_in
    from gateway.webtransport.quic.certificates import CertificateRejected, read_pair

    mistakes: list[str] = []
    try:
        read_pair(settings.tls.certificate_file, settings.tls.key_file)
    except CertificateRejected as rejected:
        mistakes.append(f"webtransport.tls: {rejected}")
    try:
        connection_ids_of(settings)
    except ValueError as error:
        mistakes.append(f"webtransport.connection_ids: {error}")
    if settings.secret_file is not None:
        try:
            secret_in(settings.secret_file)
        except ValueError as error:
            mistakes.append(f"webtransport.secret_file: {error}")
    return mistakes


def edge_processes(
    settings: GatewaySettings, registry: CollectorRegistry, listeners: contextlib.ExitStack | contextlib.AsyncExitStack
) -> EdgeProcesses | None:
    """Nothing is started; None where the settings name none. Raises OSError: there is no place for the hop's socket."""
    if settings.webtransport is None:
        return None
    from gateway.webtransport.processes import EdgeGiven, EdgeProcesses

    given = EdgeGiven(
        hop=listeners.enter_context(hop_path()),
        max_message_bytes=settings.sessions.max_message_bytes,
        log_level=settings.log_level,
        core_dumps=settings.core_dumps,
    )
    return EdgeProcesses(settings.webtransport, given, registry)


async def start_edges(
    edges: EdgeProcesses,
    reception: Reception,
    add_pages: Callable[[web.Application], None],
    listeners: contextlib.AsyncExitStack,
) -> None:
    """Open the hop, then start the processes; `listeners` stops both.

    Raises:
        OSError: the port or the hop's socket cannot be had, or a process would not start.
    """
    app = hop_application(reception)
    add_pages(app)
    await listeners.enter_async_context(hop_listening(app, edges.hop))
    listeners.push_async_callback(edges.stop)
    await edges.start()


def advertise(app: web.Application, edges: EdgeProcesses) -> None:
    """Every answer names the port where HTTP/3 is spoken, if the settings want it. Only where answers come over HTTPS:
    browsers believe no other (RFC 7838 §2.1).
    """
    if not edges.settings.advertise:
        return

    async def add_header(_request: web.Request, response: web.StreamResponse) -> None:
        port = edges.settings.advertised_port or edges.port
        if port:
            response.headers["Alt-Svc"] = f'h3=":{port}"; ma={_ADVERTISED_FOR_S}'

    app.on_response_prepare.append(add_header)
