"""Starts, runs and ends the engine process.

Exit codes: 0 drained, 64 bad options, 65 the model was refused, 69 the address is taken, 70 inference died or is stuck,
143 a second SIGTERM. The supervisor starts the engine again after 70.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
import time
import uuid
from typing import TYPE_CHECKING

import structlog
import uvloop

from engines.errors import BackendFailed, ModelRejected
from engines.registration.lease import EngineLease, LeaseNames
from engines.registration.registrar import Registrar
from engines.registration.registry import EngineRegistry
from engines.server.core_dumps import forbid_core_dumps
from engines.server.link import LinkSettings
from engines.server.loading import ModelLoading
from engines.server.logs import write_json_lines
from engines.server.notices import shutdown_notice
from engines.server.options import BadOptions, EngineOptions, parse_options
from engines.server.parent import ParentWatch
from engines.server.service import EngineService, ServiceSettings
from engines.server.shelf import engine_slots
from engines.server.streams import HostSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.preemption.interface import PreemptionSource
    from engines.server.grants import GrantChecker
    from engines.server.shelf import LoadedModel
    from engines.server.streams import StreamHost

EXIT_USAGE = 64
EXIT_MODEL_REFUSED = 65
EXIT_ADDRESS_TAKEN = 69
EXIT_INFERENCE_DIED = 70
EXIT_TERMINATED = 128 + signal.SIGTERM

_PARENT_POLL_S = 0.5

log = structlog.get_logger("engine")


def main(arguments: list[str]) -> int:
    """Run the engine until it is told to end; its exit code."""
    try:
        options = parse_options(arguments)
    except BadOptions as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    if not options.may_dump_core:
        forbid_core_dumps()
    parent = ParentWatch() if options.ends_with_parent else None
    write_json_lines(pool=options.pool)
    if _is_listening(options.listen):
        sys.stderr.write(f"another engine listens on {options.listen}\n")
        return EXIT_ADDRESS_TAKEN
    try:
        loading = _loading(options)
        models = [loading.load(path) for path in options.models]
    except ModelRejected as error:
        sys.stderr.write("".join(f"{mistake}\n" for mistake in error.mistakes))
        return EXIT_MODEL_REFUSED
    except BackendFailed as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_MODEL_REFUSED
    # What was loaded stays: it need not be looked at again by each collection.
    gc.collect()
    gc.freeze()
    # The event loop and the inference thread share the interpreter: neither may make the other wait for 5 ms.
    sys.setswitchinterval(0.001)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(models, loading, options, parent))


async def _run(
    models: list[LoadedModel], loading: ModelLoading, options: EngineOptions, parent: ParentWatch | None
) -> int:
    end_asked = asyncio.Event()
    deaths: list[BaseException] = []

    def die(error: BaseException) -> None:
        deaths.append(error)
        end_asked.set()

    service = EngineService(models, loading, _settings(options), on_death=die, on_leaving=end_asked.set)
    sources: list[PreemptionSource] = []
    try:
        address = await service.start()
        sources += await _preemption_sources(options)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        await service.stop()
        return EXIT_ADDRESS_TAKEN

    def told_to_end(by: str) -> None:
        service.leaving.noticed(shutdown_notice(by, deadline_ms=options.drain_deadline_ms))

    _end_on_signals(told_to_end)
    registrars = _registrars(address, service.host, options)
    _announce(address, service.host, options)
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(service.beat_for_ever())]
        watching += [tasks.create_task(registrar.run()) for registrar in registrars]
        watching += [tasks.create_task(source.run(service.leaving)) for source in sources]
        if parent is not None:
            watching.append(tasks.create_task(_watch_parent(parent, told_to_end)))
        await end_asked.wait()
        if not deaths:
            await service.leave()
        for task in watching:
            task.cancel()
    await asyncio.gather(*(registrar.leave() for registrar in registrars))
    if not deaths:
        await asyncio.gather(*(source.release(service.leaving.left_for(source.name)) for source in sources))
    await asyncio.gather(*(source.aclose() for source in sources))
    await service.stop()
    exit_code = EXIT_INFERENCE_DIED if deaths else 0
    log.info("engine.ended", exit_code=exit_code)
    return exit_code


async def _preemption_sources(options: EngineOptions) -> list[PreemptionSource]:
    """Raises OSError: the trigger's address cannot be listened on."""
    if not options.preemption.sources:
        return []
    # An HTTP client takes memory that an engine without a source need not have.
    from engines.preemption.opening import open_sources

    return await open_sources(options.preemption)


