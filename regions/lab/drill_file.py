"""Drills as data: a TOML file says what world, what load, what breaks when, and what must hold."""

from __future__ import annotations

import tomllib
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from regions.lab.conditions import Conditions

SHIPPED = Path(__file__).parent / "drills"
REGION_NAMES = ("west", "central", "east", "north", "south", "coast", "island", "valley")
M = TypeVar("M", bound=BaseModel)
_NAME = r"^[a-z][a-z0-9-]{0,62}$"


class DrillRefused(Exception):
    """The drill cannot be used; `mistakes` lists each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class NetworkSpec(BaseModel, frozen=True, extra="forbid"):
    """The links at the start: between two regions, a gateway and an engine, a client and a gateway."""

    region: Conditions = Conditions(delay_ms=20)
    engine: Conditions = Conditions()
    client: Conditions = Conditions()


class WorldSpec(BaseModel, frozen=True, extra="forbid"):
    """What runs."""

    regions: int = Field(default=1, ge=1, le=len(REGION_NAMES))
    gateways: int = Field(default=1, ge=1, le=8)
    """Of each region."""
    reserved: int = Field(default=1, ge=0, le=64)
    spot: int = Field(default=0, ge=0, le=64)
    """Engines of each region, by capacity class."""
    slots: int = Field(default=16, ge=1, le=1_000)
    """Streams at once of each engine."""
    engine: Literal["scripted", "embedded"] = "scripted"
    heartbeat_interval_ms: int = Field(default=500, ge=20, le=10_000)
    """Of the engines' load reports."""
    has_settable_clocks: bool = False
    """Start engines and gateways under libfaketime, so that `step_clock` can move their wall clocks."""
    network: NetworkSpec = NetworkSpec()
    profiles: dict[str, tuple[str, ...]] = {}
    """Policy sets: names of regions. Callers without one may be served everywhere."""
    settings: dict[str, Any] = {}
    """Of every gateway, over the lab's own: `"sessions__liveness_ms" = 1000`."""

    @property
    def region_names(self) -> tuple[str, ...]:
        return REGION_NAMES[: self.regions]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = []
        if self.reserved + self.spot == 0:
            mistakes.append("reserved and spot cannot both be 0: nobody would recognise")
        for profile, names in self.profiles.items():
            unknown = sorted(set(names) - set(self.region_names))
            if unknown or not names:
                mistakes.append(f"profiles.{profile} names no region of this world: {', '.join(unknown) or 'empty'}")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


class CallerGroup(BaseModel, frozen=True, extra="forbid"):
    """Callers of one kind. Each holds one session, or one after the other."""

    count: int = Field(default=4, ge=1, le=2_000)
    home: str = ""
    """The region whose gateway they call first; empty: spread over all."""
    profile: str = ""
    seconds: float = Field(default=20.0, gt=0, le=3_600)
    """How long each speaks in all."""
    call_seconds: float = Field(default=0.0, ge=0, le=3_600)
    """A session lasts about so long, from half to one and a half times; 0: one session for all of `seconds`."""
    speed: float = Field(default=1.0, gt=0, le=50)
    audio: str = "synthetic"
    """`synthetic`, made for scripted engines, or the name of a shipped recording."""


class FaultKind(Enum):
    kill = "kill"
    """SIGKILL to processes."""
    hang = "hang"
    """SIGSTOP, and SIGCONT after `for_s`."""
    slow = "slow"
    """Stopped for `stopped_permille` of each `period_ms`, for `for_s`."""
    turn_slow = "turn_slow"
    """A scripted engine is killed and comes back slow: a step takes `step_ms`. After `for_s` it comes back sound."""
    drain = "drain"
    """SIGTERM: a planned end."""
    darken = "darken"
    """A black hole: links take everything and give nothing, for `for_s`."""
    reset = "reset"
    """Connections of links break."""
    conditions = "conditions"
    """Links get other conditions, for `for_s`."""
    partition = "partition"
    """All links between the two regions of `between` go dark for `for_s`."""
    lose_region = "lose_region"
    """SIGKILL to every process of a region at once."""
    lose_data = "lose_data"
    """SIGKILL to a Redis, and its data is gone."""
    expire_certificates = "expire_certificates"
    """A region's certificates are swapped for ones that expire after `by_s`; sound ones come after `for_s`."""
    step_clock = "step_clock"
    """The wall clock of processes leaps by `by_s`."""


