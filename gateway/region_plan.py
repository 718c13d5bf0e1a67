"""Which processes a region on one machine is made of: their commands, settings, and the order in which they start."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.redis_process import until_it_answers
from gateway.residency.grant_keys import key_file, keys_directory
from gateway.settings import as_environment

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path


@dataclass(slots=True)
class EnginePlan:
    """The engines of one region: `count` replicas, all alike."""

    count: int = 1
    pool: str = "local"
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class RegionPlan:
    """What to run. `gateway_settings` go over the settings file, as the environment does."""

    region: str
    engines: EnginePlan
    gateway_settings: dict[str, Any]
    config: Path | None
    state_directory: Path
    log_file: Path | None
    """Where the children's logs go; None: to standard error."""
    has_redis: bool = True
    """A Redis of the region's own, for its limits; without, they are the settings' or those of one process."""
    has_exporter: bool = False
    """Usage events are delivered."""
    metering: Mapping[str, Any] | None = None
    """The section of the settings that says where to; None: into files of the region."""
    has_resume_keys: bool = False
    """The settings say what resume tokens are signed with; else it is a key of the region's own (resume_key_file)."""
    has_decision_log: bool = False
    """The settings say where decisions are written down; else it is a folder of the region's own, signed by a key of
    its own (decision_key_file)."""
    makes_grant_keys: bool = False
    """Sessions carry placement grants by a key of the region's own (gateway.residency.grant_keys)."""
    grant_keys: Path | None = None
    """Public keys that the settings name for placement grants."""
    makes_webtransport_secret: bool = False
    """With one that is kept, clients learn at once that a gateway was started again (webtransport_secret_file)."""
    has_any_webtransport_port: bool = False
    """Whichever is free; a gateway that is started again must have the same."""
    renew_certificate: Callable[[], str] | None = None
    """Called now and then, because the certificate of a region lives for days; gives its SHA-256, in hexadecimal."""
    renew_every_s: float = 60.0


@dataclass(slots=True)
class Child:
    """One process under supervision."""

    name: str
    command: Callable[[], list[str]]
    environment: Callable[[], dict[str, str]]
    becomes_ready: Callable[[], Coroutine[Any, Any, None]] | None = None
    """Where it prints no line of JSON when it is ready: waits until it is."""
    process: asyncio.subprocess.Process | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    started_at_s: float = 0.0
    quick_deaths: int = 0
    log_offset_bytes: int = 0
    """How long the log was when the process started: what it said comes after."""


@dataclass(frozen=True, slots=True)
class RegionChildren:
    """`stages`: those of one are started together, after those before it are ready. `places`: what users look for."""

    stages: list[list[Child]]
    engines: list[Child]
    gateway: Child
    helpers: list[Child]
    places: dict[str, Any]

    @property
    def all(self) -> list[Child]:
        return [child for stage in self.stages for child in stage]


def children_of(plan: RegionPlan, sockets: Path, data: Path, ports: Mapping[str, int]) -> RegionChildren:
    """Nothing is started.

    Args:
        sockets: a folder that is gone when the region is.
        data: one that stays.
        ports: of the gateway, once they are known: it is started again on the same ones.
    """
    numbers = range(plan.engines.count)
    engines = [_engine(plan, sockets, data, number) for number in numbers]
    settings = _where_engines_are(plan, sockets)
    settings |= _own_limits(sockets, data) if plan.has_redis else {}
    if not plan.has_resume_keys:
        settings["resumption__key_file"] = str(resume_key_file(data))
    if not plan.has_decision_log:
        settings["decision_log__directory"] = str(data / "decisions")
        settings["decision_log__signing_key_file"] = str(decision_key_file(data))
    if plan.makes_grant_keys:
        settings["residency__grants__key_file"] = str(key_file(data))
        settings["residency__grants__keys_directory"] = str(keys_directory(data))
    if plan.makes_webtransport_secret:
        settings["webtransport__secret_file"] = str(webtransport_secret_file(data))
    settings["orders__copy_file"] = str(data / "orders.json")
    settings["operations__audit_file"] = str(data / "audit.jsonl")
    settings["operations__break_glass__copy_file"] = str(data / "break-glass.json")
    settings |= _metering_defaults(plan, data)
    gateway = _gateway(plan, settings, ports)
    stores = [_redis(sockets, data)] if plan.has_redis else []
    exporters = [_exporter(plan, settings, data)] if plan.has_exporter else []
    return RegionChildren(
        stages=[stores, [*engines, gateway, *exporters]],
        engines=engines,
        gateway=gateway,
        helpers=[*stores, *exporters],
        places=_places(plan, sockets, data),
    )


