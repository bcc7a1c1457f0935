"""Uniformity metrics beside loops and closed forms."""

import math
import re

import numpy as np
import pytest
import reference
import scipy.linalg
import scipy.stats
from helpers import compiled, to_numpy, to_tensor
from hypothesis import given
from hypothesis import strategies as st

import torusae
from torusae.metrics import arc_counts, kuiper_of_counts

TAU = reference.TAU


def uniform(rng, num, dim):
    """Angles that float32 holds exactly, so that arrays and loops see the same numbers."""
    return rng.uniform(-np.pi, np.pi, (num, dim)).astype("float32")


def test_kuiper_matches_the_definition(rng):
    angles = np.concatenate([uniform(rng, 40, 3), rng.normal(2, 0.5, (20, 3)).astype("float32")])
    angles[5] = angles[6]
    expected = [reference.kuiper_statistic(column) for column in angles.T]
    np.testing.assert_allclose(torusae.kuiper_statistic(angles), expected, rtol=1e-12)


def test_kuiper_matches_scipys_one_sided_statistics(rng):
    angles = uniform(rng, 50, 1)
    turns = angles[:, 0].astype("float64") / TAU + 0.5
    one_sided = [scipy.stats.ks_1samp(turns, lambda u: u, alternative=side).statistic for side in ("less", "greater")]
    np.testing.assert_allclose(torusae.kuiper_statistic(angles)[0], sum(one_sided), rtol=1e-12)


@pytest.mark.parametrize("num", [1, 2, 7, 100])
def test_kuiper_closed_forms(num):
    even = (TAU * (np.arange(num) + 0.3) / num - np.pi)[:, None]
    together = np.full((num, 1), 0.7)
    half_circle = np.pi * (np.arange(num)[:, None] + 0.5) / num
    np.testing.assert_allclose(torusae.kuiper_statistic(even), 1 / num, atol=2e-7)
    np.testing.assert_allclose(torusae.kuiper_statistic(together), 1, atol=1e-12)
    # Half a turn of excess over the half circle, and half a step at either end of it.
    np.testing.assert_allclose(torusae.kuiper_statistic(half_circle), 0.5 + 0.5 / num, atol=2e-7)


@given(st.integers(0, 2**32 - 1))
def test_kuiper_does_not_depend_on_the_cut_the_order_or_turns(seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-np.pi, np.pi, (15, 2))
    expected = torusae.kuiper_statistic(angles)
    for changed in (angles + rng.uniform(-9, 9), rng.permutation(angles), angles + TAU * rng.integers(-3, 4, (15, 2))):
        # Angles reach the metric in float32.
        np.testing.assert_allclose(torusae.kuiper_statistic(changed), expected, atol=2e-6)


def test_kuiper_of_uniform_points_is_what_the_docstring_says(rng):
    # Kuiper (1960): sqrt(num) V has the mean sqrt(π / 2) and the upper 10 % point 1.62, as num grows.
    num, circles = 1000, 2000
    scaled = torusae.kuiper_statistic(rng.uniform(-np.pi, np.pi, (num, circles))) * math.sqrt(num)
    # Stephens (1970): at finite num both are divided by 1 + 0.155 / sqrt(num) + 0.24 / num. Then five standard errors.
    scaled *= 1 + 0.155 / math.sqrt(num) + 0.24 / num
    assert scaled.mean() == pytest.approx(math.sqrt(math.pi / 2), abs=0.01 + 5 * scaled.std() / math.sqrt(circles))
    assert (scaled > 1.62).mean() == pytest.approx(0.1, abs=0.005 + 5 * math.sqrt(0.09 / circles))


@pytest.mark.parametrize("num_arcs", [1, 8, 32])
@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_arc_counts_match_histograms(rng, num_arcs, compile):
    angles = uniform(rng, 500, 3) + np.float32(TAU) * rng.integers(-2, 3, (500, 1)).astype("float32")

    def fn(angles):
        return arc_counts(angles, num_arcs)

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
        counts = to_numpy(arc_counts(to_tensor(edge), num_arcs))
        assert counts.sum() == 6
        assert counts[0, -1] >= 1  # `last` stays in the last arc


