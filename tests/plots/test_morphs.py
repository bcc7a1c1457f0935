"""Morphs of images and of vectors."""

import keras
import numpy as np
import pytest
from shared.figures import legend_texts, render, tick_texts
from shared.tensors import to_tensor

import torusae
from torusae import plots


def images(num_paths, num_steps, height, width, channels):
    shape = (height, width, channels)
    if keras.config.image_data_format() == "channels_first":
        shape = (channels, height, width)
    return np.zeros((num_paths, num_steps, *shape), "float32")


def test_morph_writes_windings_and_places_images():
    samples = images(3, 5, 14, 14, 1)
    samples[1, 2] = 1.0
    figure = render(plots.plot_morph(to_tensor(samples), to_tensor([[0, 0, 0], [0, -1, 0], [1, 0, -1]], "int32")))
    (axes,) = figure.axes
    assert tick_texts(axes.yaxis) == ["k = (0, 0, 0)", "k = (0, -1, 0)", "k = (1, 0, -1)"]
    assert tick_texts(axes.xaxis) == ["t = 0", "t = 0.5", "t = 1"]
    assert axes.get_xlabel() == "share t of the path"
    assert legend_texts(figure) == ["start", "end"]
    mosaic = np.asarray(axes.images[0].get_array())
    assert mosaic.shape == (3 * 15 - 1, 5 * 15 - 1)  # one white line between the images
    assert (mosaic[15:29, 30:44] == 1).all()
    assert (mosaic[:14, :14] == 0).all()


def test_morph_in_colour_and_out_of_range():
    samples = images(2, 3, 8, 9, 3) - 1.0
    samples.reshape(-1)[0] = 3.0
    (axes,) = render(plots.plot_morph(samples)).axes
    assert np.asarray(axes.images[0].get_array()).shape == (2 * 9 - 1, 3 * 10 - 1, 3)
    assert axes.get_xlabel() == "share t of the path (black to white: -1 to 3)"
    assert tick_texts(axes.yaxis) == ["path 0", "path 1"]


def test_morph_in_channels_first():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        (axes,) = plots.plot_morph(np.zeros((1, 2, 3, 8, 8))).axes
    finally:
        keras.config.set_image_data_format(before)
    assert np.asarray(axes.images[0].get_array()).shape == (8, 17, 3)


def test_morph_of_vectors():
    samples = np.linspace(0, 1, 2 * 4 * 6).reshape(2, 4, 6)
    figure = render(plots.plot_morph(samples, [[0], [-1]]))
    paths, bar = figure.axes[:2], figure.axes[2]
    assert [axes.get_title(loc="left") for axes in paths] == ["k = (0)", "k = (-1)"]
    for axes, path in zip(paths, samples, strict=True):
        np.testing.assert_allclose([line.get_ydata() for line in axes.lines], path, rtol=1e-6)
    assert paths[-1].get_xlabel() == "column of the sample"
    assert bar.get_ylabel() == "share t of the path"
    assert legend_texts(figure) == ["start", "end"]


def test_nine_morphs():
    figure = render(
        plots.plot_morphs([(images(8, 12, 8, 8, 1), np.zeros((8, 3), int))] * 7 + [images(8, 12, 8, 8, 1)] * 2)
    )
    assert len(figure.axes) == 9
    assert tick_texts(figure.axes[0].yaxis)[0] == "k = (0, 0, 0)"
    assert tick_texts(figure.axes[8].yaxis)[0] == "path 0"


def test_morph_of_a_model(rng):
    encoder, decoder = torusae.autoencoder_networks((6,), decoder_input_size=4)
    model = torusae.TorusAutoencoder(encoder, decoder, 2)
    x = rng.normal(size=(2, 6)).astype("float32")
    code = model.encode(x, verbose=0)
    figure = plots.plot_morph(model.morph(x[0], x[1], num_steps=3, verbose=0), torusae.two_way_windings(*code))
    assert len(figure.axes) == 5


def test_morph_errors():
    with pytest.raises(ValueError, match=r"plot_morph: `samples` must have shape .* Received: samples\.shape=\(2, 8\)"):
        plots.plot_morph(np.zeros((2, 8)))
    with pytest.raises(ValueError, match=r"1 channel .* or 3"):
        plots.plot_morph(images(2, 3, 8, 8, 2))
    with pytest.raises(ValueError, match=r"`windings` must have shape \(2, dim\).* Received: windings\.shape=\(3, 1\)"):
        plots.plot_morph(np.zeros((2, 3, 4)), np.zeros((3, 1), int))
    with pytest.raises(TypeError, match=r"`windings` must be integers\. Received: dtype=float64"):
        plots.plot_morph(np.zeros((2, 3, 4)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="`samples` must hold finite"):
        plots.plot_morph(np.full((2, 3, 4), np.inf))
    with pytest.raises(TypeError, match=r"plot_morphs: `morphs` must be a list .* Received: ndarray"):
        plots.plot_morphs(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match="at least one morph"):
        plots.plot_morphs([])
    with pytest.raises(ValueError, match=r"morphs\[0\] must be a pair .* Received: 1"):
        plots.plot_morphs([(np.zeros((2, 3, 4)),)])
