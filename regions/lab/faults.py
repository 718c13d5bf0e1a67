"""The fault injector: when each fault of a drill strikes, on what, and how."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from regions.lab.fault_spec import ON_PROCESSES, FaultKind, FaultSpec
from regions.lab.gateway_settings import with_script
from regions.lab.notices import give_notice
from regions.lab.operator import Operator, OrderRefused
from regions.lab.redis_pair import promote, redis_command, until_in_step
from regions.lab.upgrade import RollingUpgrade
from regions.lab.world_spec import engines_in_zone, matching

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from regions.lab.processes import Member
    from regions.lab.residency import LabResidency
    from regions.lab.world import World

_POLL_S = 0.02
_UNTIL_READ_S = 1.5
"""Gateways have taken a new bundle by then."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault at one time, in seconds from the beginning."""

    at_s: float
    fault: FaultSpec


@dataclass(frozen=True, slots=True)
class Struck:
    """What was done, and when by the monotonic clock; `victims` is empty where nothing was there to be struck."""

    at_s: float
    kind: str
    victims: tuple[str, ...]
    over_at_s: float = 0.0
    """When what lasts is over."""


def timetable(faults: Sequence[FaultSpec], dice: random.Random) -> list[Strike]:
    """Every strike of a drill in its order."""
    strikes = []
    for fault in faults:
        if fault.between_s is not None:
            strikes += [Strike(dice.uniform(*fault.between_s), fault) for _ in range(fault.times)]
        else:
            strikes += [Strike(fault.at_s + number * fault.every_s, fault) for number in range(fault.times)]
    return sorted(strikes, key=lambda strike: strike.at_s)


