"""A running world: regions of real processes on loopback addresses of their own, joined by the lab's links.

Region number n has 127.0.(10+n).1 for its processes, and 127.0.(10+n).2 for the links by which it reaches others. Ports
are the kernel's choice, so labs can run side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp

from regions.lab.authority import CertificateAuthority, OwnCertificate, TokenIssuer, self_signed
from regions.lab.conditions import Conditions
from regions.lab.edges import kill_edges
from regions.lab.gateway_settings import (
    EnginePlace,
    GatewayPlace,
    RegionAddresses,
    as_environment,
    catalog_text,
    engine_command,
    gateway_settings,
    plans_text,
)
from regions.lab.operator import OrderedTarget
from regions.lab.policy_bundle import EVERYWHERE
from regions.lab.processes import Member, ProcessFailed, ProcessTable
from regions.lab.redis_pair import redis_command, until_answers, until_in_step
from regions.lab.relays import running_relays
from regions.lab.residency import LabResidency
from regions.lab.settable_clock import SettableClock, find_library
from regions.lab.watch import sum_metrics
from regions.lab.world_spec import edges_of, engines_of, pools_of, zone_of, zones_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from regions.lab.relays import Relays
    from regions.lab.world_spec import WorldSpec

_FIRST_NETWORK = 10
_READY_S = 60.0
_POLL_S = 0.05
_ASK_S = 2.0
_WEBSOCKET_PATH = "/v1/stream"


@dataclass(frozen=True, slots=True)
class Region:
    """Where one region is: `host` of its processes, `links_host` of its links."""

    name: str
    host: str
    links_host: str
    folder: Path
    redis_port: int
    replica_port: int
    relay_ports: tuple[int, ...]
    webtransport_ports: tuple[int, ...]
    """UDP, of each gateway; none where the world has no WebTransport."""

    @property
    def redis_url(self) -> str:
        """Of the one that counts at the start."""
        return f"redis://{self.host}:{self.redis_port}/0"


class World:
    """What runs, and the names by which faults find it. Use `running_world`."""

    def __init__(self, spec: WorldSpec, folder: Path, table: ProcessTable, relays: Relays) -> None:
        self.spec = spec
        self.folder = folder
        self.table = table
        self.relays = relays
        self.authority = CertificateAuthority(folder)
        self.issuer = TokenIssuer()
        self.clocks: dict[str, SettableClock] = {}
        self.residency = None if spec.residency is None else LabResidency(spec, _made(folder / "residency"))
        self.regions = {name: self._region(number, name) for number, name in enumerate(spec.region_names)}
        self.primaries = {name: region.redis_port for name, region in self.regions.items()}
        """By region, the port of the Redis that counts."""
        self._ports: dict[str, int] = {}
        self.certificates: dict[str, OwnCertificate] = {}
        """By region, of its WebTransport."""
        self._plans_file: Path | None = None
        if spec.has_tiers or spec.has_quota:
            self._plans_file = folder / "plans.toml"
            self._plans_file.write_text(plans_text(), encoding="utf-8")
        for name in ("resumption.key", "webtransport.secret"):
            (folder / name).write_bytes(secrets.token_hex(32).encode())
            (folder / name).chmod(0o600)

    # --- where things are -----------------------------------------------------------------------------------

    def websockets(self, region: str) -> list[str]:
        """Where clients reach the region's gateways, through their links."""
        return [self._websocket(region, number) for number in range(1, self.spec.gateways + 1)]

    def webtransports(self) -> dict[str, str]:
        """Where clients reach WebTransport of each gateway, through its link, by the gateway's WebSocket."""
        numbers = range(1, self.spec.gateways + 1) if self.spec.webtransport else ()
        return {
            self._websocket(region, number): self._webtransport(region, number)
            for region in self.regions
            for number in numbers
        }

    def token(self, *, subject: str, profile: str = "", tier: str = "") -> str:
        if self.residency is not None:
            profile = profile or EVERYWHERE
        return self.issuer.mint(subject=subject, residency=profile, plan=tier)

    def operator_token(self, subject: str) -> str:
        """Of somebody who may give orders."""
        return self.issuer.mint(subject=subject, scope="operate")

    def admins(self, region: str) -> list[str]:
        """Base URLs of the admin listeners of gateways that run: those of the region, or where none does, all."""
        urls = {name: url.removesuffix("/metrics") for name, url in self.metrics_urls().items()}
        return [url for name, url in urls.items() if name.split("/")[1] == region] or list(urls.values())

    def ordered(self, name: str) -> OrderedTarget:
        """What `region/west`, `pool/west/spot` or `engine/west/spot-1` is called in an order."""
        scope, region, *rest = name.split("/")
        called = rest[0] if rest else ""
        if scope == "engine":
            called = self._advertised(region, called)
        return OrderedTarget(scope, region, called)

    def engine_addresses(self) -> dict[str, str]:
        """Of the engines that run, by their names; without a link between."""
        return {
            name: str(member.ready["address"])
            for name, member in self.table.members.items()
            if name.startswith("engine/") and member.is_alive and member.ready
        }

    def metrics_urls(self) -> dict[str, str]:
        """Of the gateways that run."""
        return {
            name: str(member.ready["metrics"])
            for name, member in self.table.members.items()
            if name.startswith("gateway/") and member.is_alive and member.ready
        }

    def names(self) -> list[str]:
        """Everything that a fault can strike."""
        groups = [*(f"region/{name}" for name in self.regions), *zones_of(self.spec), *pools_of(self.spec)]
        edges = [edge for name in self.regions for edge in edges_of(self.spec, name)]
        return [*groups, *self.table.members, *edges, *self.relays.names]

    def kill_edges(self, name: str) -> list[int]:
        """SIGKILL to all of `edge/west/1`; whom it struck."""
        gateway = self.table.members[name.replace("edge/", "gateway/")]
        return kill_edges(gateway.pid) if gateway.is_alive else []

    def usual_conditions(self, link: str) -> Conditions:
        """Of a link, by its name."""
        network = self.spec.network
        kinds = {"engine": network.engine, "region": network.region, "redis": Conditions()}
        return kinds.get(link.split("/")[1], network.client)

    def _websocket(self, region: str, number: int) -> str:
        where = self.regions[region].links_host
        return f"ws://{where}:{self._ports[f'link/client/{region}/{number}']}{_WEBSOCKET_PATH}"

    def _webtransport(self, region: str, number: int) -> str:
        where = self.regions[region].links_host
        return f"https://{where}:{self._ports[f'link/webtransport/{region}/{number}']}{_WEBSOCKET_PATH}"

    def _region(self, number: int, name: str) -> Region:
        host = f"127.0.{_FIRST_NETWORK + number}.1"
        folder = self.folder / name
        folder.mkdir(parents=True)
        relay_ports = tuple(_free_port(host) for _ in range(self.spec.gateways))
        ports = _free_port(host), _free_port(host)
        edges = range(self.spec.gateways if self.spec.webtransport else 0)
        udp_ports = tuple(_free_port(host, socket.SOCK_DGRAM) for _ in edges)
        return Region(name, host, host.removesuffix("1") + "2", folder, *ports, relay_ports, udp_ports)

    # --- its start ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Everything at once; ready when every gateway has an engine. Raises ProcessFailed."""
        await self._open_links()
        members = [member for region in self.regions.values() for member in self._members_of(region)]
        try:
            async with asyncio.TaskGroup() as tasks:
                for member in members:
                    tasks.create_task(self.table.start(member))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        await self.until_ready()

    async def until_ready(self) -> None:
        """Every gateway has an engine and reaches every region. Raises ProcessFailed: one does not, within a minute."""
        due_s = time.monotonic() + _READY_S
        for name in self.metrics_urls():
            while not await self.is_ready(name):
                if time.monotonic() > due_s:
                    raise ProcessFailed(f"{name} found no engine, or does not reach every region")
                await asyncio.sleep(_POLL_S)

    async def is_ready(self, gateway: str) -> bool:
        """Whether a gateway has an engine and reaches every region."""
        metrics_url = self.metrics_urls().get(gateway)
        if metrics_url is None:
            return False
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            return await self._is_ready(metrics_url)
        return False

    async def _is_ready(self, metrics_url: str) -> bool:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASK_S)) as http:
            async with http.get(metrics_url.removesuffix("/metrics") + "/readyz") as response:
                if not response.ok:
                    return False
            async with http.get(metrics_url) as response:
                reached = sum_metrics(await response.text()).get("patchbay_region_reachable", 0.0)
            return self.spec.regions == 1 or reached >= self.spec.regions

    async def _open_links(self) -> None:
        network = self.spec.network
        for region in self.regions.values():
            for number in range(1, self.spec.gateways + 1):
                await self._open(f"link/client/{region.name}/{number}", region.links_host, network.client)
            for number, port in enumerate(region.webtransport_ports, start=1):
                link = f"link/webtransport/{region.name}/{number}"
                self._ports[link] = await self.relays.open(link, region.links_host, network.client, is_udp=True)
                await self.relays.aim(link, region.host, port)
            for engine in engines_of(self.spec):
                await self._open(f"link/engine/{region.name}/{engine}", region.links_host, network.engine)
            if self.spec.redis_replica:
                await self._open(f"link/redis/{region.name}", region.links_host, Conditions())
                await self.relays.aim(f"link/redis/{region.name}", region.host, region.redis_port)
            for other in self.regions.values():
                if other is not region:
                    await self._open_region_links(region, other)

    async def _open_region_links(self, region: Region, other: Region) -> None:
        for number, port in enumerate(other.relay_ports, start=1):
            link = f"link/region/{region.name}/{other.name}/{number}"
            await self._open(link, region.links_host, self.spec.network.region)
            await self.relays.aim(link, other.host, port)

    async def _open(self, link: str, host: str, conditions: Conditions) -> None:
        self._ports[link] = await self.relays.open(link, host, conditions)

    def _members_of(self, region: Region) -> list[Member]:
        numbers = range(1, self.spec.gateways + 1)
        (region.folder / "catalog.toml").write_text(catalog_text(self.spec, self._seen_from(region)), encoding="utf-8")
        self.authority.issue(region.name)
        if self.spec.webtransport:
            certificate = self_signed(region.folder, "webtransport", region.links_host)
            self.certificates[region.name] = certificate
        return [
            *self._redis(region),
            *(self._engine(region, engine) for engine in engines_of(self.spec)),
            *(self._gateway(region, number) for number in numbers),
        ]

    def _seen_from(self, region: Region) -> dict[str, RegionAddresses]:
        """Gateways as clients see them, relays by the links of this region; its own relays as they are."""
        numbers = range(1, self.spec.gateways + 1)
        seen = {}
        for other in self.regions.values():
            if other is region:
                relays = [f"{other.host}:{port}" for port in other.relay_ports]
            else:
                ports = [self._ports[f"link/region/{region.name}/{other.name}/{number}"] for number in numbers]
                relays = [f"{region.links_host}:{port}" for port in ports]
            gateways = self.websockets(other.name)
            gateways += [self._webtransport(other.name, number) for number in numbers if self.spec.webtransport]
            seen[other.name] = RegionAddresses(tuple(gateways), tuple(relays))
        return seen

    def _redis(self, region: Region) -> list[Member]:
        """It, and its replica where it has one."""
        host, port = region.host, region.redis_port
        command = redis_command(host, port, self.redis_folder(f"redis/{region.name}"))
        answers = partial(until_answers, host, port)
        members = [self._member(f"redis/{region.name}", region, command, {}, becomes_ready=answers)]
        if self.spec.redis_replica:
            name = f"redis/{region.name}/replica"
            command = redis_command(host, region.replica_port, self.redis_folder(name), replica_of=port)
            follows = partial(until_in_step, host, region.replica_port)
            members.append(self._member(name, region, command, {}, becomes_ready=follows))
        return members

    def redis_folder(self, name: str) -> Path:
        """Where `redis/west` or `redis/west/replica` keeps its data."""
        _, region, *replica = name.split("/")
        folder = self.folder / region / "-".join(["redis", *replica])
        folder.mkdir(exist_ok=True)
        return folder

    def redis_port(self, name: str) -> int:
        region = self.regions[name.split("/")[1]]
        return region.replica_port if name.endswith("/replica") else region.redis_port

    def _redis_url(self, region: Region) -> str:
        """As gateways and engines reach it: through its link, where it has one."""
        if self.spec.redis_replica:
            return f"redis://{region.links_host}:{self._ports[f'link/redis/{region.name}']}/0"
        return region.redis_url

    def _advertised(self, region: str, engine: str) -> str:
        return f"{self.regions[region].links_host}:{self._ports[f'link/engine/{region}/{engine}']}"

    def _engine(self, region: Region, engine: str) -> Member:
        link = f"link/engine/{region.name}/{engine}"
        place = EnginePlace(
            region=region.name,
            host=region.host,
            capacity=engine.rpartition("-")[0],
            redis_url=self._redis_url(region),
            advertised=self._advertised(region.name, engine),
            zone=zone_of(self.spec, engine) if self.spec.zones > 1 else "",
            residency=() if self.residency is None else tuple(self.residency.engine_arguments()),
            script=() if self.residency is None else tuple(self.residency.engine_script(region.name, engine)),
        )

        async def aim(member: Member) -> None:
            await self.relays.aim(link, *_host_and_port(member.ready["address"]))

        command = engine_command(sys.executable, self.spec, place)
        return self._member(f"engine/{region.name}/{engine}", region, command, {}, on_ready=aim)

    def _gateway(self, region: Region, number: int) -> Member:
        folder = region.folder / f"gateway-{number}"
        folder.mkdir(exist_ok=True)
        place = GatewayPlace(
            region=region.name,
            host=region.host,
            folder=folder,
            redis_url=self._redis_url(region),
            relay_port=region.relay_ports[number - 1],
            catalog_file=region.folder / "catalog.toml",
            certificate=self.authority.files(region.name).as_settings(),
            resumption_key_file=self.folder / "resumption.key",
            engine_addresses=tuple(self._advertised(region.name, engine) for engine in engines_of(self.spec)),
            plans_file=self._plans_file,
            residency={} if self.residency is None else self.residency.gateway_settings(region.name, folder),
            webtransport=self._webtransport_settings(region, number),
        )
        environment = as_environment(gateway_settings(self.spec, place, self.issuer.as_settings()))
        link = f"link/client/{region.name}/{number}"

        async def aim(member: Member) -> None:
            await self.relays.aim(link, *_host_and_port(member.ready["http"].partition("://")[2]))

        command = [sys.executable, "-m", "gateway", "--json"]
        return self._member(f"gateway/{region.name}/{number}", region, command, environment, on_ready=aim)

    def _webtransport_settings(self, region: Region, number: int) -> dict[str, Any]:
        """Nothing where the world has none. With a port and a secret that are kept, clients learn at once that a
        gateway was started again.
        """
        if not self.spec.webtransport:
            return {}
        certificate = self.certificates[region.name]
        return {
            "host": region.host,
            "port": region.webtransport_ports[number - 1],
            "tls": {"certificate_file": str(certificate.certificate_file), "key_file": str(certificate.key_file)},
            "secret_file": str(self.folder / "webtransport.secret"),
            "public_url": self._webtransport(region.name, number),
        }

    def _member(
        self, name: str, region: Region, command: list[str], environment: dict[str, str], **more: Any
    ) -> Member:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PATCHBAY")}
        inherited |= {"OMP_NUM_THREADS": "1", "XDG_STATE_HOME": str(region.folder)} | environment
        if self.spec.has_settable_clocks:
            clock = self.clocks[name] = SettableClock(region.folder / f"{name.replace('/', '-')}.clock", find_library())
            inherited |= clock.environment
        return Member(name, command, inherited, region.folder / f"{name.replace('/', '-')}.log", **more)


@contextlib.asynccontextmanager
async def running_world(spec: WorldSpec, folder: Path, *, seed: int = 0) -> AsyncIterator[World]:
    """Start a world in an empty folder; everything in it ends with the block. Raises ProcessFailed."""
    async with running_relays(seed=seed) as relays, ProcessTable() as table:
        world = World(spec, folder, table, relays)
        await world.start()
        yield world


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _free_port(host: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])
