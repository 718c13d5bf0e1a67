"""Check digits of card numbers, IBANs and national ids; each takes a string of the right characters and any length.

Sources: ISO/IEC 7812-1 annex B (Luhn), ISO 13616 with ISO/IEC 7064 (MOD 97-10, MOD 11,10), J. Verhoeff, "Error
detecting decimal codes" (1969), the Spanish interior ministry's "Cálculo del dígito de control del NIF/NIE", and for
the Dutch 11-test art. 12 of the "Wet algemene bepalingen burgerservicenummer". Tests compare with python-stdnum.
"""

from __future__ import annotations

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""A digit doubled, its digits added."""
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_NIE_DIGITS = {"X": "0", "Y": "1", "Z": "2"}
_VERHOEFF_PRODUCT = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_VERHOEFF_PERMUTATION = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)


def passes_luhn(digits: str) -> bool:
    """Card numbers."""
    plain = sum(int(digit) for digit in digits[-1::-2])
    return (plain + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])) % 10 == 0


def passes_mod_97(characters: str) -> bool:
    """IBANs: digits and capital letters, country and check digits first."""
    rotated = characters[4:] + characters[:4]
    return int("".join(str(int(character, 36)) for character in rotated)) % 97 == 1


def passes_mod_11_10(digits: str) -> bool:
    """German tax ids."""
    product = 10
    for digit in digits[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def passes_verhoeff(digits: str) -> bool:
    """Indian Aadhaar numbers."""
    checksum = 0
    for place, digit in enumerate(reversed(digits)):
        checksum = _VERHOEFF_PRODUCT[checksum][_VERHOEFF_PERMUTATION[place % 8][int(digit)]]
    return checksum == 0


def passes_dutch_11(digits: str) -> bool:
    """Dutch citizen service numbers, of nine digits."""
    total = sum(int(digit) * weight for digit, weight in zip(digits[:8], range(9, 1, -1), strict=True))
    return (total - int(digits[8])) % 11 == 0


def passes_dni_letter(characters: str) -> bool:
    """Spanish DNI (eight digits and a letter) and NIE (X, Y or Z, seven digits and a letter)."""
    number = _NIE_DIGITS.get(characters[0], characters[0]) + characters[1:-1]
    return _DNI_LETTERS[int(number) % 23] == characters[-1]
