"""The torus as an object: parts, presets, samples, distance, monitor."""

import math
import re

import keras
import numpy as np
import pytest
import reference
import scipy.stats
from helpers import compiled, gradient, to_numpy, to_tensor
from hypothesis import given
from hypothesis import strategies as st

import torusae
from torusae.spaces import Space


def random_codes(rng, num, dim):
    return rng.normal(size=(num, 2 * dim)).astype("float32")


def test_sizes_and_names():
    torus = torusae.Torus(3)
    assert torus.code_size == 6
    assert torus.maps == (("x", 3), ("y", 3))
    assert repr(torus) == "Torus(3)"


def test_parts_match_numpy(rng):
    torus, code = torusae.Torus(2), random_codes(rng, 5, 2)
    x, y = code[:, :2], code[:, 2:]
    for name, expected in [("angles", np.arctan2(y, x)), ("radii", np.hypot(x, y)), ("squared_radii", x**2 + y**2)]:
        np.testing.assert_allclose(to_numpy(torus.part(to_tensor(code), name)), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(to_numpy(torus.coordinates(to_tensor(code))), np.arctan2(y, x), atol=1e-6)
    assert set(torus.parts) == {"angles", "radii", "squared_radii"}


def test_presets():
    torus = torusae.Torus(2)
    assert torus.preset("none") == []
    spring, quantile = torus.preset("paper")
    assert isinstance(spring, torusae.SpringLoss)
    assert isinstance(quantile, torusae.QuantileLoss)
    # The paper's footnote 1: squares of radii, with the quantiles of N(1, 0.1).
    assert (quantile.mean, quantile.stddev, quantile.squared) == (1.0, 0.1, True)
    assert torus.preset(torus.default_losses)


def test_sample_follows_the_prior():
    num = 4000
    code = to_numpy(torusae.Torus(2).sample(num, seed=1))
    assert code.shape == (num, 4)
    assert code.dtype == np.float32
    radii, angles = np.hypot(code[:, :2], code[:, 2:]), np.arctan2(code[:, 2:], code[:, :2])
    # The seed is fixed, so this can't fail by chance; 1e-3 is what chance would have allowed.
    for i in range(2):
        assert scipy.stats.kstest(radii[:, i], scipy.stats.norm(1, 0.1).cdf).pvalue > 1e-3
        assert scipy.stats.kstest(angles[:, i], scipy.stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
    # Independent of each other: five standard errors of a mean of cosines.
    assert torusae.max_moment(angles, 2) < 5 / math.sqrt(num)
    assert abs(np.corrcoef(radii.T)[0, 1]) < 5 / math.sqrt(num)


def test_samples_repeat_with_a_seed_alone():
    torus = torusae.Torus(2)
    np.testing.assert_array_equal(to_numpy(torus.sample(3, seed=5)), to_numpy(torus.sample(3, seed=5)))
    assert not np.array_equal(to_numpy(torus.sample(3, seed=5)), to_numpy(torus.sample(3, seed=6)))
    generator = keras.random.SeedGenerator(5)
    assert not np.array_equal(to_numpy(torus.sample(3, generator)), to_numpy(torus.sample(3, generator)))
    assert not np.array_equal(to_numpy(torus.sample(3)), to_numpy(torus.sample(3)))


def distance(a, b):
    torus = torusae.Torus(a.shape[-1] // 2)
    return to_numpy(torus.distance(to_tensor(a), to_tensor(b)))


@given(st.integers(0, 2**32 - 1))
def test_distance_is_a_metric_of_the_angles(seed):
    rng = np.random.default_rng(seed)
    a, b, c = (random_codes(rng, 20, 3) for _ in range(3))
    np.testing.assert_allclose(distance(a, b), distance(b, a), rtol=1e-5)
    assert (distance(a, c) <= distance(a, b) + distance(b, c) + 1e-5).all()
    assert (distance(a, b) <= math.sqrt(3) * math.pi + 1e-5).all()
    np.testing.assert_array_equal(distance(a, a), np.zeros(20))
    np.testing.assert_allclose(distance(2 * a, b), distance(a, b), rtol=1e-5)  # the radii do not count


def test_distance_matches_the_reference(rng):
    a, b = random_codes(rng, 20, 3), random_codes(rng, 20, 3)
    phi, psi = (np.arctan2(code[:, 3:], code[:, :3]) for code in (a, b))
    arcs = [
        [reference.circle_distance(p, q) for p, q in zip(*rows, strict=True)] for rows in zip(phi, psi, strict=True)
    ]
    np.testing.assert_allclose(distance(a, b), np.linalg.norm(arcs, axis=1), atol=3e-6)


def test_distance_is_the_length_of_the_shortest_path(rng):
    torus, (a, b) = torusae.Torus(2), random_codes(rng, 2, 2)
    shortest = torusae.shortest_winding(to_tensor(a), to_tensor(b))
    path = to_numpy(torus.paths(to_tensor(a), to_tensor(b), keras.ops.expand_dims(shortest, 0), num_steps=9))[0]
    steps = distance(path[1:], path[:-1])
    np.testing.assert_allclose(steps.sum(), distance(a[None], b[None])[0], rtol=1e-5)


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_distance_has_finite_gradients_away_from_and_at_zero(compile):
    a = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [-1.0, 0.0]], "float32")
    b = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]], "float32")
    value, slope = gradient(lambda a: keras.ops.sum(torusae.Torus(1).distance(a, to_tensor(b))), a, compile)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_monitor_adds_up_over_batches(rng, compile):
    torus, code = torusae.Torus(2), random_codes(rng, 300, 2)
    monitor = compiled(torus.monitor) if compile else torus.monitor
    total = sum(to_numpy(monitor(to_tensor(part))) for part in (code[:100], code[100:200], code[200:]))
    np.testing.assert_array_equal(total, to_numpy(torus.monitor(to_tensor(code))))
    assert total.shape == torus.monitor_shape
    assert total.sum() == 600
    exact = torusae.kuiper_statistic(np.arctan2(code[:, 2:], code[:, :2])).max()
    read = torus.read_monitor(to_tensor(total))
    assert list(read) == ["kuiper"]
    # Two arcs of 1/32: one that the counts can hide, one more where the largest is of the other circle.
    assert float(read["kuiper"]) == pytest.approx(exact, abs=2 / 32)


