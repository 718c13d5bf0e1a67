"""Characters that nobody sees: they could show people another text than the one that is decided by.

Control characters move the cursor of a terminal; marks of direction and of no width let a rule or a name look like
another one (CVE-2021-42574). Joiners, which some scripts are written with, are none of them.
"""

from __future__ import annotations

import re

_HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls other than tabulator and line ends
    "\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_IN_A_FILE = re.compile(f"[{_HIDDEN}]")
_IN_A_LINE = re.compile(f"[{_HIDDEN}\t\r\n]")


def hidden_in_file(text: str) -> str:
    """The first in a text of several lines; empty: there is none."""
    found = _IN_A_FILE.search(text)
    return "" if found is None else found[0]


def hidden_in_line(text: str) -> str:
    """The first in a text of one line, where tabulators and line ends are among them."""
    found = _IN_A_LINE.search(text)
    return "" if found is None else found[0]


def visible(text: str) -> str:
    """The text with each of them written out as `<U+202E>`; tabulators and line ends stay."""
    return _IN_A_FILE.sub(lambda found: name_of(found[0]), text)


def name_of(character: str) -> str:
    return f"<U+{ord(character):04X}>"
