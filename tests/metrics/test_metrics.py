"""What all metrics have in common: input, errors, and the value of chance that their docstrings state."""

import math
import re

import numpy as np
import pytest
import reference
import scipy.stats
from shared.tensors import exact_angles, to_tensor

from torusae import metrics

TAU = reference.TAU
METRICS = [
    metrics.kuiper_statistic,
    metrics.cell_occupancy,
    metrics.max_moment,
]
PAIRS = [metrics.moment_spectrum, metrics.direction_kuiper]


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_take_tensors_and_arrays_alike(rng, metric):
    angles = exact_angles(rng, 30, 2)
    assert np.array_equal(metric(to_tensor(angles)), metric(angles))


@pytest.mark.parametrize("metric", METRICS + PAIRS)
def test_metrics_refuse_what_is_not_angles(metric):
    name = metric.__name__
    for array, error, message in [
        (np.zeros(3), ValueError, f"{name}: `angles` must have shape (num, dim). Received: angles.shape=(3,)"),
        (
            np.zeros((0, 2)),
            ValueError,
            f"{name}: `angles` must hold at least one row and one column. Received: angles.shape=(0, 2)",
        ),
        (np.zeros((3, 2), int), TypeError, f"{name}: `angles` must be a tensor of floating-point numbers"),
        ([["north"]], TypeError, "Received: dtype=<U5"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            metric(array)


@pytest.mark.parametrize("metric", [*METRICS, *PAIRS, metrics.kolmogorov_smirnov])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_metrics_name_the_count_and_the_place_of_numbers_that_are_not_finite(metric, bad):
    angles = np.zeros((6, 3), "float32")
    angles[4, 1] = bad
    angles[5, 2] = np.nan
    with pytest.raises(ValueError, match=re.escape(f"Received: {bad} at position (4, 1), 2 such value(s)")):
        metric(angles)


def test_metrics_refuse_options_out_of_range():
    angles = np.zeros((4, 2), "float32")
    for call, error, message in [
        (lambda: metrics.cell_occupancy(angles, cells=1), ValueError, "`cells` must be at least 2. Received: cells=1"),
        (lambda: metrics.cell_occupancy(angles, 4.0), TypeError, "`cells` must be an integer. Received: cells=4.0"),
        (
            lambda: metrics.cell_occupancy(np.zeros((2, 9)), cells=8),
            ValueError,
            "`cells`=8 at dim 9 makes 134217728 cells, more than 16777216",
        ),
        (
            lambda: metrics.max_moment(angles, max_frequency=0),
            ValueError,
            "`max_frequency` must be at least 1. Received: max_frequency=0",
        ),
        (
            lambda: metrics.max_moment(np.zeros((2, 9))),
            ValueError,
            "`dim`=9, `max_frequency`=3 and `interactions`=9 ask for",
        ),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            call()


def test_the_spectrum_matches_its_definition(rng):
    angles = rng.vonmises(0.4, 1.0, (50, 2))
    k, moduli = metrics.moment_spectrum(angles, 2)
    for row, modulus in zip(k, moduli, strict=True):
        expected = abs(sum(np.exp(1j * (row[0] * a + row[1] * b)) for a, b in angles) / 50)
        assert modulus == pytest.approx(expected, abs=1e-6)
    assert moduli.max() == metrics.max_moment(angles, 2)


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        (lambda a: metrics.moment_spectrum(a, 2)[1].mean(), 0.8862 / math.sqrt(200)),
        (lambda a: metrics.direction_kuiper(a)[1].mean(), 1.2533 / math.sqrt(200)),
        (lambda a: metrics.kolmogorov_smirnov(scipy.stats.norm(1, 0.1).ppf(a / TAU + 0.5)).mean(), 0.8687 / 200**0.5),
    ],
    ids=["spectrum", "kuiper", "kolmogorov"],
)
def test_independent_uniform_points_give_what_is_stated(rng, statistic, expected):
    values = [statistic(exact_angles(rng, 200, 3)) for _ in range(120)]
    # Four standard errors, and 4 % for the terms of higher order in 1 / sqrt(num) that the limits leave out.
    assert abs(np.mean(values) - expected) < 4 * np.std(values) / math.sqrt(120) + 0.04 * expected