def test_config_round_trip():
    torus = torusae.Torus(3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(torus))
    assert isinstance(again, torusae.Torus)
    assert again.get_config() == {"dim": 3}


def test_a_space_of_ones_own_must_say_what_it_does():
    space, x = Space(), np.zeros((2, 2), "float32")
    calls = [
        lambda: space.preset("none"),
        lambda: space.part(x, "angles"),
        lambda: space.coordinates(x),
        lambda: space.sample(1),
        lambda: space.distance(x, x),
        lambda: space.paths(x[0], x[1], [[0]]),
        lambda: space.monitor(x),
        lambda: space.read_monitor(x),
        lambda: space.get_config(),
    ]
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: torusae.Torus(0), ValueError, "Torus: `dim` must be at least 1. Received: dim=0"),
        (lambda: torusae.Torus(2.0), TypeError, "Torus: `dim` must be an integer. Received: dim=2.0"),
        (lambda: torusae.Torus(True), TypeError, "Torus: `dim` must be an integer. Received: dim=True"),
        (
            lambda: torusae.Torus(1).preset("papers"),
            ValueError,
            "`losses` must be one of ['uniform', 'paper', 'none']. Received: losses='papers'. Did you mean 'paper'?",
        ),
        (
            lambda: torusae.Torus(1).part(np.zeros((1, 2), "float32"), "radius"),
            ValueError,
            "Received: part='radius'. Did you mean 'radii'?",
        ),
        (lambda: torusae.Torus(1).sample(0), ValueError, "`num_samples` must be at least 1. Received: num_samples=0"),
        (
            lambda: torusae.Torus(1).sample("3"),
            TypeError,
            "`num_samples` must be an integer. Received: num_samples='3'",
        ),
    ],
)
def test_error_names_the_rule_and_what_came(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize("dim", [4, 8, 16, 64, 100])
def test_no_circle_among_many_is_left_to_the_pairs(dim):
    """The first moment of each circle by itself is pulled by the same weight, however many pairs there are."""
    losses = {loss.name: loss for loss in torusae.Torus(dim).preset("uniform")}
    assert list(losses) == ["diaphony", "circles", "quantile"]
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, (5000, dim)).astype("float32")
    angles[:, 1] = 0.0
    pull = float(losses["circles"](angles)) * losses["circles"].default_weight
    # 7 (1 + 1/2 + 1/3 + 1/4) for the moments 1 to 4 of the dead circle; the others have theirs within 1 / sqrt(5000).
    assert abs(pull - 7 * 25 / 12) < 0.1 + dim * 7 * 25 / 12 / 5000 * 2


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_few_circles_have_all_moments_in_one_term(dim):
    assert [loss.name for loss in torusae.Torus(dim).preset("uniform")] == ["diaphony", "quantile"]
