"""Scatter plots of angles, and the histogram around one circle."""

import numpy as np
import pandas
import pytest
from matplotlib.colors import to_rgba
from shared.figures import PI_TEXTS, drawn_points, legend_texts, render, tick_texts
from shared.tensors import to_tensor

from torusae import plots

pytestmark = pytest.mark.host

EDGE = ["edge ±π", "beyond the edge:\nthe other side again"]


@pytest.mark.parametrize("as_tensor", [False, True], ids=["array", "tensor"])
def test_angles_of_three_circles(rng, as_tensor):
    angles, labels = rng.uniform(-9, 9, (200, 3)), rng.integers(0, 4, 200)
    if as_tensor:
        angles, labels = to_tensor(angles), to_tensor(labels, "int32")
    figure = render(plots.plot_angles(angles, labels, label_name="digit"))
    assert [(a.get_xlabel(), a.get_ylabel()) for a in figure.axes] == [
        ("φ₀ (rad)", "φ₁ (rad)"),
        ("φ₀ (rad)", "φ₂ (rad)"),
        ("φ₁ (rad)", "φ₂ (rad)"),
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


def test_errors_are_bars_around_the_points():
    angles, errors = np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([[0.1, 0.2], [0.5, np.inf]])
    axes = render(plots.plot_angles(angles, standard_error=errors)).axes[0]
    along, up = (np.array(c.get_segments()) for c in axes.collections if c.get_gid() == "errors")
    lengths = np.stack([np.ptp(along[..., 0], axis=1), np.ptp(up[..., 1], axis=1)], axis=1)
    order = np.argsort(-along[:, 0, 1])  # points are drawn in random order
    np.testing.assert_allclose(lengths[order], 2 * np.minimum(errors, np.pi), atol=1e-6)
    for wrong in (errors[:1], -errors):
        with pytest.raises(ValueError, match="`standard_error` must have the shape of `angles`"):
            plots.plot_angles(angles, standard_error=wrong)


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


MISSING = {
    "None": (["b", None, "a", "a"], ["no label", "a", "b"]),
    "empty": (["b", "", "a", "a"], ["no label", "a", "b"]),
    "objects": (np.array([2, None, 10, 10], object), ["no label", "2", "10"]),
    "bool": (np.array([True, None, False, False], object), ["no label", "False", "True"]),
    "mixed": (np.array(["a", np.nan, 3, 3], object), ["no label", "3", "a"]),
    "masked": (np.ma.masked_array([2, 5, 10, 10], [False, True, False, False]), ["no label", "2", "10"]),
    "dates": (np.array(["2020", "NaT", "2019", "2019"], "datetime64[D]"), ["no label", "2019-01-01", "2020-01-01"]),
    "pandas": (pandas.Series(["b", pandas.NA, "a", "a"]), ["no label", "a", "b"]),
    "category": (pandas.Series(["b", None, "a", "a"], dtype="category"), ["no label", "a", "b"]),
    "number": ([0.5, np.nan, 1.0, 2.0], ["no label"]),
    "number objects": ([0.5, None, 1.0, 2.0], ["no label"]),
    "nothing": ([np.nan] * 4, ["no label"]),
    "None alone": ([None] * 4, ["no label"]),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_labels_are_grey(name):
    labels, names = MISSING[name]
    figure = render(plots.plot_angles(np.arange(8.0).reshape(4, 2) / 4, labels))
    assert legend_texts(figure)[: -len(EDGE)] == names
    grey = to_rgba(figure.legends[0].legend_handles[0].get_color())[:3]
    (points,) = [c for c in figure.axes[0].collections if c.get_gid() == "points"]
    is_grey = dict(
        zip(points.get_offsets()[:, 0].tolist(), (points.get_facecolor()[:, :3] == grey).all(1), strict=True)
    )
    missing = range(4) if len(set(map(str, labels))) == 1 else [1]
    assert is_grey == {row / 2: row in missing for row in range(4)}
    if names != ["no label"]:
        assert sorted(legend_texts(render(plots.plot_angles(np.zeros((4, 1)), labels)))) == sorted([*names, "uniform"])


def test_large_angles_keep_their_digits():
    turns = 2 * np.pi * 1e6  # in float32 a step there is 0.5 radians
    points = plots.plot_angles(np.array([[turns + 1.0, turns - 1.0]])).axes[0].collections
    (offset,) = [c.get_offsets()[0] for c in points if c.get_gid() == "points"]
    np.testing.assert_allclose(offset, [1.0, -1.0], atol=1e-6)


def test_angles_say_how_many_of_how_many_points_and_pairs(rng):
    angles = rng.uniform(-3, 3, (300, 5))
    figure = plots.plot_angles(angles, max_points=100)
    assert figure.get_suptitle() == ("100 of 300 points, chosen at random, 5 of 10 pairs of circles, neighbours only")
    assert [a.get_ylabel() for a in figure.axes] == [f"{phi} (rad)" for phi in ("φ₁", "φ₂", "φ₃", "φ₄", "φ₀")]
    assert drawn_points(figure.axes[0], "points") == 100
    assert len(plots.plot_angles(np.zeros((2, 12))).axes) == 6
    chosen = plots.plot_angles(angles, pairs=[(4, 0)])
    assert [(a.get_xlabel(), a.get_ylabel()) for a in chosen.axes] == [("φ₄ (rad)", "φ₀ (rad)")]


def test_angles_choice_is_seeded(rng):
    angles = rng.uniform(-2, 2, (50, 2))

    def offsets(seed):
        axes = plots.plot_angles(angles, max_points=10, seed=seed).axes[0]
        return np.concatenate([c.get_offsets() for c in axes.collections if c.get_gid() == "points"])

    np.testing.assert_array_equal(offsets(1), offsets(1))
    assert not np.array_equal(offsets(1), offsets(2))


HOURS = ["12", "18", "0", "6", "12"]


@pytest.mark.parametrize(
    ("labels", "options", "texts", "label"),
    [
        (np.linspace(0, 5, 20), {}, None, "size"),
        (np.linspace(-9, 9, 20), {"label_kind": "angle"}, PI_TEXTS, "size (rad)"),
        (np.linspace(0, 60, 20), {"period": 24}, HOURS, "size"),
    ],
    ids=["number", "angle", "hours"],
)
def test_angles_coloured_by_a_quantity(rng, labels, options, texts, label):
    figure = render(plots.plot_angles(rng.uniform(-2, 2, (20, 2)), labels, label_name="size", **options))
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


def test_labels_a_period_apart_have_one_colour():
    figure = render(plots.plot_angles(np.zeros((4, 2)), [1, 13, 25, 37], period=24))
    (points,) = [c for c in figure.axes[0].collections if c.get_gid() == "points"]
    colours = np.unique(points.get_facecolor().round(6), axis=0)
    assert len(colours) == 2
    # Light enough to differ, dark enough to show on white (relative luminance of sRGB, IEC 61966).
    assert (colours[:, :3] @ [0.2126, 0.7152, 0.0722] < 0.75).all()


@pytest.mark.parametrize(
    ("labels", "options", "places", "texts", "label"),
    [
        ([0.0, 6.0, np.nan, 36.0], {"period": 24}, [0, np.pi / 2, -np.pi], HOURS, "hour"),
        ([0.0, 1.0, np.nan, 9.0], {"label_kind": "angle"}, [0, 1, 9 - 2 * np.pi], PI_TEXTS, "hour (rad)"),
        ([0.0, 1.0, np.nan, 9.0], {}, [0, 1, 9], None, "hour"),
    ],
    ids=["hours", "angle", "number"],
)
def test_one_circle_is_drawn_against_its_labels(labels, options, places, texts, label):
    angles, errors = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[0.1], [0.2], [0.3], [np.inf]])
    figure = render(plots.plot_angles(angles, labels, label_name="hour", standard_error=errors, **options))
    (axes,) = figure.axes
    (points,) = [c for c in axes.collections if c.get_gid() == "points"]
    drawn = points.get_offsets()[np.argsort(points.get_offsets()[:, 1])]
    np.testing.assert_allclose(drawn, np.stack([places, [0.0, 1.0, 3.0]], axis=1), atol=1e-6)
    bars = np.concatenate([c.get_segments() for c in axes.collections if c.get_gid() == "errors"])
    lengths = np.ptp(bars[..., 1], axis=1)
    np.testing.assert_allclose(np.sort(lengths[lengths > 0]), [0.2, 0.4, 2 * np.pi], atol=1e-6)
    assert (axes.get_xlabel(), axes.get_ylabel()) == (label, "φ₀ (rad)")
    assert axes.get_title() == "3 of 4 points, 1 without a label"
    if texts:
        assert tick_texts(axes.xaxis) == texts


