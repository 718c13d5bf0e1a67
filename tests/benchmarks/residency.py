"""What a residency decision costs: asked of Cedar, remembered, after a new bundle; beside plain cedarpy. One process.

The rules are the starter set's, the projects are made up: a third of them narrow their regions, so that each is an
entity of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import cedarpy

import policies.residency
from policies.residency.bundles.bundle import Bundle, read_bundle
from policies.residency.bundles.cedar_names import action_uid, uid
from policies.residency.bundles.instants import text_of
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.deciding.entities import areas_at, profile_entity, project_entity, region_entity, regions_at
from policies.residency.deciding.table import DecisionTable
from policies.residency.decision import Question, Situation
from policies.residency.vocabulary import Action, DataClass
from policies.routing_facts import CapacityClass
from tests.benchmarks.document import machine_line, markdown_table, write_section
from tests.benchmarks.measures import Spread, machine, quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_STARTER = Path(policies.residency.__file__).parent / "starter"
_DAY_S = 86_400
_ACTIONS = (Action.process, Action.failover, Action.relay, Action.store_checkpoint)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. `spin`: loops of plain Python that take as long as a decision, roughly."""

    projects: int
    rounds: int
    cold: int
    remembered: int
    as_text: int
    situations: int
    spin: int = 4_000


FULL = Size(projects=20_000, rounds=5, cold=3_000, remembered=30_000, as_text=200, situations=60)
SHORT = Size(projects=50, rounds=2, cold=40, remembered=200, as_text=4, situations=2)


@dataclass(slots=True)
class Timed:
    """Quantiles of single calls in microseconds, one value a round; `cpu_p99_us`: without the time that others ran."""

    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    cpu_p99_us: list[float] = field(default_factory=list)

    def add(self, wall_ns: list[int], cpu_ns: list[int]) -> None:
        wall_ns.sort()
        cpu_ns.sort()
        self.p50_us.append(quantile(wall_ns, 0.5) / 1e3)
        self.p99_us.append(quantile(wall_ns, 0.99) / 1e3)
        self.cpu_p99_us.append(quantile(cpu_ns, 0.99) / 1e3)


def _time_each(calls: Iterable[Callable[[], object]], into: Timed) -> None:
    wall_ns, cpu_ns = [], []
    for call in calls:
        cpu_began_ns, began_ns = time.thread_time_ns(), time.perf_counter_ns()
        call()
        ended_ns = time.perf_counter_ns()
        wall_ns.append(ended_ns - began_ns)
        cpu_ns.append(time.thread_time_ns() - cpu_began_ns)
    into.add(wall_ns, cpu_ns)


def files_of(projects: int) -> dict[str, bytes]:
    """The starter set with so many projects."""
    files = {
        str(path.relative_to(_STARTER)): path.read_bytes()
        for path in _STARTER.rglob("*")
        if path.is_file() and path.suffix in (".toml", ".cedar", ".cedarschema")
    }
    starter = read_bundle(files | {"projects.toml": b""})
    profiles = list(starter.profiles)
    regions = sorted({row.region for row in starter.regions})
    narrowing = [
        'data_class = "personal"\n',
        f"only_regions = {json.dumps(regions[:3])}\n",
        f'no_providers = [{json.dumps(starter.vocabulary["Provider"][0])}]\nsubject_country = "DE"\n',
    ]
    rows = [
        f'[[projects]]\nproject = "org{number // 10}/project{number}"\nprofile = "{profiles[number % len(profiles)]}"\n'
        f"{narrowing[number % 3]}"
        for number in range(projects)
    ]
    return files | {"projects.toml": "\n".join(rows).encode()}


