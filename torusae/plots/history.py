"""Learning curves."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from torusae.plots import _style


def plot_history(history: Any) -> _style.Figure:
    """Learning curves: one panel for each term, training and validation in the same axes.

    An axis is logarithmic if all its values are positive and the largest is at least ten times the smallest.

    Args:
        history: The result of `fit`, or its `history`: a dict from a name to one number an epoch. Names that begin with
            `val_` belong to the validation data.

    Example:

    >>> import torusae.plots
    >>> figure = torusae.plots.plot_history({"loss": [3.0, 1.0, 0.1], "val_loss": [3.5, 2.0, 1.0]})
    >>> figure.axes[0].get_yscale()
    'log'
    """
    owner = "plot_history"
    series = _series(owner, history)
    terms = list(dict.fromkeys(name.removeprefix("val_") for name in series))
    terms.sort(key=lambda term: term != "loss")  # the total first
    rows, columns = _style.grid(len(terms), 3)
    figure = _style.new_figure(owner, max(3.2 * columns + 0.2, 4.4), 2.5 * rows + 0.5)
    from matplotlib.ticker import MaxNLocator

    handles: dict[str, Any] = {}
    for axes, term in zip(_style.panels(figure, len(terms), 3), terms, strict=True):
        curves = {}
        for label, key, style in (("training", term, "C0-"), ("validation", f"val_{term}", "C1--")):
            if key in series:
                curves[label] = values = series[key]
                marker = "o" if len(values) < 20 else None
                epochs = np.arange(1, len(values) + 1)
                (handles[label],) = axes.plot(epochs, values, style, marker=marker, markersize=3, label=label)
        values = np.concatenate(list(curves.values()))
        values = values[np.isfinite(values)]
        logarithmic = values.size > 0 and values.min() > 0 and values.max() >= 10 * values.min()
        if logarithmic:
            axes.set_yscale("log")
        axes.set(xlabel="epoch", ylabel=f"{term}, log scale" if logarithmic else term)
        if max(map(len, curves.values())) == 1:
            axes.set_xlim(0.5, 1.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        axes.grid(True, color="0.9", linewidth=0.6)
    ordered = [handles[label] for label in ("training", "validation") if label in handles]
    figure.legend(handles=ordered, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _series(owner: str, history: Any) -> dict[str, np.ndarray]:
    """One array of numbers for each name."""
    curves = history.history if isinstance(history, keras.callbacks.History) else history
    if not isinstance(curves, Mapping):
        raise TypeError(
            f"{owner}: `history` must be the result of `fit`, or a dict from names to lists of numbers. "
            f"Received: {type(history).__name__}."
        )
    series = {}
    for name, values in curves.items():
        try:
            array = np.asarray([float(value) for value in values])
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{owner}: history[{name!r}] must be a list of numbers, one an epoch. Received: {values!r}."
            ) from error
        series[str(name)] = array
    if not series or not all(array.size for array in series.values()):
        raise ValueError(
            f"{owner}: `history` must hold a number an epoch. Received: {dict(curves)!r}. Train an epoch first."
        )
    return series
