"""Where a gateway is reached: its listeners for clients, administrators, gRPC and WebTransport."""

from __future__ import annotations

import ssl
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

import grpc
from aiohttp import web

from gateway.console import pages as console
from gateway.settings import SettingsRefused
from gateway.transports import regions_http, websocket
from gateway.transports.grpc_certificate import GrpcCertificate
from gateway.transports.grpc_stream import SpeechService
from gateway.transports.proxy_protocol_listener import bound_sockets, listening
from gateway.transports.regions_http import RegionsHttp
from gateway.transports.request_deadline import RequestDeadline
from gateway.transports.tls_reload import ReloadedTls
from gateway.transports.websocket import WebSocketTransport
from gateway.webtransport_building import advertise, mistakes_of, start_edges

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Sequence

    from gateway.admin_http import AdminHttp
    from gateway.reception import Reception
    from gateway.settings import GatewaySettings
    from gateway.transports.proxy_protocol_listener import ProxyRules
    from gateway.transports.settings import ListenSettings, TlsSettings
    from gateway.webtransport.processes import EdgeProcesses
    from gateway.webtransport.settings import WebTransportSettings
    from regions.relay.settings import RelaySettings

_GRPC_SLACK_BYTES = 65_536
_LISTEN_BACKLOG = 1_024


class ListenFailed(Exception):
    """A port cannot be had; nothing runs then."""

    def __init__(self, name: str, listen: ListenSettings | RelaySettings | WebTransportSettings, why: str) -> None:
        super().__init__(f"cannot listen for {name} on {authority(listen.host, listen.port)}: {why}")


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
    webtransport: str | None = None
    webtransport_certificate_sha256: str | None = None

    def told(self) -> dict[str, str]:
        """For the ready line."""
        return {name: address for name, address in asdict(self).items() if address is not None}


class Certificates:
    """The TLS contexts and pairs of every listener. Raises SettingsRefused with what is wrong with each."""

    def __init__(self, settings: GatewaySettings) -> None:
        mistakes: list[str] = []
        self.reloaded = ReloadedTls()
        self.http = self._followed("http", settings.http.tls, mistakes)
        self.admin = self._followed("admin", settings.admin.tls, mistakes)
        tls = settings.grpc.tls
        _ssl_context("grpc", tls, mistakes)  # gRPC itself would only say that it cannot bind
        if settings.webtransport is not None:
            mistakes += mistakes_of(settings.webtransport)
        if mistakes:
            raise SettingsRefused(mistakes)
        self.grpc = None if tls is None else GrpcCertificate(tls)
        if self.grpc is not None and tls is not None:
            self.reloaded.add("grpc", tls, self.grpc.take)

    def _followed(self, name: str, tls: TlsSettings | None, mistakes: list[str]) -> ssl.SSLContext | None:
        """A context whose files may change while it is in use."""
        context = _ssl_context(name, tls, mistakes)
        if context is not None and tls is not None:
            self.reloaded.add_context(name, tls, context)
        return context


@dataclass(frozen=True, slots=True)
class Listening:
    """What the listeners are made of."""

    settings: GatewaySettings
    certificates: Certificates
    reception: Reception
    admin: AdminHttp
    pages: PageSets
    proxies: ProxyRules | None
    edges: EdgeProcesses | None


async def listen(parts: Listening, listeners: contextlib.AsyncExitStack) -> Addresses:
    """Open all listeners; `listeners` closes them in the reverse order.

    Raises:
        ListenFailed: a port cannot be had, or an edge process would not start.
    """
    settings, certificates, reception = parts.settings, parts.certificates, parts.reception
    public = web.Application()
    public.router.add_get(websocket.PATH, WebSocketTransport(reception).handle)
    _add_public_pages(public, parts)
    if parts.edges is not None and settings.http.tls is not None:
        advertise(public, parts.edges)
    deadline_ms = settings.sessions.handshake_timeout_ms
    http_port = await _start_http(
        "http", public, settings.http, certificates.http, deadline_ms, listeners, parts.proxies
    )
    private = web.Application()
    parts.admin.add_all(private)
    for page in parts.pages.private:
        page.add_to(private)
    admin_port = await _start_http("admin", private, settings.admin, certificates.admin, deadline_ms, listeners)
    grpc_port = await _start_grpc(settings, certificates, reception, listeners)
    edges = parts.edges
    if edges is not None and settings.webtransport is not None:
        try:
            await start_edges(edges, reception, lambda app: _add_public_pages(app, parts), listeners)
        except OSError as error:
            raise ListenFailed("webtransport", settings.webtransport, error.strerror or str(error)) from error
    secure = "s" if settings.http.tls else ""
    http = authority(settings.http.host, http_port)
    grpc_at = authority(settings.grpc.host, grpc_port)
    return Addresses(
        http=f"http{secure}://{http}",
        websocket=f"ws{secure}://{http}{websocket.PATH}",
        grpc=f"grpcs://{grpc_at}" if settings.grpc.tls else grpc_at,
        metrics=f"http{'s' if settings.admin.tls else ''}://{authority(settings.admin.host, admin_port)}/metrics",
        console=f"http{secure}://{http}{console.PATH}" if settings.console.enabled else None,
        webtransport=None if edges is None else edges.url,
        webtransport_certificate_sha256=None if edges is None else edges.certificate_sha256,
    )


def authority(host: str, port: int) -> str:
    """RFC 3986 §3.2.2: an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _add_public_pages(app: web.Application, parts: Listening) -> None:
    app.router.add_get(regions_http.PATH, RegionsHttp(parts.reception).handle)
    parts.admin.add_health(app)
    for page in parts.pages.public:
        page.add_to(app)


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


async def _start_grpc(
    settings: GatewaySettings,
    certificates: Certificates,
    reception: Reception,
    listeners: contextlib.AsyncExitStack,
) -> int:
    # Four times the bound: a client's message that is too large gets our typed error; a huge one gets gRPC's own.
    largest = 4 * settings.sessions.max_message_bytes + _GRPC_SLACK_BYTES
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", largest), ("grpc.so_reuseport", 0)])
    SpeechService(reception).add_to(server)
    where = authority(settings.grpc.host, settings.grpc.port)
    try:
        if certificates.grpc is None:
            port = server.add_insecure_port(where)
        else:
            port = server.add_secure_port(where, certificates.grpc.credentials())
    except RuntimeError as error:  # all that gRPC says
        raise ListenFailed("grpc", settings.grpc, "the port is taken, or the host is not of this machine") from error
    await server.start()
    listeners.push_async_callback(server.stop, grace=1.0)
    return int(port)
