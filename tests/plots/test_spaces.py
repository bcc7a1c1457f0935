"""One picture of points in given axes."""

import functools

import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure
from shared.figures import PI_TEXTS, drawn_points, render, tick_texts
from shared.tensors import to_tensor

from torusae.plots import spaces
from torusae.spaces import parse


def axes_of():
    return Figure(figsize=(5, 5), layout="constrained").add_subplot()


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


def test_one_circle_is_a_density(rng):
    flat = axes_of()
    spaces.draw_angles(flat, rng.uniform(-np.pi, np.pi, (360, 1)))
    render(flat.figure)
    assert sum(bar.get_height() * bar.get_width() for bar in flat.patches) == pytest.approx(1)
    assert flat.lines[0].get_ydata()[0] == pytest.approx(1 / (2 * np.pi))
    assert (flat.get_xlabel(), flat.get_ylabel()) == ("φ₀ (rad)", "density (1/rad)")
    assert sorted(texts(flat)) == ["points", "uniform"]


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
    for draw, owner, name in [
        (spaces.draw_angles, "draw_angles", "angles"),
        (spaces.draw_plane, "draw_plane", "points"),
        *(
            (functools.partial(spaces.draw_points, parse(space)), "draw_points", "points")
            for space in ("T1", "R2", "S1", "S2", "RP2", "SO3", "I", "K", "M", "T1 x R2")
        ),
    ]:
        with pytest.raises(ValueError, match=rf"{owner}: `{name}` must have shape \(num, dim\).*shape=\(3,\)"):
            draw(axes_of(), np.zeros(3))
        with pytest.raises(ValueError, match="must hold at least one row and one column"):
            draw(axes_of(), np.zeros((0, 2)))
        with pytest.raises(ValueError, match=f"`{name}` must hold finite"):
            draw(axes_of(), np.full((2, 2), np.nan))
        with pytest.raises(TypeError, match="floating-point"):
            draw(axes_of(), np.zeros((2, 2), int))


def test_points_of_any_container_but_not_of_another_space(rng):
    for text in ("S2", "RP2", "SO3", "K", "T1 x R2"):
        space = parse(text)
        points = np.asarray(space.sample(5, 0))
        for each in (points, points.tolist(), pandas.DataFrame(points), to_tensor(points), points[:1]):
            axes = axes_of()
            spaces.draw_points(space, axes, each)
            render(axes.figure)
        with pytest.raises(ValueError, match=rf"draw_points: .*{points.shape[1]}\), points of .*shape=\(3, 11\)"):
            spaces.draw_points(space, axes_of(), np.zeros((3, 11)))
