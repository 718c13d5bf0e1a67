"""Faults as a drill file says them: what breaks, when, how, and whether the world has what they name. Pure."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, Field, model_validator

from regions.lab.conditions import Conditions
from regions.lab.world_spec import matching, targets_of

if TYPE_CHECKING:
    from regions.lab.world_spec import WorldSpec


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
    preempt = "preempt"
    """An engine is told that its machine goes away in `lead_s`, and is killed then, whatever it did."""
    operate = "operate"
    """An operator gives an order, `act`, about a region, a pool or an engine."""
    upgrade = "upgrade"
    """One process after the other is emptied, ended and started again, each when the one before it serves."""
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
    fail_over = "fail_over"
    """SIGKILL to a Redis; after `for_s` its replica takes its place."""
    expire_certificates = "expire_certificates"
    """A region's certificates are swapped for ones that expire after `by_s`; sound ones come after `for_s`."""
    step_clock = "step_clock"
    """The wall clock of processes leaps by `by_s`."""
    policy_change = "policy_change"
    """A new bundle: from here on the regions `to` are the list of `profile`."""
    expire_row = "expire_row"
    """A new bundle in which the row of a region ends in `by_s`."""
    expire_bundle = "expire_bundle"
    """A new bundle that ends in `by_s`; and then, with `how`, nobody can read the regions' folders."""
    embargo = "embargo"
    """A new bundle in which a region is forbidden to all, running sessions at once."""
    corrupt_bundle = "corrupt_bundle"
    """The bundle's folder of a region cannot be used any more, as `how` says; after `for_s` it can."""


ON_PROCESSES = (
    FaultKind.kill,
    FaultKind.drain,
    FaultKind.hang,
    FaultKind.slow,
    FaultKind.turn_slow,
    FaultKind.preempt,
    FaultKind.upgrade,
)
_ON_EDGES = (FaultKind.kill,)
_ON_LINKS = (FaultKind.darken, FaultKind.reset, FaultKind.conditions)
_ON_REGIONS = (
    FaultKind.lose_region,
    FaultKind.expire_certificates,
    FaultKind.expire_row,
    FaultKind.embargo,
    FaultKind.corrupt_bundle,
)
_OF_POLICY = (
    FaultKind.policy_change,
    FaultKind.expire_row,
    FaultKind.expire_bundle,
    FaultKind.embargo,
    FaultKind.corrupt_bundle,
)
_WITHOUT_TARGET = (FaultKind.partition, FaultKind.policy_change, FaultKind.expire_bundle)
_ON_ENGINES = (FaultKind.turn_slow, FaultKind.preempt)
_LASTING = (
    FaultKind.hang,
    FaultKind.slow,
    FaultKind.turn_slow,
    FaultKind.darken,
    FaultKind.partition,
    FaultKind.fail_over,
    FaultKind.expire_certificates,
    FaultKind.corrupt_bundle,
)