_LINK_FAULTS = (FaultKind.darken, FaultKind.reset, FaultKind.conditions)
_LASTING = (
    FaultKind.hang,
    FaultKind.slow,
    FaultKind.turn_slow,
    FaultKind.darken,
    FaultKind.partition,
    FaultKind.expire_certificates,
)


class FaultSpec(BaseModel, frozen=True, extra="forbid"):
    """One kind of fault, and when. Times count from when the callers began to speak.

    It strikes at `at_s`; or every `every_s` from `at_s` on, `times` times; or `times` times at random in `between_s`.
    """

    kind: FaultKind
    target: str = ""
    """A name or pattern: `engine/west/reserved-1`, `gateway/*`, `redis/west`, `region/west`, `link/engine/west/*`."""
    pick: Literal["one", "all"] = "one"
    """Of those that the pattern names: one at random, or all."""
    leave: int = Field(default=0, ge=0)
    """Of the processes that the pattern names, at least so many stay up: the strike waits for that."""
    at_s: float = Field(default=0.0, ge=0)
    every_s: float = Field(default=0.0, ge=0)
    times: int = Field(default=1, ge=1, le=100_000)
    between_s: tuple[float, float] | None = None
    for_s: float = Field(default=0.0, ge=0)
    down_s: float | None = Field(default=None, ge=0)
    """What was killed or drained is started again after this; left out: it stays away."""
    by_s: float = 0.0
    stopped_permille: int = Field(default=800, ge=1, le=990)
    period_ms: int = Field(default=500, ge=20, le=10_000)
    step_ms: int = Field(default=1_000, ge=1, le=10_000)
    between: tuple[str, str] | None = None
    conditions: Conditions | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = []
        if (self.between is None) is (self.kind is FaultKind.partition):
            mistakes.append("partition, and nothing else, needs between")
        if (self.conditions is None) is (self.kind is FaultKind.conditions):
            mistakes.append("conditions, and nothing else, needs conditions")
        if self.kind in _LASTING and not self.for_s:
            mistakes.append(f"{self.kind.value} needs for_s")
        if self.kind is not FaultKind.partition and not self.target:
            mistakes.append(f"{self.kind.value} needs a target")
        if self.between_s is not None and self.between_s[0] >= self.between_s[1]:
            mistakes.append("between_s must be two times, the earlier first")
        if self.times > 1 and not self.every_s and self.between_s is None:
            mistakes.append("times needs every_s or between_s")
        if self.target and self.kind in _LINK_FAULTS and not self.target.startswith("link/"):
            mistakes.append(f"{self.kind.value} is for links: the target must begin with link/")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


class PassSpec(BaseModel, frozen=True, extra="forbid"):
    """What must hold in the end; what is left out is not asked. Lost and doubled words always are."""

    words_lost: int = Field(default=0, ge=0)
    words_doubled: int = Field(default=0, ge=0)
    sessions_failed: int = Field(default=0, ge=0)
    pause_p50_ms: float | None = None
    pause_p99_ms: float | None = None
    moves_least: int | None = None
    """At least so many moves: the drill did strike."""
    moves_most: int | None = None
    resumes_least: int | None = None
    lag_p99_ms: float | None = None
    """Over the whole drill, from the audio's sending to its words."""
    lag_recovered_within_s: float | None = None
    """After the last fault began, the lag's p99 of each later second is below `lag_bound_ms` from then on."""
    lag_bound_ms: float = 1_000.0
    outside_policy: int = Field(default=0, ge=0)
    overloaded_engines: int = Field(default=0, ge=0)
    """Engines that were seen with more streams than slots."""
    first_choice_refused_permille: float | None = None
    all_served: bool = True
    """Every caller got a session."""


