"""The TOML of a scenario, table by table, as pydantic reads it. What values say together is in
regions.simulator.scenario_file.

What is left out is as in regions.simulator.scenario.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from policies.plans import Tier
from regions.placement_settings import PlacementSettings
from regions.simulator.scenario import (
    DAY_MS,
    HOUR_MS,
    Fleet,
    FleetKind,
    Machines,
    Moving,
    SpotMarket,
    StrikeKind,
    Traffic,
)
from regions.simulator.world_file import WorldTable

_TRAFFIC, _MACHINES, _SPOT, _MOVING = Traffic(), Machines(), SpotMarket(), Moving()
_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
_PROFILE = r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"
_Name = Annotated[str, StringConstraints(pattern=_NAME)]
_Profile = Annotated[str, StringConstraints(pattern=_PROFILE)]
_Permille = Annotated[int, Field(ge=0, le=1_000, strict=True)]
MAX_DAYS = 366
_MAX_DAYS_S = 40 * 24 * 3_600.0


class TierShares(BaseModel, frozen=True, extra="forbid"):
    """Of all callers; what is left is standard."""

    premium: _Permille = 100
    economy: _Permille = 300

    @model_validator(mode="after")
    def _leave_something(self) -> Self:
        if self.premium + self.economy > 1_000:
            raise ValueError("premium and economy are more than 1000 together")
        return self


class TrafficTable(BaseModel, frozen=True, extra="forbid"):
    """`[traffic]`: who calls, and when."""

    sessions_per_day: int = Field(default=_TRAFFIC.sessions_per_day, ge=1, le=100_000_000)
    mean_session_s: float = Field(default=_TRAFFIC.mean_session_s, ge=1, le=24 * 3_600)
    sigma: float = Field(default=_TRAFFIC.sigma, ge=0, le=3)
    peak_hour: float = Field(default=_TRAFFIC.peak_hour, ge=0, lt=24)
    trough_permille: int = Field(default=_TRAFFIC.trough_permille, ge=1, le=1_000)
    weekend_permille: int = Field(default=_TRAFFIC.weekend_permille, ge=1, le=2_000)
    tier_permille: TierShares = TierShares()
    tries: int = Field(default=_TRAFFIC.tries, ge=1, le=100)
    first_retry_ms: int = Field(default=_TRAFFIC.first_retry_ms, ge=1, le=600_000)
    max_retry_ms: int = Field(default=_TRAFFIC.max_retry_ms, ge=1, le=600_000)

    @model_validator(mode="after")
    def _waits_rise(self) -> Self:
        if self.first_retry_ms > self.max_retry_ms:
            raise ValueError("first_retry_ms must not exceed max_retry_ms")
        return self

    def traffic(self, scale: float) -> Traffic:
        shares = {Tier.premium: self.tier_permille.premium, Tier.economy: self.tier_permille.economy}
        values = self.model_dump() | {
            "tier_permille": shares,
            "sessions_per_day": max(1, round(self.sessions_per_day * scale)),
        }
        return Traffic(**values)


class MachinesTable(BaseModel, frozen=True, extra="forbid"):
    """`[machines]`: engines and what an hour of one costs, in permille of an hour on demand."""

    slots: int = Field(default=_MACHINES.slots, ge=1, le=10_000)
    zones: int = Field(default=_MACHINES.zones, ge=1, le=12)
    start_s: float = Field(default=_MACHINES.start_s, ge=0, le=24 * 3_600)
    on_demand_permille: int = Field(default=_MACHINES.on_demand_permille, ge=1, le=100_000)
    reserved_permille: int = Field(default=_MACHINES.reserved_permille, ge=1, le=100_000)
    spot_permille: int = Field(default=_MACHINES.spot_permille, ge=0, le=100_000)
    scale_every_s: float = Field(default=_MACHINES.scale_every_s, ge=1, le=3_600)

    def machines(self) -> Machines:
        return Machines(**self.model_dump())


class SpotTable(BaseModel, frozen=True, extra="forbid"):
    """`[spot]`: when spot machines are taken away, and when there are none."""

    short_permille: int = Field(default=_SPOT.short_permille, ge=0, le=900)
    mean_short_s: float = Field(default=_SPOT.mean_short_s, ge=1, le=_MAX_DAYS_S)
    correlation_permille: _Permille = _SPOT.correlation_permille
    world_permille: _Permille = _SPOT.world_permille
    storm_s: float = Field(default=_SPOT.storm_s, ge=0, le=3_600)
    mean_life_s: float = Field(default=_SPOT.mean_life_s, ge=60, le=1e9)
    noticed_permille: _Permille = _SPOT.noticed_permille
    notice_s: float = Field(default=_SPOT.notice_s, ge=0, le=3_600)

    def market(self) -> SpotMarket:
        return SpotMarket(**self.model_dump())


class MovingTable(BaseModel, frozen=True, extra="forbid"):
    """`[moving]`: what a session's move takes."""

    liveness_ms: int = Field(default=_MOVING.liveness_ms, ge=1, le=600_000)
    reset_ms: int = Field(default=_MOVING.reset_ms, ge=0, le=600_000)
    open_ms: int = Field(default=_MOVING.open_ms, ge=0, le=600_000)
    word_every_ms: int = Field(default=_MOVING.word_every_ms, ge=1, le=60_000)
    first_words_ms: int = Field(default=_MOVING.first_words_ms, ge=0, le=60_000)
    max_backlog_ms: int = Field(default=_MOVING.max_backlog_ms, ge=0, le=600_000)
    replay_speed_permille: int = Field(default=_MOVING.replay_speed_permille, ge=1_001, le=1_000_000)
    reconnect_ms: int = Field(default=_MOVING.reconnect_ms, ge=0, le=600_000)

    def moving(self) -> Moving:
        return Moving(**self.model_dump())


