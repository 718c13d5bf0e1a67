"""Settings of operations: whose tokens prove operators, and where audit events wait while Redis is away."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class BreakGlassSettings(BaseModel, frozen=True, extra="forbid"):
    """Emergency permissions. They are kept in the Redis of `[limits.redis]`, and in a copy of this gateway's."""

    max_minutes: int = Field(default=240, gt=0, le=1_440)
    """How long one may last."""
    copy_file: Path | None = None
    """What holds after a restart while Redis is away. Each gateway needs a file of its own."""


class OperationsSettings(BaseModel, frozen=True, extra="forbid"):
    """Acts are written down in the Redis of `[limits.redis]`; without one, in the file alone."""

    audit_file: Path | None = None
    """Each gateway needs a file of its own. Without one, what Redis does not take at once is lost with the process."""
    break_glass: BreakGlassSettings = BreakGlassSettings()
    issuers: tuple[str, ...] = ()
    """Those of the issuers of tokens whose tokens may prove an operator; empty: each. Where a tenant signs its callers'
    tokens itself, only yours belong here: nothing else keeps the tenant from the scope."""
