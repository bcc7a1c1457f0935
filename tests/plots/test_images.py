"""Images in a grid."""

import numpy as np
import pytest

from torusae import plots


def test_samples_in_a_grid_with_their_names(rng):
    images = rng.uniform(size=(25, 8, 6, 1))
    figure = plots.plot_samples({"data": images, "model": images[::-1].copy()}, columns=4)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["data", "model"] * 6
    assert axes.get_xlabel() == "24 of 25 images of each"
    drawn = axes.images[0].get_array()
    # The first image of the first data row, and the last image of all at the start of the first row of the model.
    np.testing.assert_allclose(drawn[:8, :6], images[0, ..., 0], atol=1e-6)
    np.testing.assert_allclose(drawn[9:17, :6], images[24, ..., 0], atol=1e-6)


def test_pixels_of_0_to_255_are_drawn_and_warned_of_beside_others(rng):
    pixels = rng.integers(0, 256, (4, 8, 8), dtype="uint8")
    pixels[0, 0, 0] = 255
    (axes,) = plots.plot_samples(pixels).axes
    assert axes.get_xlabel() == "4 images (black to white: 0 to 255)"
    np.testing.assert_allclose(axes.images[0].get_array()[:8, :8], pixels[0] / 255, atol=1e-6)
    with pytest.warns(UserWarning, match="plot_samples: .* one scale.*'data' up to 255, 'model' up to 1.*by 255"):
        plots.plot_samples({"data": pixels, "model": np.ones((4, 8, 8))})
    plots.plot_samples({"data": pixels / 255, "model": np.zeros((4, 8, 8))})


def test_samples_that_do_not_fit():
    with pytest.raises(ValueError, match=r"all sets must be of one shape.*a\.shape=\(2, 8, 8\), b\.shape=\(3, 8, 8\)"):
        plots.plot_samples({"a": np.zeros((2, 8, 8)), "b": np.zeros((3, 8, 8))})
    with pytest.raises(ValueError, match=r"`samples` must be images.*shape=\(4, 5\)"):
        plots.plot_samples(np.zeros((4, 5)))
