"""What is simulated: a world, its traffic and machines, what breaks, and the fleets that are compared. Plain data.

Times on the simulated clock are milliseconds since the scenario began, which is midnight UTC of a Monday.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.failover import RecoveryLimits
from policies.plans import Tier
from regions.placement_rules import PlacementRules

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class SimulatedRegion:
    """One region. `weight`: its callers, against all regions' weights. `utc_offset_hours`: of its callers' clocks."""

    name: str
    latitude: float
    longitude: float
    country: str = ""
    jurisdictions: frozenset[str] = frozenset()
    weight: float = 1.0
    utc_offset_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class ProfileShare:
    """So many permille of the callers at home in `homes` (empty: everywhere) have the policy set `profile`.

    What is left of a region's callers has the set of all regions.
    """

    profile: str
    permille: int
    homes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who calls, and when.

    Attributes:
        sessions_per_day: on a weekday, of the whole world.
        mean_session_s, sigma: length of speech, lognormal; sigma of its natural logarithm.
        peak_hour: of the callers' clocks; the day is a cosine around it.
        trough_permille: of the peak's rate, twelve hours later.
        weekend_permille: of a weekday's rate.
        tier_permille: what is left is standard.
        tries: calls that a client makes in all for one session that is refused or lost; waits between them double from
            `first_retry_ms` to at most `max_retry_ms`, half of each by chance.
    """

    sessions_per_day: int = 1_000_000
    mean_session_s: float = 180.0
    sigma: float = 1.0
    peak_hour: float = 14.0
    trough_permille: int = 250
    weekend_permille: int = 700
    tier_permille: Mapping[Tier, int] = field(default_factory=lambda: {Tier.premium: 100, Tier.economy: 300})
    tries: int = 6
    first_retry_ms: int = 500
    max_retry_ms: int = 8_000


@dataclass(frozen=True, slots=True)
class Machines:
    """Engines, all alike. `start_s`: from asking for a machine to its first free slot. `zones`: of each region.

    Prices are for an hour of one engine, in permille of an hour on demand.
    """

    slots: int = 16
    zones: int = 3
    start_s: float = 240.0
    on_demand_permille: int = 1_000
    reserved_permille: int = 620
    spot_permille: int = 350
    scale_every_s: float = 30.0


@dataclass(frozen=True, slots=True)
class SpotMarket:
    """When spot machines are taken away, and when there are none to be had.

    Attributes:
        short_permille: share of time in which a zone has no spot machines.
        mean_short_s: how long that lasts; exponential.
        correlation_permille: of a zone's shortages, those that strike all zones of its region at the same moment.
        world_permille: of those of a region, the ones that strike all regions of the world at the same moment.
        storm_s: over how long the machines of a zone go when its shortage begins.
        mean_life_s: until one machine by itself is taken; exponential.
        noticed_permille: machines that are told before; `notice_s`: how long before.
    """

    short_permille: int = 40
    mean_short_s: float = 3_600.0
    correlation_permille: int = 300
    world_permille: int = 0
    storm_s: float = 30.0
    mean_life_s: float = 36 * 3_600.0
    noticed_permille: int = 900
    notice_s: float = 30.0


class StrikeKind(StrEnum):
    lose_region = "lose_region"
    """Engines and gateways of a region die at once, and connections break. Machines must be started anew."""
    darken_region = "darken_region"
    """The same, and nobody is told: connections stand and nothing comes."""
    silence_region = "silence_region"
    """Its engines take all audio and answer nothing; everything else of it looks well."""
    lose_zone = "lose_zone"
    """All engines of one zone die at once; new ones cannot start there."""
    spot_storm = "spot_storm"
    """All spot machines are taken away over the market's `storm_s`, with its notices."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One thing that breaks. `region`: a name, or `*` for all. `zone`: for lose_zone, counted from 0."""

    kind: StrikeKind
    region: str
    at_ms: int
    for_ms: int
    zone: int = 0


