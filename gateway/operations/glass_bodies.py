"""What an operator's request for an emergency permission says, read strictly."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, model_validator

from gateway.operations.bodies import Name, Why
from policies.residency.break_glass import mistakes_in


class GlassBody(BaseModel, frozen=True, extra="forbid"):
    """`POST /v1/break-glass`."""

    project: Name = ""
    actions: tuple[Name, ...] = Field(default=(), max_length=16)
    regions: tuple[Name, ...] = Field(default=(), max_length=64)
    ticket: Why = ""
    reason: Why = ""
    minutes: int = Field(default=60, strict=True, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = mistakes_in(
            actions=self.actions, project=self.project, regions=self.regions, ticket=self.ticket, reason=self.reason
        )
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self
