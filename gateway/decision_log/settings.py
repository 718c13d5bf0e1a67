"""Settings of the decision log: where records are kept, when they are signed, and where copies of them go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field


class DirectoryCopySettings(BaseModel, frozen=True, extra="forbid"):
    """A directory, best one of another machine."""

    kind: Literal["directory"]
    directory: Path


class S3CopySettings(BaseModel, frozen=True, extra="forbid"):
    """A bucket that was made with Object Lock. Credentials are found as boto3 finds them. Needs the extra `s3`."""

    kind: Literal["s3"]
    bucket: str = Field(min_length=3, max_length=63)
    prefix: str = Field(default="", max_length=512)
    """Before each name, as it is: a folder ends with a slash."""
    retention_days: int = Field(default=365, ge=1, le=36_500)
    mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"
    """COMPLIANCE: nobody can delete an object before its time, whoever owns the account."""
    region: str | None = None
    endpoint_url: str | None = None
    """Of an S3 that is not Amazon's."""
    timeout_s: int = Field(default=10, ge=1, le=300)


CopySettings = Annotated[DirectoryCopySettings | S3CopySettings, Field(discriminator="kind")]


class DecisionLogSettings(BaseModel, frozen=True, extra="forbid"):
    """Each process writes files of its own there, under a name that it draws: several may share the directory."""

    directory: Path
    signing_key_file: Path | None = None
    """Private Ed25519 key in PEM, of this region: `patchbay audit keygen`. Without one, checkpoints are not signed."""
    checkpoint_records: int = Field(default=1_000, ge=1, le=100_000)
    """A checkpoint after so many records,"""
    checkpoint_s: int = Field(default=10, ge=1, le=3_600)
    """and so many seconds after the first record that none covers."""
    rotate_bytes: int = Field(default=67_108_864, ge=4_096, le=2**32)
    rotate_s: int = Field(default=86_400, ge=1, le=31_536_000)
    """A file is sealed at this size or age, and another begun."""
    commit_ms: int = Field(default=50, ge=1, le=5_000)
    """Records are written and synced together, at most every so many milliseconds."""
    stalled_ms: int = Field(default=3_000, ge=100, le=60_000)
    """The log counts as unwritable once a record has waited so long."""
    max_waiting_records: int = Field(default=20_000, ge=100, le=1_000_000)
    """Beyond it records are lost, and counted."""
    min_free_bytes: int = Field(default=33_554_432, ge=0, le=2**40)
    """The log counts as unwritable while the disk has less room than this."""
    keep_days: int = Field(default=0, ge=0, le=36_500)
    """Sealed files are deleted after so many days, once every copy has them. 0: never."""
    copy_checkpoint_s: int = Field(default=60, ge=1, le=86_400)
    """How often the newest checkpoint of a file that is still written goes to the copies."""
    copies: tuple[CopySettings, ...] = ()
