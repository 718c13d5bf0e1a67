"""Scenarios as files: read, checked as a whole, and varied. Every mistake is told with its place."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from regions.catalog_document import place_of
from regions.simulator.demand import peak_at_ms
from regions.simulator.scenario import DAY_MS, ProfileShare, Scenario, Strike
from regions.simulator.scenario_tables import ScenarioDocument
from regions.simulator.world_file import read_world
from regions.watched_file import FileRefused, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from regions.simulator.scenario import SimulatedRegion, Traffic
    from regions.simulator.scenario_tables import CallersTable, StrikeTable, TargetTable
    from regions.simulator.world_file import World

SHIPPED = Path(__file__).parent / "scenarios"
WITHOUT_PROFILE = "without profile"
"""The policy set of callers without one; no token can claim it."""
_PERMILLE = 1_000
ScenarioRefused = FileRefused
"""`mistakes` lists each, with its place. Those of values hide those of the whole, which cannot be seen before."""


@dataclass(frozen=True, slots=True)
class Variation:
    """The scenario with another value of the sweep's setting."""

    value: Any
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class ReadScenario:
    """A scenario and what its file says beside it. `sweep_key` is empty where there is no sweep."""

    scenario: Scenario
    question: str
    target: TargetTable
    sweep_key: str = ""
    variations: tuple[Variation, ...] = ()
    sweep_fleets: frozenset[str] = frozenset()


def find_scenarios() -> dict[str, Path]:
    """Give those that are shipped, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def read_scenario(
    path: Path, changes: Mapping[str, Any] | None = None, *, lost: Sequence[Mapping[str, Any]] = ()
) -> ReadScenario:
    """Read a scenario and check it as a whole.

    Args:
        changes: values over those of the file, by their places: `{"spot.correlation_permille": 800}`.
        lost: strikes beside those of the file, as its `[[strike]]` has them.

    Raises:
        ScenarioRefused: every mistake.
    """
    return check_scenario(read_tree(path), changes, lost=lost, beside=path.parent)


def read_tree(path: Path) -> dict[str, Any]:
    """Raises ScenarioRefused: it is not there, or not TOML."""
    try:
        return tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, or an integer too long to read
        raise ScenarioRefused([f"not TOML: {error}"]) from None


def check_scenario(
    tree: Mapping[str, Any],
    changes: Mapping[str, Any] | None = None,
    *,
    lost: Sequence[Mapping[str, Any]] = (),
    beside: Path,
) -> ReadScenario:
    """Check what was read; read_scenario. Raises ScenarioRefused."""
    changed: dict[str, Any] = dict(tree)
    for key, value in (changes or {}).items():
        changed = with_change(changed, key, value)
    if lost:
        before = changed.get("strike", [])
        changed["strike"] = [*(before if isinstance(before, list) else [before]), *lost]
    document = _document(changed)
    scenario = _scenario(document, beside)
    sweep = document.sweep
    if sweep is None:
        return ReadScenario(scenario, document.question, document.target)
    mistakes = [
        f"sweep.fleets: no fleet is named {name}"
        for name in sweep.fleets
        if name not in {fleet.name for fleet in scenario.fleets}
    ]
    variations = []
    for number, value in enumerate(sweep.values):
        try:
            varied = _document({**with_change(changed, sweep.key, value), "sweep": None})
            variations.append(Variation(value, _scenario(varied, beside)))
        except ScenarioRefused as refused:
            mistakes += [f"sweep.values.{number}: {mistake}" for mistake in refused.mistakes]
    if mistakes:
        raise ScenarioRefused(mistakes)
    return ReadScenario(
        scenario, document.question, document.target, sweep.key, tuple(variations), frozenset(sweep.fleets)
    )


def with_change(tree: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Give the tree with another value at a place such as `spot.correlation_permille` or `fleet.patchbay.zones`. What
    is not there yet is made; a list is entered by the name, the kind or the number of its table.

    Raises:
        ScenarioRefused: the place leads through something that is no table.
    """
    changed = _changed(tree, key.split("."), value, key)
    assert isinstance(changed, dict)
    return changed


