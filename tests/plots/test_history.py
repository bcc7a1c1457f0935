"""Learning curves."""

import keras
import numpy as np
import pytest
from shared.figures import legend_texts, render

from torusae import plots


def test_history_puts_training_and_validation_together():
    curves = {"spring": [2.0, 1.5], "loss": [100.0, 1.0], "val_loss": [90.0, 2.0], "val_only": [-1.0, 50.0]}
    figure = render(plots.plot_history(curves))
    loss, spring, only = figure.axes
    assert [a.get_ylabel() for a in figure.axes] == ["loss, log scale", "spring", "only"]
    assert [a.get_yscale() for a in figure.axes] == ["log", "linear", "linear"]
    np.testing.assert_array_equal(loss.lines[0].get_xdata(), [1, 2])
    assert [list(line.get_ydata()) for line in loss.lines] == [[100.0, 1.0], [90.0, 2.0]]
    assert len(spring.lines) == len(only.lines) == 1
    assert only.get_xlabel() == "epoch"
    assert legend_texts(figure) == ["training", "validation"]


def test_history_of_a_fit_of_one_epoch(rng):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(rng.normal(size=(4, 2)), np.zeros((4, 1)), verbose=0)
    figure = render(plots.plot_history(history))
    assert figure.axes[0].lines[0].get_ydata().tolist() == history.history["loss"]
    assert figure.axes[0].get_xlim() == (0.5, 1.5)


def test_history_with_nan_is_drawn():
    assert render(plots.plot_history({"loss": [np.nan, 1.0, 20.0]})).axes[0].get_yscale() == "log"
    render(plots.plot_history({"loss": [np.nan]}))


def test_history_errors():
    with pytest.raises(TypeError, match=r"plot_history: `history` must be the result of `fit`.* Received: list"):
        plots.plot_history([1.0])
    with pytest.raises(ValueError, match="`history` must hold a number an epoch"):
        plots.plot_history({})
    with pytest.raises(ValueError, match=r"Received: \{'loss': \[\]\}"):
        plots.plot_history({"loss": []})
    with pytest.raises(TypeError, match=r"history\['loss'\] must be a list of numbers.* Received: 3"):
        plots.plot_history({"loss": 3})


def test_history_of_a_product_has_a_panel_for_each_key():
    keys = ["loss", "reconstruction", "kuiper", "torus.kuiper", "gaussian.mean"]
    curves = {key: [0.3, 0.2] for key in [*keys, *(f"val_{key}" for key in keys)]}
    figure = render(plots.plot_history(curves))
    assert [axes.get_ylabel() for axes in figure.axes] == keys
    assert all(len(axes.lines) == 2 for axes in figure.axes)
