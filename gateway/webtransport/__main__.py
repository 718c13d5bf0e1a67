"""`python -m gateway.webtransport --fd N`: one edge process. Only a gateway starts it, and it ends with its gateway.

Standard input: one line of JSON (EdgeSettings), then an empty one every second; its end is the gateway's. Standard
output: a line of JSON when ready, then one with all figures every second. Exit codes: 0 told to stop; 64 the settings
or the certificate are wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import signal
import socket
import sys

import structlog
import uvloop
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from engines.server.core_dumps import forbid_core_dumps
from engines.server.parent import ParentWatch
from gateway import logs
from gateway.webtransport.edge import WebTransportEdge
from gateway.webtransport.edge_settings import EdgeSettings
from gateway.webtransport.figures import families_of
from gateway.webtransport.gateway_watch import TICK_S, GatewayWatch
from gateway.webtransport.quic.certificates import CertificateRejected

EXIT_WRONG_SETTINGS = 64
"""EX_USAGE of sysexits.h."""

log = structlog.get_logger("gateway.webtransport")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.webtransport", allow_abbrev=False)
    parser.add_argument("--fd", type=int, required=True, help="a bound UDP socket")
    arguments = parser.parse_args()
    try:
        settings = EdgeSettings.model_validate_json(sys.stdin.buffer.readline())
        if not settings.core_dumps:
            forbid_core_dumps()
        ParentWatch()  # the kernel sends SIGTERM when the gateway dies
        registry = CollectorRegistry()
        edge = WebTransportEdge(settings, registry)
    except ValidationError as error:
        sys.stderr.write(f"wrong setting: {error.errors(include_url=False, include_input=False)}\n")
        return EXIT_WRONG_SETTINGS
    except (CertificateRejected, ValueError) as error:
        sys.stderr.write(f"wrong setting: webtransport: {error}\n")
        return EXIT_WRONG_SETTINGS
    logs.configure(settings.log_level)
    # What was loaded stays: it need not be looked at again by each collection.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=arguments.fd) as sock:
        uvloop.run(_run(edge, sock, registry, settings.gateway_silent_s))
    return 0


async def _run(edge: WebTransportEdge, sock: socket.socket, registry: CollectorRegistry, silent_s: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch = GatewayWatch(edge, silent_s=silent_s)
    gateway, _ = await loop.connect_read_pipe(lambda: _Gateway(stop, watch), sys.stdin)
    told, _ = await loop.connect_write_pipe(lambda: _Gateway(stop, watch), sys.stdout)
    await edge.start(sock)
    _tell(told, _about(edge))
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_S):
                await stop.wait()
        watch.tick()
        if not told.get_write_buffer_size():  # else the gateway does not listen: it gets the next ones
            _tell(told, {**_about(edge), "figures": families_of(registry)})
    await edge.close()
    told.close()
    gateway.close()


def _about(edge: WebTransportEdge) -> dict[str, object]:
    return {"certificate_sha256": edge.certificate_sha256, "is_self_signed": edge.is_self_signed}


def _tell(told: asyncio.WriteTransport, what: dict[str, object]) -> None:
    told.write(json.dumps(what, separators=(",", ":")).encode() + b"\n")


class _Gateway(asyncio.Protocol):
    """The gateway's end of a pipe: it is gone when that is closed."""

    def __init__(self, stop: asyncio.Event, watch: GatewayWatch) -> None:
        self._stop = stop
        self._watch = watch

    def data_received(self, data: bytes) -> None:
        del data
        self._watch.heard()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._stop.set()

    def eof_received(self) -> None:
        self._stop.set()


if __name__ == "__main__":
    sys.exit(main())