def questions_of(bundle: Bundle, engine: ResidencyEngine, count: int) -> list[Question]:
    """Of many projects, each about every region, four actions and two classes, in turn."""
    asked = []
    projects = list(bundle.projects.values())
    for number, (region, action) in enumerate(product(range(count), _ACTIONS)):
        row = projects[(number // 20) % len(projects)]
        situation = Situation(row.profile, row.project, list(DataClass)[number % 3], frozenset({"DE"}))
        capacity = list(CapacityClass)[number % 2]
        asked.append(Question(situation, action, list(engine.regions)[region % len(engine.regions)], capacity))
        if len(asked) == count:
            break
    return asked


def _plain_request(engine: ResidencyEngine, question: Question) -> dict[str, object]:
    situation = question.situation
    context = {
        "now": text_of(engine.from_s),
        "dataClass": uid("DataClass", situation.data_class),
        "subject": [uid("Jurisdiction", name) for name in engine.areas_of(situation.subject_countries)],
        "subjectKnown": True,
        "hasConsent": situation.has_consent,
        "legalBasis": uid("LegalBasis", situation.legal_basis),
        "capacity": uid("Capacity", question.capacity),
        "trigger": uid("Trigger", question.trigger),
        "isDraining": False,
        "hasBreakGlass": False,
    }
    return {
        "principal": uid("Project", situation.project),
        "action": action_uid(question.action),
        "resource": uid("Region", question.region),
        "context": json.dumps(context),
    }


def _entities(bundle: Bundle, at_s: int, projects: Sequence[str]) -> str:
    entities = [region_entity(facts) for facts in regions_at(bundle, at_s, areas_at(bundle, at_s)).values()]
    entities += [profile_entity(profile) for profile in bundle.profiles.values()]
    rows = [bundle.projects[name] for name in projects]
    entities += [project_entity(row, bundle.profiles[row.profile]) for row in rows]
    return json.dumps(entities)


@dataclass(slots=True)
class Findings:
    """`seconds`: of things done once a round, by what was done. `loop_lag_ms`: the longest of each round."""

    single: dict[str, Timed] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    loop_lag_ms: list[float] = field(default_factory=list)
    rules: int = 0
    regions: int = 0
    cold_of_one: int = 0

    def timed(self, name: str) -> Timed:
        return self.single.setdefault(name, Timed())

    def took(self, name: str, call: Callable[[], object]) -> None:
        began_ns = time.perf_counter_ns()
        call()
        self.seconds.setdefault(name, []).append((time.perf_counter_ns() - began_ns) / 1e9)


def measure(size: Size) -> Findings:
    files = files_of(size.projects)
    bundle = read_bundle(files)
    at_s = bundle.issued_at_s + _DAY_S
    engine = ResidencyEngine(bundle, at_s)
    asked = questions_of(bundle, engine, size.cold)
    rules_text = "\n".join(rule.text for rule in bundle.rules.values())
    schema_text = files["schema.cedarschema"].decode()
    requests = [_plain_request(engine, question) for question in asked]
    one_project = {
        name: _entities(bundle, at_s, [name]) for name in {q.situation.project for q in asked[: size.as_text]}
    }
    everything = _entities(bundle, at_s, list(bundle.projects))
    everything_parsed = cedarpy.Entities.from_json_str(everything, bundle.cedar_schema)
    found = Findings(rules=len(bundle.rules), regions=len(engine.regions))

    def as_text(request: dict[str, object], question: Question) -> object:
        return cedarpy.is_authorized(request, rules_text, one_project[question.situation.project], schema_text)

    def with_handles(request: dict[str, object]) -> object:
        return cedarpy.is_authorized(request, bundle.cedar_rules, everything_parsed, bundle.cedar_schema)

    for _ in range(size.rounds):
        _time_each([partial(sum, range(size.spin))] * size.cold, found.timed("floor"))
        pairs = list(zip(requests, asked, strict=True))[: size.as_text]
        _time_each([partial(as_text, request, question) for request, question in pairs], found.timed("text"))
        _time_each([partial(with_handles, request) for request in requests], found.timed("handles"))
        fresh = ResidencyEngine(bundle, at_s)
        _time_each([partial(fresh.decide, question) for question in asked], found.timed("cold"))
        _measure_table(fresh, asked, size, found)
        found.took("reload", lambda: ResidencyEngine(read_bundle(files), at_s))
        found.took("read", lambda: read_bundle(files))
        found.took("next date", lambda: ResidencyEngine(bundle, bundle.instants()[-3]))
        found.loop_lag_ms.append(asyncio.run(_loop_lag_ms(files, at_s)))
        found.took("parse plainly", lambda: cedarpy.Entities.from_json_str(everything, bundle.cedar_schema))
    return found


async def _loop_lag_ms(files: dict[str, bytes], at_s: int) -> float:
    """How much later than it should a timer of the loop went off, at worst, while a thread made a new bundle ready."""

    def make() -> ResidencyEngine:
        return ResidencyEngine(read_bundle(files, release_gil=True), at_s, release_gil=True)

    making = asyncio.create_task(asyncio.to_thread(make))
    worst_s = 0.0
    while not making.done():
        began_s = time.perf_counter()
        await asyncio.sleep(0.001)
        worst_s = max(worst_s, time.perf_counter() - began_s - 0.001)
    await making
    return worst_s * 1e3


def _measure_table(engine: ResidencyEngine, asked: Sequence[Question], size: Size, found: Findings) -> None:
    table = DecisionTable(engine)
    for question in asked:
        table.decide(question)
    again = [asked[number % len(asked)] for number in range(size.remembered)]
    _time_each([partial(table.decide, question) for question in again], found.timed("table"))
    names, here = list(engine.regions), next(iter(engine.regions))
    situations = list(dict.fromkeys(question.situation for question in asked))[: size.situations]

    def sets_of(situation: Situation, table: DecisionTable) -> object:
        return table.permitted(situation, names, here=here)

    new = DecisionTable(engine)
    _time_each([partial(sets_of, situation, new) for situation in situations], found.timed("sets cold"))
    found.cold_of_one = new.cold_count // len(situations)
    warm = [situations[number % len(situations)] for number in range(size.remembered)]
    _time_each([partial(sets_of, situation, new) for situation in warm], found.timed("sets"))


def report(found: Findings, size: Size) -> str:
    """Two tables in Markdown."""
    base = found.single["text"].p50_us
    names = {
        "text": "plain cedarpy, rules, schema and entities of one project as text",
        "handles": f"plain cedarpy with handles, {size.projects:,} projects in one",
        "cold": "`ResidencyEngine.decide`, never asked before",
        "table": "`DecisionTable.decide`, asked before",
        "sets": f"`DecisionTable.permitted`, {found.regions} regions, asked before",
        "sets cold": f"`DecisionTable.permitted`, never asked before (mean {found.cold_of_one} decisions)",
        "floor": "a loop of plain Python: how far this machine stalls",
    }
    rows = []
    for name, title in names.items():
        timed = found.single[name]
        times = Spread.of([ours / theirs for ours, theirs in zip(timed.p50_us, base, strict=True)])
        digits = 0 if timed.p50_us[0] > 10 else 2
        figures = [Spread.of(values).shown(digits) for values in (timed.p50_us, timed.p99_us, timed.cpu_p99_us)]
        rows.append([title, *figures, f"{times.median:.4f}"])
    plainly = found.seconds["parse plainly"]
    done = {
        "read": "`read_bundle`: all files read, checked, rules validated",
        "reload": "`read_bundle` and `ResidencyEngine`: a new bundle until its first decision",
        "next date": "`ResidencyEngine` at another date of the same bundle",
        "parse plainly": f"plain cedarpy: `Entities.from_json_str` of all {size.projects:,} projects, with the schema",
    }
    seconds = []
    for name, title in done.items():
        ratio = Spread.of([ours / theirs for ours, theirs in zip(found.seconds[name], plainly, strict=True)])
        seconds.append([title, Spread.of(found.seconds[name]).shown(4), ratio.shown(3)])
    return "\n\n".join(
        [
            machine_line(machine()),
            f"{found.rules} rules, {size.projects:,} projects, {found.regions} regions; {size.rounds} rounds. "
            f"Load average at the end: {os.getloadavg()[0]:.1f}; this program alone makes 1.0.",
            markdown_table(["µs", "p50", "p99", "p99 of CPU time", "p50 by the first row's"], rows),
            markdown_table(["seconds", "took", "by the last row's"], seconds),
            f"While a thread of its own did the second of these, an event loop beside it waited at most "
            f"{Spread.of(found.loop_lag_ms).shown()} ms.",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.residency", description=__doc__)
    parser.add_argument("--short", action="store_true", help="that it runs, not how fast")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    arguments = parser.parse_args()
    size = SHORT if arguments.short else FULL
    text = report(measure(size), size)
    print(text)
    if arguments.write_docs:
        write_section("residency", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
