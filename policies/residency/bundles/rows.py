"""Rows of a bundle: where jurisdictions reach, who operates what, and what projects may. Times are Unix seconds.

A dated row outside its dates does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.residency.vocabulary import DataClass, LegalBasis

ALL = "all"
"""Scope of a jurisdiction's row that does not ask for a certification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedRow:
    """In force from `effective_from_s` to before `expires_at_s`. `where`: its file and number, for messages."""

    effective_from_s: int
    expires_at_s: int
    approved_by: str
    approved_at_s: int
    where: str

    @property
    def starts_at_s(self) -> int:
        """When it begins to be in force."""
        return self.effective_from_s

    def in_force_at(self, at_s: int) -> bool:
        return self.starts_at_s <= at_s < self.expires_at_s


@dataclass(frozen=True, slots=True, kw_only=True)
class JurisdictionRow(DatedRow):
    """The country belongs to the regime; `scope`: all of it, or only operators with this certification."""

    regime: str
    code: str
    scope: str
    basis: str
    source_url: str
    retrieved_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRow(DatedRow):
    """Who runs machines. Where notice must be given, in force only when its days have passed."""

    operator: str
    provider: str
    contact: str
    is_sovereign: bool
    certifications: frozenset[str]
    basis: str
    notice_given_at_s: int | None = None
    notice_days: int = 0

    @property
    def starts_at_s(self) -> int:
        if self.notice_given_at_s is None:
            return self.effective_from_s
        return max(self.effective_from_s, self.notice_given_at_s + self.notice_days * 86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRow(DatedRow):
    """Where a region is, and whose. `certifications`: what it holds beside its operator's."""

    region: str
    country: str
    operator: str
    certifications: frozenset[str]


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    title: str
    owner: str
    is_restricted: bool
    requires_consent: bool


@dataclass(frozen=True, slots=True)
class Transcripts:
    """The project has its words kept, in this region, for so many days."""

    region: str
    days: int


@dataclass(frozen=True, slots=True)
class Project:
    """`ORG/PROJECT`: it narrows its profile and never widens it. None, or empty: the project does not say.

    Attributes:
        only_regions: none but these, whatever the profile allows.
        no_providers: on none of their machines.
        key_region: where the customer's own key is kept.
        legal_hold: nothing may be erased.
    """

    project: str
    profile: str
    only_regions: frozenset[str] | None = None
    no_providers: frozenset[str] = frozenset()
    data_class: DataClass | None = None
    subject_country: str = ""
    legal_basis: LegalBasis | None = None
    key_region: str | None = None
    legal_hold: bool = False
    transcripts: Transcripts | None = None

    @property
    def org(self) -> str:
        return self.project.partition("/")[0]
