"""Every template of the domain expands."""

from __future__ import annotations

import pytest

from engines.models.recipe.text.rules import KINDS, RULES
from engines.models.recipe.text.sentences import SentenceSource

pytestmark = pytest.mark.unit


def test_the_shares_of_the_kinds_add_up_to_one_hundred() -> None:
    assert sum(share for share, _ in KINDS) == pytest.approx(100)


@pytest.mark.parametrize("name", RULES)
def test_every_alternative_of_every_rule_expands(name: str) -> None:
    source = SentenceSource(7)
    for weight, template in RULES[name]:
        assert weight > 0
        for _ in range(10):
            assert "{" not in source.of(f"x {template}").text
