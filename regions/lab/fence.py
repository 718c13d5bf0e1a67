"""Whether audio of a drill was anywhere that policy did not permit at that time. Pure: told what was in force when.

What is permitted is worked out from what the lab wrote into its bundles, not by any engine of rules: this is the other
opinion. Where audio was is what the places themselves say: engines write down whose audio they took, and gateways whom
they served. A relay passed whatever an engine of its region took from another region's gateway.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from regions.lab.call_record import CallRecord
    from regions.lab.policy_bundle import LabPolicy

_A_MOMENT_S = 1e-3


@dataclass(frozen=True, slots=True)
class Heard:
    """An engine of the region took a piece of a session's audio. `at_s`: monotonic."""

    at_s: float
    session: str
    region: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A gateway wrote down that it let a session in, or placed it, in a region. `unix_s`: by its wall clock."""

    unix_s: float
    profile: str
    region: str


@dataclass(frozen=True, slots=True)
class InForce:
    """From a monotonic time on a policy is in its place; `unix_s` is the wall clock's time then."""

    at_s: float
    unix_s: float
    policy: LabPolicy

    def moments(self) -> Iterator[float]:
        """When it changes by itself, monotonic."""
        for ends_at_s in (self.policy.expires_at_s, *self.policy.row_ends.values()):
            yield self.at_s + ends_at_s - self.unix_s


@dataclass
class Fence:
    """What was in its place when, oldest first. A world without bundles has nothing here, and asks nothing."""

    history: list[InForce] = field(default_factory=list)

    def outside_for_s(self, profile: str, region: str, at_s: float) -> float:
        """How long the region had not been permitted to the profile; 0: it was; infinite: it never had been."""
        if self._permits(profile, region, at_s):
            return 0.0
        changed = {each.at_s for each in self.history} | {when for each in self.history for when in each.moments()}
        for moment in sorted((when for when in changed if when <= at_s), reverse=True):
            if self._permits(profile, region, moment - _A_MOMENT_S):
                return at_s - moment
        return math.inf

    def monotonic(self, unix_s: float) -> float:
        """Of a wall clock that agrees with the lab's."""
        first = self.history[0]
        return first.at_s + unix_s - first.unix_s

    def _permits(self, profile: str, region: str, at_s: float) -> bool:
        there = [each for each in self.history if each.at_s <= at_s]
        if not there:
            return False
        last = there[-1]
        return last.policy.permits(profile, region, last.unix_s + at_s - last.at_s)


def read_heard(text: str, region: str) -> list[Heard]:
    """What an engine of the region wrote down; its last line may be torn."""
    found = []
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            row: dict[str, Any] = json.loads(line)
            found.append(Heard(row["at_s"], row["session"], region))
    return found


def read_chosen(text: str) -> list[Chosen]:
    """What a decision log says of where sessions were let in and placed; its last line may be torn."""
    found = []
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            row: dict[str, Any] = json.loads(line)
            if row["session"] and row["chosen"]:
                found.append(Chosen(row["ts"] / 1_000, row["profile"], row["chosen"]))
    return found


@dataclass(frozen=True, slots=True)
class FenceFigures:
    """`pieces`: of audio that engines took, each looked at. `outside`: what is more than a change's own delay."""

    pieces: int = 0
    stays: int = 0
    """Of sessions at gateways."""
    chosen: int = 0
    """Regions that decision logs name for sessions."""
    longest_after_change_s: float = 0.0
    """For so long after a region left a session's set audio still went there."""
    outside: Sequence[str] = ()

    def as_figures(self) -> Mapping[str, Any]:
        return {
            "pieces_of_audio": self.pieces,
            "stays_at_gateways": self.stays,
            "decisions_on_record": self.chosen,
            "longest_after_change_s": round(self.longest_after_change_s, 2),
            "outside": list(self.outside),
        }


def held_against(
    fence: Fence,
    records: Sequence[CallRecord],
    heard: Iterable[Heard],
    chosen: Sequence[Chosen] = (),
    *,
    grace_s: float,
    default_profile: str,
) -> FenceFigures:
    """`grace_s`: how long audio may still go to a region after it left the set: until gateways know, and the session's
    next commit point.
    """
    profiles = {session: record.profile or default_profile for record in records for session in record.sessions}
    late: list[tuple[float, str]] = []
    pieces = stays = 0
    for piece in heard:
        profile = profiles.get(piece.session)
        if profile is None:
            continue  # of the undisturbed run
        pieces += 1
        outside_s = fence.outside_for_s(profile, piece.region, piece.at_s)
        late.append((outside_s, f"an engine in {piece.region} heard {profile} {_said(outside_s)}"))
    for record in records:
        profile = record.profile or default_profile
        for stay in record.stays:
            stays += 1
            until_s = stay.until_s or record.ended_at_s
            for at_s in (stay.from_s, until_s):
                outside_s = fence.outside_for_s(profile, stay.region, at_s)
                late.append((outside_s, f"a gateway in {stay.region} served {profile} {_said(outside_s)}"))
    for decision in chosen:
        outside_s = fence.outside_for_s(decision.profile, decision.region, fence.monotonic(decision.unix_s))
        late.append((outside_s, f"a record puts {decision.profile} in {decision.region} {_said(outside_s)}"))
    return FenceFigures(
        chosen=len(chosen),
        pieces=pieces,
        stays=stays,
        longest_after_change_s=max((outside_s for outside_s, _ in late if outside_s <= grace_s), default=0.0),
        outside=sorted({text for outside_s, text in late if outside_s > grace_s})[:_MOST_TOLD],
    )


_MOST_TOLD = 20


def _said(outside_s: float) -> str:
    return "and never may" if math.isinf(outside_s) else f"{outside_s:.2f} s after it might not"