def test_angles_errors():
    with pytest.raises(ValueError, match="a histogram of one circle has no bars of errors"):
        plots.plot_angles(np.zeros((3, 1)), standard_error=np.ones((3, 1)))
    for kwargs, error, match in [
        ({"labels": [1, 2]}, ValueError, r"`labels` must have shape \(3,\).* Received: labels\.shape=\(2,\)"),
        ({"labels": [0.0, np.inf, 1.0]}, ValueError, "`labels` must hold finite"),
        ({"labels": list("abc"), "label_kind": "number"}, TypeError, "must be numbers"),
        ({"labels": [1, 2, 3], "label_kind": "clas"}, ValueError, "Did you mean 'classes'"),
        ({"labels": [1, 2, 3], "label_kind": "classes", "period": 24}, ValueError, "`period` is that of labels"),
        ({"period": 24}, ValueError, "`period` is that of labels"),
        ({"labels": [1.0, 2, 3], "period": 0}, ValueError, "`period` must be finite and positive"),
        ({"pairs": [(0, 2)]}, ValueError, r"two different columns of `angles`, 0 to 1\. Received: pairs=\[\(0, 2\)\]"),
        ({"pairs": [(1, 1)]}, ValueError, "two different columns"),
        ({"pairs": [0, 1]}, ValueError, "must be a list of pairs"),
        ({"pairs": [(0, 1)] * 17}, ValueError, "must hold at most 16 pairs. Received: 17"),
        ({"max_points": 0}, ValueError, "`max_points` must be at least 1"),
    ]:
        with pytest.raises(error, match=f"plot_angles: .*{match}|{match}"):
            plots.plot_angles(np.zeros((3, 2)), **kwargs)


def test_angles_shape_and_class_errors():
    with pytest.raises(ValueError, match=r"plot_angles: `angles` must hold finite .*: inf at position \(0, 1\)"):
        plots.plot_angles(np.array([[0.0, np.inf]]))
    with pytest.raises(ValueError, match=r"plot_angles: `angles` must have shape \(num, dim\)"):
        plots.plot_angles(np.zeros(3))
    with pytest.raises(ValueError, match=r"must hold at most 20 classes.*Received: 21 different values"):
        plots.plot_angles(np.zeros((21, 2)), np.arange(21))
