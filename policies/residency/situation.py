"""Who speaks about what, and where from: a session's situation, out of what several say about it. PURE.

The precedence, which docs/residency.md tells operators:
  - The profile is the project's, where the bundle has a row for it; a token that names another one is refused. Without
    a row it is the token's.
  - The data class is the strictest of the project's, the token's and the request's. A request raises it and never
    lowers it. Two that cannot be compared are refused.
  - The subject is everywhere that it is said to be and everywhere that the caller is seen to be: whoever roams keeps
    the protection of both.
  - Consent and legal basis: as the token says; where it says nothing, as the request does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from policies.residency.decision import Situation
from policies.residency.vocabulary import DataClass, LegalBasis

if TYPE_CHECKING:
    from collections.abc import Iterable

_ORDERED = (DataClass.public, DataClass.personal)
"""Each below the next, and all of them below every other class."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a token or a request says about its session; nothing at all by default.

    Attributes:
        subject_countries: ISO 3166-1 alpha-2.
        has_consent: None: not said.
        subject_id: who speaks, in the caller's own numbering: transcripts are erased by it. No decision depends on it.
    """

    data_class: DataClass | None = None
    subject_countries: frozenset[str] = frozenset()
    has_consent: bool | None = None
    legal_basis: LegalBasis | None = None
    subject_id: str = ""

    @property
    def for_policy(self) -> tuple[DataClass | None, frozenset[str], bool | None, LegalBasis | None]:
        """All that decisions depend on."""
        return self.data_class, self.subject_countries, self.has_consent, self.legal_basis

    def __repr__(self) -> str:
        return f"Stated(data_class={self.data_class}, subject_countries={sorted(self.subject_countries)})"


NOTHING_STATED = Stated()


class ProjectTerms(Protocol):
    """What is asked of a project's row of a bundle. None and empty: the row does not say."""

    @property
    def profile(self) -> str: ...

    @property
    def data_class(self) -> DataClass | None: ...

    @property
    def subject_country(self) -> str: ...

    @property
    def legal_basis(self) -> LegalBasis | None: ...


class Conflict(StrEnum):
    """Why there is no situation."""

    other_profile = "other_profile"
    incomparable_classes = "incomparable_classes"


@dataclass(frozen=True, slots=True)
class SituationConflict:
    """Two say what cannot both be. `detail`: for the client's eyes."""

    conflict: Conflict
    detail: str


@dataclass(frozen=True, slots=True)
class Sources:
    """All that is known of a session before it begins.

    Attributes:
        project: `ORG/PROJECT`, as the token proves it.
        row: of that project in the bundle; None: there is none.
        profile: that the token names; empty: none.
        seen_country: where the caller's address is; empty: not known.
    """

    project: str
    row: ProjectTerms | None
    profile: str = ""
    claims: Stated = NOTHING_STATED
    request: Stated = NOTHING_STATED
    seen_country: str = ""


def situation_of(sources: Sources) -> Situation | SituationConflict:
    """By the rules at the top of this file. Without a profile its own is empty, for which nothing is permitted."""
    row, claims, request = sources.row, sources.claims, sources.request
    if row is not None and sources.profile and sources.profile != row.profile:
        return SituationConflict(
            Conflict.other_profile,
            f"the token names the residency profile `{sources.profile}`; that of its project is another one",
        )
    data_class = _data_class(None if row is None else row.data_class, claims.data_class, request.data_class)
    if data_class is None:
        return SituationConflict(
            Conflict.incomparable_classes,
            "the data classes of project, token and request cannot go together; open a session for each",
        )
    default_country = "" if row is None else row.subject_country
    stated = claims.subject_countries or request.subject_countries or _countries(default_country)
    return Situation(
        profile=sources.profile if row is None else row.profile,
        project="" if row is None else sources.project,
        data_class=data_class,
        subject_countries=stated | _countries(sources.seen_country),
        has_consent=bool(request.has_consent if claims.has_consent is None else claims.has_consent),
        legal_basis=_legal_basis(row, claims, request),
    )


def strictest(classes: Iterable[DataClass]) -> DataClass | None:
    """The one that all of them are at or below; of none, personal. None: two that cannot be compared."""
    found = set(classes)
    high = found - set(_ORDERED)
    if len(high) > 1:
        return None
    if high:
        return high.pop()
    return max(found, key=_ORDERED.index, default=DataClass.personal)


def _data_class(row: DataClass | None, claim: DataClass | None, request: DataClass | None) -> DataClass | None:
    """What nobody trusted said is personal: a request alone does not make it public."""
    trusted = [each for each in (row, claim) if each is not None] or [DataClass.personal]
    return strictest(trusted if request is None else [*trusted, request])


def _legal_basis(row: ProjectTerms | None, claims: Stated, request: Stated) -> LegalBasis:
    default = None if row is None else row.legal_basis
    return claims.legal_basis or request.legal_basis or default or LegalBasis.unstated


def _countries(country: str) -> frozenset[str]:
    return frozenset({country} if country else ())
