"""What placement knows of regions when it decides, and what it decides. Plain values, made anew for every snapshot.

Ages and waits are on the deciding gateway's own clock: a peer whose clock is wrong cannot make its news look fresh.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.plans import Tier


class CapacityClass(StrEnum):
    """How an engine's machine is paid for, and so how it may be lost."""

    reserved = "reserved"
    spot = "spot"


ALL_CLASSES = frozenset(CapacityClass)


class RegionState(StrEnum):
    """What the region's operators want."""

    active = "active"
    draining = "draining"
    """Nothing new, and what is there moves away."""
    disabled = "disabled"


class Health(StrEnum):
    """What is seen of it, with hysteresis (policies.region_health). Also the states of a breaker."""

    admitting = "admitting"
    probing = "probing"
    """It was tripped and may show with a few sessions that it works."""
    tripped = "tripped"


class RuledOut(StrEnum):
    """Why a region is no candidate. Declared in the order in which it is asked: the first that holds is told."""

    outside_policy = "outside_policy"
    not_in_catalog = "not_in_catalog"
    no_engines = "no_engines"
    """An edge site: it ends connections and recognises nothing."""
    disabled = "disabled"
    draining = "draining"
    unreachable = "unreachable"
    """No link to it stands."""
    stale_facts = "stale_facts"
    tripped = "tripped"
    failed_this_session = "failed_this_session"
    """This session lost an engine there a moment ago."""
    unknown_model = "unknown_model"
    unsupported_language = "unsupported_language"
    no_permitted_capacity = "no_permitted_capacity"
    """None on machines of a class that the policy set permits there, as far as their classes are known."""
    no_free_slot = "no_free_slot"
    """None for the caller's tier."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One version of a model in one region, all its engines together. `slots_free` may be below zero."""

    name: str
    version: str
    language: str
    slots_total: int
    slots_free: int
    is_leaving: bool = False
    """Takes only sessions that are bound to this version."""


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """One region as this gateway sees it.

    Attributes:
        rtt_ms: round trip to its relay; measured (EWMA), or reckoned from the distance until it is.
        age_ms: how old its last report is; None: it never sent one.
        models: their free slots, too, are less `placed_since_report`.
        free_slots_of_tier: by its last report, less `placed_since_report`.
        free_slots_of_class: the same, by how machines are paid for; engines of which nobody knows that count nowhere.
        placed_since_report: streams that this gateway placed there and that the report cannot know of.
        lag_ms: audio that its slowest engine has not recognised yet.
        cost_permille: of its compute, against the catalog's reference of 1000.
        clock_offset_ms: its wall clock less ours; None: not known. Shown, never reckoned with.
        is_reachable: whether a link to it stands.
        spilling_tiers: names of those whose new sessions had better go elsewhere: it is nearly full (policies.spill).
    """

    name: str
    is_local: bool
    has_engines: bool
    state: RegionState
    health: Health
    rtt_ms: float
    is_rtt_measured: bool
    age_ms: int | None
    models: tuple[ModelFacts, ...]
    slots_total: int
    free_slots_of_tier: Mapping[str, int] = field(default_factory=dict)
    free_slots_of_class: Mapping[str, int] = field(default_factory=dict)
    placed_since_report: int = 0
    lag_ms: int = 0
    spot_permille: int = 0
    cost_permille: int = 1_000
    clock_offset_ms: int | None = None
    is_reachable: bool = True
    spilling_tiers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RegionSnapshot:
    """All regions of the catalog at one moment; replaced whole, never changed. `taken_at_ms`: monotonic."""

    taken_at_ms: int
    regions: tuple[RegionFacts, ...]


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What is to be placed.

    Attributes:
        permitted: the policy set; nothing else is looked at.
        classes: machines of which class, by region; in one that is not named: of any, known or not.
        current: where the session is, or was; hysteresis holds it there while nothing speaks against it.
        avoided: regions in which this session lost an engine a moment ago.
        draw_permille: 0-999, drawn once a session; spreads sessions over what is equally good.
        goes_on: it was placed before: a region that spills is as good to it as any.
    """

    permitted: frozenset[str]
    tier: Tier
    model: str
    model_version: str
    language: str
    current: str | None = None
    avoided: frozenset[str] = frozenset()
    draw_permille: int = 0
    goes_on: bool = False
    classes: Mapping[str, frozenset[CapacityClass]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """`score`: lower is better, in milliseconds; `parts` sum up to it, for people who ask why."""

    region: str
    score: float
    parts: Mapping[str, float]
    free_slots: int


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Regions to try, best first, and why each other one is out."""

    candidates: tuple[Candidate, ...]
    ruled_out: Mapping[str, RuledOut]
    kept_current: bool = False
    """Hysteresis, not the score, put the first one first."""

    @property
    def chosen(self) -> str | None:
        return self.candidates[0].region if self.candidates else None
