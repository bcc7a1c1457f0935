"""Measures of one circle beside loops, closed forms and SciPy."""

import math

import numpy as np
import pytest
import reference
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from shared.tensors import exact_angles

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


def test_kolmogorov_smirnov_is_the_largest_gap_between_the_distribution_functions(rng):
    radii = np.sort(rng.normal(1.02, 0.1, (60, 2)), axis=0)
    below = scipy.stats.norm.cdf(radii, 1, 0.1)
    steps = np.arange(60)[:, None] / 60
    expected = np.maximum(below - steps, steps + 1 / 60 - below).max(axis=0)
    np.testing.assert_allclose(metrics.kolmogorov_smirnov(radii[::-1]), expected, atol=1e-6)
