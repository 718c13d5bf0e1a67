"""Which of the loaded models takes a stream, and how new streams are shared out among versions of one model. PURE.

A version beside another one of the same name is a canary: it gets a share of the new sessions. Which ones follows from
the session's id alone, so a session that asks again gets the same answer while the shares stay.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from engines.interface import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.interface import StreamOptions

WHOLE_PERMILLE = 1_000


class ModelOffer(msgspec.Struct, frozen=True, kw_only=True):
    """One loaded version of a model. `is_leaving`: it takes only streams that are pinned to it."""

    bay: int
    name: str
    version: str
    language: str
    share_permille: int
    is_leaving: bool = False


def choose_model(
    offers: Sequence[ModelOffer], options: StreamOptions, *, default: str, session_id: str
) -> ModelOffer | RefusalReason:
    """Pick the model that a stream asks for by name or version, else the default, else the first of its language.

    Args:
        offers: in the order in which they were loaded.
        default: the name that a stream without a wish gets.
    """
    named = _of_wanted_name(offers, options, default)
    if isinstance(named, RefusalReason):
        return named
    if options.model_version:
        return named[0]
    taking = [offer for offer in named if not offer.is_leaving]
    if not taking:
        return RefusalReason.draining
    return _by_share(taking, session_id)


def _of_wanted_name(
    offers: Sequence[ModelOffer], options: StreamOptions, default: str
) -> list[ModelOffer] | RefusalReason:
    if options.model or options.model_version:
        named = [
            offer
            for offer in offers
            if options.model in ("", offer.name) and options.model_version in ("", offer.version)
        ]
        if not named:
            return RefusalReason.unknown_model
        speaking = [offer for offer in named if speaks(offer.language, options.language)]
        return speaking or RefusalReason.unsupported_language
    fitting = [offer for offer in offers if speaks(offer.language, options.language)]
    if not fitting:
        return RefusalReason.unsupported_language
    names = [offer.name for offer in fitting]
    name = default if default in names else names[0]
    return [offer for offer in fitting if offer.name == name]


def _by_share(taking: list[ModelOffer], session_id: str) -> ModelOffer:
    total = sum(offer.share_permille for offer in taking)
    if not total:
        return taking[0]
    digest = hashlib.sha256(session_id.encode()).digest()
    drawn = int.from_bytes(digest[:8], "big") % total
    for offer in taking:
        drawn -= offer.share_permille
        if drawn < 0:
            return offer
    return taking[-1]


def shares_with(shares: Sequence[int], *, number: int, permille: int) -> list[int]:
    """Give one version of a model `permille` of the new streams, and the others the rest as they had it before.

    Args:
        shares: of each version, together 1,000 or 0.
        number: whose share changes.

    Returns:
        The shares in the same order, together exactly 1,000. A version that is alone keeps all.
    """
    if len(shares) == 1:
        return [WHOLE_PERMILLE]
    rest = WHOLE_PERMILLE - permille
    others = [share if position != number else 0 for position, share in enumerate(shares)]
    before = sum(others)
    if not before:
        others[1 if number == 0 else 0] = before = 1
    found = [rest * share // before for share in others]
    found[number] = permille
    # What rounding left over goes to whoever has most of the others: it is noticed least there.
    largest = max((position for position in range(len(shares)) if position != number), key=lambda at: others[at])
    found[largest] += WHOLE_PERMILLE - sum(found)
    return found


def speaks(model_language: str, wanted: str) -> bool:
    """Whether a model of one BCP 47 language may answer a wish for another: the primary subtags agree."""
    return not wanted or not model_language or _primary(model_language) == _primary(wanted)


def _primary(language: str) -> str:
    return language.split("-", 1)[0].lower()
