"""Bundles for tests of what follows from a policy: the starter set, and changes of one word."""

from __future__ import annotations

from pathlib import Path

import policies.residency

STARTER = Path(policies.residency.__file__).parent / "starter"


def starter_files() -> dict[str, bytes]:
    return {path.relative_to(STARTER).as_posix(): path.read_bytes() for path in STARTER.rglob("*") if path.is_file()}


def changed_rule(files: dict[str, bytes], rule_id: str, old: str, new: str) -> dict[str, bytes]:
    """The same files, with other words in one rule. AssertionError: the rule does not have them."""
    for path, data in files.items():
        text = data.decode()
        begin = text.find(f'@id("{rule_id}')
        if path.endswith(".cedar") and begin >= 0:
            end = text.index(";", begin)
            rule = text[begin:end]
            assert old in rule
            return {**files, path: (text[:begin] + rule.replace(old, new) + text[end:]).encode()}
    raise AssertionError(f"no rule {rule_id}")


def changed_file(files: dict[str, bytes], path: str, old: str, new: str) -> dict[str, bytes]:
    assert old.encode() in files[path]
    return {**files, path: files[path].replace(old.encode(), new.encode())}


def written(files: dict[str, bytes], folder: Path) -> Path:
    """The files in a folder."""
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder
