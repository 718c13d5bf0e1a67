"""Rows as TOML, as far as a bundle needs it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any


def toml_tables(name: str, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """An array of tables, `[[name]]`; what is None is left out."""
    lines = []
    for row in rows:
        lines.append(f"[[{name}]]")
        lines += [f"{key} = {toml_value(value)}" for key, value in row.items() if value is not None]
    return "\n".join([*lines, ""]).encode()


def toml_pairs(row: Mapping[str, Any]) -> bytes:
    return "\n".join([*(f"{key} = {toml_value(value)}" for key, value in row.items()), ""]).encode()


def toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml_value(of_key)}" for key, of_key in value.items()) + " }"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(toml_value(member) for member in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
