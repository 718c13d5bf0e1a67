"""Keys and tokens of receivers: from the settings, or from a file that can be changed while we run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr


class SecretUnreadable(Exception):
    """The file cannot be read, or is empty."""


class Secret:
    """Never printed. A file is read at the first use and again after `refused`."""

    def __init__(self, value: SecretStr | None, file: Path | None) -> None:
        self._value = value
        self._file = file
        self._read: str | None = None

    @property
    def is_given(self) -> bool:
        return self._value is not None or self._file is not None

    def text(self) -> str:
        """Raises SecretUnreadable."""
        if self._value is not None:
            return self._value.get_secret_value()
        if self._read is None:
            if self._file is None:
                raise SecretUnreadable("none was given")
            try:
                self._read = self._file.read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError):
                raise SecretUnreadable(f"{self._file} cannot be read") from None
            if not self._read:
                self._read = None
                raise SecretUnreadable(f"{self._file} is empty")
        return self._read

    def refused(self) -> None:
        """The receiver does not take it (any more)."""
        self._read = None
