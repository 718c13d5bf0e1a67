"""Templates expand as their language says, and mistakes in them are found."""

from __future__ import annotations

from random import Random

import pytest

from engines.models.recipe.text.grammar import Grammar, TemplateMistake

pytestmark = pytest.mark.unit


def grammar(seed: int = 0) -> Grammar:
    return Grammar(
        Random(seed),
        words={"animal": ("cat",)},
        rules={"either": ((1, "left"), (0, "never")), "outer": ((1, "{either} {animal}"),)},
        slots={"sum": lambda _rng, first, second: str(first + second)},
    )


def test_choices_nest_and_may_be_empty() -> None:
    said = {grammar(seed).phrase("a[ [b|c]|] d") for seed in range(60)}

    assert said == {"a d", "a b d", "a c d"}


def test_slots_are_words_rules_or_functions_with_numbers() -> None:
    assert grammar().phrase("{animal} {outer} {sum 2 3}") == "cat left cat 5"


def test_a_rule_of_weight_zero_is_never_chosen() -> None:
    assert {grammar(seed).phrase("{either}") for seed in range(100)} == {"left"}


def test_only_the_chosen_alternative_is_expanded() -> None:
    class Counted(Exception):
        """Raised by a slot that must not be reached."""

    def explode(_rng: Random) -> str:
        raise Counted

    lazy = Grammar(Random(1), words={}, rules={"r": ((1, "x"), (0, "{bomb}"))}, slots={"bomb": explode})

    assert lazy.phrase("{r}") == "x"


@pytest.mark.parametrize("template", ["{nobody}", "[a|b", "{animal"])
def test_a_mistake_in_a_template_is_named(template: str) -> None:
    with pytest.raises(TemplateMistake):
        grammar().phrase(template)
