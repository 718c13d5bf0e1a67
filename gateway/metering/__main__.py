"""`python -m gateway.metering --config FILE`: one exporter of usage events, by the settings of the gateways.

Exit codes: 0 stopped, 64 wrong command line or settings, 69 its address is taken, 74 the sent log cannot be opened.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import uvloop
from prometheus_client import CollectorRegistry

from engines.server.parent import ParentWatch
from gateway import logs
from gateway.decision_log.building import DecisionLogRefused, decision_log
from gateway.decision_log.interface import NoDecisionLog
from gateway.metering.exporter.exporter import AddressTaken, Exporter, LogUnusable
from gateway.residency.building import ResidencyRefused, bundle_in_force
from gateway.residency.meter_export import MeterPolicy
from gateway.residency.metrics import ResidencyMetrics
from gateway.settings import EXIT_WRONG_SETTINGS, SettingsRefused, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.decision_log.interface import DecisionLog
    from gateway.metering.exporter.settings import ExporterSettings
    from gateway.redis_link.settings import RedisSettings
    from gateway.residency.in_force import BundlesInForce
    from gateway.settings import GatewaySettings

EXIT_ADDRESS_TAKEN = 69
"""EX_UNAVAILABLE of sysexits.h."""
EXIT_LOG_UNUSABLE = 74
"""EX_IOERR of sysexits.h."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_WRONG_SETTINGS, f"{self.format_usage()}{message}\n")


def main() -> int:
    parser = _Parser(
        prog="python -m gateway.metering", description="Run one exporter of usage events.", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, default=None, help="settings file of the gateways (TOML)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when the process that started this dies")
    arguments = parser.parse_args()
    try:
        settings = load(arguments.config, os.environ)
        if settings.metering is None or settings.limits.redis is None:
            raise SettingsRefused(["an exporter needs a section metering, with sinks, and limits.redis"])
        logs.configure(settings.log_level)
        if arguments.exit_with_parent:
            ParentWatch()  # the kernel sends SIGTERM when the parent dies
        uvloop.run(_run(settings, settings.metering, settings.limits.redis, is_json=arguments.json))
    except SettingsRefused as refused:
        for mistake in refused.mistakes:
            sys.stderr.write(f"wrong setting: {mistake}\n")
        return EXIT_WRONG_SETTINGS
    except AddressTaken as taken:
        sys.stderr.write(f"{taken}\n")
        return EXIT_ADDRESS_TAKEN
    except LogUnusable as unusable:
        sys.stderr.write(f"{unusable}\n")
        return EXIT_LOG_UNUSABLE
    return 0


async def _run(settings: GatewaySettings, metering: ExporterSettings, redis: RedisSettings, *, is_json: bool) -> None:
    registry = CollectorRegistry()
    async with _decisions(settings, registry) as decisions:
        in_force = _bundle(settings, metering, registry, decisions)
        permission = None if in_force is None else MeterPolicy(in_force, decisions)
        exporter = Exporter(metering, redis, permission, registry)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, exporter.stop)

        def show(address: str) -> None:
            ready = {
                "metrics": f"{address}/metrics",
                "http": address,
                "pid": os.getpid(),
                "consumer": exporter.consumer,
            }
            sys.stdout.write(f"{json.dumps(ready)}\n" if is_json else f"exporting; metrics at {address}/metrics\n")
            sys.stdout.flush()

        following = None if in_force is None else asyncio.create_task(in_force.run())
        try:
            await exporter.run(show)
        finally:
            if following is not None:
                following.cancel()
                await asyncio.wait([following])


def _bundle(
    settings: GatewaySettings, metering: ExporterSettings, registry: CollectorRegistry, decisions: DecisionLog
) -> BundlesInForce | None:
    """What says where usage may go; None: nothing does. Raises SettingsRefused."""
    if settings.residency is None or settings.residency.bundle is None:
        return None
    nowhere = [sink.name for sink in metering.sinks if not sink.region]
    if nowhere:
        mistake = "with residency.bundle each sink needs a region, in which its receiver is: {} has none"
        raise SettingsRefused([f"metering.sinks: {mistake.format(', '.join(nowhere))}"])
    try:
        return bundle_in_force(settings.residency, ResidencyMetrics(registry), decisions)
    except ResidencyRefused as refused:
        raise SettingsRefused(refused.mistakes) from None


@contextlib.asynccontextmanager
async def _decisions(settings: GatewaySettings, registry: CollectorRegistry) -> AsyncIterator[DecisionLog]:
    """Raises SettingsRefused."""
    if settings.residency is None or settings.residency.bundle is None:
        yield NoDecisionLog()
        return
    try:
        async with decision_log(settings.decision_log, region=settings.region, registry=registry) as opened:
            yield opened
    except DecisionLogRefused as refused:
        raise SettingsRefused([str(refused)]) from None


if __name__ == "__main__":
    sys.exit(main())