def _end_on_signals(told_to_end: Callable[[str], None]) -> None:
    """The first SIGTERM or SIGINT drains, the second ends the process where it stands."""
    heard: list[str] = []

    def ask() -> None:
        if heard:
            os._exit(EXIT_TERMINATED)
        heard.append("signal")
        told_to_end("signal")

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ask)


async def _watch_parent(parent: ParentWatch, told_to_end: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(_PARENT_POLL_S)
        if parent.is_gone:
            log.warning("engine.orphaned")
            told_to_end("parent")
            return


def _announce(address: str, host: StreamHost, options: EngineOptions) -> None:
    first, *_ = loads = host.shelf.loads()
    facts = {
        "address": address,
        "pool": options.pool,
        "pid": os.getpid(),
        "model": first.name,
        "model_version": first.version,
        "models": [f"{load.name} {load.version}" for load in loads],
        "slots": engine_slots(loads),
    }
    log.info("engine.ready", **facts)
    if options.prints_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()


def _registrars(address: str, host: StreamHost, options: EngineOptions) -> list[Registrar]:
    registration = options.registration
    if registration is None:
        return []
    advertise = registration.advertise
    if not advertise.startswith("unix:"):
        dialled_host, _, port = advertise.rpartition(":")
        advertise = f"{dialled_host}:{port if int(port) else address.rpartition(':')[2]}"
    instance, started_at_unix_ms = uuid.uuid4().hex, int(time.time() * 1_000)

    def lease() -> EngineLease:
        return EngineLease(
            instance=instance,
            address=advertise,
            pool=options.pool,
            capacity=registration.capacity,
            zone=registration.zone,
            accelerator=registration.accelerator,
            models=tuple((load.name, load.version) for load in host.shelf.loads()),
            started_at_unix_ms=started_at_unix_ms,
            ttl_ms=registration.lease_ms,
            is_draining=host.is_draining,
        )

    names = LeaseNames(registration.prefix, registration.region)
    return [Registrar(EngineRegistry(url, names), lease) for url in registration.urls]


def _settings(options: EngineOptions) -> ServiceSettings:
    return ServiceSettings(
        listen=options.listen,
        host=HostSettings(
            pool=options.pool,
            capacity=options.capacity,
            max_batch=options.max_batch,
            busy_permille=options.busy_permille,
            replay_share_permille=options.replay_share_permille,
        ),
        link=LinkSettings(
            heartbeat_interval_ms=options.heartbeat_interval_ms, silent_intervals=options.silent_intervals
        ),
        stuck_after_ms=options.stuck_after_ms,
        drains_on=options.drains_on,
        grants=_grants(options),
    )


def _grants(options: EngineOptions) -> GrantChecker | None:
    asked = options.grants
    if asked is None:
        return None
    # An engine that checks nothing need not have the library in its memory.
    from engines.server.grants import GrantChecker

    return GrantChecker(asked.keys, region=asked.region, capacity=asked.capacity)


def _loading(options: EngineOptions) -> ModelLoading:
    return ModelLoading(
        backend=options.backend,
        script=options.script if options.recogniser == "scripted" else None,
        max_batch=options.max_batch,
        skips_silence=options.skips_silence,
        allowed_folders=options.model_folders,
    )


def _is_listening(address: str) -> bool:
    """Whether somebody answers on a UNIX socket: gRPC would take its path away without a word."""
    if not address.startswith("unix:"):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address.removeprefix("unix:")) == 0
