"""Histograms of radii."""

import math

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import float_rows
from torusae._internal.checks import Tensor
from torusae.plots import _style


def plot_radii(radii: Tensor, mean: float = 1.0, stddev: float = 0.1) -> _style.Figure:
    """Histograms of the radii of each circle beside their target, a normal density. At most 16 circles are drawn.

    Args:
        radii: Float tensor `(num, dim)`, for example `torusae.to_polar(points)[0]`.
        mean: Float, mean of the target. Defaults to `1.0`.
        stddev: Positive float, standard deviation of the target. Defaults to `0.1`.

    Example:

    >>> import numpy as np, torusae.plots
    >>> torusae.plots.plot_radii(torusae.normal_quantiles(100)[:, None]).axes[0].get_title()
    'r₀: mean 1.000, deviation 0.099'

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.2.
    """
    owner = "plot_radii"
    stddev = checks.positive_float(owner, "stddev", stddev)
    mean = checks.finite_float(owner, "mean", mean)
    values = float_rows(owner, "radii", radii)
    num, dim = values.shape
    shown = min(dim, _style.MAX_PANELS)
    rows, columns = _style.grid(shown, 4)
    figure = _style.new_figure(owner, max(2.7 * columns + 0.3, 4.6), 2.4 * rows + 0.8)
    low = min(float(values[:, :shown].min()), mean - 4 * stddev)
    high = max(float(values[:, :shown].max()), mean + 4 * stddev)
    bins = np.linspace(low, high, min(120, max(24, round((high - low) / (stddev / 3)))) + 1)
    x = np.linspace(low, high, 400)
    panels = _style.panels(figure, shown, 4, sharex=True, sharey=True)
    for circle, axes in enumerate(panels):
        r = values[:, circle]
        axes.hist(r, bins, density=True, color="tab:blue", alpha=0.6, label="radii")
        axes.plot(x, normal_density(x, mean, stddev), "k", linewidth=1.2, label=f"target N({mean:g}, {stddev:g})")
        axes.set_title(f"r{_style.subscript(circle)}: mean {r.mean():.3f}, deviation {r.std():.3f}", fontsize="small")
        axes.set(xlabel="radius", ylabel="density")
        axes.label_outer()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    title = f"radii of {num} points" + (f", the first {shown} of {dim} circles" if shown < dim else "")
    figure.suptitle(title, fontsize="medium")
    return figure


def normal_density(x: np.ndarray, mean: float, stddev: float) -> np.ndarray:
    """Density of N(mean, stddev) at `x`."""
    return np.exp(-(((x - mean) / stddev) ** 2) / 2) / (stddev * math.sqrt(2 * math.pi))