def _places(plan: RegionPlan, sockets: Path, data: Path) -> dict[str, Any]:
    places: dict[str, Any] = {"redis": f"unix://{_redis_socket(sockets)}"} if plan.has_redis else {}
    if not plan.has_decision_log:
        places["decisions"] = str(data / "decisions")
    if not plan.has_exporter:
        return places
    if plan.metering is None:
        places["usage"] = str(data / "usage")
    metering = _own_metering(plan.region, data) if plan.metering is None else plan.metering
    # Names alone: the settings of sinks hold secrets.
    places["sinks"] = [sink["name"] for sink in metering["sinks"] if isinstance(sink, dict) and "name" in sink]
    places["sent_log"] = str(metering.get("state_directory", _exporter_state(data)))
    return places


def _metering_defaults(plan: RegionPlan, data: Path) -> dict[str, Any]:
    """What a region on one machine knows by itself of sinks that the settings name."""
    given = plan.metering
    if given is None:
        return {}
    defaults: dict[str, Any] = {}
    if "state_directory" not in given:
        defaults["metering__state_directory"] = str(_exporter_state(data))
    if "listen" not in given:
        defaults["metering__listen__port"] = 0
    return defaults


def _exporter_state(data: Path) -> Path:
    return data / "exporter"


def _engine_socket(sockets: Path, number: int) -> Path:
    return sockets / f"engine-{number}.sock"


def _where_engines_are(plan: RegionPlan, sockets: Path) -> dict[str, Any]:
    """They say so themselves in the region's Redis; without one they are listed."""
    if plan.has_redis:
        found = {"kind": "redis", "url": f"unix://{_redis_socket(sockets)}", "region": plan.region}
        return {"engines__addresses": [], "engines__discovery": found}
    numbers = range(plan.engines.count)
    return {"engines__addresses": [f"unix:{_engine_socket(sockets, number)}" for number in numbers]}


def resume_key_file(data: Path) -> Path:
    """Kept over restarts: a gateway that is started again honours its own resume tokens."""
    return data / "resume.keys"


def webtransport_secret_file(data: Path) -> Path:
    """Kept over restarts, like the connections that it is for."""
    return data / "webtransport.secret"


def decision_key_file(data: Path) -> Path:
    """Kept over restarts: one public key verifies the whole log."""
    return data / "decisions-key.pem"


def _engine(plan: RegionPlan, sockets: Path, data: Path, number: int) -> Child:
    engines = plan.engines
    command = [
        *(sys.executable, "-m", "engines", "--json", "--exit-with-parent"),
        *("--listen", f"unix:{_engine_socket(sockets, number)}", "--pool", engines.pool),
        *("--capacity", "reserved"),
        *engines.arguments,
    ]
    grant_keys = keys_directory(data) if plan.makes_grant_keys else plan.grant_keys
    if plan.has_redis:
        command += ["--register", f"unix://{_redis_socket(sockets)}"]
    if plan.has_redis or grant_keys is not None:
        command += ["--region", plan.region]
    if grant_keys is not None:
        command += ["--grant-keys", str(grant_keys)]
    return Child(f"engine-{number}", lambda: command, lambda: dict(os.environ))


def _redis(sockets: Path, data: Path) -> Child:
    socket = _redis_socket(sockets)
    command = [
        *(sys.executable, "-m", "gateway.redis_process"),
        *("--directory", str(data / "redis"), "--socket", str(socket)),
    ]
    return Child("redis", lambda: command, lambda: dict(os.environ), lambda: until_it_answers(socket))


def _redis_socket(sockets: Path) -> Path:
    return sockets / "redis.sock"


def _own_limits(sockets: Path, data: Path) -> dict[str, Any]:
    """Settings by which the region's own Redis is used."""
    return {
        "limits__redis": {"urls": [f"unix://{_redis_socket(sockets)}"]},
        "limits__journal": {"directory": str(data / "journal")},
    }


def _gateway(plan: RegionPlan, settings: dict[str, Any], ports: Mapping[str, int]) -> Child:
    command = [sys.executable, "-m", "gateway", "--json", "--exit-with-parent", *_config(plan)]

    def environment() -> dict[str, str]:
        over = {**plan.gateway_settings, **settings, **{f"{name}__port": port for name, port in ports.items()}}
        return dict(os.environ) | as_environment(over)

    return Child("gateway", lambda: command, environment)


def _exporter(plan: RegionPlan, settings: dict[str, Any], data: Path) -> Child:
    command = [sys.executable, "-m", "gateway.metering", "--json", "--exit-with-parent", *_config(plan)]
    over = {**plan.gateway_settings, **settings}
    if plan.metering is None:
        over["metering"] = _own_metering(plan.region, data)
    return Child("exporter", lambda: command, lambda: dict(os.environ) | as_environment(over))


def _own_metering(region: str, data: Path) -> dict[str, Any]:
    """Settings of an exporter that writes files of the region's own."""
    file = {"kind": "json_lines", "name": "file", "directory": str(data / "usage"), "region": region}
    return {"state_directory": str(_exporter_state(data)), "sinks": [file], "listen": {"port": 0}}


def _config(plan: RegionPlan) -> list[str]:
    return [] if plan.config is None else ["--config", str(plan.config)]