class FaultSpec(BaseModel, frozen=True, extra="forbid"):
    """One kind of fault, and when. Times count from when the callers began to speak.

    It strikes at `at_s`; or every `every_s` from `at_s` on, `times` times; or `times` times at random in `between_s`.
    """

    kind: FaultKind
    target: str = ""
    """A name or pattern: `engine/west/reserved-1`, `zone/west/a`, `gateway/*`, `edge/west/1`, `link/engine/west/*`."""
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
    lead_s: float = Field(default=30.0, gt=0, le=600)
    """Of a notice: how long before the end it comes."""
    act: Literal["drain", "disable", "undrain", "stop"] = "drain"
    """Of an order; `undrain` takes back what was ordered before."""
    pace_per_s: int = Field(default=0, ge=0)
    """Of an order: sessions that are told to move in a second; 0: as many as can."""
    within_s: float = Field(default=60.0, gt=0)
    """Of an order: by when everything should be gone."""
    profile: str = ""
    to: tuple[str, ...] = ()
    """Of a policy_change: regions; empty: none."""
    how: Literal["torn", "changed", "foreign", "unsigned", "older", "gone"] = "torn"
    """Of a spoilt bundle: half written, changed after signing, signed by a stranger, by too few, put back, or away."""
    with_clients: bool = False
    """Of an order about a region: its clients, too, are sent elsewhere."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = []
        if (self.between is None) is (self.kind is FaultKind.partition):
            mistakes.append("partition, and nothing else, needs between")
        if (self.conditions is None) is (self.kind is FaultKind.conditions):
            mistakes.append("conditions, and nothing else, needs conditions")
        if self.kind in _LASTING and not self.for_s:
            mistakes.append(f"{self.kind.value} needs for_s")
        if self.kind not in _WITHOUT_TARGET and not self.target:
            mistakes.append(f"{self.kind.value} needs a target")
        if self.between_s is not None and self.between_s[0] >= self.between_s[1]:
            mistakes.append("between_s must be two times, the earlier first")
        if self.times > 1 and not self.every_s and self.between_s is None:
            mistakes.append("times needs every_s or between_s")
        if self.target and self.kind in _ON_LINKS and not self.target.startswith("link/"):
            mistakes.append(f"{self.kind.value} is for links: the target must begin with link/")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


def target_mistakes(fault: FaultSpec, world: WorldSpec) -> list[str]:
    """Whatever of this world the fault names and cannot strike."""
    if fault.between is not None:
        unknown = sorted(set(fault.between) - set(world.region_names))
        return [f"between: {', '.join(unknown)} is no region of this world"] if unknown else []
    if fault.kind in _OF_POLICY and (mistakes := _policy_mistakes(fault, world)):
        return mistakes
    if fault.kind in _WITHOUT_TARGET:
        return []
    found = matching(fault.target, targets_of(world))
    kinds = {name.partition("/")[0] for name in found}
    if fault.kind is FaultKind.operate:
        return [] if found and kinds <= {"region", "pool", "engine"} else [_operate_mistake(fault)]
    if "pool" in kinds:
        return [f"{fault.kind.value} is not for pools: {fault.target} names some"]
    if fault.kind is FaultKind.fail_over and (not world.redis_replica or kinds - {"redis"}):
        return ["fail_over is for a Redis, redis/NAME, in a world with redis_replica = true"]
    if fault.kind is FaultKind.lose_data and kinds - {"redis"}:
        return ["lose_data is for a Redis: the target must begin with redis/"]
    if fault.kind in _ON_REGIONS and kinds - {"region"}:
        return [f"{fault.kind.value} is for regions: the target must begin with region/"]
    if fault.kind not in _ON_REGIONS and "region" in kinds:
        return [f"{fault.kind.value} is for processes: {fault.target} is a region"]
    if fault.kind in _ON_ENGINES and (world.engine != "scripted" or kinds - {"engine", "zone"}):
        return [f"{fault.kind.value} is for scripted engines: the target must begin with engine/"]
    if fault.kind is FaultKind.upgrade and kinds - {"engine", "gateway", "zone"}:
        return ["upgrade is for engines and gateways"]
    if wrong := sorted(kinds & _not_for(fault.kind)):
        return [f"{fault.kind.value} is not for {wrong[0]}s: {fault.target} names some"]
    if fault.kind is FaultKind.step_clock and not world.has_settable_clocks:
        return ["step_clock needs world.has_settable_clocks = true"]
    return [] if found else [f"target: nothing in this world is named {fault.target}"]


def _not_for(kind: FaultKind) -> frozenset[str]:
    """What is no process of the lab's own, and this cannot be done to."""
    if kind in _ON_LINKS:
        return frozenset()
    return frozenset({"link"} if kind in _ON_EDGES else {"edge", "link"})


def _policy_mistakes(fault: FaultSpec, world: WorldSpec) -> list[str]:
    if world.residency is None:
        return [f"{fault.kind.value} needs world.residency"]
    if fault.kind is not FaultKind.policy_change:
        return []
    unknown = sorted(set(fault.to) - set(world.region_names))
    mistakes = [f"to: {', '.join(unknown)} is no region of this world"] if unknown else []
    if fault.profile not in world.profiles:
        mistakes.append(f"profile: world.profiles has no {fault.profile or 'nameless one'}")
    return mistakes


def _operate_mistake(fault: FaultSpec) -> str:
    return f"operate is about regions, pools and engines: {fault.target} names none, or something else"
