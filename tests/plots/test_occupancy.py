"""Counts in cells of the torus."""

import numpy as np
import pytest
from shared.figures import PI_TEXTS, legend_texts, render, tick_texts

import torusae
from torusae import plots


def test_occupancy_slices_count_every_point(rng):
    angles = rng.uniform(-9, 9, (500, 3)).astype("float32")
    figure = render(plots.plot_occupancy(angles))
    slices, bar = figure.axes[:8], figure.axes[8]
    counts = np.stack([np.ma.filled(axes.images[0].get_array(), 0) for axes in slices])  # (φ₂, φ₁, φ₀)
    wrapped = (angles.astype("float64") + np.pi) % (2 * np.pi) - np.pi
    edges = np.linspace(-np.pi, np.pi, 9)
    np.testing.assert_array_equal(counts, np.histogramdd(wrapped[:, ::-1], [edges] * 3)[0])
    assert np.ma.getmaskarray(slices[0].images[0].get_array()).sum() == (counts[0] == 0).sum()
    assert [axes.get_title() for axes in slices[:2]] == ["φ₂ in [-π, -3π/4)", "φ₂ in [-3π/4, -π/2)"]
    assert slices[-1].get_title() == "φ₂ in [3π/4, π)"
    assert slices[4].get_xlabel() == "φ₀ (rad)"
    assert slices[4].get_ylabel() == "φ₁ (rad)"
    assert tick_texts(slices[4].xaxis) == PI_TEXTS
    assert bar.get_ylabel() == "points in a cell (square-root scale)"
    found = torusae.metrics.cell_occupancy(angles)
    assert figure.get_suptitle() == (
        f"500 points in 8³ cells: {100 * found['empty']:.1f} % empty (uniform: {100 * found['expected_empty']:.1f} %), "
        f"KL to uniform {found['kl']:.3f} nats (uniform: {found['expected_kl']:.3f})"
    )
    assert legend_texts(figure) == ["empty cell", "mean, 0.977 points in a cell"]


def test_occupancy_of_one_two_and_five_circles(rng):
    one = render(plots.plot_occupancy(rng.uniform(-3, 3, (20, 1)), cells=5))
    assert one.axes[0].images[0].get_array().shape == (1, 5)
    assert one.get_suptitle().startswith("20 points in 5 cells: ")
    two = render(plots.plot_occupancy(np.array([[-3.0, 3.0]]), cells=4))
    counts = np.ma.filled(two.axes[0].images[0].get_array(), 0)
    assert counts[3, 0] == counts.sum() == 1  # rows are φ₁ from below, columns φ₀
    assert two.axes[0].images[0].origin == "lower"
    assert two.get_suptitle().startswith("1 points in 4² cells: 93.8 % empty")
    angles = rng.uniform(-3, 3, (50, 5)).astype("float32")
    five = plots.plot_occupancy(angles)
    assert len(five.axes) == 6  # five pairs and the colour bar
    assert "5 of 10 pairs of circles, neighbours only" in five.get_suptitle()
    share = torusae.metrics.cell_occupancy(angles[:, [0, 1]])
    assert five.axes[0].get_title().startswith(f"{100 * share['empty']:.1f} % empty")


def test_occupancy_of_chosen_pairs():
    figure = plots.plot_occupancy(np.zeros((5, 3)), pairs=[(2, 0)])
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("φ₂ (rad)", "φ₀ (rad)")


def test_occupancy_errors():
    with pytest.raises(ValueError, match=r"`cells` must be at most 16 for three circles.*Received: cells=17"):
        plots.plot_occupancy(np.zeros((5, 3)), cells=17)
    with pytest.raises(ValueError, match="`cells` must be at least 2"):
        plots.plot_occupancy(np.zeros((5, 3)), cells=1)
    with pytest.raises(ValueError, match=r"plot_occupancy: `angles` must have shape \(num, dim\)"):
        plots.plot_occupancy(np.zeros(5))
    with pytest.raises(ValueError, match="plot_occupancy: `pairs` must name two different columns"):
        plots.plot_occupancy(np.zeros((5, 3)), pairs=[(0, 3)])
