"""The figure of the springs."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from shared.figures import legend_texts, render
from shared.tensors import to_tensor

from torusae import plots


@pytest.mark.parametrize("as_tensor", [False, True], ids=["array", "tensor"])
@pytest.mark.parametrize("shape", [(4,), (4, 1)], ids=str)
def test_spring_draws_every_gap_and_the_closing_one(shape, as_tensor):
    angles = np.array([0.0, 3.0, 1.0, -1.5], "float32").reshape(shape)
    figure = render(plots.plot_spring(to_tensor(angles) if as_tensor else angles))
    axes, bar = figure.axes
    (springs,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    # Sorted from 0: 0, 1, 3, 2π - 1.5; the last spring goes back to 0.
    np.testing.assert_allclose(springs.get_array(), [1.0, 2.0, 2 * np.pi - 4.5, 1.5], atol=1e-6)
    for segment, start in zip(springs.get_segments(), [0.0, 1.0, 3.0, -1.5], strict=True):
        np.testing.assert_allclose(segment[0], [np.cos(start), np.sin(start)], atol=1e-6)
    expected = 4 * (1 + 4 + (2 * np.pi - 4.5) ** 2 + 1.5**2) / (2 * np.pi) ** 2
    assert axes.get_title() == f"spring loss, normalized: {expected:.2f}\n(1 = evenly spaced, 4 = all in one point)"
    assert [text.get_text() for text in axes.texts] == ["0 rad", "π/2", "±π", "-π/2"]
    assert bar.get_ylabel() == "length of a spring (rad)"
    assert legend_texts(figure) == [
        "circle",
        "angle of a sample (4)",
        "spring to the next angle",
        "even spacing, 1.57 rad",
    ]


def test_spring_of_another_period():
    figure = render(plots.plot_spring([23.0, 1.0], period=24))
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "6", "±12", "-6"]
    assert figure.axes[1].get_ylabel() == "length of a spring (period = 24)"
    (springs,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    np.testing.assert_allclose(springs.get_array(), [22.0, 2.0], atol=1e-5)
    assert legend_texts(figure)[-1] == "even spacing, 12"


def test_spring_of_one_point_and_of_equal_points():
    render(plots.plot_spring(np.zeros(1)))
    assert "normalized: 5.00" in render(plots.plot_spring(np.full((5, 1), 2.0))).axes[0].get_title()


def test_spring_errors():
    with pytest.raises(ValueError, match=r"plot_spring: `angles` must have shape .* Received: angles\.shape=\(4, 3\)"):
        plots.plot_spring(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"Received: angles\.shape=\(0,\)"):
        plots.plot_spring(np.zeros(0))
    with pytest.raises(ValueError, match="plot_spring: `angles` must hold finite"):
        plots.plot_spring([0.0, np.nan])
    with pytest.raises(ValueError, match="`period` must be finite and positive"):
        plots.plot_spring([0.0], period=0)
    with pytest.raises(TypeError, match="floating-point"):
        plots.plot_spring([0, 1])
