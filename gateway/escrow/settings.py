"""Settings of compute that regions lend each other. They must be the same in all regions of an installation."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from policies.escrow import HoldingRules, Terms
from policies.escrow_asking import AskingRules
from policies.plans import Rate

_REGION = r"^[a-z0-9][a-z0-9-]{0,62}$"
MAX_REGIONS = 64


class EscrowSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Each org has a home region that lends its compute to all regions, itself included."""

    default_home: str = Field(pattern=_REGION)
    homes: dict[str, str] = {}
    """Orgs whose home is another region than `default_home`."""
    addresses: dict[str, str] = Field(min_length=1, max_length=MAX_REGIONS)
    """Every region with the `host:port` at which its gateways answer the others."""
    secret: SecretStr = Field(min_length=16, max_length=512)
    """Shared by all regions. It is sent as it is: let the regions talk over a private or encrypted network."""
    host: str = "127.0.0.1"
    port: int = Field(default=8084, ge=0, le=65_535)
    """Where this gateway answers the other regions; 0: any free port."""

    holding_ms: int = Field(default=3_000, ge=10, le=600_000)
    """A region holds at most so much time of the rate, with what its sessions hold. With less than what they hold at
    once (the worst case of two slices or so) a region alone cannot spend the whole rate."""
    least_holding_us: int = Field(default=2_000_000, ge=1_000, le=10**15)
    """A region may hold this much, in microseconds of compute, however small the rate; never more than the burst."""
    chunk_ms: int = Field(default=250, ge=1, le=600_000)
    """The least that a region asks for, in time of the rate."""
    ahead_ms: int = Field(default=500, ge=1, le=600_000)
    """A region asks before its balance falls below its demand for so long; above the round trip to the home region."""
    look_ms: int = Field(default=50, ge=5, le=10_000)
    """The shortest time between two looks at an org's balance."""
    report_ms: int = Field(default=1_000, ge=10, le=60_000)
    """A region with sessions tells the root so often what it holds, though it wants nothing."""
    idle_ms: int = Field(default=30_000, ge=100, le=3_600_000)
    """A level that had no session for so long gives back what the region holds."""
    call_timeout_ms: int = Field(default=1_000, ge=10, le=60_000)
    opening_timeout_ms: int = Field(default=1_000, ge=0, le=60_000)
    """The first session of an org in a region waits so long for compute to come."""
    turn_ms: int = Field(default=3_000, ge=20, le=120_000)
    """One gateway of a region asks for an org; when it is gone, another one takes over after this."""
    away_after_ms: int = Field(default=3_000, ge=0, le=600_000)
    """The root counts as away when it has not answered for so long."""
    learning_ms: int = Field(default=5_000, ge=0, le=600_000)
    """A root that lost its books lends nothing for so long. Above `report_ms`, and above the time for which a replaced
    Redis could still take writes."""

    safe_share_permille: int = Field(default=0, ge=0, le=1_000)
    """For plans that say `safe`: the share of the rate that each region spends by itself while the root is away."""
    sets_safe_share_aside: bool = False
    """The root gives these shares up for good, and each region has its own always. Nothing is spent above the bound
    then; what one region does not use of its share no other one can."""
    covers_loans: bool = False
    """What is lent counts against the burst, which then is never exceeded. Bursts should be well above the holdings."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        mistakes = []
        unknown = sorted({self.default_home, *self.homes.values()} - self.addresses.keys())
        if unknown:
            mistakes.append(f"addresses lacks the home region {', '.join(unknown)}")
        if self.turn_ms <= self.call_timeout_ms:
            mistakes.append("turn_ms must exceed call_timeout_ms")
        if self.learning_ms < self.report_ms + self.call_timeout_ms:
            mistakes.append("learning_ms must be at least report_ms + call_timeout_ms: in it every region is heard")
        if self.chunk_ms > self.holding_ms:
            mistakes.append("chunk_ms must not exceed holding_ms")
        if self.sets_safe_share_aside and self.safe_share_permille * len(self.addresses) >= 1_000:
            mistakes.append("the safe shares of all regions together must be below the whole")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def home_of(self, org: str) -> str:
        return self.homes.get(org, self.default_home)

    def holding(self) -> HoldingRules:
        return HoldingRules(holding_ms=self.holding_ms, least_us=self.least_holding_us)

    def safe_per_s(self, rate: Rate) -> int:
        """Of one region."""
        return rate.per_s * self.safe_share_permille // 1_000

    def terms(self, rate: Rate) -> Terms:
        """How the root lends at a level that the plan limits to `rate`."""
        aside = self.safe_per_s(rate) * len(self.addresses) if self.sets_safe_share_aside else 0
        return Terms(
            rate=Rate(rate.per_s - aside, rate.burst),
            holding_us=self.holding().holding_us(rate),
            learning_us=self.learning_ms * 1_000,
            covers_loans=self.covers_loans,
        )

    def asking(self) -> AskingRules:
        return AskingRules(
            chunk_ms=self.chunk_ms,
            ahead_ms=self.ahead_ms,
            report_ms=self.report_ms,
            look_ms=self.look_ms,
            idle_ms=self.idle_ms,
        )
