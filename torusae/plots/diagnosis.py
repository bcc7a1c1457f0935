"""The figure of a diagnosis."""

import textwrap
from typing import Any

import numpy as np

from torusae.plots import _style
from torusae.plots.spaces import draw_points

_MAX_BARS = 16


def plot_diagnosis(diagnosis: Any) -> _style.Figure:
    """A diagnosis: one picture of the points, and one panel for each statistic beside its value by chance.

    `draw_points` makes the picture. A statistic of several coordinates has a bar for
    each, at most 16, those furthest from chance. At most 15 statistics are drawn. The title names the problems.

    Args:
        diagnosis: `Diagnosis`, with `problems`, `statistics`, `points` and `space`.

    Example:

    >>> import torusae
    >>> points = torusae.Torus(2).sample(1000, seed=0)
    >>> torusae.plots.plot_diagnosis(torusae.diagnose(points)).get_suptitle()
    '1000 points of Torus(2): nothing wrong found'
    """
    owner = "plot_diagnosis"
    lacking = [name for name in ("problems", "statistics", "points", "space") if not hasattr(diagnosis, name)]
    if lacking:
        raise TypeError(
            f"{owner}: `diagnosis` must be the result of `diagnose`. Received: {type(diagnosis).__name__}, without "
            f"{lacking}. Call torusae.diagnose(model, x) or torusae.diagnostics.diagnose_points(space, points) first."
        )
    statistics = dict(list(diagnosis.statistics.items())[: _style.MAX_PANELS - 1])
    rows, columns = _style.grid(1 + len(statistics), 3)
    figure = _style.new_figure(owner, max(3.6 * columns, 6.0), 3.0 * rows + 1.0)
    first, *others = _style.panels(figure, 1 + len(statistics), 3)
    draw_points(diagnosis.space, first, diagnosis.points)
    handles: dict[str, Any] = {}
    for axes, (name, statistic) in zip(others, statistics.items(), strict=True):
        handles = _draw_statistic(axes, name, statistic)
    if handles:
        figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=2, frameon=False)
    names = ", ".join(dict.fromkeys(problem.name for problem in diagnosis.problems)) or "nothing wrong found"
    title = f"{len(diagnosis.points)} points of {diagnosis.space!r}: {names}"
    if len(statistics) < len(diagnosis.statistics):
        title += f"; the first {len(statistics)} of {len(diagnosis.statistics)} statistics"
    figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize="medium")
    return figure


def _draw_statistic(axes: _style.Axes, name: str, statistic: Any) -> dict[str, Any]:
    """Bars of the measured values with a mark at the value of chance; returns the legend entries."""
    value = _finite_or_nan(statistic.value)
    chance = np.broadcast_to(_finite_or_nan(statistic.chance), value.shape)
    shown = np.arange(len(value))
    label = "coordinate"
    if len(value) > _MAX_BARS:
        distance = np.nan_to_num(np.abs(value - chance), nan=np.inf)
        shown = np.sort(np.argsort(-distance, kind="stable")[:_MAX_BARS])
        label = f"coordinate\n({_MAX_BARS} of {len(value)}, furthest from chance)"
    places = np.arange(len(shown))
    bars = axes.bar(places, value[shown], 0.8, color="tab:blue", label="measured")
    marks = axes.hlines(
        chance[shown], places - 0.45, places + 0.45, color="black", linestyles="--", label="chance: independent points"
    )
    unit = getattr(statistic, "unit", "")
    axes.set_ylabel(f"{name} ({unit})" if unit else name)
    axes.axhline(0, color="0.6", linewidth=0.6)
    if len(value) == 1:
        axes.set(xticks=[], xlim=(-1.5, 1.5), xlabel="all coordinates")
    else:
        axes.set_xticks(places, shown, rotation=90 if len(shown) > 12 else 0)
        axes.set_xlabel(label)
    return {"measured": bars, "chance": marks}


def _finite_or_nan(value: Any) -> np.ndarray:
    """`(k,)` float64. matplotlib leaves NaN out and can't place infinity."""
    array = np.ravel(np.asarray(value, "float64"))
    return np.where(np.isfinite(array), array, np.nan)
