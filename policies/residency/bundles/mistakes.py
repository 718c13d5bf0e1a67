"""What is wrong with a bundle, all of it at once, each with its place."""

from __future__ import annotations

from policies.residency.visible_text import visible

MOST_TOLD = 200


class BundleRefused(Exception):
    """The bundle cannot be used. `mistakes`: every one, each naming its file and its row or rule."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(mistakes[:MOST_TOLD]))


class Mistakes:
    """A list of them that hostile files cannot make endless."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._count = 0

    def add(self, where: str, what: str) -> None:
        self._count += 1
        if self._count <= MOST_TOLD:
            self._told.append(visible(f"{where}: {what}"[:1_000]))

    @property
    def count(self) -> int:
        """How many there are, also of those that are not listed."""
        return self._count

    def refuse_if_any(self) -> None:
        """
        Raises:
            BundleRefused: there is one at least.
        """
        if not self._count:
            return
        untold = self._count - len(self._told)
        raise BundleRefused([*self._told, f"and {untold} more"] if untold else self._told)