def _changed(node: Any, path: Sequence[str], value: Any, key: str) -> Any:
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(node, list | tuple):
        for number, table in enumerate(node):
            names = (table.get("name") or table.get("kind"), str(number)) if isinstance(table, dict) else ()
            if first in names:
                return [*node[:number], _changed(table, rest, value, key), *node[number + 1 :]]
        raise ScenarioRefused([f"{key}: there is no {first}"])
    if not isinstance(node, dict):
        raise ScenarioRefused([f"{key}: {first} would be inside of something that is no table"])
    inner = node.get(first, {} if rest else None)
    return {**node, first: _changed({} if inner is None else inner, rest, value, key)}


def _document(tree: Mapping[str, Any]) -> ScenarioDocument:
    try:
        return ScenarioDocument.model_validate(tree)
    except ValidationError as error:
        raise ScenarioRefused(
            [
                f"{place_of(tree, mistake['loc']) or 'scenario'}: {part}"
                for mistake in error.errors(include_url=False)
                for part in _said(mistake["type"], mistake["msg"]).split("; ")
            ]
        ) from None


def _said(kind: str, text: str) -> str:
    match kind:
        case "extra_forbidden":
            return "is not known here"
        case "missing":
            return "is required"
        case _:
            said = text.removeprefix("Value error, ").replace("Input should", "must").replace("Tuple should", "must")
            return said.replace("valid dictionary", "table").replace("tuple", "list").replace(" after validation", "")


def _scenario(document: ScenarioDocument, beside: Path) -> Scenario:
    world = read_world(document.world, beside=beside)
    regions = world.regions
    traffic = document.traffic.traffic(document.scale)
    profiles, mistakes = _profiles(document, world)
    mistakes += _callers_mistakes(document, regions, profiles)
    mistakes += _fleet_mistakes(document)
    for number, strike in enumerate(document.strike):
        mistakes += [f"strike.{number}.{text}" for text in _strike_mistakes(strike, document, regions, traffic)]
    if mistakes:
        raise ScenarioRefused(list(dict.fromkeys(mistakes)))
    return Scenario(
        name=document.name,
        summary=document.summary,
        regions=regions,
        fleets=tuple(table.fleet() for table in document.fleet),
        seed=document.seed,
        days=document.days,
        traffic=traffic,
        machines=document.machines.machines(),
        spot=document.spot.market(),
        moving=document.moving.moving(),
        profiles=profiles,
        shares=tuple(_shares(document, regions)),
        strikes=tuple(_strike(strike, regions, traffic) for strike in document.strike),
        report_every_ms=document.report_every_ms,
        series_every_ms=document.series_every_s * 1_000,
        placement=document.placement.rules(),
    )


def _profiles(document: ScenarioDocument, world: World) -> tuple[dict[str, frozenset[str]], list[str]]:
    """Give policy sets by name, and what is wrong with them. Regions without engines are left out of the sets."""
    table = document.residency
    if table is None:
        return {}, []
    serving = frozenset(region.name for region in world.regions)
    lists = {f"profiles.{name}": names for name, names in table.profiles.items()} | {"default": table.default}
    mistakes = [
        f"residency.{place}: {name} is no region of this world"
        for place, names in lists.items()
        for name in names
        if name not in world.known and name != "*"
    ]
    mistakes += [
        f"residency.jurisdictions.{name}: is in profiles too" for name in table.jurisdictions if name in table.profiles
    ]
    profiles = {name: frozenset(names) & serving for name, names in table.profiles.items()}
    for name, wanted in table.jurisdictions.items():
        profiles[name] = frozenset(region.name for region in world.regions if region.jurisdictions & set(wanted))
    if table.default:
        profiles[WITHOUT_PROFILE] = serving if "*" in table.default else serving & frozenset(table.default)
    for name, members in profiles.items():
        if not members:
            place = f"{'jurisdictions' if name in table.jurisdictions else 'profiles'}.{name}"
            place = "default" if name == WITHOUT_PROFILE else place
            mistakes.append(f"residency.{place}: no region in it has engines and is in this world")
    return profiles, mistakes


