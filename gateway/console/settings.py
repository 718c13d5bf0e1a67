"""Whether a gateway has a console."""

from __future__ import annotations

from pydantic import BaseModel


class ConsoleSettings(BaseModel, frozen=True, extra="forbid"):
    """It holds no secret: whoever does anything with it brings a token."""

    enabled: bool = True
    """Whether `/console` is served on the HTTP listener."""
