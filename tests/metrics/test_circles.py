"""Measures of one circle beside loops, closed forms and SciPy."""

import math

import numpy as np
import pytest
import reference
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from shared.tensors import compiled, exact_angles, to_numpy, to_tensor

from torusae import metrics

TAU = reference.TAU


def test_kuiper_matches_the_definition(rng):
    angles = np.concatenate([exact_angles(rng, 40, 3), rng.normal(2, 0.5, (20, 3)).astype("float32")])
    angles[5] = angles[6]
    expected = [reference.kuiper_statistic(column) for column in angles.T]
    np.testing.assert_allclose(metrics.kuiper_statistic(angles), expected, rtol=1e-12)


def test_kuiper_matches_scipys_one_sided_statistics(rng):
    angles = exact_angles(rng, 50, 1)
    turns = angles[:, 0].astype("float64") / TAU + 0.5
    one_sided = [scipy.stats.ks_1samp(turns, lambda u: u, alternative=side).statistic for side in ("less", "greater")]
    np.testing.assert_allclose(metrics.kuiper_statistic(angles)[0], sum(one_sided), rtol=1e-12)


@pytest.mark.parametrize("num", [1, 2, 7, 100])
def test_kuiper_closed_forms(num):
    even = (TAU * (np.arange(num) + 0.3) / num - np.pi)[:, None]
    together = np.full((num, 1), 0.7)
    half_circle = np.pi * (np.arange(num)[:, None] + 0.5) / num
    np.testing.assert_allclose(metrics.kuiper_statistic(even), 1 / num, atol=2e-7)
    np.testing.assert_allclose(metrics.kuiper_statistic(together), 1, atol=1e-12)
    # Half a turn of excess over the half circle, and half a step at either end of it.
    np.testing.assert_allclose(metrics.kuiper_statistic(half_circle), 0.5 + 0.5 / num, atol=2e-7)


@given(st.integers(0, 2**32 - 1))
def test_kuiper_does_not_depend_on_the_cut_the_order_or_turns(seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-np.pi, np.pi, (15, 2))
    expected = metrics.kuiper_statistic(angles)
    for changed in (angles + rng.uniform(-9, 9), rng.permutation(angles), angles + TAU * rng.integers(-3, 4, (15, 2))):
        # Angles reach the metric in float32.
        np.testing.assert_allclose(metrics.kuiper_statistic(changed), expected, atol=2e-6)


def test_kuiper_of_uniform_points_is_what_the_docstring_says(rng):
    # Kuiper (1960): sqrt(num) V has the mean sqrt(π / 2) and the upper 10 % point 1.62, as num grows.
    num, circles = 1000, 2000
    scaled = metrics.kuiper_statistic(rng.uniform(-np.pi, np.pi, (num, circles))) * math.sqrt(num)
    # Stephens (1970): at finite num both are divided by 1 + 0.155 / sqrt(num) + 0.24 / num. Then five standard errors.
    scaled *= 1 + 0.155 / math.sqrt(num) + 0.24 / num
    assert scaled.mean() == pytest.approx(math.sqrt(math.pi / 2), abs=0.01 + 5 * scaled.std() / math.sqrt(circles))
    assert (scaled > 1.62).mean() == pytest.approx(0.1, abs=0.005 + 5 * math.sqrt(0.09 / circles))


@pytest.mark.parametrize("num_arcs", [1, 8, 32])
@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_arc_counts_match_histograms(rng, num_arcs, compile):
    angles = exact_angles(rng, 500, 3) + np.float32(TAU) * rng.integers(-2, 3, (500, 1)).astype("float32")

    def fn(angles):
        return metrics.arc_counts(angles, num_arcs)

    counts = to_numpy((compiled(fn) if compile else fn)(to_tensor(angles)))
    turns = angles.astype("float64") / TAU + 0.5
    # No angle within rounding of an edge, where float32 may choose the other arc.
    assert np.abs(turns * num_arcs - np.round(turns * num_arcs)).min() > 1e-6
    edges = np.linspace(0, 1, num_arcs + 1)
    expected = [np.histogram(column % 1.0, edges)[0] for column in turns.T]
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(counts, reference.arc_counts(angles, num_arcs))


def test_every_angle_falls_into_some_arc():
    last = np.nextafter(np.float32(np.pi), np.float32(0))
    edge = np.array([[-np.pi], [np.pi], [last], [-last], [0.0], [100.0]], "float32")
    for num_arcs in (1, 3, 32, 1000):
        counts = to_numpy(metrics.arc_counts(to_tensor(edge), num_arcs))
        assert counts.sum() == 6
        assert counts[0, -1] >= 1  # `last` stays in the last arc


def test_kuiper_of_counts_matches_a_loop_and_lies_one_arc_below_at_most(rng):
    angles = np.concatenate([exact_angles(rng, 300, 2), rng.normal(1, 0.4, (200, 2)).astype("float32")])
    counts = reference.arc_counts(angles, 32)
    expected = []
    for row in counts:
        # The empirical CDF minus the uniform one at every edge, the start (0) included.
        gaps = [0.0] + [row[: arc + 1].sum() / row.sum() - (arc + 1) / 32 for arc in range(32)]
        expected.append(max(gaps) - min(gaps))
    binned = to_numpy(metrics.kuiper_of_counts(to_tensor(counts)))
    np.testing.assert_allclose(binned, expected, atol=1e-6)
    exact = metrics.kuiper_statistic(angles)
    assert (binned <= exact + 1e-6).all()
    assert (binned >= exact - 1 / 32 - 1e-6).all()


def test_kuiper_of_counts_at_its_ends():
    one_arc = np.zeros((3, 8))
    one_arc[0, 0] = one_arc[1, 5] = 10
    np.testing.assert_allclose(to_numpy(metrics.kuiper_of_counts(to_tensor(one_arc))), [7 / 8, 7 / 8, 0], atol=1e-6)
    np.testing.assert_allclose(to_numpy(metrics.kuiper_of_counts(to_tensor(np.ones((1, 8))))), [0], atol=1e-6)


def test_kolmogorov_smirnov_is_scipys(rng):
    radii = rng.normal(1.02, 0.1, (60, 2))
    expected = [scipy.stats.kstest(radii[:, i], scipy.stats.norm(1, 0.1).cdf).statistic for i in range(2)]
    np.testing.assert_allclose(metrics.kolmogorov_smirnov(radii), expected, atol=1e-6)
