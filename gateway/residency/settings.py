"""Settings of residency: plain lists of regions, or a signed bundle of rules and whose signatures count."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from gateway.admission.residency_settings import ProfileLists
from gateway.residency.grant_settings import GrantSettings

_APPROVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ResidencySettings(ProfileLists, frozen=True, extra="forbid"):
    """`bundle`, or lists; not both. `grants` alone: every region is permitted, and sessions say so. The approvers are
    here and never in the bundle: who may sign is the operator's word.
    """

    bundle: Path | None = None
    """The folder of the bundle. It is read again when it changes."""
    mode: Literal["production", "development"] = "production"
    """In development a bundle needs no signatures. It must be in force all the same."""
    approvers: dict[str, Path] = Field(default={})
    """By name, as in `signatures/NAME.sig`: a PEM file with an Ed25519 public key."""
    required_signatures: int = Field(default=2, ge=1, le=64)
    check_interval_ms: int = Field(default=1_000, ge=50, le=60_000)
    last_good_directory: Path | None = None
    """Where the bundle in force is kept, so that it survives a restart while the folder cannot be used."""
    grants: GrantSettings | None = None
    """Sessions carry placement grants, which engines and relays check; without, they carry none."""
    max_age_days: int = Field(default=0, ge=0, le=3_650)
    """A bundle that was issued longer ago is as good as expired; 0: its own expiry alone counts."""

    def mistakes(self) -> list[str]:
        if self.model_fields_set == {"grants"}:
            return []  # whoever gives anything else means a bundle or lists, and forgot them
        if self.bundle is None:
            given = {"approvers", "last_good_directory"} & self.model_fields_set
            return [*super().mistakes(), *(f"{name}: without a bundle it means nothing" for name in sorted(given))]
        mistakes = []
        if self.profiles or self.default:
            mistakes.append("give a bundle, or lists of regions (profiles, default); not both")
        mistakes += [
            f"approvers: {name!r} cannot be a name of letters, digits or any of . _ -"
            for name in self.approvers
            if not _APPROVER.fullmatch(name)
        ]
        if self.mode == "production" and len(self.approvers) < self.required_signatures:
            mistakes.append(
                f"approvers: {len(self.approvers)} cannot give required_signatures = {self.required_signatures}"
            )
        return mistakes