class FleetKind(StrEnum):
    reserved = "reserved"
    """Reserved machines for each region's own peak, all the time."""
    on_demand = "on_demand"
    """Machines on demand, as many as the load asks for."""
    spot = "spot"
    """Spot machines, as many as the load asks for."""
    fallback = "fallback"
    """Spot and some more, and machines on demand for spot ones that are missing; as SkyServe does."""
    patchbay = "patchbay"
    """A reserved floor, spot by the zone-loss rule, and machines on demand for what both lack."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """One way to run the world.

    Attributes:
        margin_permille: machines beyond the load that is seen: e of the zone-loss rule.
        floor_permille: reserved machines, of those that the region's own peak takes.
        extra_permille: spot machines beyond what the load asks for; of `fallback` only.
        zones: that it uses; 0: all.
        has_fallback: machines on demand while spot is missing; `patchbay` too.
        has_continuity: the gateway moves sessions itself. Without it a client whose engine dies calls again.
        overflows: sessions go to other regions of their policy set when their own is full.
    """

    name: str
    kind: FleetKind
    margin_permille: int = 100
    floor_permille: int = 0
    extra_permille: int = 0
    zones: int = 0
    has_fallback: bool = True
    has_continuity: bool = True
    overflows: bool = True


@dataclass(frozen=True, slots=True)
class Moving:
    """What a session's move takes; measured in the lab, or a gateway's settings.

    Attributes:
        link_liveness_ms, heartbeat_ms: a link to engines or to a region is lost without a report for the first; they
            come every second.
        liveness_ms: an engine whose link stands, that owes an answer and gives none for so long, is lost.
        reset_ms: until a connection that broke is seen.
        open_ms: from asking an engine in the own region to its grant; a round trip comes on top for another one.
        word_every_ms: in steady speech a message with new words comes so often.
        first_words_ms: from the grant, when nothing waits, to the first new words.
        max_backlog_ms: audio since the last final, even from 0 to this; it is replayed first.
        replay_speed_permille: against 1000 for real time.
        reconnect_ms: a client without continuity, or without its gateway: to see it and to be heard again.
        recovery: of policies.failover.
    """

    link_liveness_ms: int = 2_000
    heartbeat_ms: int = 500
    liveness_ms: int = 2_500
    reset_ms: int = 1
    open_ms: int = 20
    word_every_ms: int = 500
    first_words_ms: int = 60
    max_backlog_ms: int = 5_000
    replay_speed_permille: int = 20_000
    reconnect_ms: int = 1_000
    recovery: RecoveryLimits = field(default_factory=lambda: RecoveryLimits(50, 1_000, 20_000, 10))


@dataclass(frozen=True, slots=True)
class LimitedOrg:
    """An org whose compute is limited over all regions and lent between them (policies.escrow).

    Rates are compute-seconds a second; a session takes `compute_permille` of one for each second of speech.
    """

    name: str
    home: str
    share_permille: int
    rate_per_s: float
    burst_s: float
    compute_permille: int = 1_000
    holding_ms: int = 2_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """All of it.

    Attributes:
        profiles: policy sets, by name.
        report_every_ms: how often a region tells its peers of itself; between, they know nothing new.
        placement: the rules that gateways place by.
    """

    name: str
    regions: tuple[SimulatedRegion, ...]
    fleets: tuple[Fleet, ...]
    summary: str = ""
    seed: int = 1
    days: float = 1.0
    traffic: Traffic = Traffic()
    machines: Machines = Machines()
    spot: SpotMarket = SpotMarket()
    moving: Moving = Moving()
    profiles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    shares: tuple[ProfileShare, ...] = ()
    strikes: tuple[Strike, ...] = ()
    orgs: tuple[LimitedOrg, ...] = ()
    report_every_ms: int = 1_000
    series_every_ms: int = 300_000
    placement: PlacementRules = field(default_factory=PlacementRules)

    @property
    def ends_at_ms(self) -> int:
        return int(self.days * DAY_MS)
