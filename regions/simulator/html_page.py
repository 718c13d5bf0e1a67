"""A comparison as one HTML page that needs nothing beside it: tables, and plots inside."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any

from regions.simulator.rows import clock, fleet_rows, percent, share, sweep_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regions.simulator.plots import Plot
    from regions.simulator.rows import Rows

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222; }
h1 { margin-bottom: 0; } .question { font-size: 1.2rem; color: #0072B2; margin-top: .25rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: right; white-space: pre; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #222; }
figure { margin: 2rem 0; } img { max-width: 100%; } figcaption { color: #555; }
"""


def html_page(report: Mapping[str, Any], plots: Sequence[Plot]) -> str:
    """Give the page; `report` as regions.simulator.report makes it."""
    scenario, target = report["scenario"], report["target"]
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(scenario["name"])}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(scenario['name'])}</h1>",
        f'<p class="question">{escape(scenario["question"])}</p>',
        f"<p>{escape(scenario['summary'])}</p>",
        f"<p>{escape(described(report))} Target: {percent(target['served_permille'])} of session-seconds served at no"
        f" more than {share(target['cost_permille'])} of the cost of all reserved. Times are UTC.</p>",
        _table(fleet_rows(report)),
    ]
    sweep = sweep_rows(report)
    if sweep is not None:
        parts += ["<h2>Sensitivity</h2>", "<p>Served, and the cost against all reserved.</p>", _table(sweep)]
    for plot in plots:
        image = base64.b64encode(plot.png).decode("ascii")
        caption = escape(plot.caption)
        shown = f'<img alt="{caption}" src="data:image/png;base64,{image}">'
        parts.append(f"<figure>{shown}<figcaption>{caption}</figcaption></figure>")
    parts.append("</body></html>\n")
    return "\n".join(parts)


def described(report: Mapping[str, Any]) -> str:
    """Give in a line or two what was simulated."""
    scenario = report["scenario"]
    strikes = "; ".join(
        f"{strike['kind']} {strike['region']} at {clock(strike['at_hours'])} for {strike['for_hours']:g} h"
        for strike in scenario["strikes"]
    )
    return (
        f"{scenario['regions']} regions, {scenario['sessions_per_day']:,} sessions a day, {scenario['days']:g} days, "
        f"seed {scenario['seed']}." + (f" Breaks: {strikes}." if strikes else "")
    )


def _table(rows: Rows) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows.head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
