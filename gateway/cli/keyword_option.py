"""`--keyword PHRASE[:BOOST]`: a phrase on the command line, and how much likelier it is made."""

from __future__ import annotations

import re

import typer

from gateway.wire.messages import KeywordSpec

_BOOST = re.compile(r"[+-]?[0-9]{1,6}")
"""Further than any gateway allows, and little enough for every protocol's integers."""


def parse_keyword(text: str) -> KeywordSpec:
    """What stands behind the last colon is the boost if it is a whole number, and part of the phrase if not.

    Raises:
        typer.BadParameter: there is no phrase, or it holds what cannot be printed.
    """
    phrase, colon, boost = text.rpartition(":")
    if not colon or not _BOOST.fullmatch(boost):
        phrase, boost = text, ""
    if not phrase.strip() or not phrase.isprintable():
        raise typer.BadParameter("a keyword is PHRASE or PHRASE:BOOST, such as acme:3000")
    return KeywordSpec(phrase, int(boost)) if boost else KeywordSpec(phrase)
