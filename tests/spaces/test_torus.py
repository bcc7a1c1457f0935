"""The torus: parts, presets, prior, distance and errors in closed form. The laws of every space are in test_laws.py."""

import math
import re

import keras
import numpy as np
import pytest
import reference
import scipy.stats
from shared.tensors import gradient, to_numpy, to_tensor

import torusae
from torusae.diagnostics import prior_statistics


def random_points(rng, num, dim):
    return rng.normal(size=(num, 2 * dim)).astype("float32")


def test_parts_match_numpy(rng):
    torus, point = torusae.Torus(2), random_points(rng, 5, 2)
    x, y = point[:, :2], point[:, 2:]
    for name, expected in [("angles", np.arctan2(y, x)), ("radii", np.hypot(x, y)), ("squared_radii", x**2 + y**2)]:
        part = torus.view(name, to_tensor(point), to_tensor(point))
        np.testing.assert_allclose(to_numpy(part), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(to_numpy(torus.angles(to_tensor(point))), np.arctan2(y, x), atol=1e-6)
    assert set(torus.views) == {"angles", "radii", "squared_radii"}


def test_a_head_reads_the_angles_alone(rng):
    torus, point = torusae.Torus(2), random_points(rng, 5, 2)
    read = to_numpy(torus.head_input(to_tensor(point)))
    radii = np.hypot(point[:, :2], point[:, 2:])
    np.testing.assert_allclose(read, point / np.concatenate([radii, radii], axis=1), atol=1e-6)
    np.testing.assert_allclose(to_numpy(torus.head_input(to_tensor(7 * point))), read, atol=1e-6)


@pytest.mark.parametrize("preset", torusae.Torus.presets[:2])
def test_presets_hold_the_angles_and_the_radii(preset):
    for dim in (1, 3, 4, 100):
        *of_angles, of_radii = torusae.Torus(dim).terms(preset)
        assert of_angles
        assert {term.reads for term in of_angles} == {"angles"}
        # The paper's footnote 1: squares of radii, with the quantiles of N(1, 0.1).
        loss = of_radii.loss
        assert isinstance(loss, torusae.QuantileLoss)
        assert (loss.mean, loss.stddev, loss.squared) == (1.0, 0.1, True)
        assert all(term.relative and term.weight > 0 for term in (*of_angles, of_radii))
    assert isinstance(torusae.Torus(2).terms("paper")[0].loss, torusae.SpringLoss)


def test_many_circles_have_a_term_that_sees_each_alone():
    """The pairs outnumber the circles and leave little weight to a single one."""
    assert [term.name for term in torusae.Torus(3).terms("uniform")] == ["diaphony", "quantile"]
    for dim in (4, 8, 16, 64, 100):
        terms = torusae.Torus(dim).terms("uniform")
        assert [term.name for term in terms] == ["diaphony", "circles", "quantile"]
        assert terms[1].loss.interactions == 1


def test_sample_follows_the_prior():
    num = 4000
    point = to_numpy(torusae.Torus(2).sample(num, seed=1))
    assert point.shape == (num, 4)
    assert point.dtype == np.float32
    radii, angles = np.hypot(point[:, :2], point[:, 2:]), np.arctan2(point[:, 2:], point[:, :2])
    # The seed is fixed, so this can't fail by chance; 1e-3 is what chance would have allowed.
    for i in range(2):
        assert scipy.stats.kstest(radii[:, i], scipy.stats.norm(1, 0.1).cdf).pvalue > 1e-3
        assert scipy.stats.kstest(angles[:, i], scipy.stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
    # Independent of each other: five standard errors of a mean of cosines.
    assert torusae.metrics.max_moment(angles, 2) < 5 / math.sqrt(num)
    assert abs(np.corrcoef(radii.T)[0, 1]) < 5 / math.sqrt(num)


def test_samples_of_a_generator_and_without_a_seed_differ():
    torus, generator = torusae.Torus(2), keras.random.SeedGenerator(5)
    assert not np.array_equal(to_numpy(torus.sample(3, generator)), to_numpy(torus.sample(3, generator)))
    assert not np.array_equal(to_numpy(torus.sample(3)), to_numpy(torus.sample(3)))


def distance(a, b):
    torus = torusae.Torus(a.shape[-1] // 2)
    return to_numpy(torus.distance(to_tensor(a), to_tensor(b)))


def test_distance_matches_the_reference(rng):
    a, b = random_points(rng, 20, 3), random_points(rng, 20, 3)
    phi, psi = (np.arctan2(point[:, 3:], point[:, :3]) for point in (a, b))
    arcs = [
        [reference.circle_distance(p, q) for p, q in zip(*rows, strict=True)] for rows in zip(phi, psi, strict=True)
    ]
    np.testing.assert_allclose(distance(a, b), np.linalg.norm(arcs, axis=1), atol=3e-6)
    np.testing.assert_array_equal(distance(a, a), np.zeros(20))
    np.testing.assert_allclose(distance(2 * a, b), distance(a, b), rtol=1e-5)  # the radii do not count


def test_distance_is_the_length_of_the_shortest_path(rng):
    torus, (a, b) = torusae.Torus(2), random_points(rng, 2, 2)
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


def test_statistics_are_those_of_the_metrics(rng):
    point = random_points(rng, 300, 2).astype("float64")
    (statistic,) = prior_statistics(torusae.Torus(2), point).values()
    angles = np.arctan2(point[:, 2:], point[:, :2])
    np.testing.assert_allclose(statistic.value, torusae.metrics.kuiper_statistic(angles), rtol=1e-6)


def test_error_names_the_rule_and_what_came():
    for call, error, message in [
        (lambda: torusae.Torus(0), ValueError, "Torus: `dim` must be at least 1. Received: dim=0"),
        (lambda: torusae.Torus(2.0), TypeError, "Torus: `dim` must be an integer. Received: dim=2.0"),
        (lambda: torusae.Torus(True), TypeError, "Torus: `dim` must be an integer. Received: dim=True"),
        (
            lambda: torusae.Torus(1).terms("papers"),
            ValueError,
            "`preset` must be one of ['uniform', 'paper', 'none']. Received: preset='papers'. Did you mean 'paper'?",
        ),
        (
            lambda: torusae.Torus(1).view("radius", *[np.zeros((1, 2), "float32")] * 2),
            ValueError,
            "Received: view='radius'. Did you mean 'radii'?",
        ),
        (lambda: torusae.Torus(1).sample(0), ValueError, "`num_samples` must be at least 1. Received: num_samples=0"),
        (
            lambda: torusae.Torus(1).sample("3"),
            TypeError,
            "`num_samples` must be an integer. Received: num_samples='3'",
        ),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            call()
