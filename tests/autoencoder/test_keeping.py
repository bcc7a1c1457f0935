"""Whether a training keeps the circles that it began at: what the history says, and when a warning comes."""

import types
import warnings

import keras
import numpy as np
import pytest

import torusae
from torusae._internal.arrays import even
from torusae.autoencoder import keeping
from torusae.diagnostics.problems import way_back, with_coordinate

NUM = 600


@pytest.fixture
def started(monkeypatch, rng):
    """Angles of the data, and a `Kept` of a model whose angles are what `model.own` holds."""
    circles = rng.uniform(-np.pi, np.pi, (NUM, 2))
    model = types.SimpleNamespace(own=circles + 0.05, space=torusae.Torus(2), latent=None)
    rows = np.linspace(0, NUM - 1, 480).astype(int)
    monkeypatch.setattr(keeping.use, "predicted", lambda model, *_: {"angles": model.own[rows]})
    return circles, model, keeping.Kept(model, np.zeros((NUM, 3)), circles)


def warned(kept, model):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said = kept.after_training("fit", model)
    return said, [str(each.message) for each in caught]


def test_circles_that_are_kept_in_any_basis_and_at_any_speed(started, rng):
    circles, model, kept = started
    stretched = circles + 0.8 * np.sin(circles)  # as latent losses make uneven angles even
    for own, windings in (
        (circles + 0.1 * rng.normal(size=circles.shape), [[1, 0], [0, 1]]),
        (circles @ [[1, 1], [0, -1]], [[1, 0], [1, -1]]),
        (stretched, [[1, 0], [0, 1]]),
    ):
        model.own = own
        said, messages = warned(kept, model)
        assert not messages
        assert (said["agreement"] > 0.97).all()
        np.testing.assert_array_equal(said["windings"], [np.eye(2), windings])


def test_circles_that_are_lost_are_a_warning_once(started):
    circles, model, kept = started
    model.own = np.stack([circles[:, 0], 1.2 * np.sin(circles[:, 1])], axis=1)
    said, (message,) = warned(kept, model)
    assert said["windings"][1].tolist() == [[1, 0], [0, 0]]
    assert said["agreement"][1, 0] > 0.99 > 0.6 > said["agreement"][1, 1]
    assert "Training left them" in message
    assert "'T2 x R1'" in message
    assert not warned(kept, model)[1]
    model.own = circles
    assert not warned(kept, model)[1]
    model.own = np.full_like(circles, np.nan)
    said, messages = warned(kept, model)
    assert len(messages) == 1
    assert not said["agreement"][1].any()


def test_a_start_that_reached_nothing_is_told_from_one_that_was_lost(started, rng):
    circles, model, _ = started
    model.own = rng.permutation(circles)
    _, (message,) = warned(keeping.Kept(model, np.zeros((NUM, 3)), circles), model)
    assert "did not reach" in message
    assert "x.std(0)" in message


def test_even_angles_are_those_of_ranks(rng):
    angles = rng.vonmises(0, 2, (500, 2))
    made = np.sort(even(angles), axis=0)
    np.testing.assert_allclose(made, np.linspace(-np.pi, np.pi, 501)[:-1, None] * [1, 1])
    np.testing.assert_allclose(even(angles + 0.3 * np.sin(angles)), even(angles))  # a stretch that fixes the seam


def test_a_space_with_a_coordinate_more():
    for text, expected in (
        ("T1", "T1 x R1"),
        ("T2 x R3", "T2 x R4"),
        ("T1 x S2", "T1 x Sphere(2) x R1"),
        ("K", "KleinBottle() x R1"),
    ):
        assert with_coordinate(torusae.spaces.parse(text)) == expected
        assert torusae.spaces.parse(expected).num_angles == torusae.spaces.parse(text).num_angles


def test_the_way_back_is_what_the_model_does_not_do_yet():
    space = torusae.Torus(1)
    for losses, expected in (
        ("uniform", "a coordinate more, 'T1 x R1'"),
        ("none", "losses='uniform', which keep points"),
    ):
        assert way_back(space, torusae.Latent(space, losses)).startswith(expected)


def trend(num, seed):
    """A circle of radius 1 and a uniform trend within ±3, in 10 columns."""
    rng = np.random.default_rng(seed)
    angle, along = rng.uniform(-np.pi, np.pi, num), rng.uniform(-3, 3, num)
    axes = np.linalg.qr(rng.normal(size=(10, 3)))[0].T
    x = np.stack([np.cos(angle), np.sin(angle), along], axis=1) @ axes + 0.05 * rng.normal(size=(num, 10))
    return x.astype("float32"), angle[:, None]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_warning_comes_where_the_truth_is_lost_and_its_advice_works(seed):
    x, truth = trend(1200, seed)

    def trained(space, x):
        keras.utils.set_random_seed(seed)
        model = torusae.TorusAutoencoder.from_shape(x.shape[1:], space)
        model.compile("adam", "mse")
        history = model.fit(x, batch_size=100, epochs=30, verbose=0)
        return history.circles["agreement"], torusae.align(model.angles(x, verbose=0), truth).scores[0]

    with pytest.warns(UserWarning, match="Training left them.*a coordinate more, 'T1 x R1'"):
        agreement, score = trained(1, x)
    assert agreement[0] > 0.98
    assert agreement[1] < 0.8
    assert score < 0.8
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        agreement, score = trained("T1 x R1", x)
    assert agreement.min() > 0.95
    assert score > 0.95
    scaled = 100 * x + 1000
    with pytest.warns(UserWarning, match=r"did not reach.*x\.std\(0\)"):
        trained("T1 x R1", scaled)
    agreement, score = trained("T1 x R1", (scaled - scaled.mean(0)) / scaled.std(0))
    assert score > 0.9
