"""What holds for every figure: matplotlib is imported when used, and no figure stays in pyplot."""

import io
import pickle
import sys

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from torusae import plots


def test_missing_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"plot_radii: needs matplotlib\. Install it with: pip install matplotlib$"):
        plots.plot_radii(np.ones((3, 1)))


def test_no_figure_stays_in_pyplot():
    plots.plot_history({"loss": [1.0]})
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
    assert matplotlib.get_backend().lower() == "agg"


def test_a_notebook_shows_a_figure_without_pyplot():
    figure = plots.plot_history({"loss": [1.0]})
    picture = matplotlib.image.imread(io.BytesIO(figure._repr_png_()))  # the method that IPython looks for
    np.testing.assert_allclose(picture.shape[:2], figure.get_size_inches()[::-1] * figure.dpi, atol=1)  # whole pixels
    pickle.loads(pickle.dumps(figure)).canvas.draw()
