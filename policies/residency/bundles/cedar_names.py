"""Names of entities as Cedar's JSON has them."""

from __future__ import annotations

NAMESPACE = "Asr"


def uid(kind: str, name: str) -> dict[str, str]:
    """`kind`: the type without its namespace."""
    return {"type": f"{NAMESPACE}::{kind}", "id": name}


def action_uid(action: str) -> dict[str, str]:
    return uid("Action", action)


def generic_project(profile: str) -> str:
    """The project of callers that have a profile and no row of their own."""
    return f"profile:{profile}"
