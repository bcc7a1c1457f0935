"""What all densities have in common: laws of the torus, samples, seeds, state, configs, errors."""

import inspect
import json
from typing import ClassVar

import keras
import numpy as np
import pytest
from shared.torus_points import angles_of, points_of, ring

from torusae import densities
from torusae.densities.base import Density


@pytest.fixture(scope="module")
def fitted():
    """A mixture on a torus of two circles."""
    return densities.VonMisesMixture(6, seed=0).fit(ring(2))


@pytest.fixture(scope="module", params=[densities.VonMisesMixture, densities.TorusFlow])
def any_fitted(request):
    options = {"epochs": 2} if request.param is densities.TorusFlow else {}
    return request.param(seed=0, **options).fit(ring(2))


@pytest.mark.parametrize("dim", [1, 2])
def test_density_integrates_to_one(dim):
    density = densities.VonMisesMixture(seed=0).fit(ring(dim))
    axis = np.linspace(-np.pi, np.pi, 200, endpoint=False)  # exact for waves that are longer than two steps
    grid = np.stack(np.meshgrid(*[axis] * dim), axis=-1).reshape(-1, dim)
    integral = np.exp(density.log_density(points_of(grid))).mean() * (2 * np.pi) ** dim
    assert integral == pytest.approx(1, abs=1e-6)


def test_radii_and_whole_turns_do_not_matter(fitted):
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, (20, 2))
    expected = fitted.log_density(points_of(angles))
    np.testing.assert_allclose(fitted.log_density(points_of(angles + 2 * np.pi, 0.3)), expected, atol=1e-9)


def test_turning_the_data_turns_the_density():
    """Rotation and the seam: no place on a circle is special."""
    points, turn = ring(2), np.array([2.0, -0.7])
    tested = np.random.default_rng(0).uniform(-np.pi, np.pi, (30, 2))
    first = densities.VonMisesMixture(6, seed=0).fit(points)
    other = densities.VonMisesMixture(6, seed=0).fit(points_of(angles_of(points) + turn))
    expected = first.log_density(points_of(tested))
    np.testing.assert_allclose(other.log_density(points_of(tested + turn)), expected, atol=1e-4)


def test_few_and_equal_points():
    """Nothing divides by zero: the floors on κ and on weights hold."""
    for points in (np.ones((1, 4)), np.ones((50, 4)), np.zeros((50, 4))):
        for density in (densities.VonMisesMixture(seed=0), densities.VonMisesMixture(min(3, len(points)), seed=0)):
            density.fit(points)
            assert np.isfinite(density.log_density(points)).all()
            assert density.concentrations.max() <= 1e3 * (1 + 1e-9)
            assert np.isfinite(density.sample(10, seed=0)).all()


def test_samples_follow_the_density(fitted):
    """The mean log density of samples is the negative entropy, which the grid gives."""
    samples = fitted.sample(20000, seed=1)
    axis = np.linspace(-np.pi, np.pi, 200, endpoint=False)
    logs = fitted.log_density(points_of(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)))
    entropy = -(np.exp(logs) * logs).sum() * (2 * np.pi / 200) ** 2
    # Four standard errors: the log density of one sample deviates by about 1.
    assert fitted.log_likelihood(samples) == pytest.approx(-entropy, abs=0.03)
    radii = np.hypot(*np.split(samples, 2, axis=1))
    np.testing.assert_allclose([radii.mean(), radii.std()], [1, 0.1], atol=0.02)


def test_seeds(fitted):
    first = fitted.sample(10, seed=0)
    np.testing.assert_array_equal(fitted.sample(10, seed=0), first)
    np.testing.assert_array_equal(fitted.sample(10, seed=np.random.default_rng(0)), first)
    assert not np.array_equal(fitted.sample(10, seed=1), first)
    assert not np.array_equal(fitted.sample(10), fitted.sample(10))
    moving, same = keras.random.SeedGenerator(5), keras.random.SeedGenerator(5)
    drawn = fitted.sample(10, moving)
    np.testing.assert_array_equal(fitted.sample(10, same), drawn)
    assert not np.array_equal(fitted.sample(10, moving), drawn)


def test_the_same_seed_fits_the_same():
    one, other = (densities.VonMisesMixture(seed=4).fit(ring(2)) for _ in range(2))
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, other.state()[name])


def test_state_round_trip(any_fitted):
    again = type(any_fitted).from_config(json.loads(json.dumps(any_fitted.get_config())))
    assert again.state() == {}
    assert repr(again) == f"{type(any_fitted).__name__}(not fitted)"
    state = any_fitted.state()
    assert all(isinstance(array, np.ndarray) for array in state.values())
    again.set_state(state)
    for array in state.values():
        array[...] = 0  # neither density shares memory with its state
    assert repr(again) == repr(any_fitted)
    assert again.state().keys() == state.keys()
    np.testing.assert_array_equal(again.sample(20, seed=3), any_fitted.sample(20, seed=3))
    np.testing.assert_array_equal(again.log_density(ring(2)), any_fitted.log_density(ring(2)))


