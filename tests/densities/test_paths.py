"""Steps along shortest paths: known curves, a space of the tests' own, shares from the formula, seeds, bad input."""

import json
import re

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special
from shared.tensors import to_numpy, to_tensor
from shared.torus_points import angles_of, points_of

import torusae
from torusae.densities import PathDensity


@keras.saving.register_keras_serializable(package="tests_of_paths")
class Sphere:
    """What a density asks of a space, for unit vectors in three dimensions."""

    point_size = 3

    def decoder_input(self, points):
        return points

    def shortest(self, start, end, t):
        chord = start + t[:, None] * (end - start)
        return chord / ops.norm(chord, axis=-1, keepdims=True)

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()


def curve(num=400):
    """Points of the closed curve (t, 2t) on a torus, which crosses both seams."""
    t = np.linspace(-np.pi, np.pi, num, endpoint=False)[:, None]
    return points_of(np.concatenate([t, 2 * t], axis=1), 1 + 0.2 * np.sin(t))


def arc(angles):
    return np.angle(np.exp(1j * angles))


def test_samples_stay_on_a_curve_of_a_torus():
    space = torusae.Torus(2)
    samples = PathDensity(space).fit(curve()).sample(3000, seed=0)
    assert samples.dtype == np.float32
    angles = angles_of(samples)
    # Between two points of a straight line, and with radii between those of two points.
    assert np.abs(arc(angles[:, 1] - 2 * angles[:, 0])).max() < 1e-5
    radii = np.hypot(*np.split(samples.astype("float64"), 2, axis=1))
    np.testing.assert_allclose(radii, 1 + 0.2 * np.sin(angles[:, :1]) * np.ones(2), atol=2e-3)
    # All of the curve is reached, between the points too.
    step = 2 * np.pi / 400
    places = (angles[:, 0] + np.pi) / step
    assert len(np.unique(np.floor(places))) > 390
    assert np.abs(places - np.rint(places)).mean() > 0.1


def test_samples_stay_on_a_great_circle_of_a_sphere():
    t = np.random.default_rng(0).uniform(-np.pi, np.pi, (300, 1))
    points = np.concatenate([np.cos(t), np.sin(t), 0 * t], axis=1)
    density = PathDensity(Sphere()).fit(points)
    samples = density.sample(500, seed=0)
    np.testing.assert_allclose(np.linalg.norm(samples, axis=1), 1, atol=1e-5)
    assert np.abs(samples[:, 2]).max() < 1e-6
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(density))
    again.set_state(density.state())
    np.testing.assert_array_equal(again.sample(500, seed=0), samples)


def test_shares_are_those_of_the_formula():
    # Two points on a line: each sample's place tells its share, which is normal, at least -1 and at most 1.
    points, scale = np.array([[0.0], [10.0]]), 0.4
    samples = PathDensity(torusae.Gaussian(1), num_neighbors=1, scale=scale).fit(points).sample(20000, seed=0)
    from_start = samples[:, 0] / 10
    for place in (-0.3, 0.1, 0.3, 0.45, 1.2):
        # Half of the samples start at 0 and half at 10.
        expected = (special.ndtr(place / scale) + special.ndtr((place - 1) / scale)) / 2
        assert (from_start <= place).mean() == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(20000))
    assert from_start.min() == -1
    assert from_start.max() == 2
    assert (from_start == -1).mean() == pytest.approx(special.ndtr(-1 / scale) / 2, abs=0.003)


def test_steps_go_to_the_nearest_neighbours_only():
    rng = np.random.default_rng(0)
    space = torusae.Torus(2) * torusae.Gaussian(1)
    points = np.concatenate([points_of(rng.uniform(-np.pi, np.pi, (40, 2))), rng.normal(size=(40, 1))], axis=1)
    points = points.astype("float32")
    nearest = [np.argsort([np.sum((a - b) ** 2) for b in points])[1:4] for a in points]
    density = PathDensity(space, num_neighbors=3, scale=0.3).fit(points)
    pairs = [(i, j) for i in range(40) for j in nearest[i]]
    starts = angles_of(points[[i for i, _ in pairs], :4])
    steps = arc(angles_of(points[[j for _, j in pairs], :4]) - starts)
    numbers = points[[i for i, _ in pairs], 4], points[[j for _, j in pairs], 4] - points[[i for i, _ in pairs], 4]
    for sample in density.sample(200, seed=0).astype("float64"):
        moved = np.concatenate([arc(angles_of(sample[None, :4]) - starts), (sample[4] - numbers[0])[:, None]], axis=1)
        ways = np.concatenate([steps, numbers[1][:, None]], axis=1)
        shares = np.clip((moved * ways).sum(axis=1) / (ways * ways).sum(axis=1), -1, 1)
        assert np.linalg.norm(moved - shares[:, None] * ways, axis=1).min() < 1e-5


