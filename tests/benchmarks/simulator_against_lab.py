"""Whether the simulator tells the truth: one scenario in the lab, with real processes, and in the simulator.

The scenario is the drill engine-black-hole: links to engines swallow everything, one after the other, while callers
speak. Its strikes are taken out of step with reports and words, which both come twice a second: else every strike would
meet them at the same few moments, and a hundred strikes would say no more than three.

The simulator is given what a gateway's settings say (when a link without reports is lost, how often reports come), how
often the lab's recogniser says a word, how long the lab's gateway took from seeing a loss to the next engine's answer,
and how fast an engine like the lab's goes through audio that is sent again, measured by itself. The pauses themselves
it is not given. They must agree within 10 % in the median and 20 % in the p99.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.plans import Tier
from regions.lab.drill import run_drill, stretched
from regions.lab.drill_file import SHIPPED, read_drill
from regions.lab.speech import BYTES_PER_MS, speech
from regions.links.settings import LinkSettings
from regions.simulator.demand import Caller
from regions.simulator.events import dice_of
from regions.simulator.machines import Engine, Paid
from regions.simulator.scenario import (
    Fleet,
    FleetKind,
    Machines,
    Moving,
    Scenario,
    SimulatedRegion,
    SpotMarket,
    Traffic,
)
from regions.simulator.session import Loss
from regions.simulator.simulation import World
from tests.benchmarks.document import markdown_table
from tests.harness.engine import Listener, linked, running_engine

if TYPE_CHECKING:
    from regions.lab.drill_file import DrillSpec
    from regions.simulator.result import Pauses

DRILL = SHIPPED / "engine-black-hole.toml"
WORD_EVERY_MS = 500
"""Of the scripted recogniser (docs/lab.md)."""
MOST_OFF_PERMILLE = {"p50": 100, "p99": 200}
_ANSWER_MS = 12
"""From a loss that was seen to the next engine's first answer, where no lab has measured it."""
_MAX_UTTERANCE_MS = 30_000
"""The lab's callers do not pause, so an utterance is as long as it may be, and a session holds up to so much."""
_REPLAYED_MS = 15_000
_PIECE_BYTES = 100 * BYTES_PER_MS
_MS_PER_S = 1_000
_OUT_OF_STEP_S = 0.13


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both. `off_permille`: how far the simulator is off, against the lab."""

    name: str
    lab_ms: float
    simulated_ms: float

    @property
    def off_permille(self) -> float:
        return 1_000 * abs(self.simulated_ms - self.lab_ms) / self.lab_ms

    @property
    def agrees(self) -> bool:
        return self.off_permille <= MOST_OFF_PERMILLE[self.name]


def out_of_step(drill: DrillSpec) -> DrillSpec:
    """The drill, with strikes that meet reports and words at all moments."""
    faults = tuple(
        fault.model_copy(update={"every_s": fault.every_s + _OUT_OF_STEP_S}) if fault.every_s else fault
        for fault in drill.fault
    )
    return drill.model_copy(update={"fault": faults})


async def replay_speed_permille(drill: DrillSpec, folder: Path) -> int:
    """Of the sessions of one engine that come to another one together, each with half of the longest utterance; against
    1000 for real time.
    """
    count = max(1, drill.callers[0].count // drill.world.reserved)
    pcm16 = speech("synthetic", voice=1, duration_ms=_REPLAYED_MS)
    pieces = [pcm16[start : start + _PIECE_BYTES] for start in range(0, len(pcm16), _PIECE_BYTES)]
    arguments = ("--recogniser", "scripted", "--busy-permille", "0", "--slots", str(drill.world.slots))
    async with running_engine(folder, *arguments) as engine, linked(engine.address) as link:
        streams = [Listener(str(number)) for number in range(count)]
        for stream in streams:
            stream.open(link)
            await stream.until_answered()
        began_at_s = time.monotonic()
        await asyncio.gather(*(stream.say_all(pieces) for stream in streams))
        for stream in streams:
            await stream.until_over()
        took_ms = (time.monotonic() - began_at_s) * _MS_PER_S
    return round(1_000 * _REPLAYED_MS / took_ms)


def simulated(
    drill: DrillSpec, *, strikes: int, answer_ms: int = _ANSWER_MS, replay_permille: int = 0, seed: int = 1
) -> Pauses:
    """The drill's world and faults in the simulator, so many times over. `replay_permille` 0: replays take no time."""
    (fault,) = drill.fault
    links = LinkSettings()
    moving = Moving(
        link_liveness_ms=links.liveness_ms,
        heartbeat_ms=drill.world.heartbeat_interval_ms,
        word_every_ms=WORD_EVERY_MS,
        open_ms=answer_ms,
        first_words_ms=0,
        max_backlog_ms=_MAX_UTTERANCE_MS if replay_permille else 0,
        replay_speed_permille=replay_permille or 1_000_000_000,
    )
    fleet = Fleet("lab", FleetKind.reserved)
    scenario = Scenario(
        "lab",
        (SimulatedRegion("west", 40.0, -120.0),),
        (fleet,),
        seed=seed,
        days=10.0,
        traffic=Traffic(sessions_per_day=1),
        machines=Machines(slots=drill.world.slots, zones=1, scale_every_s=10**9),
        spot=SpotMarket(short_permille=0),
        moving=moving,
    )
    world = World(scenario, fleet)
    (place,) = world.places
    agenda, dice = world.agenda, dice_of(seed, "strikes")
    while len(place.room.engines) < drill.world.reserved:
        place.room.ready(place.room.start(Paid.reserved, 0, drill.world.slots, now_ms=0), 0)

    def back(_: object) -> None:
        place.room.ready(place.room.start(Paid.reserved, 0, drill.world.slots, now_ms=agenda.now_ms), agenda.now_ms)

    def darken(_: object) -> None:
        engines = list(place.room.engines.values())
        engine: Engine = engines[int(dice.integers(0, len(engines)))]
        seen_after_ms = moving.link_liveness_ms - int(dice.integers(0, moving.heartbeat_ms))
        agenda.after(seen_after_ms, lambda _: place.room.found_dark(engine, agenda.now_ms))
        lost = place.room.remove(engine, agenda.now_ms, is_dark=True)
        world.sessions.lost(lost, place, Loss.dark, seen_after_ms=seen_after_ms)
        agenda.after(max(seen_after_ms, round(fault.for_s * _MS_PER_S)) + 1, back)

    every_ms = round(fault.every_s * _MS_PER_S)
    ends_ms = strikes * every_ms + every_ms
    for number in range(drill.callers[0].count):
        draw = int(dice.integers(0, 2**31))
        world.sessions.arrive(Caller(number, 0, 2 * ends_ms, 0, Tier.standard, "", "", draw))
    for strike in range(strikes):
        agenda.at(round(fault.at_s * _MS_PER_S) + strike * every_ms, darken)
    agenda.run_until(ends_ms)
    return world.result().pauses


