"""All mistakes are told at once, and hostile files cannot make the list endless."""

from __future__ import annotations

import pytest

from policies.residency.bundles.mistakes import MOST_TOLD, BundleRefused, Mistakes

pytestmark = pytest.mark.unit


def test_every_mistake_is_told_with_its_place() -> None:
    mistakes = Mistakes()
    mistakes.refuse_if_any()
    mistakes.add("regions.toml: row 1", "unknown operator 'x'")
    mistakes.add("rules/a.cedar line 3 (P01)", "is no rule")
    with pytest.raises(BundleRefused) as refused:
        mistakes.refuse_if_any()
    assert refused.value.mistakes == [
        "regions.toml: row 1: unknown operator 'x'",
        "rules/a.cedar line 3 (P01): is no rule",
    ]
    assert "row 1" in str(refused.value)


def test_of_very_many_the_first_are_told_and_the_others_counted() -> None:
    mistakes = Mistakes()
    for number in range(MOST_TOLD + 7):
        mistakes.add(f"row {number}", "x" * 10_000)
    assert mistakes.count == MOST_TOLD + 7
    with pytest.raises(BundleRefused) as refused:
        mistakes.refuse_if_any()
    assert len(refused.value.mistakes) == MOST_TOLD + 1
    assert refused.value.mistakes[-1] == "and 7 more"
    assert all(len(told) <= 1_000 for told in refused.value.mistakes)