def test_seeds_and_kept_points():
    space, points = torusae.Torus(2), curve()
    density = PathDensity(space, seed=0).fit(points)
    first = density.sample(10, seed=0)
    np.testing.assert_array_equal(density.sample(10, seed=0), first)
    np.testing.assert_array_equal(density.sample(10, seed=np.random.default_rng(0)), first)
    assert not np.array_equal(density.sample(10, seed=1), first)
    assert not np.array_equal(density.sample(10), density.sample(10))
    np.testing.assert_array_equal(PathDensity(space).fit(points).sample(10, seed=0), first)
    few = [PathDensity(space, max_points=50, seed=3).fit(points) for _ in range(2)]
    assert few[0].points.shape == (50, 4)
    np.testing.assert_array_equal(few[0].points, few[1].points)
    assert {tuple(row) for row in few[0].points} <= {tuple(row) for row in points.astype("float32").astype("float64")}


def test_config_and_state():
    density = PathDensity(torusae.Torus(2), num_neighbors=3, scale=0.5, max_points=100, seed=1)
    assert density.state() == {}
    assert repr(density) == "PathDensity(not fitted)"
    density.fit(curve())
    text = json.dumps(density.get_config())
    assert len(text) < 400
    again = PathDensity.from_config(json.loads(text))
    assert again.get_config() == density.get_config()
    again.set_state(density.state())
    assert repr(again) == repr(density) == "PathDensity(100 points of Torus(2))"
    np.testing.assert_array_equal(again.sample(20, seed=3), density.sample(20, seed=3))


@pytest.mark.parametrize("space", [torusae.Torus(2), torusae.Gaussian(3), torusae.Torus(1) * torusae.Gaussian(2)])
def test_shortest_is_the_first_of_the_paths(space):
    start, end = (to_tensor(to_numpy(space.sample(6, seed=seed))) for seed in (0, 1))
    t = to_tensor(np.array([0.0, 0.25, 0.5, 0.5, 0.875, 1.0]))
    by_paths = torusae.Space.shortest(space, start, end, t)
    np.testing.assert_allclose(to_numpy(space.shortest(start, end, t)), to_numpy(by_paths), atol=1e-5)


@pytest.mark.parametrize(
    "space",
    [
        torusae.Torus(2),
        torusae.Gaussian(3),
        torusae.spaces.Sphere(2),
        torusae.spaces.ProjectiveSpace(2),
        torusae.spaces.SO3(),
        torusae.spaces.KleinBottle(),
        torusae.Torus(1) * torusae.Gaussian(2),
    ],
    ids=repr,
)
def test_shortest_paths_go_on_beyond_their_start(space):
    """Away from the end at the same speed: both ways together are the whole path."""
    start = to_tensor(to_numpy(space.sample(6, seed=0)))
    end = space.shortest(start, to_tensor(to_numpy(space.sample(6, seed=1))), to_tensor(np.full(6, 0.2)))
    away = space.shortest(start, end, to_tensor(np.full(6, -0.5)))
    whole, beyond, both = (to_numpy(space.distance(*pair)) for pair in ((start, end), (start, away), (away, end)))
    np.testing.assert_allclose(beyond, 0.5 * whole, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(both, 1.5 * whole, rtol=1e-3, atol=1e-5)


def test_errors():
    for call, error, match in [
        (
            lambda: PathDensity(3),
            TypeError,
            "`space` must be a latent space with the methods `decoder_input` and `shortest`",
        ),
        (lambda: PathDensity(torusae.Torus), TypeError, "Received: space=<class"),
        (lambda: PathDensity(Sphere(), num_neighbors=0), ValueError, "`num_neighbors` must be at least 1"),
        (lambda: PathDensity(Sphere(), scale=0), ValueError, "`scale` must be finite and positive"),
        (lambda: PathDensity(Sphere(), max_points=5), ValueError, "`max_points` must be at least 6"),
        (lambda: PathDensity(Sphere(), seed=-1), ValueError, "`seed` must be at least 0"),
        (lambda: PathDensity(Sphere()).sample(3), ValueError, "sample: nothing is fitted yet. Call fit(points) first"),
        (lambda: PathDensity(Sphere()).fit(np.eye(3)), ValueError, "at least 6 points. Received: 3. Lower num_neigh"),
        (
            lambda: PathDensity(Sphere()).fit(np.ones((9, 4))),
            ValueError,
            "must have shape (num, 3), all values of a point. Received: points.shape=(9, 4)",
        ),
        (lambda: PathDensity(Sphere()).fit(np.full((9, 3), np.nan)), ValueError, "finite numbers only"),
        (lambda: PathDensity(Sphere()).fit(np.ones((9, 3), int)), TypeError, "Received: dtype=int64"),
        (lambda: PathDensity(Sphere()).log_density(np.eye(3)), NotImplementedError, "PathDensity can only sample"),
        (lambda: PathDensity(Sphere()).log_likelihood(np.eye(3)), NotImplementedError, "PathDensity can only sample"),
    ]:
        with pytest.raises(error, match=re.escape(match)):
            call()
