"""What a `start`, or a token's claims, say about the speech and who speaks; or every mistake in it. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.countries import COUNTRIES
from policies.residency.situation import NOTHING_STATED, Stated
from policies.residency.vocabulary import DataClass, LegalBasis

if TYPE_CHECKING:
    from gateway.wire.messages import ResidencySpec

_MAX_COUNTRIES = 16
_MAX_SUBJECT_ID_CHARS = 256


def read_stated(spec: ResidencySpec, mistakes: list[str]) -> Stated:
    """What a `start` says; a sentence for each mistake is added to `mistakes`."""
    stated = Stated(
        data_class=read_data_class("residency.data_class", spec.data_class or None, mistakes),
        subject_countries=read_countries("residency.subject_country", spec.subject_country or None, mistakes),
        has_consent=spec.consent,
        legal_basis=read_legal_basis("residency.legal_basis", spec.legal_basis or None, mistakes),
        subject_id=read_subject_id("residency.subject_id", spec.subject_id, mistakes),
    )
    return NOTHING_STATED if stated == NOTHING_STATED else stated


def read_data_class(name: str, given: object, mistakes: list[str]) -> DataClass | None:
    if given is None:
        return None
    try:
        return DataClass(str(given))
    except ValueError:
        mistakes.append(f"{name} must be one of {', '.join(DataClass)}")
        return None


def read_legal_basis(name: str, given: object, mistakes: list[str]) -> LegalBasis | None:
    if given is None:
        return None
    try:
        return LegalBasis(str(given))
    except ValueError:
        mistakes.append(f"{name} must be one of {', '.join(LegalBasis)}")
        return None


def read_countries(name: str, given: object, mistakes: list[str]) -> frozenset[str]:
    """One country, or a list of them. Letters that mean no country would make an unknown speaker a known one."""
    if given is None:
        return frozenset()
    countries = given if isinstance(given, list | tuple) else [given]
    if len(countries) > _MAX_COUNTRIES or not all(
        isinstance(country, str) and country in COUNTRIES for country in countries
    ):
        mistakes.append(f"{name} must be a country of ISO 3166-1 in two capital letters, such as FR")
        return frozenset()
    return frozenset(countries)


def read_consent(name: str, given: object, mistakes: list[str]) -> bool | None:
    if given is None or isinstance(given, bool):
        return given
    mistakes.append(f"{name} must be true or false")
    return None


def read_subject_id(name: str, given: object, mistakes: list[str]) -> str:
    if given is None:
        return ""
    if not isinstance(given, str) or len(given) > _MAX_SUBJECT_ID_CHARS or not given.isprintable():
        mistakes.append(f"{name} must be a printable text of at most {_MAX_SUBJECT_ID_CHARS} characters")
        return ""
    return given
