"""Where a gateway listens."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator


class TlsSettings(BaseModel, frozen=True, extra="forbid"):
    """PEM files. Both are read at start."""

    certificate_file: Path
    key_file: Path

    @model_validator(mode="after")
    def _files_exist(self) -> Self:
        missing = [str(path) for path in (self.certificate_file, self.key_file) if not path.is_file()]
        if missing:
            raise ValueError(f"no such file: {', '.join(missing)}")
        return self


class ListenSettings(BaseModel, frozen=True, extra="forbid"):
    """Port 0 takes a free one; the ready line says which."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65_535)
    tls: TlsSettings | None = None
