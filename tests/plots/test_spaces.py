"""One picture of points in given axes."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from shared.figures import PI_TEXTS, drawn_points, render, tick_texts
from shared.tensors import to_tensor

from torusae.plots import spaces


def axes_of(**kwargs):
    return Figure(figsize=(5, 5), layout="constrained").add_subplot(**kwargs)


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_two_circles_are_a_scatter_plot(rng):
    axes = axes_of()
    spaces.draw_angles(axes, to_tensor(rng.uniform(-9, 9, (50, 2))))
    render(axes.figure)
    assert drawn_points(axes, "points") == 50
    assert tick_texts(axes.xaxis) == tick_texts(axes.yaxis) == PI_TEXTS
    assert texts(axes) == ["50 points", "edge ±π", "beyond the edge:\nthe other side again"]
    assert axes.get_title() == ""


def test_of_many_circles_and_points_the_legend_says_how_many_are_drawn(rng):
    axes = axes_of()
    spaces.draw_angles(axes, rng.uniform(-3, 3, (6000, 5)))
    assert drawn_points(axes, "points") == 5000
    assert texts(axes)[0] == "5000 of 6000 points"
    assert axes.get_title() == "the first 2 of 5 circles"


def test_one_circle_is_a_density_or_a_rose(rng):
    angles = rng.uniform(-np.pi, np.pi, (360, 1))
    flat, polar = axes_of(), axes_of(projection="polar")
    spaces.draw_angles(flat, angles)
    spaces.draw_angles(polar, angles)
    render(flat.figure), render(polar.figure)
    assert sum(bar.get_height() * bar.get_width() for bar in flat.patches) == pytest.approx(1)
    assert flat.lines[0].get_ydata()[0] == pytest.approx(1 / (2 * np.pi))
    assert (flat.get_xlabel(), flat.get_ylabel()) == ("φ₀ (rad)", "density (1/rad)")
    assert sum(bar.get_height() for bar in polar.patches) == 360
    assert sorted(texts(flat)) == sorted(texts(polar)) == ["points", "uniform"]


def test_plane_beside_circles_that_hold_their_share(rng):
    points = rng.normal(size=(4000, 3))
    axes = axes_of()
    spaces.draw_plane(axes, to_tensor(points))
    render(axes.figure)
    assert drawn_points(axes, None) == 4000
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z₀ (deviations)", "z₁ (deviations)")
    assert texts(axes) == ["4000 points", "39% of N(0, 1)", "86% of N(0, 1)"]
    for line in axes.lines:
        radius = np.hypot(*line.get_data()).max()
        share = (np.hypot(points[:, 0], points[:, 1]) < radius).mean()
        # Four standard errors of a share of 4000 points are at most 0.032.
        assert share == pytest.approx(float(line.get_label()[:2]) / 100, abs=0.037)
    assert axes.get_title() == "the first 2 of 3 coordinates"


def test_one_coordinate_is_a_density(rng):
    axes = axes_of()
    spaces.draw_plane(axes, rng.normal(size=(500, 1)))
    assert sum(bar.get_height() * bar.get_width() for bar in axes.patches) == pytest.approx(1)
    assert texts(axes) == ["points", "N(0, 1)"]


def test_points_that_can_not_be_drawn():
    for draw, name in [
        (spaces.draw_angles, "angles"),
        (spaces.draw_plane, "points"),
        (spaces.draw_globe, "points"),
        (spaces.draw_interval, "points"),
    ]:
        with pytest.raises(ValueError, match=rf"{draw.__name__}: `{name}` must have shape \(num, dim\).*shape=\(3,\)"):
            draw(axes_of(), np.zeros(3))
        with pytest.raises(ValueError, match="must hold at least one row and one column"):
            draw(axes_of(), np.zeros((0, 2)))
        with pytest.raises(ValueError, match=f"`{name}` must hold finite"):
            draw(axes_of(), np.full((2, 2), np.nan))
        with pytest.raises(TypeError, match="floating-point"):
            draw(axes_of(), np.zeros((2, 2), int))
