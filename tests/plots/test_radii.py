"""Histograms of radii."""

import numpy as np
import pytest
import scipy.integrate
from shared.figures import legend_texts, render
from shared.tensors import to_tensor

from torusae import plots


def test_radii_beside_their_target(rng):
    radii = rng.normal(1, 0.1, (400, 3))
    figure = render(plots.plot_radii(to_tensor(radii)))
    assert len(figure.axes) == 3
    assert figure.axes[1].get_title() == f"r₁: mean {radii[:, 1].mean():.3f}, deviation {radii[:, 1].std():.3f}"
    assert figure.axes[0].get_xlabel() == "radius"
    assert figure.axes[0].get_ylabel() == "density"
    assert legend_texts(figure) == ["radii", "target N(1, 0.1)"]
    x, density = figure.axes[0].lines[0].get_data()
    # A density: it integrates to 1, and its peak is 1 / (0.1 sqrt(2π)).
    assert scipy.integrate.trapezoid(density, x) == pytest.approx(1, abs=1e-3)
    assert density.max() == pytest.approx(3.98942, abs=0.01)
    area = sum(bar.get_height() * bar.get_width() for bar in figure.axes[0].patches)
    assert area == pytest.approx(1)


def test_radii_of_many_circles_and_another_target():
    figure = plots.plot_radii(np.ones((4, 20)), mean=2, stddev=0.5)
    assert len(figure.axes) == 16
    assert figure.get_suptitle() == "radii of 4 points, the first 16 of 20 circles"
    assert legend_texts(figure)[1] == "target N(2, 0.5)"


def test_radii_errors():
    with pytest.raises(ValueError, match=r"plot_radii: `radii` must have shape \(num, dim\)"):
        plots.plot_radii(np.ones(3))
    with pytest.raises(ValueError, match="`stddev` must be finite and positive"):
        plots.plot_radii(np.ones((3, 1)), stddev=0)
    with pytest.raises(ValueError, match="must hold at least one row and one column"):
        plots.plot_radii(np.ones((0, 2)))
    with pytest.raises(ValueError, match="`radii` must hold finite"):
        plots.plot_radii(np.full((3, 2), np.nan))
