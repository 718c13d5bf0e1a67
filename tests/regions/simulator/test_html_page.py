"""The page: it needs nothing beside it, and what is written in a scenario is text in it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from regions.simulator.html_page import described, html_page
from regions.simulator.plots import Plot
from regions.simulator.report import report
from tests.regions.simulator.comparison_world import comparison

pytestmark = pytest.mark.unit


class Elements(HTMLParser):
    """Collects tags and what they point at."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "action")]


def page() -> str:
    return html_page(report(comparison()), [Plot("cost", 'Cost & "service"', b"\x89PNG")])


def test_the_page_points_at_nothing_outside_of_itself() -> None:
    elements = Elements()
    elements.feed(page())
    assert elements.sources
    assert all(source.startswith("data:image/png;base64,") for source in elements.sources)
    assert "script" not in elements.tags
    assert elements.tags.count("table") == 2
    assert "url(" not in page()
    assert "@import" not in page()


def test_what_a_scenario_says_is_text() -> None:
    assert "What if a &lt; b &amp; c?" in page()
    assert "<regions>" not in page()
    assert 'alt="Cost &amp; &quot;service&quot;"' in page()


def test_what_breaks_is_told() -> None:
    assert described(report(comparison())) == (
        "2 regions, 1,000,000 sessions a day, 1 days, seed 1. Breaks: lose_region eu-west at 14:00 for 1 h."
    )
