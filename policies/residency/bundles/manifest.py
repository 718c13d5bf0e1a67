"""The files of a bundle: which there may be, how large, and the digests that signatures are over.

A digest is what `sha256sum` prints for the files, sorted by path, hashed once more, so that anybody can check it:
`find . -type f ! -path './signatures/*' ! -path '*/.*' -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum`.
Files whose names begin with a dot are no part of a bundle.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from policies.residency.bundles.mistakes import BundleRefused, Mistakes
from policies.residency.visible_text import hidden_in_file, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BUNDLE_FILE = "bundle.toml"
SCHEMA_FILE = "schema.cedarschema"
PROFILES_FILE = "profiles.toml"
PROJECTS_FILE = "projects.toml"
JURISDICTIONS_FILE = "jurisdictions.toml"
OPERATORS_FILE = "operators.toml"
REGIONS_FILE = "regions.toml"
SIGNATURES = "signatures/"

MAX_FILES = 1_000
MAX_BYTES = 64 * 1024 * 1024
_KIB = 1024
_MAX_BYTES_BY_FILE = {
    BUNDLE_FILE: 16 * _KIB,
    SCHEMA_FILE: 64 * _KIB,
    PROFILES_FILE: 256 * _KIB,
    JURISDICTIONS_FILE: 4 * 1024 * _KIB,
    OPERATORS_FILE: 1024 * _KIB,
    REGIONS_FILE: 1024 * _KIB,
    PROJECTS_FILE: 32 * 1024 * _KIB,
}
_REQUIRED = tuple(name for name in _MAX_BYTES_BY_FILE if name != PROJECTS_FILE)
_MAX_BYTES_OF_OTHERS = 1024 * _KIB
_ENTITY_FILES = (PROFILES_FILE, PROJECTS_FILE, JURISDICTIONS_FILE, OPERATORS_FILE, REGIONS_FILE)

_PATH = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*[A-Za-z0-9_][A-Za-z0-9._-]*")
_OTHERS = re.compile(r"rules/[^/]+\.cedar|scenarios/[^/]+\.ya?ml|signatures/[^/]+\.sig|(?:[^/]+/)*[^/]+\.md")


def files_digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over all but the signatures, as 64 hexadecimal digits.

    Raises:
        BundleRefused: a path is not made of plain names, so the digest would not say which files are meant.
    """
    return _digest(files, [path for path in files if not path.startswith(SIGNATURES)])


def policy_digest(files: Mapping[str, bytes]) -> str:
    """The same over the rules alone."""
    return _digest(files, rule_files(files))


def schema_digest(files: Mapping[str, bytes]) -> str:
    """The same over the schema alone."""
    return _digest(files, [path for path in files if path == SCHEMA_FILE])


def entities_digest(files: Mapping[str, bytes]) -> str:
    """The same over profiles, projects and dated rows."""
    return _digest(files, [path for path in files if path in _ENTITY_FILES])


def rule_files(files: Mapping[str, bytes]) -> list[str]:
    """Sorted paths of the files with rules."""
    return sorted(path for path in files if path.startswith("rules/") and path.endswith(".cedar"))


def scenario_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: files[path] for path in sorted(files) if path.startswith("scenarios/") and not path.endswith(".md")}


def check_files(files: Mapping[str, bytes], mistakes: Mistakes) -> None:
    """Which files there are, and how large."""
    if len(files) > MAX_FILES:
        mistakes.add("bundle", f"{len(files)} files, more than {MAX_FILES}")
        return
    if sum(len(content) for content in files.values()) > MAX_BYTES:
        mistakes.add("bundle", f"larger than {MAX_BYTES} bytes")
    for path in _REQUIRED:
        if path not in files:
            mistakes.add(path, "is missing")
    if not rule_files(files):
        mistakes.add("rules/", "there is no file *.cedar in it")
    for path, content in files.items():
        if _PATH.fullmatch(path) is None:
            mistakes.add(ascii(path)[:200], "is no plain path (letters, digits, and . _ - inside names)")
            continue
        if path not in _MAX_BYTES_BY_FILE and _OTHERS.fullmatch(path) is None:
            mistakes.add(path[:200], "is no file of a bundle")
        if len(content) > (most := _MAX_BYTES_BY_FILE.get(path, _MAX_BYTES_OF_OTHERS)):
            mistakes.add(path[:200], f"is larger than {most} bytes")


def text_in(files: Mapping[str, bytes], path: str, mistakes: Mistakes) -> str | None:
    """Its text without the mark that some editors begin a file with; None, told, where it is not UTF-8 or holds what
    nobody sees.
    """
    try:
        text = files[path].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        mistakes.add(f"{path} line {line}", f"is not UTF-8 at byte {error.start}: save the file as UTF-8")
        return None
    if hidden := hidden_in_file(text):
        line = text[: text.index(hidden)].count("\n") + 1
        mistakes.add(f"{path} line {line}", f"has a character that nobody sees, {name_of(hidden)}")
        return None
    return text


def _digest(files: Mapping[str, bytes], paths: Iterable[str]) -> str:
    lines = []
    for path in sorted(paths):
        if _PATH.fullmatch(path) is None:
            raise BundleRefused([f"{ascii(path)[:200]}: is no plain path (letters, digits, and . _ - inside names)"])
        lines.append(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()
