"""A weighted grammar with lazy choices: turns a template into one random phrase.

Template language:
    [a|b|c]        one of the alternatives, each equally likely; may nest; an alternative may be empty
    {slot}         a word class, a rule, or a function of the dice; {number 2 99} passes whole numbers to it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    # A rule is a list of (weight, template); weights are relative.
    Rule = Sequence[tuple[float, str]]
    Slot = Callable[..., str]


class TemplateMistake(Exception):
    """A template names an unknown slot or leaves a bracket open: a fault of this recipe, found by its tests."""


class Grammar:
    """Rules and slots over one set of dice."""

    def __init__(
        self,
        rng: Random,
        *,
        words: Mapping[str, Sequence[str]],
        rules: Mapping[str, Rule],
        slots: Mapping[str, Slot],
    ) -> None:
        """Take slots as functions of (rng, *whole numbers) -> phrase."""
        self._rng = rng
        self._words = words
        self._rules = rules
        self._slots = slots

    def phrase(self, template: str) -> str:
        """Expand one template; runs of spaces become one space.

        Raises:
            TemplateMistake: unknown slot, or brackets that do not pair.
        """
        return " ".join(self._expand(template).split())

    def rule(self, name: str) -> str:
        """Expand a rule by its name, an alternative chosen by weight."""
        alternatives = self._rules[name]
        weights = [weight for weight, _ in alternatives]
        ((_, template),) = self._rng.choices(alternatives, weights)
        return self._expand(template)

    def _expand(self, template: str) -> str:
        done: list[str] = []
        position = 0
        while position < len(template):
            match template[position]:
                case "[":
                    inside, position = _bracketed(template, position, "[", "]")
                    done.append(self._expand(self._rng.choice(_alternatives(inside))))
                case "{":
                    inside, position = _bracketed(template, position, "{", "}")
                    done.append(self._fill(inside))
                case letter:
                    done.append(letter)
                    position += 1
        return "".join(done)

    def _fill(self, call: str) -> str:
        name, *arguments = call.split()
        if name in self._words:
            return self._rng.choice(self._words[name])
        if name in self._rules:
            return self.rule(name)
        if name in self._slots:
            return self._slots[name](self._rng, *map(int, arguments))
        raise TemplateMistake(f"no slot named {name!r}")


def _bracketed(template: str, start: int, opening: str, closing: str) -> tuple[str, int]:
    """Text inside the bracket that opens at `start`, and the position after its end."""
    depth = 0
    for position in range(start, len(template)):
        depth += (template[position] == opening) - (template[position] == closing)
        if depth == 0:
            return template[start + 1 : position], position + 1
    raise TemplateMistake(f"bracket left open in {template!r}")


def _alternatives(inside: str) -> list[str]:
    """Split at the bars that are not inside a nested bracket."""
    parts, depth = [""], 0
    for letter in inside:
        depth += (letter == "[") - (letter == "]")
        if letter == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
