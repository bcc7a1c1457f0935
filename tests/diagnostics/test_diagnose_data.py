"""What `diagnose` says of the map from samples to their points: windings, tears, stress."""

import sys
import types
import warnings

import keras
import numpy as np
import pytest
from shared.tensors import to_numpy

import torusae
from torusae.diagnostics.diagnose import _of_meeting, _of_unlike_samples, _start, _support
from torusae.supervision import Anchor

NUM = 800
ONE = torusae.datasets.torus_table(NUM, dim=1, columns=20, noise=0.1, seed=0)
TWO = torusae.datasets.torus_table(NUM, dim=2, columns=20, noise=0.05, seed=0)


class Known:
    """A model whose points are given."""

    def __init__(self, points, space=None):
        self.points = points.astype("float32")
        self.latent = types.SimpleNamespace(space=space or torusae.Torus(points.shape[1] // 2))

    def encode(self, x, batch_size=None, verbose=0):
        return self.points


def at(*angles):
    """A model with these angles."""
    angles = np.stack(angles, axis=1)
    return Known(np.concatenate([np.cos(angles), np.sin(angles)], axis=1))


def names(diagnosis):
    """The problems that the samples show."""
    mine = ("torn map", "folded angle", "wrong windings")
    return {problem.name: problem for problem in diagnosis.problems if problem.name in mine}


def test_true_angles_are_faithful():
    x, angles = TWO
    diagnosis = torusae.diagnose(at(angles[:, 0] + angles[:, 1], -angles[:, 1]), x)
    assert not names(diagnosis)
    windings = diagnosis.details["windings"]
    assert abs(round(np.linalg.det(windings))) == 1
    np.testing.assert_allclose(diagnosis.details["turns"], windings, atol=0.01)
    tears, stress = diagnosis.statistics["tears"], diagnosis.statistics["stress"]
    assert tears.value < 0.01
    assert tears.chance > 0.8
    assert stress.value < 0.7 * stress.chance  # of a skew basis; the true one has a tenth
    straight = torusae.diagnose(at(*angles.T), x).statistics["stress"]
    assert straight.value < 0.15 * straight.chance
    note = diagnosis.notes[-1]
    assert f"(800 samples, 2 circles): windings {str(windings.tolist())[1:-1]}, " in note
    assert diagnosis.details["support"] == ("circle", "circle")
    assert (diagnosis.details["agreement"] > 0.98).all()
    assert diagnosis.notes[0].startswith("Supported: angle 0 by a circle of the data (they agree by 0.99")
    assert f"{tears.value:.1%} of neighbours torn" in note
    assert f"stress {stress.value:.2f} (shuffled points: {stress.chance:.2f})" in str(diagnosis)


@pytest.mark.host
def test_shuffled_points_have_the_values_of_chance(rng):
    x, angles = TWO
    diagnosis = torusae.diagnose(at(*rng.permutation(angles).T), x)
    found = names(diagnosis)
    assert "torn map" in found
    for name in ("tears", "stress"):
        statistic = diagnosis.statistics[name]
        # 200 samples: 19900 pairs that share them; other orders deviate by some hundredths.
        assert statistic.value == pytest.approx(statistic.chance, abs=0.03)
    assert found["torn map"].measured == diagnosis.statistics["tears"].value
    assert found["torn map"].message in str(diagnosis)


@pytest.mark.host
def test_a_folded_angle_is_named():
    x, angles = TWO
    problem = names(torusae.diagnose(at(angles[:, 0], 1.2 * np.sin(angles[:, 1])), x))["folded angle"]
    assert problem.where == (1,)
    assert problem.measured == 0
    assert problem.message == "Angle 1 winds around no circle of the data, which show 2 circles."
    both = names(torusae.diagnose(at(0.5 * np.cos(angles[:, 0]), 1.2 * np.sin(angles[:, 1])), x))["folded angle"]
    assert both.where == (0, 1)
    assert both.message.startswith("Angles 0, 1 wind around no circle")
    assert 'init="circles"' in both.advice


@pytest.mark.host
def test_angles_that_wind_twice_or_together_are_named():
    x, angles = TWO
    for model in (at(2 * angles[:, 0], angles[:, 1]), at(angles[:, 0], angles[:, 0] + np.sin(angles[:, 1]))):
        found = names(torusae.diagnose(model, x))
        assert set(found) == {"wrong windings"}
        assert found["wrong windings"].where == (0, 1)


@pytest.mark.host
def test_an_angle_that_jumps_on_a_circle_is_named():
    x, angles = TWO
    winds = np.abs(angles[:, 0]) < 0.65 * np.pi  # elsewhere the second angle stands still
    diagnosis = torusae.diagnose(at(angles[:, 0], winds * angles[:, 1]), x)
    found = names(diagnosis)
    assert found["wrong windings"].where == (1,)
    assert found["wrong windings"].measured == pytest.approx(0.35, abs=0.05)
    assert diagnosis.details["windings"][1].tolist() == [0, 0]
    assert "jumps, " in diagnosis.notes[-1]
    assert found["wrong windings"].message.startswith("Angle 1 has no windings around the 2 circles of the data")


@pytest.mark.host
def test_an_angle_to_spare_and_a_circle_to_spare_are_no_problem():
    x, angles = ONE
    diagnosis = torusae.diagnose(at(0.5 * np.sin(angles[:, 0]), angles[:, 0]), x)
    assert not names(diagnosis)
    assert np.abs(diagnosis.details["windings"]).tolist() == [[0], [1]]
    assert "(800 samples, 1 circle)" in diagnosis.notes[-1]
    assert diagnosis.details["support"] == ("nothing", "circle")
    first = diagnosis.problems[0]
    assert (first.name, first.where) == ("unsupported angle", (0,))
    assert first.message.startswith("1 circle found in the data, but nothing shows that angle 0 is a phase")
    assert first.advice.startswith("Use as many angles as the data have circles, 1")
    x, angles = TWO
    diagnosis = torusae.diagnose(at(angles[:, 0] - angles[:, 1]), x)
    assert not {"folded angle", "wrong windings"} & set(names(diagnosis))
    assert np.abs(diagnosis.details["windings"]).tolist() == [[1, 1]]


@pytest.mark.host
def test_what_supports_angles_is_a_basis_of_the_circles(rng):
    circles = rng.uniform(-np.pi, np.pi, (NUM, 2))
    noisy = circles + 0.2 * rng.normal(size=circles.shape)
    model = types.SimpleNamespace()
    for angles, support in (
        (noisy @ [[1, 0], [-1, 1]], ("circle", "circle")),
        (noisy + 0.9 * np.sin(noisy), ("circle", "circle")),
        (noisy[:, [1, 1]] + 0.3 * rng.normal(size=(NUM, 2)) * [0, 1], ("circle", "nothing")),
        (2 * noisy, ("nothing", "nothing")),
        (1.2 * np.sin(noisy), ("nothing", "nothing")),
        (rng.permutation(circles), ("nothing", "nothing")),
    ):
        assert _support(model, angles, circles)[0] == support


def test_loops_that_meet_are_no_torus(rng):
    angles = np.where(rng.integers(2, size=NUM)[:, None] == [0, 1], rng.uniform(-np.pi, np.pi, (NUM, 2)), 0.1)
    (problem,) = _of_meeting(angles)
    assert problem.where == (0, 1)
    assert "loops that meet or lie apart" in problem.message
    assert not _of_meeting(rng.uniform(-np.pi, np.pi, (NUM, 2)))


def test_samples_unlike_those_of_the_training(rng, tmp_path):
    x = (rng.normal(size=(NUM, 2)) @ rng.normal(size=(2, 6))).astype("float32")
    keras.utils.set_random_seed(0)
    model = torusae.TorusAutoencoder.from_shape((6,), "R2", losses="none")
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x[:400], batch_size=100, epochs=10, verbose=0)
    points = model.encode(x, verbose=0)
    assert not _of_unlike_samples(model, x[:400], points[:400])
    assert not _of_unlike_samples(model, x[400:], points[400:])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.trained_loss == model.trained_loss
    problems = torusae.diagnose(loaded, x[400:] + 3).problems
    (problem,) = [each for each in problems if each.name == "unlike samples"]
    assert problem.measured > 2 * problem.expected == 2 * model.trained_loss
    model.fit(x, {"reconstruction": x**2}, batch_size=100, verbose=0)
    assert model.trained_loss is None


def test_samples_of_groups_are_compared_as_the_encoder_reads_them(rng):
    x, _ = ONE
    groups = np.arange(NUM) % 2
    apart = np.where(groups[:, None], 30 * x + 200, x - 100)
    model = torusae.TorusAutoencoder.from_shape((20,), 1, init="random")
    model.compile("adam", "mse")
    model.fit(apart, groups=groups, batch_size=100, verbose=0)
    diagnosis = torusae.diagnose(model, apart, groups=groups)
    assert "(800 samples, 1 circle)" in diagnosis.notes[-1]
    assert "unlike samples" not in {problem.name for problem in diagnosis.problems}
    with pytest.raises(ValueError, match="`groups` must be given"):
        torusae.diagnose(model, apart)


def test_an_angle_that_other_directions_tear_gets_a_coordinate_for_these(rng):
    x, angles = ONE
    wide = np.concatenate([x, 3 * rng.normal(size=(NUM, 1))], axis=1)
    jumps = angles[:, 0] + 2.5 * (wide[:, -1] > 0)  # continuous around the circle, torn across it
    found = names(torusae.diagnose(at(jumps), wide))
    assert set(found) == {"torn map"}
    assert "'T1 x R1'" in found["torn map"].advice
    twice = names(torusae.diagnose(at(2 * jumps), wide))
    assert twice["torn map"].advice == 'Train a new model with init="circles".'
    assert "Gaussian" not in twice["torn map"].advice


def test_a_model_started_at_its_circles_and_one_that_is_not_trained():
    x, angles = TWO
    keras.utils.set_random_seed(0)
    model = torusae.TorusAutoencoder.from_shape((20,), 2)
    before = torusae.diagnose(model, x)
    assert set(names(before)) in ({"folded angle", "torn map"}, {"wrong windings", "torn map"})  # by the backend
    assert all('init="circles"' in each.advice for name, each in names(before).items() if name != "torn map")
    torusae.initialize_at_circles(model, x, angles=angles, num_steps=300)
    assert _start(model, model.latent.space, 1, x).startswith(
        "Training left the circles that it began at. Train a new model with 1 circle"
    )
    for fitted, init, begun in ((True, "auto", True), (True, "random", False), (False, "circles", False)):
        loaded = types.SimpleNamespace(latent=None, was_trained=fitted, init=init)
        assert ("'T2 x R1'" in _start(loaded, torusae.Torus(2), 2, x)) == begun
    after = torusae.diagnose(model, x)
    windings, turns = after.details["windings"], after.details["turns"]
    circles = torusae.find_circles(x, 400).angles
    expected = torusae.align(circles, angles).matrix  # angles as combinations of the circles
    np.testing.assert_array_equal(windings, expected)
    assert np.abs(turns - windings).max() < 0.1
    assert not names(after)
    assert after.statistics["tears"].value < 0.02 < before.statistics["tears"].value
    assert after.statistics["stress"].value < 0.5 * after.statistics["stress"].chance
    assert before.statistics["stress"].value > 0.6 * before.statistics["stress"].chance


def test_a_space_without_angles_has_no_windings(rng):
    x = rng.normal(size=(NUM, 3))
    diagnosis = torusae.diagnose(Known(x, torusae.Gaussian(3)), x)
    assert "windings" not in diagnosis.details
    assert diagnosis.statistics["tears"].value < 0.05
    assert diagnosis.statistics["stress"].value < 0.2  # the components are scaled: shortest paths are nearly straight
    torn = names(torusae.diagnose(Known(rng.permutation(x), torusae.Gaussian(3)), x))["torn map"]
    assert torn.advice == "Train longer, or use a space of more dimensions."


def test_data_without_circles_have_no_folded_angles(rng):
    x = rng.normal(size=(NUM, 5))
    model = Known(to_numpy(torusae.Torus(2).sample(NUM, seed=0)))
    diagnosis = torusae.diagnose(model, x)
    assert diagnosis.details["windings"].shape == (2, 0)
    assert diagnosis.details["support"] == ("nothing", "nothing")
    assert diagnosis.problems[0].name == "unsupported angle"
    assert diagnosis.problems[0].message == (
        "No circle was found in the data: nothing shows that angles 0, 1 are phases."
    )
    for circle, support in ((1, ("nothing", "labels")), ([0, 1], ("labels", "labels")), (None, ("labels", "labels"))):
        model.supervision = {"hour": Anchor(circle), "unused": Anchor(0, weight=0)}
        assert _support(model, np.zeros((NUM, 2)), np.zeros((NUM, 0)))[0] == support
    assert set(names(diagnosis)) == {"torn map"}
    assert f"({NUM} samples, no circle): " in diagnosis.notes[-1]


def test_data_of_more_dimensions_than_the_space_may_tear(rng):
    x = rng.normal(size=(NUM, 3))
    diagnosis = torusae.diagnose(Known(x[:, :1], torusae.Gaussian(1)), x)
    assert diagnosis.statistics["tears"].value > 0.1
    assert not names(diagnosis)


def test_points_in_one_place_and_samples_that_repeat():
    x, _ = ONE
    diagnosis = torusae.diagnose(Known(np.ones((NUM, 2))), x)
    assert diagnosis.statistics["stress"].value == 1
    assert diagnosis.statistics["tears"].value == 0
    points = to_numpy(torusae.Torus(1).sample(NUM, seed=0))
    for samples, message in [
        (np.ones((NUM, 3)), "must vary"),
        (np.eye(3)[np.arange(NUM) % 3], "only 3 of 800 samples"),
    ]:
        diagnosis = torusae.diagnose(Known(points), samples)
        assert "tears" not in diagnosis.statistics
        assert message in diagnosis.notes[-1]


def test_when_nothing_is_compared(monkeypatch):
    x, angles = ONE
    model = at(angles[:, 0])
    assert "tears" in torusae.diagnose(model, x).statistics
    for diagnosis in (
        torusae.diagnose(model, x, circles=False),
        torusae.diagnose(at(angles[:400, 0]), x[:400]),
        torusae.diagnose(model.points),
    ):
        assert set(diagnosis.statistics) == {"kuiper"}
        assert not diagnosis.notes
    monkeypatch.setitem(sys.modules, "ripser", None)
    diagnosis = torusae.diagnose(model, x)
    assert set(diagnosis.statistics) == {"kuiper"}
    assert str(diagnosis).count("pip install ripser scikit-learn") == 1
    with pytest.raises(ValueError, match=r"diagnose: `circles` must be one of \[True, False\]. Received: circles='no'"):
        torusae.diagnose(model, x, circles="no")


def test_the_figure_has_a_panel_for_each():
    x, angles = ONE
    figure = torusae.plots.plot_diagnosis(torusae.diagnose(at(np.sin(angles[:, 0])), x))
    assert "folded angle" in figure.get_suptitle()
    assert [axes.get_ylabel() for axes in figure.axes[1:]] == ["kuiper", "tears", "stress"]


def trained(x, space, y=None, **arguments):
    keras.utils.set_random_seed(0)
    model = torusae.TorusAutoencoder.from_shape(x.shape[1:], space)
    model.compile("adam", "mse", **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # `fit` says some of it by itself
        model.fit(x, y, batch_size=100, epochs=20, verbose=0)
    return model


def unsupported(model, x):
    """The problem of angles without support."""
    return next((each for each in torusae.diagnose(model, x).problems if each.name == "unsupported angle"), None)


@pytest.mark.slow
def test_advice_on_support_works_when_it_is_followed(rng):
    x, _ = torusae.datasets.torus_table(NUM, dim=1, columns=20, noise=0.1, seed=0)
    assert "have circles, 1," in unsupported(trained(x, 2), x).advice
    assert unsupported(trained(x, 1), x) is None
    scaled = 100 * x
    assert "(x - x.mean(0)) / x.std(0)" in unsupported(trained(scaled, 1), scaled).advice
    assert unsupported(trained((scaled - scaled.mean(0)) / scaled.std(0), 1), x) is None
    # A circle among other columns, which is not found.
    angle = rng.uniform(-np.pi, np.pi, NUM)
    x = np.concatenate([np.cos(angle)[:, None], np.sin(angle)[:, None], rng.normal(size=(NUM, 8))], axis=1)
    x = x.astype("float32")
    problem = unsupported(trained(x, 1), x)
    assert problem.message.startswith("No circle was found")
    assert "Anchor(0, weight=10)" in problem.advice
    known = np.arange(NUM) % 3 == 0
    anchor = {"phase": Anchor(0, weight=10)}
    model = trained(x, 1, {"phase": np.where(known, angle, np.nan)}, supervision=anchor)
    assert unsupported(model, x) is None
    difference = model.angles(x, verbose=0)[:, 0] - angle
    assert np.abs(np.exp(1j * difference[~known]).mean()) > 0.9


@pytest.mark.slow
def test_a_model_for_each_of_the_loops_that_meet(rng):
    loop, angle = rng.integers(2, size=1500), rng.uniform(-np.pi, np.pi, 1500)
    places = np.zeros((1500, 4))
    places[np.arange(1500), 2 * loop], places[np.arange(1500), 2 * loop + 1] = np.cos(angle) + 1, np.sin(angle)
    x = (places @ rng.normal(size=(4, 20)) / 2 + 0.1 * rng.normal(size=(1500, 20))).astype("float32")
    model = trained(x, 2)
    problem = next(each for each in torusae.diagnose(model, x).problems if each.name == "loops that meet")
    assert "a model for each loop" in problem.advice
    found = torusae.find_circles(x).angles
    for other in (1, 0):
        counts, edges = np.histogram(found[:, other], 36, (-np.pi, np.pi))
        rows = np.cos(found[:, other] - edges[counts.argmax()]) > 0.9
        model = trained(x[rows], 1)
        diagnosis = torusae.diagnose(model, x[rows])
        assert diagnosis.details["support"] == ("circle",), str(diagnosis)
        true = rows & (loop == np.bincount(loop[rows]).argmax())
        assert torusae.align(model.angles(x[true], verbose=0), angle[true, None]).scores[0] > 0.9
