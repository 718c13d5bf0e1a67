"""Plots of a comparison, as PNG. matplotlib is imported when the first one is drawn: the extra `simulate` has it.

Colours are Okabe's and Ito's, which people see apart who see colours differently; lines differ in style too.
"""

from __future__ import annotations

import io
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, NamedTuple

from regions.simulator.comparison import cost_permille
from regions.simulator.rows import percent
from regions.simulator.scenario import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from regions.simulator.comparison import Comparison
    from regions.simulator.result import Moment, Result
    from regions.simulator.scenario import Scenario

_BLUE, _ORANGE, _GREEN, _RED, _PURPLE, _SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
_FLEET_COLOURS = (_ORANGE, _RED, _PURPLE, _BLUE, _GREEN, _SKY)
_STYLES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)))
_MARKERS = "osD^vP"
_DPI = 96
_WIDTH_IN = 9.0
_LEAST_UNSERVED = 1e-6
"""Less than this is drawn as this: nothing is below the axis."""


class PlotsMissing(Exception):
    """matplotlib is not installed."""

    def __init__(self) -> None:
        super().__init__("plots need matplotlib: pip install 'patchbay[simulate]'; without --out nothing is drawn")


class Plot(NamedTuple):
    """`name`: of the file, without its ending. `caption`: what is to be seen."""

    name: str
    caption: str
    png: bytes