def test_kuiper_of_counts_matches_a_loop_and_lies_one_arc_below_at_most(rng):
    angles = np.concatenate([uniform(rng, 300, 2), rng.normal(1, 0.4, (200, 2)).astype("float32")])
    counts = reference.arc_counts(angles, 32)
    expected = []
    for row in counts:
        # The empirical CDF minus the uniform one at every edge, the start (0) included.
        gaps = [0.0] + [row[: arc + 1].sum() / row.sum() - (arc + 1) / 32 for arc in range(32)]
        expected.append(max(gaps) - min(gaps))
    binned = to_numpy(kuiper_of_counts(to_tensor(counts)))
    np.testing.assert_allclose(binned, expected, atol=1e-6)
    exact = torusae.kuiper_statistic(angles)
    assert (binned <= exact + 1e-6).all()
    assert (binned >= exact - 1 / 32 - 1e-6).all()


def test_kuiper_of_counts_at_its_ends():
    one_arc = np.zeros((3, 8))
    one_arc[0, 0] = one_arc[1, 5] = 10
    np.testing.assert_allclose(to_numpy(kuiper_of_counts(to_tensor(one_arc))), [7 / 8, 7 / 8, 0], atol=1e-6)
    np.testing.assert_allclose(to_numpy(kuiper_of_counts(to_tensor(np.ones((1, 8))))), [0], atol=1e-6)


@pytest.mark.parametrize(("cells", "dim"), [(2, 1), (8, 1), (4, 2), (3, 3)])
def test_cell_occupancy_matches_the_loop(rng, cells, dim):
    angles = uniform(rng, 25, dim) * np.float32(0.7)
    empty, kl = reference.cell_occupancy(angles, cells)
    got = torusae.cell_occupancy(angles, cells)
    assert got["empty"] == pytest.approx(empty, abs=1e-12)
    assert got["kl"] == pytest.approx(kl, abs=1e-12)


def test_cell_occupancy_closed_forms():
    together = torusae.cell_occupancy(np.full((10, 2), 1.0), cells=4)
    assert together["empty"] == 15 / 16
    assert together["kl"] == pytest.approx(math.log(16))
    centres = TAU * (np.arange(4) + 0.5) / 4 - np.pi
    full = torusae.cell_occupancy(np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2), cells=4)
    assert full["empty"] == 0
    assert full["kl"] == pytest.approx(0, abs=1e-12)


def test_cell_occupancy_expects_what_uniform_points_give(rng):
    got = [torusae.cell_occupancy(rng.uniform(-np.pi, np.pi, (400, 2)), cells=8) for _ in range(200)]
    for name in ("empty", "kl"):
        values = np.array([one[name] for one in got])
        error = 5 * values.std() / math.sqrt(200)
        # (C - 1) / (2 num) is the first term of a series in C / num = 0.16; the next is about that share of it.
        bias = 0.1 * values.mean() if name == "kl" else 0.0
        assert got[0][f"expected_{name}"] == pytest.approx(values.mean(), abs=error + bias)
    assert got[0]["expected_empty"] == pytest.approx((63 / 64) ** 400)
    assert got[0]["expected_kl"] == 63 / 800


@pytest.mark.parametrize(("order", "dim"), [(1, 1), (3, 1), (2, 2), (1, 3)])
def test_max_moment_matches_the_loop(rng, order, dim):
    angles = uniform(rng, 20, dim)
    assert torusae.max_moment(angles, order) == pytest.approx(reference.max_moment(angles, order), rel=1e-10)


