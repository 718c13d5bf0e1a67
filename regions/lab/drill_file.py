"""Drills as data: a TOML file says what world, what load, what breaks when, and what must hold."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from regions.lab.fault_spec import FaultSpec, target_mistakes
from regions.lab.world_spec import WorldSpec

SHIPPED = Path(__file__).parent / "drills"
M = TypeVar("M", bound=BaseModel)
_NAME = r"^[a-z][a-z0-9-]{0,62}$"


class DrillRefused(Exception):
    """The drill cannot be used; `mistakes` lists each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class CallerGroup(BaseModel, frozen=True, extra="forbid"):
    """Callers of one kind. Each holds one session, or one after the other."""

    count: int = Field(default=4, ge=1, le=2_000)
    home: str = ""
    """The region whose gateway they call first; empty: spread over all."""
    profile: str = ""
    tier: Literal["", "premium", "standard", "economy"] = ""
    """Of their plan, in a world that has_tiers."""
    has_quota: bool = False
    """Each has compute for a few seconds, in a world that has_quota."""
    protocol: Literal["ws", "webtransport"] = "ws"
    """`webtransport`: and WebSocket where that does not come through."""
    datagrams: bool = False
    """Over WebTransport: audio goes in datagrams. What the network loses of it is lost."""
    udp_patience_s: float = Field(default=3.0, gt=0, le=60)
    """Whoever gets no answer over WebTransport for so long tries WebSocket."""
    seconds: float = Field(default=20.0, gt=0, le=3_600)
    """How long each speaks in all."""
    call_seconds: float = Field(default=0.0, ge=0, le=3_600)
    """A session lasts about so long, from half to one and a half times; 0: one session for all of `seconds`."""
    speed: float = Field(default=1.0, gt=0, le=50)
    piece_ms: int = Field(default=100, ge=20, le=500)
    """Audio goes out in pieces of so much."""
    spread_s: float = Field(default=0.5, ge=0, le=60)
    """Sessions begin at random within so long."""
    audio: str = "synthetic"
    """`synthetic`, made for scripted engines, or the name of a shipped recording."""


class PassSpec(BaseModel, frozen=True, extra="forbid"):
    """What must hold in the end; what is left out is not asked. Lost and doubled words always are."""

    words_lost: int = Field(default=0, ge=0)
    words_doubled: int = Field(default=0, ge=0)
    sessions_failed: int = Field(default=0, ge=0)
    pause_p50_ms: float | None = None
    pause_p99_ms: float | None = None
    pause_longest_ms: float | None = None
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
    outside_fence: int = Field(default=0, ge=0)
    """In a world with `residency`: places that heard audio and might not, later than `fence_grace_s` after a change."""
    fence_grace_s: float = Field(default=4.0, ge=0, le=60)
    fence_longest_s: float | None = None
    """For so long after a region left a session's set audio of it may still have gone there."""
    policy_ends: bool = False
    """Sessions may end, or be refused, as policy permits no region; of what they were given, nothing is wrong."""
    ended_by_policy_least: int | None = None
    quota_ends: bool = False
    """Sessions may end as their quota is used up; of what they were given, nothing is wrong."""
    ended_by_quota_least: int | None = None
    fell_back_least: int | None = None
    """Sessions that began over WebTransport and went on over WebSocket: at least so many."""
    fell_back_most: int | None = None
    webtransport_least: int | None = None
    """Sessions that ended over WebTransport."""
    overloaded_engines: int = Field(default=0, ge=0)
    """Engines that were seen with more streams than slots."""
    first_choice_refused_permille: float | None = None
    all_served: bool = True
    """Every caller got a session."""
    moved_within_s: float | None = None
    """From the last fault's beginning to the last move."""
    drained_within_s: float | None = None
    """Each order to drain: from when it was given until it says that nothing is left."""
    refused_were_told: bool = False
    """Whoever was refused or lost a session was given a reason, and where waiting helps, how long."""
    shed_only: tuple[Literal["premium", "standard", "economy"], ...] | None = None
    """Sessions of these tiers may be refused or end early; of what they were given, nothing may be wrong."""
    shed_least: int | None = None
    """At least so many sessions ended with `capacity_shed`: there was something to be shed."""
    upgraded_least: int | None = None
    """At least so many processes were ended in order and started again by `upgrade`."""
    lives_once_within_s: float | None = None
    """After the last fault was over: until engines have no more streams than there are sessions."""
    streams_left: int | None = None
    """On all engines, soon after the last caller was done."""


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
            if group.tier and not self.world.has_tiers:
                mistakes.append(f"callers.{number}.tier: world.has_tiers is not true")
            if group.has_quota and (not self.world.has_quota or group.tier):
                mistakes.append(f"callers.{number}.has_quota: needs world.has_quota, and no tier")
            if group.protocol == "webtransport" and not self.world.webtransport:
                mistakes.append(f"callers.{number}.protocol: world.webtransport is not true")
            if group.datagrams and group.protocol != "webtransport":
                mistakes.append(f"callers.{number}.datagrams: are for protocol = webtransport")
            if (group.audio == "synthetic") is (self.world.engine == "embedded"):
                mistakes.append(f"callers.{number}.audio: synthetic is for scripted engines, recordings for embedded")
        for number, fault in enumerate(self.fault):
            mistakes += [f"fault.{number}: {text}" for text in target_mistakes(fault, self.world)]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


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
