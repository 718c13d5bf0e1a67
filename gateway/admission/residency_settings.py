"""Settings of residency by plain lists: in which regions the audio of a caller may be."""

from __future__ import annotations

import re
from typing import Self

from pydantic import BaseModel, model_validator

_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
"""As the claim of a token may be (gateway.admission.claims)."""
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class ProfileLists(BaseModel, frozen=True, extra="forbid"):
    """Lists of regions. Whoever's profile is not here is refused; nothing stands for a list that is missing."""

    profiles: dict[str, tuple[str, ...]] = {}
    """By name, as the claim `residency` of a token has it."""
    default: tuple[str, ...] = ()
    """For tokens without a profile. Empty, where there are profiles: those tokens are refused."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        mistakes = self.mistakes()
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    @property
    def has_lists(self) -> bool:
        return bool(self.profiles or self.default)

    def mistakes(self) -> list[str]:
        """What cannot be so."""
        mistakes = [f"profiles: {name!r} cannot be a claim" for name in self.profiles if not _PROFILE.fullmatch(name)]
        mistakes += [f"profiles.{name}: no region is named" for name, regions in self.profiles.items() if not regions]
        if not self.profiles and not self.default:
            mistakes.append("give profiles, or default, or leave the whole table out")
        lists = {f"profiles.{name}": regions for name, regions in self.profiles.items()} | {"default": self.default}
        for where, regions in lists.items():
            mistakes += [f"{where}: {name!r} cannot be a region" for name in regions if not _REGION.fullmatch(name)]
        return mistakes
