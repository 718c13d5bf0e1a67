"""One game day from its beginning to its report: a world, an undisturbed run, then callers and faults together."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp

from regions.lab.call_record import CallRecord
from regions.lab.callers import Call, CallPlan
from regions.lab.faults import FaultInjector, timetable
from regions.lab.fence import held_against
from regions.lab.findings import Findings
from regions.lab.gateway_settings import QUOTA_PLAN
from regions.lab.policy_bundle import EVERYWHERE
from regions.lab.report import report
from regions.lab.speech import speech
from regions.lab.stall_floor import running_stall_floor
from regions.lab.watch import EngineWatch, gateway_metrics
from regions.lab.world import running_world
from regions.lab.world_spec import ResidencySpec, WorldSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from regions.lab.drill_file import CallerGroup, DrillSpec
    from regions.lab.fault_spec import FaultSpec
    from regions.lab.transcripts import SpokenWord
    from regions.lab.world import World

AudioKey = tuple[str, int, int]
_VOICES = 64
_LENGTHS = 4
_AFTER_FAULTS_S = 60.0
_UNTIL_EMPTY_S = 5.0


class ReferenceFailed(Exception):
    """A session of the undisturbed run did not end well: the world is not sound, and nothing can be said by it."""


async def run_drill(
    drill: DrillSpec, folder: Path, *, seed: int, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Run it in an empty folder; its report.

    Raises:
        ProcessFailed: the world would not start.
        ReferenceFailed: an undisturbed session was not served well.
    """
    dice = random.Random(seed)
    plans = [_group_plan(group, number, dice) for number, group in enumerate(_each_caller(drill))]
    say("starting the world")
    async with (
        running_world(drill.world, folder, seed=seed) as world,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        say("the undisturbed run")
        keys = sorted({key for _, calls in plans for key in calls})
        undisturbed = await _undisturbed(world, http, keys)
        say(f"{len(plans)} callers, {len(timetable(drill.fault, random.Random(seed)))} faults")
        findings = await _disturbed(drill, world, http, plans, dice, undisturbed, seed)
        return report(drill, findings) | {"not_restarted": [*world.table.failures, *findings.not_done]}


def stretched(drill: DrillSpec, scale: float) -> DrillSpec:
    """The same drill, so many times as long and with so many times the faults."""
    callers = tuple(group.model_copy(update={"seconds": group.seconds * scale}) for group in drill.callers)
    return drill.model_copy(
        update={"callers": callers, "fault": tuple(_stretched_fault(fault, scale) for fault in drill.fault)}
    )


def under_bundle(drill: DrillSpec) -> DrillSpec:
    """The same drill, where policy is a signed bundle with the drill's profiles, and grants are asked for."""
    tree = drill.world.model_dump() | {"residency": ResidencySpec()}
    return drill.model_copy(update={"world": WorldSpec.model_validate(tree)})


def over_webtransport(drill: DrillSpec) -> DrillSpec:
    """The same drill, where every caller speaks WebTransport."""
    world = drill.world.model_copy(update={"webtransport": True})
    callers = tuple(group.model_copy(update={"protocol": "webtransport"}) for group in drill.callers)
    return drill.model_copy(update={"world": world, "callers": callers})


def _stretched_fault(fault: FaultSpec, scale: float) -> FaultSpec:
    if fault.between_s is not None:
        between_s = (fault.between_s[0], fault.between_s[1] * scale)
        return fault.model_copy(update={"times": max(1, round(fault.times * scale)), "between_s": between_s})
    if fault.every_s:
        return fault.model_copy(update={"times": max(1, round(fault.times * scale))})
    return fault


def _each_caller(drill: DrillSpec) -> list[CallerGroup]:
    return [group for group in drill.callers for _ in range(group.count)]


def _group_plan(group: CallerGroup, number: int, dice: random.Random) -> tuple[CallerGroup, list[AudioKey]]:
    """What one caller says, call by call; the lengths are of few kinds, so that few undisturbed runs are needed."""
    voice = number % _VOICES if group.audio == "synthetic" else 0
    total_ms = round(1_000 * group.seconds * group.speed)
    if not group.call_seconds:
        return group, [(group.audio, voice, total_ms)]
    lengths = [round(1_000 * group.call_seconds * group.speed * share / 4) for share in (2, 3, 5, 6)]
    calls = []
    while total_ms > 0:
        length_ms = dice.choice(lengths[:_LENGTHS])
        calls.append((group.audio, voice, length_ms))
        total_ms -= length_ms
    return group, calls


async def _undisturbed(
    world: World, http: aiohttp.ClientSession, keys: Sequence[AudioKey]
) -> dict[AudioKey, list[SpokenWord]]:
    """Each audio once through the whole world, as fast as it takes it, before anything is disturbed."""
    places = asyncio.Semaphore(max(1, world.spec.slots // 2))
    gateways = [url for region in world.regions for url in world.websockets(region)]

    async def transcribe(key: AudioKey, number: int) -> list[SpokenWord]:
        async with places:
            record = CallRecord(number, "", key)
            audio, voice, duration_ms = key
            pcm16 = speech(audio, voice=voice, duration_ms=duration_ms)
            turned = gateways[number % len(gateways) :] + gateways[: number % len(gateways)]
            plan = CallPlan(turned, world.token(subject="undisturbed"), pcm16, 0.0)
            await Call(http, plan, record, random.Random(number)).run()
        if not record.is_finished or record.moves:
            raise ReferenceFailed(f"an undisturbed session ended with {record.failure or 'a move'}")
        return record.words

    words = await asyncio.gather(*(transcribe(key, number) for number, key in enumerate(keys)))
    return dict(zip(keys, words, strict=True))


async def _disturbed(
    drill: DrillSpec,
    world: World,
    http: aiohttp.ClientSession,
    plans: Sequence[tuple[CallerGroup, list[AudioKey]]],
    dice: random.Random,
    undisturbed: Mapping[AudioKey, Sequence[SpokenWord]],
    seed: int,
) -> Findings:
    before = await gateway_metrics(world)
    watch = EngineWatch(world)
    injector = FaultInjector(world, dice)
    began_at_s = time.monotonic()
    async with running_stall_floor() as floor:
        background = [
            asyncio.create_task(watch.run()),
            asyncio.create_task(injector.run(timetable(drill.fault, dice), began_at_s)),
        ]
        try:
            callers = [
                _caller(world, http, group, number, calls, random.Random(seed * 1_000_003 + number))
                for number, (group, calls) in enumerate(plans)
            ]
            records = [record for held in await asyncio.gather(*callers) for record in held]
            injector.light()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AFTER_FAULTS_S):
                    await background[1]
            streams_left = await watch.until_empty(_UNTIL_EMPTY_S)
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
    residency = world.residency
    fence = None
    if residency is not None:
        fence = held_against(
            residency.fence,
            records,
            residency.heard(),
            residency.chosen(),
            grace_s=drill.must.fence_grace_s,
            default_profile=EVERYWHERE,
        )
    return Findings(
        fence=fence,
        records=records,
        undisturbed=undisturbed,
        struck=injector.struck,
        most_used=watch.most_used,
        totals=watch.totals,
        streams_left=streams_left,
        orders=injector.operator.runs,
        upgraded=injector.upgrade.done,
        not_done=[*injector.failures, *injector.upgrade.failures],
        metrics=_since(before, await gateway_metrics(world)),
        stall_floor=floor,
        links=await world.relays.figures(),
        seed=seed,
        elapsed_s=time.monotonic() - began_at_s,
    )


def _since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What counters gained; a gateway that began anew in between counts from nothing."""
    return {
        name: value - before.get(name, 0.0) if value >= before.get(name, 0.0) else value
        for name, value in after.items()
    }


async def _caller(
    world: World,
    http: aiohttp.ClientSession,
    group: CallerGroup,
    number: int,
    calls: Sequence[AudioKey],
    dice: random.Random,
) -> list[CallRecord]:
    """One caller's sessions, one after the other."""
    permitted = list(world.spec.profiles.get(group.profile, world.spec.region_names))
    home = group.home or permitted[number % len(permitted)]
    regions = [home, *(name for name in permitted if name != home)]
    gateways = [url for region in regions for url in dice.sample(world.websockets(region), world.spec.gateways)]
    plan_name = QUOTA_PLAN if group.has_quota else group.tier
    token = world.token(subject=f"caller-{number}", profile=group.profile, tier=plan_name)
    has_webtransport = group.protocol == "webtransport"
    plan = CallPlan(
        gateways,
        token,
        b"",
        group.speed,
        group.piece_ms,
        webtransports=world.webtransports() if has_webtransport else {},
        hashes=frozenset(certificate.sha256 for certificate in world.certificates.values()),
        has_datagrams=group.datagrams,
        udp_patience_s=group.udp_patience_s,
    )
    await asyncio.sleep(dice.uniform(0.0, group.spread_s))
    records = []
    for key in calls:
        audio, voice, duration_ms = key
        record = CallRecord(number, group.profile, key, tier=group.tier)
        records.append(record)
        pcm16 = speech(audio, voice=voice, duration_ms=duration_ms)
        await Call(http, replace(plan, pcm16=pcm16), record, dice).run()
    return records