def compared(lab: dict[str, Any], simulation: Pauses) -> list[Compared]:
    return [
        Compared("p50", lab["pause_ms"]["p50"], simulation.p50_ms),
        Compared("p99", lab["pause_ms"]["p99"], simulation.p99_ms),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=6.0, help="so many times the drill's faults in the lab")
    parser.add_argument("--strikes", type=int, default=1_000, help="faults in the simulator")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    drill = out_of_step(read_drill(DRILL))
    with tempfile.TemporaryDirectory() as folder:
        lab = asyncio.run(run_drill(stretched(drill, asked.scale), Path(folder), seed=asked.seed))
        replay_permille = asyncio.run(replay_speed_permille(drill, Path(folder)))
    answer_ms = round(lab["told_pause_ms"]["p50"])
    simulation = simulated(
        drill, strikes=asked.strikes, answer_ms=answer_ms, replay_permille=replay_permille, seed=asked.seed
    )
    found = compared(lab, simulation)
    rows = [
        [one.name, f"{one.lab_ms:.0f}", f"{one.simulated_ms:.0f}", f"{one.off_permille / 10:.1f} %"] for one in found
    ]
    print(markdown_table(["pause", "lab, ms", "simulator, ms", "off by"], rows))
    figures = {"lab_pauses": lab["pause_ms"]["count"], "lab_faults": lab["faults"]["struck"], "answer_ms": answer_ms}
    figures["replay_speed_permille"] = replay_permille
    figures["lab_stall_floor_p99_ms"] = lab["stall_floor_ms"]["p99_ms"]
    print(json.dumps(figures | {"simulated_pauses": simulation.count}))
    return 0 if all(one.agrees for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