def test_the_config_holds_the_arguments_alone(any_fitted):
    config = any_fitted.get_config()
    assert config.keys() == inspect.signature(type(any_fitted)).parameters.keys()
    assert len(json.dumps(config)) < 200
    serialized = keras.saving.serialize_keras_object(any_fitted)
    assert serialized["registered_name"] == f"torusae>{type(any_fitted).__name__}"
    assert keras.saving.deserialize_keras_object(serialized).get_config() == config


def test_set_state_names_missing_and_unknown_arrays(any_fitted):
    state = any_fitted.state()
    name = min(state)
    for wrong in ({}, {**state, "more": state[name]}, {key: state[key] for key in state if key != name}):
        with pytest.raises(ValueError, match=r"set_state: `state` must hold the arrays \[.*Received: \["):
            type(any_fitted)(**any_fitted.get_config()).set_state(wrong)


def test_set_state_names_arrays_that_can_not_be_meant(any_fitted):
    """NaN, an array of another torus, another rank: the fit before stays."""
    state, before = any_fitted.state(), any_fitted.log_density(ring(2))
    other = type(any_fitted)(**any_fitted.get_config()).fit(ring(3)).state()
    for name, array in state.items():
        wrong = [(np.where(array == array.max(), np.nan, array), "finite"), (array[None], "that fit one another")]
        wrong += [(other[name], "that fit one another")] if array.ndim > 1 else []
        for values, message in wrong:
            with pytest.raises(ValueError, match=rf"set_state: `state.*{message}"):
                any_fitted.set_state({**state, name: values})
    np.testing.assert_array_equal(any_fitted.log_density(ring(2)), before)


def test_set_state_replaces_a_fit_on_another_torus(any_fitted):
    other = type(any_fitted)(**any_fitted.get_config()).fit(ring(3))
    other.log_density(ring(3))
    other.set_state(any_fitted.state())
    np.testing.assert_array_equal(other.log_density(ring(2)), any_fitted.log_density(ring(2)))


class Unnamed(Density):
    """A normal density of any number of columns, without a text."""

    _state: ClassVar = {"mean": ("columns",)}

    def _num_columns(self, fitting):
        return None if fitting else len(self.mean)

    def _fit(self, points):
        self.mean = points.mean(axis=0)

    def _sample(self, num_samples, rng):
        return self.mean + rng.normal(size=(num_samples, len(self.mean)))


class Normal(Unnamed):
    def _summary(self):
        return f"{len(self.mean)} columns"


def test_a_density_of_any_space_needs_no_more_than_the_stated_members():
    with pytest.raises(TypeError, match="_summary"):
        Unnamed()
    density = Normal().fit(np.zeros((5, 3)))
    assert repr(density) == "Normal(3 columns)"
    assert density.sample(4, seed=0).shape == (4, 3)
    with pytest.raises(
        ValueError, match=r"Normal.fit: `points` must have shape \(num, columns\).*Received: points.shape=\(3,\)"
    ):
        density.fit(np.zeros(3))
    with pytest.raises(NotImplementedError, match=r"Normal: a Density must define `_log_density\(points\)`"):
        density.log_density(np.zeros((5, 3)))


def test_errors():
    kind = densities.VonMisesMixture
    with pytest.raises(ValueError, match=r"VonMisesMixture\.sample: nothing is fitted yet"):
        kind().sample(3)
    with pytest.raises(ValueError, match=r"log_density: nothing is fitted yet. Call fit\(points\) first"):
        kind().log_density(ring(1))
    with pytest.raises(ValueError, match=r"must have shape \(num, 2 \* dim\).*Received: points.shape=\(10, 3\)"):
        kind().fit(np.zeros((10, 3)))
    with pytest.raises(ValueError, match=r"Received: points.shape=\(0, 4\)"):
        kind().fit(np.zeros((0, 4)))
    with pytest.raises(TypeError, match=r"floating-point numbers\. Received: dtype=int64"):
        kind().fit(np.zeros((10, 4), "int64"))
    with pytest.raises(ValueError, match="finite numbers only"):
        kind().fit(np.full((10, 4), np.nan))
    density = kind(seed=0).fit(ring(2))
    with pytest.raises(ValueError, match=r"must have shape \(num, 4\)"):
        density.log_density(ring(3))
    with pytest.raises(ValueError, match="`num_samples` must be at least 1"):
        density.sample(0)
    with pytest.raises(TypeError, match="`seed` must be an integer"):
        density.sample(3, seed="a")
    assert density.fit(ring(3)).dim == 3  # another torus is no error: it is a new fit


def test_constructor_and_fit_errors():
    for call, error, match in [
        (lambda: densities.VonMisesMixture(0), ValueError, "`num_components` must be at least 1"),
        (lambda: densities.VonMisesMixture(2.0), TypeError, "`num_components` must be an integer"),
        (lambda: densities.VonMisesMixture(max_iterations=0), ValueError, "`max_iterations` must be at least 1"),
        (lambda: densities.VonMisesMixture(tolerance=0), ValueError, "`tolerance` must be finite and positive"),
        (lambda: densities.VonMisesMixture(seed=-1), ValueError, "`seed` must be at least 0"),
        (
            lambda: densities.VonMisesMixture(9).fit(ring(1, 8)),
            ValueError,
            "at least 9 points. Received: 8. Lower",
        ),
    ]:
        with pytest.raises(error, match=match):
            call()