def check_matplotlib() -> None:
    """Raises PlotsMissing. Asked before anything is simulated, so that nobody waits in vain."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise PlotsMissing from None


def plots(comparison: Comparison) -> list[Plot]:
    """Draw all there is to be seen. Raises PlotsMissing."""
    check_matplotlib()
    drawn = [
        Plot("cost", "What each fleet costs, and what it leaves unserved", _png(_cost(comparison))),
        Plot("capacity", "Sessions, and slots by how they are paid for", _png(_capacity(comparison))),
        Plot("served", "Sessions that have an engine, of those that want one", _png(_served(comparison))),
    ]
    if comparison.points:
        drawn.append(Plot("sweep", f"How much hangs on {comparison.read.sweep_key}", _png(_sweep(comparison))))
    return drawn


def _capacity(comparison: Comparison) -> Figure:
    """A panel for each fleet, with the same axes."""
    results = comparison.results
    columns = 1 if len(results) == 1 else 2
    rows = -(-len(results) // columns)
    figure = _figure(height_in=0.8 + 2.6 * rows)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for number, (result, panel) in enumerate(zip(results, axes.flat, strict=False)):
        _draw_capacity(panel, comparison.scenario, result)
        if number % columns == 0:
            panel.set_ylabel("sessions, slots")
    for panel in axes.flat[len(results) :]:
        panel.set_visible(False)
    for column in range(columns):
        shown = [row for row in range(rows) if row * columns + column < len(results)]
        if shown:
            lowest = axes[shown[-1]][column]
            lowest.set_xlabel(_time_label(comparison.scenario))
            lowest.tick_params(labelbottom=True)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def _draw_capacity(panel: Axes, scenario: Scenario, result: Result) -> None:
    at = _times(scenario, result.series)
    stacked = panel.stackplot(
        at,
        [moment.reserved_slots for moment in result.series],
        [moment.spot_slots for moment in result.series],
        [moment.on_demand_slots for moment in result.series],
        labels=("reserved slots", "spot slots", "on-demand slots"),
        colors=(_SKY, _ORANGE, _PURPLE),
        linewidth=0,
        alpha=0.85,
    )
    for area, hatch in zip(stacked, ("", "////", "...."), strict=True):
        area.set(hatch=hatch, edgecolor="white")
    panel.plot(at, [moment.wanted for moment in result.series], color="black", linewidth=1.2, label="sessions")
    panel.set_title(result.fleet, fontsize=10)
    panel.set_ylim(bottom=0)
    panel.margins(x=0)
    panel.yaxis.set_major_formatter("{x:,.0f}")
    _mark_strikes(panel, scenario)


def _served(comparison: Comparison) -> Figure:
    figure = _figure(height_in=3.8)
    panel = figure.subplots()
    lowest = 100.0
    for result in comparison.results:
        number = _place(comparison, result)
        series = [moment for moment in result.series if moment.wanted]
        shares = [100.0 * moment.served / moment.wanted for moment in series]
        lowest = min([lowest, *shares])
        panel.plot(_times(comparison.scenario, series), shares, label=result.fleet, linewidth=1.4, **_look(number))
    panel.set_ylabel("sessions with an engine, % of those that want one")
    panel.set_xlabel(_time_label(comparison.scenario))
    panel.margins(x=0)
    panel.set_ylim(lowest - max(0.02, (100.0 - lowest) * 0.08), 100.0 + max(0.01, (100.0 - lowest) * 0.04))
    panel.grid(alpha=0.25)
    panel.yaxis.set_major_formatter("{x:g}")
    _mark_strikes(panel, comparison.scenario)
    figure.legend(loc="outside upper center", ncols=min(4, len(comparison.results)), frameon=False)
    return figure


def _cost(comparison: Comparison) -> Figure:
    """Each fleet is a point; up and left is better."""
    figure = _figure(height_in=4.4)
    panel = figure.subplots()
    target = comparison.read.target
    ordered = sorted(comparison.results, key=comparison.cost_permille)
    for turn, result in enumerate(ordered):
        number = _place(comparison, result)
        look = _look(number) | {"linestyle": "", "marker": _MARKERS[number % len(_MARKERS)]}
        cost = comparison.cost_permille(result) / 10
        panel.plot([cost], [_unserved(result)], markersize=10, label=result.fleet, **look)
        panel.annotate(
            f"{percent(result.served.permille)} at {cost:.1f} %",
            (cost, _unserved(result)),
            textcoords="offset points",
            xytext=(10, -16 if turn % 2 else 7),  # neighbours do not write over each other
            fontsize=9,
        )
    if target.served_permille < 1_000:
        goal = (1_000 - target.served_permille) / 1_000
        panel.axhline(goal, color="grey", linestyle=":", linewidth=1)
        panel.text(1.0, goal, f"{target.served_permille / 10:g} % served ", ha="right", va="bottom", color="dimgrey",
                   fontsize=8, transform=panel.get_yaxis_transform())  # fmt: skip
    panel.axvline(target.cost_permille / 10, color="grey", linestyle=":", linewidth=1)
    panel.text(target.cost_permille / 10, 0.99, f" {target.cost_permille / 10:g} % of all reserved", va="top",
               color="dimgrey", fontsize=8, transform=panel.get_xaxis_transform())  # fmt: skip
    _unserved_axis(panel)
    panel.set_xlabel("cost, % of all reserved (up and left is better)")
    left, right = panel.get_xlim()
    panel.set_xlim(max(0, min(left, target.cost_permille / 10) - 5), right + (right - left) * 0.22)
    panel.margins(y=0.15)
    figure.legend(loc="outside upper center", ncols=min(4, len(comparison.results)), frameon=False)
    return figure


def _sweep(comparison: Comparison) -> Figure:
    figure = _figure(height_in=3.8)
    unserved, cost = figure.subplots(1, 2)
    places = {result.fleet: _place(comparison, result) for point in comparison.points for result in point.results}
    points = comparison.points
    names = dict.fromkeys(result.fleet for point in points for result in point.results)
    are_numbers = all(isinstance(point.value, int | float) for point in points)
    for name in names:
        look = _look(places[name]) | {"marker": _MARKERS[places[name] % len(_MARKERS)], "label": name}
        found = [
            (point.value if are_numbers else str(point.value), result, point.reserved_price)
            for point in points
            for result in point.results
            if result.fleet == name
        ]
        values = [value for value, _, _ in found]
        unserved.plot(values, [_unserved(result) for _, result, _ in found], **look)
        cost.plot(values, [cost_permille(result, price) / 10 for _, result, price in found], **look | {"label": None})
    target = comparison.read.target
    if target.served_permille < 1_000:
        unserved.axhline((1_000 - target.served_permille) / 1_000, color="grey", linestyle=":", linewidth=1)
    cost.axhline(target.cost_permille / 10, color="grey", linestyle=":", linewidth=1)
    _unserved_axis(unserved)
    cost.set_ylabel("cost, % of all reserved")
    cost.set_ylim(0, max(cost.get_ylim()[1], 100))
    for panel in (unserved, cost):
        panel.set_xlabel(comparison.read.sweep_key)
        panel.grid(alpha=0.25)
    figure.legend(loc="outside upper center", ncols=min(4, len(names)), frameon=False)
    return figure


def _place(comparison: Comparison, result: Result) -> int:
    """Of its fleet in the scenario, so that a fleet looks the same in every plot."""
    return [fleet.name for fleet in comparison.scenario.fleets].index(result.fleet)


def _unserved(result: Result) -> float:
    return max(_LEAST_UNSERVED, 1 - result.served.permille / 1_000)


def _unserved_axis(panel: Axes) -> None:
    """What is not served, in powers of ten, read as what is: each line up is one nine more."""
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    panel.set_ylim(10 ** ceil(log10(high) + 0.1), 10 ** floor(log10(low) - 0.1))
    panel.yaxis.set_minor_formatter("")
    panel.yaxis.set_major_formatter(lambda share, _: f"{100 * (1 - share):.10g} %")
    panel.set_ylabel("served, of session-seconds")
    panel.grid(alpha=0.25)


def _mark_strikes(panel: Axes, scenario: Scenario) -> None:
    unit_ms = _unit_ms(scenario)
    for strike in scenario.strikes:
        panel.axvspan(strike.at_ms / unit_ms, (strike.at_ms + strike.for_ms) / unit_ms, color="grey", alpha=0.25, lw=0)


def _look(number: int) -> dict[str, Any]:
    return {"color": _FLEET_COLOURS[number % len(_FLEET_COLOURS)], "linestyle": _STYLES[number % len(_STYLES)]}


def _unit_ms(scenario: Scenario) -> int:
    return HOUR_MS if scenario.days <= 2 else DAY_MS


def _times(scenario: Scenario, series: Sequence[Moment]) -> list[float]:
    return [moment.at_ms / _unit_ms(scenario) for moment in series]


def _time_label(scenario: Scenario) -> str:
    return "hours, UTC" if scenario.days <= 2 else "days"


def _figure(*, height_in: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    """The same figure is the same file: no name and version of its maker in it."""
    held = io.BytesIO()
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()
