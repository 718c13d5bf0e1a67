"""What digits may be: a card, a telephone number, a national id. Shapes and check digits, no context.

Where a rule has to err, it hides too much: who asks for redaction would rather miss a number than read one.
"""

from __future__ import annotations

import re

from engines.text.check_digits import (
    passes_dni_letter,
    passes_dutch_11,
    passes_luhn,
    passes_mod_11_10,
    passes_verhoeff,
)

CARD_LENGTHS = range(13, 20)
"""ISO/IEC 7812 allows 8 to 19 digits; issued cards have 13 (old Visa) to 19."""
_CARD_BEGINNINGS = "23456"
"""Major industry identifiers of bank, travel and shop cards."""

_PLUS_LENGTHS = range(7, 16)
"""Of E.164 numbers, with their country code: at most 15 digits; few countries have less than 7."""
_DOMESTIC = re.compile(
    r"[2-9]\d{9}"  # North America, and mobiles of India
    r"|1[2-9]\d{9}"  # North America with its trunk digit
    r"|0[1-9]\d{8,10}"  # trunk digit 0: most of Europe, Asia, Australia
    r"|(?:00|011)[1-9]\d{7,14}"  # international prefixes
)

_SOCIAL_SECURITY_NUMBER = re.compile(r"(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}")
"""US: areas, groups and serials that are never issued; Social Security Administration, POMS RM 10201.035."""
_NATIONAL_INSURANCE_NUMBER = re.compile(
    r"(?<![0-9])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}(?:[A-D]|(?![0-9]))"
)
"""UK: HM Revenue & Customs, NIM39110; the suffix may be left out."""
_DNI_OR_NIE = re.compile(r"(?<![0-9])(?:\d{8}|[XYZ]\d{7})[A-Z]")


def is_card_number(digits: str) -> bool:
    """Whether digits have the length, beginning and check digit of a payment card."""
    return len(digits) in CARD_LENGTHS and digits[0] in _CARD_BEGINNINGS and passes_luhn(digits)


def is_phone_number(digits: str, *, has_plus: bool) -> bool:
    """Whether digits have the shape of a telephone number, "+" before them or not; local numbers have not."""
    if has_plus:
        return len(digits) in _PLUS_LENGTHS
    return _DOMESTIC.fullmatch(digits) is not None


def is_national_id(digits: str) -> bool:
    """Whether digits are a US SSN, a Dutch BSN, a German tax id or an Indian Aadhaar number."""
    match len(digits):
        case 9:
            return _SOCIAL_SECURITY_NUMBER.fullmatch(digits) is not None or passes_dutch_11(digits)
        case 11:
            return digits[0] != "0" and _has_repeats_of_a_tax_id(digits[:10]) and passes_mod_11_10(digits)
        case 12:
            return digits[0] in "23456789" and passes_verhoeff(digits)
        case _:
            return False


def _has_repeats_of_a_tax_id(digits: str) -> bool:
    """One of the first ten digits comes twice or three times, the others at most once (§ 139b AO)."""
    return len(set(digits)) in (8, 9) and max(map(digits.count, digits)) <= 3


def lettered_national_ids(characters: str) -> list[tuple[int, int]]:
    """Find UK national insurance numbers and Spanish DNI and NIE in digits and capital letters, as [start, end)."""
    found = [match.span() for match in _NATIONAL_INSURANCE_NUMBER.finditer(characters)]
    found += [match.span() for match in _DNI_OR_NIE.finditer(characters) if passes_dni_letter(match.group())]
    return found
