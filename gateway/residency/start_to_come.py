"""What a `start` that is still to come may say, as far as rules can tell it apart. Nothing here waits."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from policies.residency.situation import Stated
from policies.residency.vocabulary import LegalBasis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.residency.deciding.engine import ResidencyEngine
    from policies.residency.situation import ProjectTerms

_NOWHERE_PROTECTED = "ZZ"
"""A country of which no row speaks; ISO 3166-1 gives the code to nobody."""
_NOWHERE: frozenset[str] = frozenset()


def what_a_start_may_say(claims: Stated, row: ProjectTerms | None, engine: ResidencyEngine) -> Iterator[Stated]:
    """All answers that nobody gave and a rule reads: consent, legal basis, and countries where only the project's
    default names one. Nothing at all is the first.

    Args:
        claims: what the token says.
        row: of the token's project; None: it has none.
    """

    def is_read(attribute: str) -> bool:
        return any(attribute in rule.text for rule in engine.bundle.rules.values())

    consents = (None, True) if claims.has_consent is None and is_read("hasConsent") else (None,)
    bases = (None, *LegalBasis) if claims.legal_basis is None and is_read("legalBasis") else (None,)
    is_default = not claims.subject_countries and row is not None and bool(row.subject_country)
    subjects = (_NOWHERE, *_told_apart(engine)) if is_default else (_NOWHERE,)
    for countries, has_consent, legal_basis in product(subjects, consents, bases):
        yield Stated(subject_countries=countries, has_consent=has_consent, legal_basis=legal_basis)


def _told_apart(engine: ResidencyEngine) -> tuple[frozenset[str], ...]:
    """One country for each set of regimes that rules ask for."""
    found = {engine.areas_asked({_NOWHERE_PROTECTED}): _NOWHERE_PROTECTED}
    for row in engine.bundle.jurisdictions:
        found.setdefault(engine.areas_asked({row.code}), row.code)
    return tuple(frozenset({code}) for code in found.values())