class DrillSpec(BaseModel, frozen=True, extra="forbid"):
    """One drill, as its file says it."""

    name: str = Field(pattern=_NAME)
    summary: str = Field(min_length=1, max_length=300)
    world: WorldSpec = WorldSpec()
    callers: tuple[CallerGroup, ...]
    fault: tuple[FaultSpec, ...] = ()
    must: PassSpec = PassSpec()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = []
        names = self.world.region_names
        if not self.callers:
            mistakes.append("callers: nobody calls")
        for number, group in enumerate(self.callers):
            if group.home and group.home not in names:
                mistakes.append(f"callers.{number}.home: {group.home} is no region of this world ({', '.join(names)})")
            if group.profile and group.profile not in self.world.profiles:
                mistakes.append(f"callers.{number}.profile: world.profiles has no {group.profile}")
            if (group.audio == "synthetic") is (self.world.engine == "embedded"):
                mistakes.append(f"callers.{number}.audio: synthetic is for scripted engines, recordings for embedded")
        for number, fault in enumerate(self.fault):
            mistakes += [f"fault.{number}: {text}" for text in _target_mistakes(fault, self.world)]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


def targets_of(world: WorldSpec) -> list[str]:
    """Everything in a world that a fault can name."""
    names: list[str] = []
    for region in world.region_names:
        names += [f"region/{region}", f"redis/{region}"]
        names += [f"gateway/{region}/{number}" for number in range(1, world.gateways + 1)]
        names += [f"link/client/{region}/{number}" for number in range(1, world.gateways + 1)]
        for engine in engines_of(world):
            names += [f"engine/{region}/{engine}", f"link/engine/{region}/{engine}"]
        names += [
            f"link/region/{region}/{other}/{number}"
            for other in world.region_names
            if other != region
            for number in range(1, world.gateways + 1)
        ]
    return names


def engines_of(world: WorldSpec) -> list[str]:
    """The engines of each region, by their names within it."""
    return [f"{kind}-{n}" for kind in ("reserved", "spot") for n in range(1, getattr(world, kind) + 1)]


def matching(pattern: str, names: list[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def _target_mistakes(fault: FaultSpec, world: WorldSpec) -> list[str]:
    if fault.between is not None:
        unknown = sorted(set(fault.between) - set(world.region_names))
        return [f"between: {', '.join(unknown)} is no region of this world"] if unknown else []
    found = matching(fault.target, targets_of(world))
    wants_region = fault.kind in (FaultKind.lose_region, FaultKind.expire_certificates)
    if fault.kind is FaultKind.lose_data and any(not name.startswith("redis/") for name in found):
        return ["lose_data is for a Redis: the target must begin with redis/"]
    if wants_region and any(not name.startswith("region/") for name in found):
        return [f"{fault.kind.value} is for regions: the target must begin with region/"]
    if not wants_region and any(name.startswith("region/") for name in found):
        return [f"{fault.kind.value} is for processes: {fault.target} is a region"]
    if fault.kind is FaultKind.turn_slow and (
        world.engine != "scripted" or any(not name.startswith("engine/") for name in found)
    ):
        return ["turn_slow is for scripted engines: the target must begin with engine/"]
    is_for_links = fault.kind in _LINK_FAULTS
    if not is_for_links and any(name.startswith("link/") for name in found):
        return [f"{fault.kind.value} is not for links: {fault.target} names some"]
    if fault.kind is FaultKind.step_clock and not world.has_settable_clocks:
        return ["step_clock needs world.has_settable_clocks = true"]
    return [] if found else [f"target: nothing in this world is named {fault.target}"]


def read_drill(path: Path) -> DrillSpec:
    """Raises DrillRefused."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DrillRefused([f"{path}: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DrillRefused([f"{path}: {error}"]) from None
    return check_drill(tree)


def check_drill(tree: dict[str, Any]) -> DrillSpec:
    """Raises DrillRefused."""
    return _checked(DrillSpec, tree)


def check_world(tree: dict[str, Any]) -> WorldSpec:
    """Raises DrillRefused."""
    return _checked(WorldSpec, tree)


def _checked(model: type[M], tree: dict[str, Any]) -> M:
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise DrillRefused(
            [
                f"{'.'.join(map(str, mistake['loc'])) or 'drill'}: {part}"
                for mistake in error.errors(include_url=False)
                for part in mistake["msg"].removeprefix("Value error, ").split("; ")
            ]
        ) from None


def find_drills(folders: list[Path]) -> dict[str, Path]:
    """Every drill file by its name without ending; a later folder goes over an earlier one."""
    return {path.stem: path for folder in [SHIPPED, *folders] for path in sorted(folder.glob("*.toml"))}