def test_max_moment_sees_a_correlation_that_single_angles_hide():
    first = TAU * np.arange(60) / 60 - np.pi
    locked = np.stack([first, first], axis=-1)  # φ_1 - φ_2 = 0: k = (1, -1)
    assert torusae.max_moment(locked, order=1) == pytest.approx(1, abs=1e-6)
    assert torusae.max_moment(first[:, None], order=3) == pytest.approx(0, abs=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_max_moment_does_not_depend_on_rotations(seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-np.pi, np.pi, (10, 2))
    before = torusae.max_moment(angles, 2)
    assert torusae.max_moment(angles + rng.uniform(-3, 3, (1, 2)), 2) == pytest.approx(before, abs=1e-5)


METRICS = [
    torusae.kuiper_statistic,
    torusae.cell_occupancy,
    torusae.max_moment,
    torusae.rayleigh_statistic,
    torusae.watson_statistic,
    torusae.diaphony,
]
PAIRS = [torusae.moment_spectrum, torusae.direction_kuiper]


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_take_tensors_and_arrays_alike(rng, metric):
    angles = uniform(rng, 30, 2)
    assert np.array_equal(metric(to_tensor(angles)), metric(angles))


@pytest.mark.parametrize("metric", METRICS + PAIRS)
def test_metrics_refuse_what_is_not_angles(metric):
    name = metric.__name__
    for array, error, message in [
        (np.zeros(3), ValueError, f"{name}: `angles` must have shape (num, dim). Received: angles.shape=(3,)"),
        (np.zeros((0, 2)), ValueError, f"{name}: `angles` must hold at least one row. Received: angles.shape=(0, 2)"),
        (np.zeros((3, 2), int), TypeError, f"{name}: `angles` must be a tensor of floating-point numbers"),
        ([["north"]], TypeError, "Received: dtype=string"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            metric(array)


@pytest.mark.parametrize("metric", [*METRICS, *PAIRS, torusae.circular_correlation, torusae.kolmogorov_smirnov])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_metrics_name_the_count_and_the_place_of_numbers_that_are_not_finite(metric, bad):
    angles = np.zeros((6, 3), "float32")
    angles[4, 1] = bad
    angles[5, 2] = np.nan
    with pytest.raises(ValueError, match=re.escape(f"Received: {bad} at position (4, 1), 2 such value(s) in all")):
        metric(angles)


def test_metrics_refuse_options_out_of_range():
    angles = np.zeros((4, 2), "float32")
    for call, error, message in [
        (lambda: torusae.cell_occupancy(angles, cells=1), ValueError, "`cells` must be at least 2. Received: cells=1"),
        (lambda: torusae.cell_occupancy(angles, 4.0), TypeError, "`cells` must be an integer. Received: cells=4.0"),
        (
            lambda: torusae.cell_occupancy(np.zeros((2, 9)), cells=8),
            ValueError,
            "`cells`=8 at dim 9 makes 134217728 cells, more than 16777216",
        ),
        (lambda: torusae.max_moment(angles, order=0), ValueError, "`order` must be at least 1. Received: order=0"),
        (lambda: torusae.max_moment(np.zeros((2, 9))), ValueError, "`dim`=9, `order`=3 and `interactions`=9 ask for"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            call()


def test_frechet_distance_of_known_normals():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(400, 3)), rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3)) + 1
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    # float32 holds the features to 6e-8.
    np.testing.assert_allclose(torusae.frechet_distance(a, b), expected, rtol=1e-5)
    np.testing.assert_allclose(torusae.frechet_distance(b, a), expected, rtol=1e-5)
    assert torusae.frechet_distance(a, a) < 1e-9
    assert torusae.frechet_distance(a[:, :1], a[:, :1] + 2) == pytest.approx(4, rel=1e-5)


def test_frechet_distance_of_bad_input():
    good = np.zeros((5, 2), "float32")
    with pytest.raises(ValueError, match=r"`a` must hold at least 2 rows. Received: a.shape=\(1, 2\)"):
        torusae.frechet_distance(good[:1], good)
    with pytest.raises(ValueError, match=r"as many features. Received: 2 and 1"):
        torusae.frechet_distance(good, good[:, :1])
    with pytest.raises(ValueError, match=r"`b` must hold finite numbers only. Received: nan at position \(0, 0\)"):
        torusae.frechet_distance(good, good * np.nan)


def test_rayleigh_watson_and_the_spectrum_match_their_definitions(rng):
    angles = rng.vonmises(0.4, 1.0, (50, 2))
    means = [sum(np.exp(1j * a) for a in angles[:, i]) / 50 for i in range(2)]
    np.testing.assert_allclose(torusae.rayleigh_statistic(angles), np.abs(means), rtol=1e-6)
    # U² = n ∫ (F_n - F - mean of it)², by a sum over a fine grid of the circle.
    grid = (np.arange(200_000) + 0.5) / 200_000
    for i, value in enumerate(torusae.watson_statistic(angles)):
        turns = np.sort((angles[:, i] / TAU) % 1)
        gap = np.searchsorted(turns, grid, side="right") / 50 - grid
        assert value == pytest.approx(50 * gap.var(), rel=1e-4)
    k, moduli = torusae.moment_spectrum(angles, 2)
    for row, modulus in zip(k, moduli, strict=True):
        expected = abs(sum(np.exp(1j * (row[0] * a + row[1] * b)) for a, b in angles) / 50)
        assert modulus == pytest.approx(expected, abs=1e-6)
    assert moduli.max() == torusae.max_moment(angles, 2)


@pytest.mark.parametrize("interactions", [None, 1, 2])
def test_diaphony_matches_the_loop(rng, interactions):
    angles = rng.uniform(-9, 9, (12, 3))
    expected = math.sqrt(reference.diaphony(angles, interactions or 3))
    # float32 holds an angle of 9 to 5e-7.
    assert torusae.diaphony(angles, interactions) == pytest.approx(expected, rel=1e-5)


def test_diaphony_of_a_draw_is_near_that_of_all(rng):
    angles = uniform(rng, 3000, 2) * 0.8
    drawn = torusae.diaphony(angles, max_points=1000, seed=3)
    assert drawn == torusae.diaphony(angles, max_points=1000, seed=3)
    assert drawn == pytest.approx(torusae.diaphony(angles), rel=0.2)


def test_direction_kuiper_is_kuiper_along_each_direction(rng):
    angles = uniform(rng, 40, 3)
    directions, statistics = torusae.direction_kuiper(angles, order=2, interactions=3)
    assert np.array_equal(directions, torusae.primitive_directions(3, 2, 3))
    for k, value in list(zip(directions, statistics, strict=True))[::7]:
        assert value == pytest.approx(torusae.kuiper_statistic((angles @ k)[:, None])[0], abs=1e-5)


def test_kolmogorov_smirnov_is_scipys(rng):
    radii = rng.normal(1.02, 0.1, (60, 2))
    expected = [scipy.stats.kstest(radii[:, i], scipy.stats.norm(1, 0.1).cdf).statistic for i in range(2)]
    np.testing.assert_allclose(torusae.kolmogorov_smirnov(radii), expected, atol=1e-6)


def test_circular_correlation_matches_the_sum_over_pairs(rng):
    first = rng.vonmises(0, 1, 30)
    angles = np.stack([first, 0.5 - first + rng.vonmises(0, 5, 30), rng.uniform(-3, 3, 30)], axis=1)
    expected = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            a, b = (np.sin(angles[:, n, None] - angles[None, :, n]) for n in (i, j))
            expected[i, j] = (a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum())
    np.testing.assert_allclose(torusae.circular_correlation(angles), expected, atol=1e-6)
    with pytest.raises(ValueError, match="must hold at least 2 rows"):
        torusae.circular_correlation(angles[:1])


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        (lambda a: torusae.rayleigh_statistic(a).mean(), 0.8862 / math.sqrt(200)),
        (lambda a: torusae.watson_statistic(a).mean(), 1 / 12),
        (lambda a: torusae.moment_spectrum(a, 2)[1].mean(), 0.8862 / math.sqrt(200)),
        (lambda a: torusae.diaphony(a) ** 2, 1 / 200),
        (lambda a: torusae.direction_kuiper(a)[1].mean(), 1.2533 / math.sqrt(200)),
        (lambda a: torusae.kolmogorov_smirnov(scipy.stats.norm(1, 0.1).ppf(a / TAU + 0.5)).mean(), 0.8687 / 200**0.5),
    ],
    ids=["rayleigh", "watson", "spectrum", "diaphony", "kuiper", "kolmogorov"],
)
def test_independent_uniform_points_give_what_is_stated(rng, statistic, expected):
    values = [statistic(uniform(rng, 200, 3)) for _ in range(120)]
    # Four standard errors, and 4 % for the terms of higher order in 1 / sqrt(num) that the limits leave out.
    assert abs(np.mean(values) - expected) < 4 * np.std(values) / math.sqrt(120) + 0.04 * expected


