"""What a caller's agreement permits: in which regions his audio may be, and which gateways those are.

Either plain lists say where audio may go, the gateway that ends the connection included, or a bundle of rules does
(gateway.residency.policy_sets). These must stay true:
  - A profile that is not known permits nothing, and neither does a token without one where there is no default.
  - Nothing here looks at health or load: a set is never widened because nothing in it works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.admission.nearest import nearest_first
from gateway.errors import Reason, RegionEmptied, SessionRefused, WrongRegion
from policies.residency.decision import Situation
from policies.residency.permitted import Permitted
from policies.residency.situation import NOTHING_STATED
from policies.residency.vocabulary import Trigger
from policies.routing_facts import CapacityClass, RegionState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.admission.places import Place
    from gateway.admission.residency_settings import ProfileLists
    from policies.facts import Caller
    from policies.residency.decision import Decision
    from policies.residency.situation import Stated
    from policies.residency.vocabulary import Action
    from regions.catalog import Catalog, RegionSpec


@dataclass(frozen=True, slots=True)
class PolicyDigests:
    """Which bundle decided; what a record says of it."""

    version: str = ""
    policy: str = ""
    entities: str = ""
    schema: str = ""


@dataclass(frozen=True, slots=True)
class PolicySet:
    """What holds for one session.

    Attributes:
        permitted: the regions, for each thing that is done with it.
        profile: whose set that is; empty where nothing names one.
        situation: what a bundle was asked about; None: plain lists of regions decide.
        is_restricted: whether the profile is one whose sessions must be on record.
        digests: of the bundle that was asked.
        break_glass: id of the emergency permission without which the set would be smaller.
    """

    permitted: Permitted
    profile: str = ""
    situation: Situation | None = None
    is_restricted: bool = False
    digests: PolicyDigests = PolicyDigests()
    break_glass: str = ""

    @property
    def asked_about(self) -> Situation:
        """What others may put to rules of their own; lists know of nothing but the profile."""
        return self.situation or Situation(profile=self.profile)

    @classmethod
    def of_list(cls, regions: frozenset[str], profile: str = "") -> PolicySet:
        """Where one list says everything."""
        return cls(Permitted.everywhere_in(regions), profile)


class PolicySets(Protocol):
    """The policy set of each caller. Only `prepare` waits, and nothing here raises."""

    @property
    def here(self) -> str:
        """This gateway's region."""

    @property
    def is_ready(self) -> bool:
        """False: decisions are being made anew. Who asks is told to come again, and running sessions wait for them."""

    async def prepare(self, caller: Caller, request: Stated, place: Place | None) -> None:
        """Decide what is not decided yet about him, with turns for others in between; `permitted` is quick then."""

    def permitted(
        self, caller: Caller, request: Stated = NOTHING_STATED, place: Place | None = None
    ) -> PolicySet | SessionRefused:
        """His set, or why he has none. Whether this region is in it is asked by `refusal_here`.

        Args:
            request: what his `start` says, as far as it has come.
            place: where he is seen to be.
        """

    def refusal_here(self, policies: PolicySet, place: Place | None) -> SessionRefused | None:
        """Why this gateway may not end his connection: WrongRegion, which names those that may, or a refusal that holds
        everywhere.
        """

    async def may_yet_permit(self, caller: Caller, place: Place | None) -> bool:
        """Whether something that his `start` may say, and nobody has said, would let him in here."""

    def note_refused(self, policies: PolicySet) -> None:
        """Count a refusal by `refusal_here`, or the end of a session by it."""

    def emptied_here(self, policies: PolicySet, place: Place | None) -> RegionEmptied | None:
        """Why this gateway would not end his connection now, although it may, and which would."""

    def regions_for(self, policies: PolicySet | None, place: Place | None) -> tuple[RegionSpec, ...]:
        """Regions of the catalog that take clients, nearest first; those that are permitted, where a set is given."""

    def gateways_for(self, policies: PolicySet, place: Place | None) -> tuple[str, ...]:
        """Addresses at which the session may be opened or gone on with, nearest first."""

    def gateways_elsewhere(self, policies: PolicySet, place: Place | None) -> tuple[str, ...]:
        """Of other regions that may be sent to, nearest first; empty: the session may be opened nowhere else."""

    def rules_against(self, policies: PolicySet, action: Action, region: str) -> tuple[str, ...]:
        """Ids of the rules by which that is denied; none: it is not, no rule permits it, or there are no rules."""

    def decision_on(
        self,
        policies: PolicySet,
        action: Action,
        region: str,
        *,
        capacity: CapacityClass = CapacityClass.reserved,
        trigger: Trigger = Trigger.initial,
    ) -> Decision | None:
        """What a bundle says to it, and by which rules; None: plain lists of regions decide."""

    def note_session(self, policies: PolicySet, session_id: str) -> None:
        """A session begins by this set."""

    def leaves_at_once(self, policies: PolicySet) -> frozenset[str]:
        """Regions in which a running session may not stay for another moment."""