class FleetTable(BaseModel, frozen=True, extra="forbid"):
    """`[[fleet]]`: one way to run the world. `name`: of its kind where nothing is said."""

    kind: FleetKind
    name: _Name | Literal[""] = ""
    margin_permille: int = Field(default=100, ge=0, le=10_000)
    floor_permille: int = Field(default=0, ge=0, le=3_000)
    extra_permille: int = Field(default=0, ge=0, le=10_000)
    zones: int = Field(default=0, ge=0, le=12)
    has_fallback: bool = True
    has_continuity: bool = True
    overflows: bool = True

    @model_validator(mode="after")
    def _is_for_its_kind(self) -> Self:
        mistakes = []
        if self.floor_permille and self.kind is not FleetKind.patchbay:
            mistakes.append("floor_permille is for kind = patchbay alone")
        if self.extra_permille and self.kind is not FleetKind.fallback:
            mistakes.append("extra_permille is for kind = fallback alone")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def fleet(self) -> Fleet:
        return Fleet(**self.model_dump() | {"name": self.shown_name})

    @property
    def shown_name(self) -> str:
        return self.name or self.kind.value.replace("_", "-")


class StrikeTable(BaseModel, frozen=True, extra="forbid"):
    """`[[strike]]`: what breaks, and when: `at` the region's own peak of that day, or hours after its midnight UTC."""

    kind: StrikeKind
    region: _Name | Literal["*"]
    at: Literal["peak"] | float
    for_hours: float = Field(default=1.0, gt=0, le=MAX_DAYS * 24)
    day: int = Field(default=1, ge=1, le=MAX_DAYS)
    zone: int = Field(default=0, ge=0, le=11)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = []
        if self.at == "peak" and self.region == "*":
            mistakes.append("at: regions have their peaks at different times: write hours for *")
        if isinstance(self.at, float) and not 0 <= self.at < 24:
            mistakes.append("at: must be peak, or 0 to less than 24 hours")
        if self.zone and self.kind is not StrikeKind.lose_zone:
            mistakes.append("zone is for kind = lose_zone alone")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def at_ms(self, peak_at_ms: int) -> int:
        """`peak_at_ms`: of the first day."""
        hour_ms = peak_at_ms if self.at == "peak" else int(float(self.at) * HOUR_MS)
        return (self.day - 1) * DAY_MS + hour_ms

    @property
    def for_ms(self) -> int:
        return int(self.for_hours * HOUR_MS)


class ResidencyTable(BaseModel, frozen=True, extra="forbid"):
    """`[residency]`, as gateways' settings have it, and lists by jurisdiction for those who do not want to count up."""

    profiles: dict[_Profile, tuple[_Name, ...]] = {}
    default: tuple[_Name | Literal["*"], ...] = ()
    """Of callers without a profile; `*`, here alone, is every region."""
    jurisdictions: dict[_Profile, tuple[str, ...]] = {}
    """Profiles of all regions that have one of these."""


class CallersTable(BaseModel, frozen=True, extra="forbid"):
    """`[[callers]]`: how many of those at home in these regions have a profile. Without `homes` and `jurisdictions`:
    everywhere.
    """

    profile: _Profile
    permille: _Permille
    homes: tuple[_Name, ...] = ()
    jurisdictions: tuple[str, ...] = ()


class SweepTable(BaseModel, frozen=True, extra="forbid"):
    """`[sweep]`: the scenario again with other values of one setting."""

    key: str = Field(min_length=1, max_length=200)
    """Such as `spot.correlation_permille`."""
    values: tuple[Any, ...] = Field(max_length=50)
    fleets: tuple[str, ...] = ()
    """Only these; empty: all."""


class TargetTable(BaseModel, frozen=True, extra="forbid"):
    """`[target]`: what the fleets are held against."""

    served_permille: float = Field(default=999.5, ge=0, le=1_000)
    cost_permille: float = Field(default=600.0, ge=0, le=10_000)
    """Of all reserved."""


class ScenarioDocument(BaseModel, frozen=True, extra="forbid"):
    """A whole scenario; docs/capacity.md."""

    name: _Name
    summary: str = Field(min_length=1, max_length=300)
    question: str = Field(default="", max_length=300)
    seed: int = Field(default=1, ge=0, lt=2**32)
    days: float = Field(default=1.0, gt=0, le=MAX_DAYS)
    scale: float = Field(default=1.0, gt=0, le=100)
    """Of the callers; fleets are made for them."""
    series_every_s: int = Field(default=300, ge=10, le=24 * 3_600)
    report_every_ms: int = Field(default=1_000, ge=100, le=60_000)
    world: WorldTable = WorldTable()
    residency: ResidencyTable | None = None
    callers: tuple[CallersTable, ...] = ()
    traffic: TrafficTable = TrafficTable()
    machines: MachinesTable = MachinesTable()
    spot: SpotTable = SpotTable()
    moving: MovingTable = MovingTable()
    placement: PlacementSettings = PlacementSettings()
    fleet: tuple[FleetTable, ...] = Field(default=(), max_length=20)
    strike: tuple[StrikeTable, ...] = ()
    sweep: SweepTable | None = None
    target: TargetTable = TargetTable()