def _homes(callers: CallersTable, regions: Sequence[SimulatedRegion]) -> frozenset[str]:
    everywhere = not callers.homes and not callers.jurisdictions
    return frozenset(
        region.name
        for region in regions
        if everywhere or region.name in callers.homes or region.jurisdictions & set(callers.jurisdictions)
    )


def _callers_mistakes(
    document: ScenarioDocument, regions: Sequence[SimulatedRegion], profiles: Mapping[str, frozenset[str]]
) -> list[str]:
    mistakes: list[str] = []
    taken = dict.fromkeys((region.name for region in regions), 0)
    for number, callers in enumerate(document.callers):
        if callers.profile not in profiles:
            mistakes.append(f"callers.{number}.profile: residency has no profile {callers.profile}")
        mistakes += [
            f"callers.{number}.homes: {name} serves nobody in this world" for name in callers.homes if name not in taken
        ]
        homes = _homes(callers, regions)
        if not homes:
            mistakes.append(f"callers.{number}: no region of this world is their home")
        for name in homes:
            taken[name] += callers.permille
    mistakes += [
        f"callers: {permille} permille of those of {name} have a profile"
        for name, permille in taken.items()
        if permille > _PERMILLE
    ]
    has_profiles = document.residency is not None and not document.residency.default
    short = [name for name, permille in taken.items() if permille < _PERMILLE]
    if has_profiles and short:
        mistakes.append(
            f"residency.default: without it, gateways refuse callers without a profile; there are some in {short[0]}"
            + (f" and {len(short) - 1} more" if len(short) > 1 else "")
        )
    return mistakes


def _shares(document: ScenarioDocument, regions: Sequence[SimulatedRegion]) -> Iterator[ProfileShare]:
    taken = dict.fromkeys((region.name for region in regions), 0)
    for callers in document.callers:
        homes = _homes(callers, regions)
        for name in homes:
            taken[name] += callers.permille
        yield ProfileShare(callers.profile, callers.permille, homes)
    if document.residency is None:
        return
    for left in sorted({_PERMILLE - permille for permille in taken.values()} - {0}):
        homes = frozenset(name for name, permille in taken.items() if _PERMILLE - permille == left)
        yield ProfileShare(WITHOUT_PROFILE, left, homes)


def _fleet_mistakes(document: ScenarioDocument) -> Iterator[str]:
    names = [table.shown_name for table in document.fleet]
    if not names:
        yield "fleet: there is none to simulate"
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"fleet.{name}: there are two of this name"
    for table in document.fleet:
        if table.zones > document.machines.zones:
            yield f"fleet.{table.shown_name}.zones: regions have {document.machines.zones}"


def _strike_mistakes(
    strike: StrikeTable, document: ScenarioDocument, regions: Sequence[SimulatedRegion], traffic: Traffic
) -> Iterator[str]:
    if strike.region != "*" and strike.region not in {region.name for region in regions}:
        yield f"region: {strike.region} serves nobody in this world"
        return
    if strike.zone >= document.machines.zones:
        yield f"zone: regions have {document.machines.zones}, counted from 0"
    if _strike(strike, regions, traffic).at_ms >= document.days * DAY_MS:
        yield f"at: the scenario is over by then, it has {document.days:g} days"


def _strike(strike: StrikeTable, regions: Sequence[SimulatedRegion], traffic: Traffic) -> Strike:
    at_peak = next((peak_at_ms(traffic, region) for region in regions if region.name == strike.region), 0)
    return Strike(
        kind=strike.kind, region=strike.region, at_ms=strike.at_ms(at_peak), for_ms=strike.for_ms, zone=strike.zone
    )
