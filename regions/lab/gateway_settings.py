"""What the lab tells each of its gateways and engines: settings as environment, command lines, catalog files. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from regions.lab.policy_bundle import country_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from regions.lab.world_spec import WorldSpec

_PLACES = (
    (40.0, -120.0),
    (41.0, -95.0),
    (40.0, -75.0),
    (50.0, -100.0),
    (30.0, -95.0),
    (45.0, -124.0),
    (44.0, -60.0),
    (39.0, -105.0),
)
"""Where the regions of a lab are, latitude and longitude: made up, and near enough that distance decides little."""

ENGINE_LEASE_MS = 3_000
QUOTA_PLAN = "quota"
_QUOTA_COMPUTE_S = 0.7
"""Little more than a session opens with (docs/limits.md)."""
_QUOTA_STEP_MS = 100
"""Of an engine, for half a second of the audio of all: so compute is used up while somebody speaks."""
_REORDER_MS = 400
"""More than a relay in user space is late on a busy machine: what counts as lost is what a link lost."""


@dataclass(frozen=True, slots=True)
class RegionAddresses:
    """One region as one viewer reaches it: through the lab's links."""

    gateways: tuple[str, ...]
    relays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """Where one engine is. `capacity` is also its pool's name."""

    region: str
    host: str
    capacity: str
    redis_url: str
    advertised: str
    zone: str = ""
    residency: tuple[str, ...] = ()
    """Arguments of its own where policy is a bundle."""
    script: tuple[str, ...] = ()
    """Of a scripted engine: `key=value` for each."""


@dataclass(frozen=True, slots=True)
class GatewayPlace:
    """Where one gateway is and what is around it. `certificate`: the settings' three files."""

    region: str
    host: str
    folder: Path
    redis_url: str
    relay_port: int
    catalog_file: Path
    certificate: Mapping[str, str]
    resumption_key_file: Path
    engine_addresses: tuple[str, ...]
    plans_file: Path | None = None
    residency: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its own where policy is a bundle."""
    webtransport: Mapping[str, Any] = field(default_factory=dict)
    """Its section, where the world has it."""


def catalog_text(world: WorldSpec, seen: Mapping[str, RegionAddresses]) -> str:
    """The catalog file (TOML) of one region: `seen` has each region as it is reached from there."""
    lines = []
    for number, (name, place) in enumerate(zip(world.region_names, _PLACES, strict=False)):
        addresses = seen[name]
        lines += [
            "[[regions]]",
            f'name = "{name}"',
            f'country = "{"US" if world.residency is None else country_of(number)}"',
            f"location = {{ latitude = {place[0]}, longitude = {place[1]} }}",
            'jurisdictions = ["us"]',
            'operator = "lab"',
            f"gateways = {json.dumps(addresses.gateways)}",
            f"relays = {json.dumps(addresses.relays)}",
        ]
        for kind in ("reserved", "spot"):
            if getattr(world, kind):
                lines += [
                    "[[regions.pools]]",
                    f'name = "{kind}"',
                    f'capacity = "{kind}"',
                    f'models = [{{ name = "{world.engine}" }}]',
                ]
        lines.append("")
    return "\n".join(lines)


def plans_text() -> str:
    """A plans file (TOML) with one plan for each tier, by its name, without limits; and `QUOTA_PLAN`, which gives each
    caller compute for a few seconds of audio, and then almost none.
    """
    tiers = ("premium", "standard", "economy")
    return "\n".join(
        [
            'default_plan = "standard"',
            *(f'[plans.{tier}]\ntier = "{tier}"' for tier in tiers),
            f'[plans.{QUOTA_PLAN}]\nwhen_exhausted = "finish"',
            f"[plans.{QUOTA_PLAN}.key]",
            "compute_seconds_per_second = 0.001",
            f"compute_seconds_burst = {_QUOTA_COMPUTE_S}",
            "",
        ]
    )


def as_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings named `section__key` as the environment that a gateway reads them from."""
    return {f"PATCHBAY__{name.upper()}": json.dumps(value) for name, value in settings.items()}


def engine_command(python: str, world: WorldSpec, place: EnginePlace) -> list[str]:
    """How an engine of the lab is started. It is known by the address of its link, not by its own."""
    command = [python, "-m", "engines", "--json", "--listen", f"{place.host}:0", "--pool", place.capacity]
    command += ["--slots", str(world.slots), "--heartbeat-interval-ms", str(world.heartbeat_interval_ms)]
    if world.engine == "scripted":
        command += ["--recogniser", "scripted", "--busy-permille", "0"]
    if world.regions > 1:
        command += ["--register", place.redis_url, "--advertise", place.advertised, "--region", place.region]
        command += ["--capacity", place.capacity, "--lease-ms", str(ENGINE_LEASE_MS)]
        if place.zone:
            command += ["--zone", place.zone]
    script = [*place.script, *([f"step_delay_ms={_QUOTA_STEP_MS}"] if world.has_quota else [])]
    if script:
        command += ["--script", ",".join(script)]
    command += place.residency
    return command


def with_script(command: Sequence[str], line: str) -> list[str]:
    """The command of a scripted engine with one line more in its script: the last of several scripts would count."""
    if "--script" not in command:
        return [*command, "--script", line]
    place = command.index("--script") + 1
    kept = [each for each in command[place].split(",") if each.partition("=")[0] != line.partition("=")[0]]
    return [*command[:place], ",".join([*kept, line]), *command[place + 1 :]]


def gateway_settings(world: WorldSpec, place: GatewayPlace, issuer: Mapping[str, Any]) -> dict[str, Any]:
    """Of one gateway. It ends at once when it is told to: the lab has nobody to drain for."""
    settings: dict[str, Any] = {
        "region": place.region,
        **{f"{listener}__host": place.host for listener in ("http", "grpc", "admin")},
        **{f"{listener}__port": 0 for listener in ("http", "grpc", "admin")},
        "tokens__issuers": [issuer],
        "drain__finish_ms": 0,
        "limits__redis__urls": [place.redis_url],
        "limits__journal__directory": str(place.folder / "journal"),
        "orders__copy_file": str(place.folder / "orders.json"),
    }
    if place.plans_file is not None:
        settings["limits__plans_file"] = str(place.plans_file)
    if place.webtransport:
        settings["webtransport"] = {"reorder_ms": _REORDER_MS, **place.webtransport}
    if world.regions == 1:
        settings["engines__addresses"] = place.engine_addresses
    else:
        settings |= {
            "engines__addresses": [],
            "engines__discovery": {"kind": "redis", "url": place.redis_url},
            "regions__catalog_file": str(place.catalog_file),
            "regions__relay": {"host": place.host, "port": place.relay_port, **place.certificate},
            "regions__links": dict(place.certificate),
            "resumption__key_file": str(place.resumption_key_file),
            "residency": {"profiles": dict(world.profiles), "default": list(world.region_names)},
        }
    return settings | dict(place.residency) | world.settings
