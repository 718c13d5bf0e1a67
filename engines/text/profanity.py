"""Profane English words: a short list, with its inflections, matched as whole words only ("Scunthorpe" is safe).

The list holds words that are profane in nearly every use. Words with a decent sense ("hell", "cock") and mild ones
("damn", "crap") are left out: better to let a mild word pass than to mask a decent one.
"""

from __future__ import annotations

PROFANE_WORDS = frozenset({
    "arse", "arsehole", "arseholes", "arses", "ass", "asses", "asshole", "assholes", "bastard", "bastards", "bitch",
    "bitched", "bitches", "bitching", "bitchy", "bollocks", "bullshit", "bullshits", "bullshitted", "bullshitter",
    "bullshitting", "clusterfuck", "clusterfucks", "cocksucker", "cocksuckers", "cunt", "cunts", "dickhead",
    "dickheads", "dipshit", "dipshits", "dumbass", "dumbasses", "faggot", "faggots", "fuck", "fucked", "fucker",
    "fuckers", "fuckin", "fucking", "fucks", "fuckup", "fuckups", "goddamn", "goddamned", "horseshit", "jackass",
    "jackasses", "motherfucker", "motherfuckers", "motherfucking", "nigga", "niggas", "nigger", "niggers", "piss",
    "pissed", "pisses", "pissing", "prick", "pricks", "pussies", "pussy", "shit", "shite", "shithead", "shitheads",
    "shithole", "shitholes", "shits", "shitted", "shittier", "shittiest", "shitting", "shitty", "slut", "sluts",
    "slutty", "twat", "twats", "wank", "wanked", "wanker", "wankers", "wanking", "whore", "whores",
})  # fmt: skip
PROFANE_BEGINNINGS = frozenset(word[:length] for word in PROFANE_WORDS for length in range(1, len(word)))
"""What the last word of a partial may look like while it is growing to a profane one."""

_MARKS = ".,;:!?…()[]{}\"'“”‘’«»"


def is_profane(text: str) -> bool:
    """Whether a word is profane, in any case, with or without punctuation around it or a genitive."""
    if text.isalpha():
        return text in PROFANE_WORDS or text.lower() in PROFANE_WORDS
    return _bare(text) in PROFANE_WORDS


def may_become_profane(text: str) -> bool:
    """Whether a word that is still growing may come to be profane, or is already."""
    bare = _bare(text)
    return bare in PROFANE_BEGINNINGS or bare in PROFANE_WORDS


def masked(text: str) -> str:
    """Keep the first letter, and what is no letter; the other letters become `*`."""
    first = next((place for place, character in enumerate(text) if character.isalpha()), len(text))
    return text[: first + 1] + "".join("*" if character.isalpha() else character for character in text[first + 1 :])


def _bare(text: str) -> str:
    return text.lower().strip(_MARKS).removesuffix("'s").removesuffix("’s")