class PermittedGateways:
    """Which gateways a caller is sent to: the half of PolicySets that does not depend on who decides.

    Args:
        region: this one.
        catalog: gives the one in force; where it has no regions, this one is all there is.
    """

    def __init__(self, *, region: str, catalog: Callable[[], Catalog]) -> None:
        self._region = region
        self._catalog = catalog
        self.sends_clients_away: Callable[[], bool] = lambda: False
        """Whether operators want this region's clients to be elsewhere."""
        self.may_send_to: Callable[[str], bool] = lambda _region: True
        """Whether clients that are sent away find a region that takes them there."""

    @property
    def here(self) -> str:
        return self._region

    @property
    def is_ready(self) -> bool:
        return True

    def emptied_here(self, policies: PolicySet, place: Place | None) -> RegionEmptied | None:
        if not self.sends_clients_away():
            return None
        gateways = self.gateways_elsewhere(policies, place)
        return RegionEmptied(gateways) if gateways else None

    def gateways_elsewhere(self, policies: PolicySet, place: Place | None) -> tuple[str, ...]:
        others = (spec for spec in self._taking_clients(policies, place) if spec.name != self._region)
        return tuple(gateway for spec in others if self.may_send_to(spec.name) for gateway in spec.gateways)

    def regions_for(self, policies: PolicySet | None, place: Place | None) -> tuple[RegionSpec, ...]:
        taking = self._taking_clients(policies, place)
        if not self.sends_clients_away():
            return taking
        # Last, not left out: it still takes those who may be nowhere else.
        return tuple(sorted(taking, key=lambda spec: spec.name == self._region))

    def gateways_for(self, policies: PolicySet, place: Place | None) -> tuple[str, ...]:
        return tuple(gateway for spec in self.regions_for(policies, place) for gateway in spec.gateways)

    def _taking_clients(self, policies: PolicySet | None, place: Place | None) -> tuple[RegionSpec, ...]:
        regions = self._catalog().regions
        here = regions.get(self._region)
        takes_clients = [
            spec
            for name, spec in regions.items()
            if (policies is None or name in policies.permitted.terminate) and spec.state in (None, RegionState.active)
        ]
        return nearest_first(takes_clients, place, here=here)


class SetsWithoutRules(PermittedGateways):
    """What is said of rules, and of decisions by them, where there are none."""

    async def prepare(self, caller: Caller, request: Stated, place: Place | None) -> None:
        """Nothing has to be decided."""

    async def may_yet_permit(self, caller: Caller, place: Place | None) -> bool:
        return False

    def note_refused(self, policies: PolicySet) -> None:
        """There are no rules to count by."""

    def rules_against(self, policies: PolicySet, action: Action, region: str) -> tuple[str, ...]:
        return ()

    def decision_on(
        self,
        policies: PolicySet,
        action: Action,
        region: str,
        *,
        capacity: CapacityClass = CapacityClass.reserved,
        trigger: Trigger = Trigger.initial,
    ) -> Decision | None:
        return None

    def note_session(self, policies: PolicySet, session_id: str) -> None:
        """Nothing needs an emergency permission."""

    def leaves_at_once(self, policies: PolicySet) -> frozenset[str]:
        return frozenset()


class CatalogPolicySets(SetsWithoutRules):
    """By the profiles of the settings and the catalog in force.

    Args:
        residency: None: every region of the catalog is permitted to everybody.
    """

    def __init__(self, residency: ProfileLists | None, *, region: str, catalog: Callable[[], Catalog]) -> None:
        super().__init__(region=region, catalog=catalog)
        self._is_restricted = residency is not None
        lists = {} if residency is None else residency.profiles
        self._sets = {name: PolicySet.of_list(frozenset(regions), name) for name, regions in lists.items()}
        default = () if residency is None else residency.default
        self._default = PolicySet.of_list(frozenset(default)) if default else None

    def permitted(
        self, caller: Caller, request: Stated = NOTHING_STATED, place: Place | None = None
    ) -> PolicySet | SessionRefused:
        profile = caller.residency_profile
        if profile:
            found = self._sets.get(profile)
            return _unknown(f"the residency profile `{profile}` is not known here") if found is None else found
        if not self._is_restricted:
            return PolicySet.of_list(frozenset(self._catalog().regions) | {self._region})
        if self._default is None:
            return _unknown("the token names no residency profile, and there is no default")
        return self._default

    def refusal_here(self, policies: PolicySet, place: Place | None) -> SessionRefused | None:
        if self._region in policies.permitted.terminate:
            return None
        whose = f"the residency profile `{policies.profile}`" if policies.profile else "the default residency"
        return WrongRegion(f"{whose} excludes the region {self._region}", self.gateways_for(policies, place))


def residency_mistakes(residency: ProfileLists | None, *, catalog: Catalog, region: str) -> list[str]:
    """What the profiles say that cannot be with these regions; at start, and for a catalog that is to be put in force.
    A catalog without regions stands for this region alone.
    """
    if residency is None:
        return []
    known = set(catalog.regions) or {region}
    lists: Iterable[tuple[str, tuple[str, ...]]] = [
        *((f"residency.profiles.{name}", regions) for name, regions in residency.profiles.items()),
        ("residency.default", residency.default),
    ]
    return [
        f"{where}: the catalog has no region {name}"
        for where, regions in lists
        for name in regions
        if name not in known
    ]


def _unknown(detail: str) -> SessionRefused:
    return SessionRefused(Reason.residency_unknown_profile, detail)
