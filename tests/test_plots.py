"""Figures: what is drawn, what the axes, legends and titles say, and the messages for wrong arguments."""

import os
import subprocess
import sys

import keras
import matplotlib
import numpy as np
import pytest
from helpers import to_tensor
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import torusae
from torusae import plots

PI_TEXTS = ["-π", "-π/2", "0", "π/2", "π"]


def legend_texts(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def tick_texts(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def drawn_points(axes, gid):
    return sum(len(collection.get_offsets()) for collection in axes.collections if collection.get_gid() == gid)


def render(figure):
    """Draws the figure, which is when matplotlib finds most mistakes; a warning fails the test."""
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    return figure


def test_import_needs_no_matplotlib():
    # Keras imports matplotlib itself where it is installed, so sys.modules can't tell who did; without it both must do.
    code = "import sys; sys.modules['matplotlib'] = None; import torusae.datasets, torusae.plots"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_missing_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'plot_radii: needs matplotlib\. .*pip install "torusae\[plots\]"'):
        plots.plot_radii(np.ones((3, 1)))


def test_no_figure_stays_in_pyplot():
    plots.plot_history({"loss": [1.0]})
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
    assert matplotlib.get_backend().lower() == "agg"


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


@pytest.mark.parametrize("as_tensor", [False, True], ids=["array", "tensor"])
def test_angles_of_three_circles(rng, as_tensor):
    angles, labels = rng.uniform(-9, 9, (200, 3)), rng.integers(0, 4, 200)
    if as_tensor:
        angles, labels = to_tensor(angles), to_tensor(labels, "int32")
    figure = render(plots.plot_angles(angles, labels, label_name="digit"))
    assert [(a.get_xlabel(), a.get_ylabel()) for a in figure.axes] == [
        ("φ₁ (rad)", "φ₂ (rad)"),
        ("φ₁ (rad)", "φ₃ (rad)"),
        ("φ₂ (rad)", "φ₃ (rad)"),
    ]
    for axes in figure.axes:
        assert tick_texts(axes.xaxis) == tick_texts(axes.yaxis) == PI_TEXTS
        np.testing.assert_allclose(axes.get_xticks(), np.pi * np.array([-1, -0.5, 0, 0.5, 1]))
        assert drawn_points(axes, "points") == 200
        assert [line.get_linestyle() for line in axes.lines if line.get_gid() == "edge"] == ["--"]
    assert legend_texts(figure) == ["0", "1", "2", "3", "edge ±π", "beyond the edge:\nthe other side again"]
    assert figure.legends[0].get_title().get_text() == "digit"
    assert figure.get_suptitle() == "200 points"


def test_angles_repeat_beyond_the_edge():
    axes = render(plots.plot_angles(np.array([[3.1, 0.0], [0.0, 0.0], [-3.1, -3.1]]))).axes[0]
    copies = [c for c in axes.collections if c.get_gid() == "copy"]
    found = np.concatenate([c.get_offsets() for c in copies])
    turn = 2 * np.pi
    expected = [[3.1 - turn, 0.0], [turn - 3.1, -3.1], [-3.1, turn - 3.1], [turn - 3.1, turn - 3.1]]
    np.testing.assert_allclose(
        found[np.lexsort(found.T)], np.array(expected)[np.lexsort(np.array(expected).T)], atol=1e-6
    )
    (points,) = [c for c in axes.collections if c.get_gid() == "points"]
    assert copies[0].get_facecolor()[0, 3] < points.get_facecolor()[0, 3]


def test_angles_colour_by_class():
    angles = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    figure = render(plots.plot_angles(angles, ["b", "a", "b"]))
    (points,) = [c for c in figure.axes[0].collections if c.get_gid() == "points"]
    colour = {
        round(float(x)): tuple(c[:3]) for (x, _), c in zip(points.get_offsets(), points.get_facecolor(), strict=True)
    }
    assert colour[0] == colour[2] != colour[1]
    handles = dict(zip(legend_texts(figure), figure.legends[0].legend_handles, strict=True))
    assert handles["a"].get_color()[:3] == colour[1]
    assert handles["b"].get_color()[:3] == colour[0]


def test_angles_missing_labels_have_a_name():
    figure = plots.plot_angles(np.zeros((12, 2)), np.arange(-1, 11))
    assert legend_texts(figure)[:3] == ["no label", "0", "1"]
    colours = [handle.get_color() for handle in figure.legends[0].legend_handles[:12]]
    assert len(set(colours)) == 12


def test_large_angles_keep_their_digits():
    turns = 2 * np.pi * 1e6  # in float32 a step there is 0.5 radians
    points = plots.plot_angles(np.array([[turns + 1.0, turns - 1.0]])).axes[0].collections
    (offset,) = [c.get_offsets()[0] for c in points if c.get_gid() == "points"]
    np.testing.assert_allclose(offset, [1.0, -1.0], atol=1e-6)


def test_angles_say_how_many_of_how_many_points_and_pairs(rng):
    angles = rng.uniform(-3, 3, (300, 5))
    figure = plots.plot_angles(angles, max_points=100)
    assert figure.get_suptitle() == ("100 of 300 points, chosen at random, 5 of 10 pairs of circles, neighbours only")
    assert [a.get_ylabel() for a in figure.axes] == [f"{phi} (rad)" for phi in ("φ₂", "φ₃", "φ₄", "φ₅", "φ₁")]
    assert drawn_points(figure.axes[0], "points") == 100
    assert len(plots.plot_angles(np.zeros((2, 12))).axes) == 6
    chosen = plots.plot_angles(angles, pairs=[(4, 0)])
    assert [(a.get_xlabel(), a.get_ylabel()) for a in chosen.axes] == [("φ₅ (rad)", "φ₁ (rad)")]


def test_angles_choice_is_seeded(rng):
    angles = rng.uniform(-2, 2, (50, 2))

    def offsets(seed):
        axes = plots.plot_angles(angles, max_points=10, seed=seed).axes[0]
        return np.concatenate([c.get_offsets() for c in axes.collections if c.get_gid() == "points"])

    np.testing.assert_array_equal(offsets(1), offsets(1))
    assert not np.array_equal(offsets(1), offsets(2))


@pytest.mark.parametrize(
    ("labels", "kind", "texts", "label"),
    [(np.linspace(0, 5, 20), None, None, "size"), (np.linspace(-9, 9, 20), "angle", PI_TEXTS, "size (rad)")],
    ids=["number", "angle"],
)
def test_angles_coloured_by_a_quantity(rng, labels, kind, texts, label):
    figure = render(plots.plot_angles(rng.uniform(-2, 2, (20, 2)), labels, label_kind=kind, label_name="size"))
    bar = figure.axes[-1]
    assert bar.get_ylabel() == label
    if texts:
        assert tick_texts(bar.yaxis) == texts
    assert "edge ±π" in legend_texts(figure)


def test_one_circle_is_a_histogram_around_it(rng):
    labels = np.repeat([0, 1], 50)
    figure = render(plots.plot_angles(rng.uniform(-3, 3, (100, 1)), labels))
    (axes,) = figure.axes
    assert axes.name == "polar"
    assert sum(bar.get_height() for bar in axes.patches) == 100
    assert tick_texts(axes.xaxis) == ["0", "π/2", "±π", "-π/2"]
    assert sorted(legend_texts(figure)) == ["0", "1", "uniform"]
    render(plots.plot_angles(np.zeros((1, 1))))


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"labels": [1, 2]}, ValueError, r"`labels` must have shape \(3,\).* Received: labels\.shape=\(2,\)"),
        ({"labels": [0.0, np.nan, 1.0]}, ValueError, "`labels` must hold finite"),
        ({"labels": list("abc"), "label_kind": "number"}, TypeError, "must be numbers"),
        ({"labels": [1, 2, 3], "label_kind": "clas"}, ValueError, "Did you mean 'classes'"),
        ({"pairs": [(0, 2)]}, ValueError, r"two different columns of `angles`, 0 to 1\. Received: pairs=\[\(0, 2\)\]"),
        ({"pairs": [(1, 1)]}, ValueError, "two different columns"),
        ({"pairs": [0, 1]}, ValueError, "must be a list of pairs"),
        ({"pairs": [(0, 1)] * 17}, ValueError, "holds 17 pairs, more than the 16"),
        ({"max_points": 0}, ValueError, "`max_points` must be at least 1"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_angles_errors(kwargs, error, match):
    with pytest.raises(error, match=f"plot_angles: .*{match}|{match}"):
        plots.plot_angles(np.zeros((3, 2)), **kwargs)


def test_angles_shape_and_class_errors():
    with pytest.raises(ValueError, match=r"plot_angles: `angles` must hold finite .*: inf at position \(0, 1\)"):
        plots.plot_angles(np.array([[0.0, np.inf]]))
    with pytest.raises(ValueError, match=r"plot_angles: `angles` must have shape \(num, dim\)"):
        plots.plot_angles(np.zeros(3))
    with pytest.raises(ValueError, match="hold 21 different values, more than the 20 classes"):
        plots.plot_angles(np.zeros((21, 2)), np.arange(21))
    with pytest.raises(ValueError, match="one circle is drawn as a histogram"):
        plots.plot_angles(np.zeros((3, 1)), [0.1, 0.2, 0.3])


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
    assert tick_texts(axes.yaxis) == ["path 1", "path 2"]


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
    assert tick_texts(figure.axes[8].yaxis)[0] == "path 1"


def test_morph_of_a_model(rng):
    encoder, decoder = torusae.autoencoder_networks((6,), code_size=4)
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


def test_occupancy_slices_count_every_point(rng):
    angles = rng.uniform(-9, 9, (500, 3)).astype("float32")
    figure = render(plots.plot_occupancy(angles))
    slices, bar = figure.axes[:8], figure.axes[8]
    counts = np.stack([np.ma.filled(axes.images[0].get_array(), 0) for axes in slices])  # (φ₃, φ₂, φ₁)
    wrapped = (angles.astype("float64") + np.pi) % (2 * np.pi) - np.pi
    edges = np.linspace(-np.pi, np.pi, 9)
    np.testing.assert_array_equal(counts, np.histogramdd(wrapped[:, ::-1], [edges] * 3)[0])
    assert np.ma.getmaskarray(slices[0].images[0].get_array()).sum() == (counts[0] == 0).sum()
    assert [axes.get_title() for axes in slices[:2]] == ["φ₃ in [-π, -3π/4)", "φ₃ in [-3π/4, -π/2)"]
    assert slices[-1].get_title() == "φ₃ in [3π/4, π)"
    assert slices[4].get_xlabel() == "φ₁ (rad)"
    assert slices[4].get_ylabel() == "φ₂ (rad)"
    assert tick_texts(slices[4].xaxis) == PI_TEXTS
    assert bar.get_ylabel() == "points in a cell (square-root scale)"
    found = torusae.cell_occupancy(angles)
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
    assert counts[3, 0] == counts.sum() == 1  # rows are φ₂ from below, columns φ₁
    assert two.axes[0].images[0].origin == "lower"
    assert two.get_suptitle().startswith("1 points in 4² cells: 93.8 % empty")
    angles = rng.uniform(-3, 3, (50, 5)).astype("float32")
    five = plots.plot_occupancy(angles)
    assert len(five.axes) == 6  # five pairs and the colour bar
    assert "5 of 10 pairs of circles, neighbours only" in five.get_suptitle()
    share = torusae.cell_occupancy(angles[:, [0, 1]])
    assert five.axes[0].get_title().startswith(f"{100 * share['empty']:.1f} % empty")


def test_occupancy_of_chosen_pairs():
    figure = plots.plot_occupancy(np.zeros((5, 3)), pairs=[(2, 0)])
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("φ₃ (rad)", "φ₁ (rad)")


def test_occupancy_errors():
    with pytest.raises(ValueError, match="`cells`=17 makes as many slices of three circles, more than the 16"):
        plots.plot_occupancy(np.zeros((5, 3)), cells=17)
    with pytest.raises(ValueError, match="`cells` must be at least 2"):
        plots.plot_occupancy(np.zeros((5, 3)), cells=1)
    with pytest.raises(ValueError, match=r"plot_occupancy: `angles` must have shape \(num, dim\)"):
        plots.plot_occupancy(np.zeros(5))
    with pytest.raises(ValueError, match="plot_occupancy: `pairs` must name two different columns"):
        plots.plot_occupancy(np.zeros((5, 3)), pairs=[(0, 3)])


def test_radii_beside_their_target(rng):
    radii = rng.normal(1, 0.1, (400, 3))
    figure = render(plots.plot_radii(to_tensor(radii)))
    assert len(figure.axes) == 3
    assert figure.axes[1].get_title() == f"r₂: mean {radii[:, 1].mean():.3f}, deviation {radii[:, 1].std():.3f}"
    assert figure.axes[0].get_xlabel() == "radius (code units)"
    assert figure.axes[0].get_ylabel() == "density"
    assert legend_texts(figure) == ["radii", "target N(1, 0.1)"]
    x, density = figure.axes[0].lines[0].get_data()
    # A density: it integrates to 1, and its peak is 1 / (0.1 sqrt(2π)).
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-3)
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
    with pytest.raises(ValueError, match="at least one number"):
        plots.plot_radii(np.ones((0, 2)))
    with pytest.raises(ValueError, match="`radii` must hold finite"):
        plots.plot_radii(np.full((3, 2), np.nan))


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
    with pytest.raises(TypeError, match=r"plot_history: `history` must be what `fit` returned.* Received: list"):
        plots.plot_history([1.0])
    with pytest.raises(ValueError, match="`history` is empty"):
        plots.plot_history({})
    with pytest.raises(ValueError, match=r"history\['loss'\] is empty"):
        plots.plot_history({"loss": []})
    with pytest.raises(TypeError, match=r"history\['loss'\] must be a list of numbers.* Received: 3"):
        plots.plot_history({"loss": 3})


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


def test_samples_that_do_not_fit():
    with pytest.raises(ValueError, match=r"all sets must be of one shape.*a\.shape=\(2, 8, 8\), b\.shape=\(3, 8, 8\)"):
        plots.plot_samples({"a": np.zeros((2, 8, 8)), "b": np.zeros((3, 8, 8))})
    with pytest.raises(ValueError, match=r"`samples` must be images.*shape=\(4, 5\)"):
        plots.plot_samples(np.zeros((4, 5)))