class FaultInjector:
    """Carries out a timetable on a world. `struck` grows as it goes."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self._world = world
        self._dice = dice
        self.operator = Operator(world.admins, world.operator_token)
        self.upgrade = RollingUpgrade(world, self.operator)
        self.failures: list[str] = []
        """Of orders that nobody took."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_light_enough = asyncio.Event()
        self.struck: list[Struck] = []

    async def run(self, strikes: Sequence[Strike], began_at_s: float) -> None:
        """Until the last fault is over; cancelled, it mends what it can."""
        try:
            for strike in strikes:
                await asyncio.sleep(max(0.0, began_at_s + strike.at_s - time.monotonic()))
                await self._until_enough_are_up(strike.fault)
                await self.strike(strike.fault)
            await asyncio.gather(*self._tasks)
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def light(self) -> None:
        """Nobody is left who could be kept in the dark: links are lit before their time."""
        now_s = time.monotonic()
        self.struck = [replace(struck, over_at_s=min(struck.over_at_s, now_s)) for struck in self.struck]
        self._is_light_enough.set()

    async def strike(self, fault: FaultSpec) -> None:
        """Do it; what lasts goes on in the background."""
        victims = self._victims(fault)
        now_s = time.monotonic()
        self.struck.append(Struck(now_s, fault.kind.value, tuple(victims), now_s + fault.for_s))
        if fault.kind is FaultKind.upgrade:
            self._last(self.upgrade.run(victims, fault))
            return
        if fault.kind in (FaultKind.policy_change, FaultKind.expire_bundle):
            self._strike_policy("", fault)
            return
        for victim in victims:
            await self._strike_one(victim, fault)

    async def _strike_one(self, victim: str, fault: FaultSpec) -> None:
        match fault.kind:
            case FaultKind.operate:
                self._last(self._operate(victim, fault))
            case FaultKind.fail_over:
                self._last(self._fail_over(victim.split("/")[1], fault))
            case FaultKind.lose_data:
                await self._lose_data(self._world.table.members[victim], fault.down_s)
            case FaultKind.lose_region:
                self._lose_region(victim.removeprefix("region/"), fault.down_s)
            case FaultKind.expire_certificates:
                self._last(self._expire(victim.removeprefix("region/"), fault))
            case FaultKind.expire_row | FaultKind.embargo | FaultKind.corrupt_bundle:
                self._strike_policy(victim.removeprefix("region/"), fault)
            case FaultKind.step_clock:
                self._world.clocks[victim].step(fault.by_s)
            case FaultKind.reset:
                await self._world.relays.reset(victim)
            case FaultKind.conditions:
                self._last(self._other_conditions(victim, fault))
            case FaultKind.darken | FaultKind.partition:
                await self._world.relays.darken(victim)
                self._last(self._light(victim, fault.for_s))
            case _ if victim.startswith("edge/"):
                self._world.kill_edges(victim)
            case _:
                self._strike_process(self._world.table.members[victim], fault)

    def _strike_policy(self, region: str, fault: FaultSpec) -> None:
        residency = self._world.residency
        if residency is None:
            raise ValueError(f"{fault.kind.value} strikes a world without bundles")
        now_s = time.time()
        policy = residency.policy.next(now_s=now_s)
        match fault.kind:
            case FaultKind.policy_change:
                residency.put(policy.with_list(fault.profile, fault.to))
            case FaultKind.expire_row:
                residency.put(policy.with_row_end(region, now_s + fault.by_s))
            case FaultKind.embargo:
                residency.put(replace(policy, embargoed=policy.embargoed | {region}))
            case FaultKind.expire_bundle:
                residency.put(replace(policy, expires_at_s=int(now_s + fault.by_s)))
                self._last(self._hide_folders(residency))
            case _:
                residency.spoil(region, fault.how)
                self._last(self._mend_folder(residency, region, fault.for_s))

    async def _hide_folders(self, residency: LabResidency) -> None:
        """The control plane is down when the bundle ends: nobody brings another."""
        await asyncio.sleep(_UNTIL_READ_S)
        for region in self._world.regions:
            residency.spoil(region, "gone")

    async def _mend_folder(self, residency: LabResidency, region: str, for_s: float) -> None:
        await asyncio.sleep(for_s)
        residency.mend(region)

    def _strike_process(self, member: Member, fault: FaultSpec) -> None:
        table = self._world.table
        match fault.kind:
            case FaultKind.kill:
                table.kill(member, down_s=fault.down_s)
            case FaultKind.drain:
                table.terminate(member, down_s=fault.down_s)
            case FaultKind.preempt:
                self._last(self._preempt(member, fault))
            case FaultKind.hang:
                self._last(self._hang(member, fault.for_s))
            case FaultKind.turn_slow:
                self._last(self._turn_slow(member, fault))
            case _:
                stopped = {"stopped_permille": fault.stopped_permille, "period_ms": fault.period_ms}
                self._last(table.slow(member, **stopped, for_s=fault.for_s))

    async def _until_enough_are_up(self, fault: FaultSpec) -> None:
        """Bounded by the drill's end, which cancels it."""
        if not fault.leave:
            return
        members = self._world.table.members
        names = matching(fault.target, list(members))
        while True:
            if sum(members[name].is_up for name in names) > fault.leave:
                return
            await asyncio.sleep(_POLL_S)

    def _victims(self, fault: FaultSpec) -> list[str]:
        names = self._world.names()
        if fault.between is not None:
            one, other = fault.between
            return matching(f"link/region/{one}/{other}/*", names) + matching(f"link/region/{other}/{one}/*", names)
        found = matching(fault.target, names)
        if fault.kind is FaultKind.fail_over:
            found = [name for name in found if not name.endswith("/replica")]
        if any(name.startswith("zone/") for name in found):
            zones = [self._dice.choice(found)] if fault.pick == "one" else found
            found = [engine for zone in zones for engine in engines_in_zone(self._world.spec, zone)]
            return [name for name in found if self._world.table.members[name].is_up]
        if fault.kind in ON_PROCESSES:
            found = [name for name in found if self._is_up(name)]
        if fault.pick == "one" and found:
            return [self._dice.choice(found)]
        return found

    def _is_up(self, name: str) -> bool:
        """An edge process is while its gateway is."""
        return self._world.table.members[name.replace("edge/", "gateway/")].is_up

    def _last(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hang(self, member: Member, for_s: float) -> None:
        self._world.table.signal(member, signal.SIGSTOP)
        try:
            await asyncio.sleep(for_s)
        finally:
            self._world.table.signal(member, signal.SIGCONT)

    async def _turn_slow(self, member: Member, fault: FaultSpec) -> None:
        sound = list(member.command)
        member.command = with_script(sound, f"step_delay_ms={fault.step_ms}")
        self._world.table.kill(member, down_s=0.0)
        try:
            await asyncio.sleep(fault.for_s)
            self._world.table.kill(member, down_s=0.0)
        finally:
            member.command = sound

    async def _preempt(self, member: Member, fault: FaultSpec) -> None:
        """A notice, and then the end, whatever it made of it."""
        dies_at_s = time.monotonic() + fault.lead_s
        await give_notice(member.ready["address"], lead_s=fault.lead_s)
        await asyncio.sleep(dies_at_s - time.monotonic())
        self._world.table.kill(member, down_s=fault.down_s)

    async def _operate(self, name: str, fault: FaultSpec) -> None:
        target = self._world.ordered(name)
        try:
            run = await self.operator.give(target, fault, name=name)
        except OrderRefused as refused:
            self.failures.append(f"{fault.act} {name}: {refused}")
            return
        if fault.act in ("drain", "disable"):
            await self.operator.watch(target, run, within_s=fault.within_s)

    async def _fail_over(self, region: str, fault: FaultSpec) -> None:
        """The primary dies; after `for_s` the other one is primary, and what was killed may come back behind it."""
        world, host = self._world, self._world.regions[region].host
        names = [f"redis/{region}", f"redis/{region}/replica"]
        old, new = sorted(names, key=lambda name: world.redis_port(name) != world.primaries[region])
        member = world.table.members[old]
        world.table.kill(member, down_s=None)
        await asyncio.sleep(fault.for_s)
        await promote(host, world.redis_port(new))
        world.primaries[region] = world.redis_port(new)
        await world.relays.aim(f"link/redis/{region}", host, world.redis_port(new))
        await world.relays.reset(f"link/redis/{region}")
        if fault.down_s is not None:
            port = world.redis_port(old)
            member.command = redis_command(host, port, world.redis_folder(old), replica_of=world.redis_port(new))
            member.becomes_ready = partial(until_in_step, host, port)
            world.table.revive(member, fault.down_s)

    async def _light(self, link: str, for_s: float) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(for_s):
                    await self._is_light_enough.wait()
        finally:
            await self._world.relays.light(link)

    async def _other_conditions(self, link: str, fault: FaultSpec) -> None:
        if fault.conditions is None:
            raise ValueError("a fault of conditions has none")
        await self._world.relays.set_conditions(link, fault.conditions)
        if fault.for_s:
            try:
                await asyncio.sleep(fault.for_s)
            finally:
                await self._world.relays.set_conditions(link, self._world.usual_conditions(link))

    async def _lose_data(self, member: Member, down_s: float | None) -> None:
        self._world.table.kill(member, down_s=None)
        if member.process is not None:
            await member.process.wait()
        for path in self._world.redis_folder(member.name).iterdir():
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if down_s is not None:
            self._world.table.revive(member, down_s)

    def _lose_region(self, region: str, down_s: float | None) -> None:
        for name in self._world.names():
            if name.split("/")[:2] in (["engine", region], ["gateway", region], ["redis", region]):
                self._world.table.kill(self._world.table.members[name], down_s=down_s)

    async def _expire(self, region: str, fault: FaultSpec) -> None:
        self._world.authority.issue(region, valid_for_s=fault.by_s)
        try:
            await asyncio.sleep(fault.for_s)
        finally:
            self._world.authority.issue(region)