def streamed(metric, angles, size=16):
    """The metric's result after the angles came in batches, as Keras gives them."""
    for start in range(0, len(angles), size):
        metric.update_state(to_tensor(angles[start : start + size]))
    return float(to_numpy(metric.result()))


def test_streamed_metrics_are_those_of_all_points(rng):
    angles = rng.vonmises(0.3, 0.5, (75, 2))
    # Each of the two points that set the statistic may lie up to one arc from its arc's edge.
    kuiper = torusae.kuiper_statistic(angles).max()
    assert kuiper - 2 / 256 <= streamed(torusae.KuiperStatistic(2, num_arcs=256), angles) <= kuiper + 1e-5
    moment = torusae.max_moment(angles, 2)
    assert streamed(torusae.LargestMoment(2, order=2), angles) == pytest.approx(moment, abs=1e-5)
    expected = torusae.cell_occupancy(angles, 4)["kl"]
    assert streamed(torusae.CellDivergence(2, cells=4), angles) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "metric", [torusae.KuiperStatistic(2, 8), torusae.LargestMoment(2, 1, None), torusae.CellDivergence(2, 3)]
)
def test_streamed_metrics_reset_serialize_and_name_bad_input(metric, rng):
    angles = uniform(rng, 20, 2)
    before = streamed(metric, angles)
    again = type(metric).from_config(metric.get_config())
    assert streamed(again, angles) == before
    metric.reset_state()
    assert float(to_numpy(metric.result())) == 0
    metric.update_state(None, to_tensor(angles))  # y_true and y_pred, as Keras calls it
    assert float(to_numpy(metric.result())) == pytest.approx(before, abs=1e-6)
    with pytest.raises(ValueError, match="must have 2 columns"):
        metric.update_state(to_tensor(angles[:, :1]))
    with pytest.raises(ValueError, match="takes no `sample_weight`"):
        metric.update_state(to_tensor(angles), sample_weight=np.ones(20))


def test_too_many_cells_to_stream():
    with pytest.raises(ValueError, match="`cells`=8 at dim 7 makes 2097152 cells"):
        torusae.CellDivergence(7)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_intrinsic_dimension_of_uniform_points_and_of_a_surface(dim, rng):
    angles = rng.uniform(-np.pi, np.pi, (3000, dim))
    allowed = 4 * dim / np.sqrt(3000)  # four deviations
    assert abs(torusae.intrinsic_dimension(angles) - dim) < allowed
    turned = np.concatenate([angles, angles + 1.0, -2 * angles], axis=1)  # linear, so that no distance ratio changes
    assert abs(torusae.intrinsic_dimension(turned) - dim) < allowed
    repeated = np.concatenate([angles, angles[:50]])
    assert torusae.intrinsic_dimension(repeated) == pytest.approx(torusae.intrinsic_dimension(angles), abs=0.01)


def test_intrinsic_dimension_needs_three_points():
    with pytest.raises(ValueError, match="at least 3 different points"):
        torusae.intrinsic_dimension(np.zeros((10, 2)))
