"""The losses beside the loops of reference.py, their gradients, laws, objects and errors. See also golden.py."""

import math
import re

import keras
import numpy as np
import pytest
import reference
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from shared.tensors import compiled, gradient, on_jax, to_numpy, to_tensor

import torusae
from torusae._internal import sorting

TAU = reference.TAU
REDUCTIONS = ["sum", "normalized"]


def value_of(fn, *args, **kwargs):
    return float(to_numpy(fn(*args, **kwargs)))


# Central differences check the analytic gradients of the reference itself, away from ties.


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_reference_gradients_match_central_differences(rng, reduction):
    angles, radii = rng.uniform(-9, 9, (6, 2)), rng.uniform(0.5, 1.5, (6, 2))
    quantiles = reference.normal_quantiles(6)
    for fn, x in [
        (lambda x: reference.spring_loss(x, reduction=reduction), angles),
        (lambda x: reference.spring_loss(x, 1.5, reduction), angles),
        (lambda x: reference.quantile_loss(x, quantiles, reduction), radii),
    ]:
        # Both are quadratic between ties, so that the step has no error of its own, only rounding.
        np.testing.assert_allclose(fn(x)[1], reference.central_difference(lambda x: fn(x)[0], x, 1e-5), atol=1e-8)  # noqa: B023


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (37, 2)], ids=str)
def test_spring_matches_the_reference(rng, shape, reduction):
    angles = rng.uniform(-9, 9, shape).astype("float32")
    expected, expected_slope = reference.spring_loss(angles, reduction=reduction)
    value, slope = gradient(lambda x: torusae.spring_loss(x, reduction=reduction), angles, compile=True)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    # Wrapping rounds each of four angles by 4e-7; beside the largest gradient, 1 rad for 37 points.
    np.testing.assert_allclose(slope, expected_slope, rtol=0, atol=1e-5 * max(1e-3, np.abs(expected_slope).max()))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (37, 2)], ids=str)
def test_quantile_matches_the_reference(rng, shape, reduction):
    radii = rng.uniform(0.5, 1.5, shape).astype("float32")
    expected, expected_slope = reference.quantile_loss(radii, reference.normal_quantiles(len(radii)), reduction)
    value, slope = gradient(
        lambda x: torusae.quantile_loss(x, torusae.normal_quantiles(len(radii)), reduction), radii, compile=True
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(slope, expected_slope, rtol=0, atol=1e-5 * np.abs(expected_slope).max())


def test_angular_matches_its_formula(rng):
    targets, angles = rng.uniform(-9, 9, (5, 3)), rng.uniform(-9, 9, (5, 3))
    value = to_numpy(torusae.losses.angular_loss(to_tensor(targets), to_tensor(angles)))
    np.testing.assert_allclose(value, (1 - np.cos(targets - angles)).mean(axis=1), atol=2e-6)
    _, slope = gradient(lambda x: keras.ops.sum(torusae.losses.angular_loss(to_tensor(targets), x)), angles)
    np.testing.assert_allclose(slope, np.sin(angles - targets) / 3, atol=2e-6)


# Laws. Each is a change of the input that must not change the loss, tagged with the losses that it holds for.


def add_turns(x, rng):
    return x + TAU * rng.integers(-3, 4, x.shape)


def rotate(x, rng):
    return x + rng.uniform(-4, 4, (1, x.shape[1]))


def permute_batch(x, rng):
    return rng.permutation(x)


def permute_circles(x, rng):
    return x[:, rng.permutation(x.shape[1])]


def reflect(x, rng):
    return -x


LOSSES = {
    "spring": torusae.spring_loss,
    "quantile": lambda x: torusae.quantile_loss(x, torusae.normal_quantiles(x.shape[0])),
    "angular": lambda x: keras.ops.sum(torusae.losses.angular_loss(x[:, :1], x[:, 1:])),
}
LAWS = [
    (add_turns, ["spring", "angular"]),
    (rotate, ["spring"]),
    (permute_batch, ["spring", "quantile", "angular"]),
    (permute_circles, ["spring", "quantile"]),
    (reflect, ["spring", "angular"]),
]


@pytest.mark.parametrize(
    ("law", "loss"),
    [(law, loss) for law, losses in LAWS for loss in losses],
    ids=lambda item: getattr(item, "__name__", item),
)
@given(st.integers(0, 2**32 - 1))
def test_law(law, loss, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-np.pi, np.pi, (6, 2))
    before = value_of(LOSSES[loss], to_tensor(x))
    # Angles of up to 20 rad are rounded to 1e-6 in float32.
    assert value_of(LOSSES[loss], to_tensor(law(x, rng))) == pytest.approx(before, rel=2e-6, abs=1e-5)


# Few shapes: JAX compiles an eager operation anew for each.
@pytest.mark.parametrize(("batch", "dim"), [(1, 1), (7, 2), (40, 2)])
@given(st.sampled_from([TAU, 1.0, 24.0]), st.floats(-50, 50))
def test_spring_lies_between_its_bounds_and_meets_both(batch, dim, period, shift):
    even = np.broadcast_to(shift + period * np.arange(batch)[:, None] / batch, (batch, dim))
    together = np.full((batch, dim), shift)
    uneven = np.random.default_rng(batch).uniform(0, period, (batch, dim))
    least, most = dim * period**2 / batch, dim * period**2
    # An angle is rounded by 4e-6 near ±50 (5e-5 of the gap at 40 points); errors of gaps add up to none, so in squares.
    assert value_of(torusae.spring_loss, to_tensor(even), period) == pytest.approx(least, rel=1e-5)
    assert value_of(torusae.spring_loss, to_tensor(together), period) == pytest.approx(most, rel=1e-6)
    assert least * (1 - 1e-6) <= value_of(torusae.spring_loss, to_tensor(uneven), period) <= most * (1 + 1e-6)


@pytest.mark.parametrize("batch", [1, 2, 7, 128])
def test_normalized_spring_is_one_when_even_and_the_batch_when_together(batch):
    even = np.repeat(TAU * np.arange(batch)[:, None] / batch, 3, axis=1)
    assert value_of(torusae.spring_loss, to_tensor(even), reduction="normalized") == pytest.approx(1, rel=1e-6)
    together = np.full((batch, 3), 2.0)
    assert value_of(torusae.spring_loss, to_tensor(together), reduction="normalized") == pytest.approx(batch, rel=1e-6)


@pytest.mark.parametrize("batch", [2, 8, 128])
def test_normalized_spring_of_independent_uniform_angles(rng, batch):
    # Mean 2 S / (S + 1). Greenwood's statistic of 2000 circles at once; five standard errors of their mean.
    circles = 2000
    angles = rng.uniform(-np.pi, np.pi, (batch, circles))
    mean = value_of(torusae.spring_loss, to_tensor(angles), reduction="normalized")
    one = [reference.spring_loss(angles[:, i : i + 1], reduction="normalized")[0] for i in range(200)]
    assert mean == pytest.approx(2 * batch / (batch + 1), abs=5 * np.std(one) / math.sqrt(circles))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient_falls_with_the_batch_as_documented(reduction):
    # Twice the points on the same shape: the sum's gradient falls by 4 (docstring), the normalized one's by 2.
    def largest(batch):
        u = (np.arange(batch) + 0.5) / batch
        angles = TAU * (u + 0.1 * np.sin(TAU * u) / TAU)[:, None]
        return np.abs(gradient(lambda x: torusae.spring_loss(x, reduction=reduction), angles, compile=True)[1]).max()

    assert largest(64) / largest(128) == pytest.approx(4 if reduction == "sum" else 2, rel=0.02)


def test_quantile_loss_is_zero_at_the_quantiles_alone():
    q = torusae.normal_quantiles(9)
    assert value_of(torusae.quantile_loss, to_tensor(q[::-1, None]), q) == pytest.approx(0, abs=1e-12)
    assert value_of(torusae.quantile_loss, to_tensor(q[::-1, None] + 0.5), q) == pytest.approx(9 * 0.25, rel=1e-5)


def test_quantile_loss_is_the_squared_wasserstein_distance(rng):
    # Eq. 5 over S, against SciPy's optimal assignment, which does not sort.
    values, q = rng.uniform(0, 2, 12), torusae.normal_quantiles(12)
    cost = (values[:, None] - q[None, :]) ** 2
    best = cost[scipy.optimize.linear_sum_assignment(cost)].mean()
    assert value_of(torusae.quantile_loss, to_tensor(values[:, None]), q, "normalized") == pytest.approx(best, rel=1e-5)


# Hard inputs.


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "loss",
    [torusae.SpringLoss(), torusae.QuantileLoss(), torusae.QuantileLoss(squared=True, name="squared")],
    ids=lambda loss: loss.name,
)
def test_finite_on_ties_seam_zero_and_tiny_values(loss, compile):
    hard = [
        0.0,
        0.0,
        -0.0,
        1e-40,
        -1e-40,
        1e-30,
        1e-20,
        math.pi,
        -math.pi,
        np.nextafter(np.float32(np.pi), np.float32(0)),
    ]
    value, slope = gradient(loss, np.array(hard, "float32")[:, None], compile)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("squared", [False, True])
def test_losses_of_codes_at_the_origin_have_finite_gradients(squared, compile):
    torus = torusae.Torus(1)
    spring, quantile = torusae.SpringLoss(), torusae.QuantileLoss(squared=squared)

    def total(code):
        return spring(torus.view("angles", code, code)) + quantile(torus.view(quantile.reads, code, code))

    code = np.array([[0.0, 0.0], [1e-20, 0.0], [1e-30, 1e-30], [1e-40, -1e-40], [-1.0, 0.0], [0.5, 0.5]], "float32")
    value, slope = gradient(total, code, compile)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert np.abs(slope[-1]).max() > 0


def test_equal_angles_share_the_gradient_in_the_order_of_the_batch():
    _, slope = gradient(torusae.spring_loss, np.array([[1.0], [0.0], [1.0], [1.0]], "float32"))
    # Gaps in order 0, 1, 1, 1: 1, 0, 0, τ - 1.
    gap = TAU - 1
    np.testing.assert_allclose(slope[:, 0], [2 * 1, 2 * (gap - 1), 0, -2 * gap], atol=5e-6)


# Quantiles.


@pytest.mark.parametrize("count", [1, 2, 3, 44, 128, 4096])
def test_normal_quantiles_match_scipy(count):
    expected = reference.normal_quantiles(count, 0.0, 1.0)
    # NormalDist.inv_cdf (AS241) claims 16 digits; near the median the number itself goes to 0.
    np.testing.assert_allclose(torusae.normal_quantiles(count, 0.0, 1.0), expected, rtol=1e-14, atol=1e-15)
    shifted = torusae.normal_quantiles(count, 1.0, 0.1)
    np.testing.assert_allclose(shifted, reference.normal_quantiles(count, 1.0, 0.1), rtol=1e-15)
    assert shifted.dtype == np.float64
    assert (np.diff(shifted) > 0).all()


def test_normal_quantiles_are_the_callers_own():
    torusae.normal_quantiles(3)[0] = 99.0
    assert torusae.normal_quantiles(3)[0] < 1


@pytest.mark.parametrize("batch", [1, 2, 44, 128])
@pytest.mark.parametrize("squared", [False, True])
def test_quantiles_follow_the_batch(batch, squared):
    loss = torusae.QuantileLoss(squared=squared)
    q = torusae.normal_quantiles(batch)
    got = to_numpy(loss.quantiles(to_tensor(np.zeros((batch, 2)))))
    np.testing.assert_allclose(got, q**2 if squared else q, rtol=3e-7)


@pytest.mark.parametrize("batch", [1, 44, 128, 1000])
def test_quantiles_of_a_compiled_batch_of_unknown_size(batch):
    # On TensorFlow this is the way through `_traced_quantiles`, in float64; the result is float32.
    got = to_numpy(compiled(torusae.QuantileLoss(0.0, 1.0).quantiles)(to_tensor(np.zeros((batch, 2)))))
    np.testing.assert_allclose(got, torusae.normal_quantiles(batch, 0.0, 1.0), rtol=2e-7, atol=1e-12)


@pytest.mark.skipif(on_jax(), reason="JAX knows every batch size where it computes, and never takes this way there")
@pytest.mark.parametrize("batch", [1, 2, 44, 128, 4096])
def test_quantiles_inside_a_graph(batch):
    column = to_tensor(np.zeros(batch), "float64")
    got = to_numpy(torusae.QuantileLoss(0.0, 1.0)._traced_quantiles(column))
    assert got.dtype == np.float64
    # erfinv and the argument 2z - 1 round; the tail magnifies both.
    np.testing.assert_allclose(got, reference.normal_quantiles(batch, 0.0, 1.0), rtol=1e-11, atol=1e-14)


def test_squares_of_quantiles_below_zero_are_sorted():
    loss = torusae.QuantileLoss(mean=0.5, stddev=2.0, squared=True)
    got = to_numpy(loss.quantiles(to_tensor(np.zeros((9, 1)))))
    np.testing.assert_allclose(got, np.sort(torusae.normal_quantiles(9, 0.5, 2.0) ** 2), rtol=3e-7)
    assert value_of(loss, to_tensor(got[:, None])) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("batch", [1, 5, 44])
@pytest.mark.parametrize(
    "function",
    [
        lambda p: 2 * p**2,
        lambda p: 2 * keras.ops.square(p),
        lambda p: 2 * keras.ops.square(keras.ops.convert_to_tensor(p)),
    ],
    ids=["arithmetic", "keras.ops", "keras.ops of a tensor"],
)
@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_custom_quantile_function(function, batch, compile):
    quantiles = torusae.QuantileLoss(quantile_function=function).quantiles
    got = to_numpy((compiled(quantiles) if compile else quantiles)(to_tensor(np.zeros((batch, 2)))))
    np.testing.assert_allclose(got, 2 * ((np.arange(batch) + 0.5) / batch) ** 2, rtol=3e-7)


def test_custom_quantile_function_of_scipy_where_the_batch_is_known():
    loss = torusae.QuantileLoss(quantile_function=scipy.stats.gamma(3.0).ppf)
    got = to_numpy(loss.quantiles(to_tensor(np.zeros((7, 1)))))
    np.testing.assert_allclose(got, scipy.stats.gamma(3.0).ppf((np.arange(7) + 0.5) / 7), rtol=3e-7)


def test_custom_quantile_function_that_fails_on_a_tensor_says_so():
    def takes_numpy_alone(probabilities):
        raise AttributeError("no attribute 'astype'")

    with pytest.raises(
        TypeError, match=r"`quantile_function` failed.*no attribute 'astype'.*must be written with keras.ops"
    ):
        torusae.QuantileLoss(quantile_function=takes_numpy_alone)._traced_quantiles(to_tensor(np.zeros(3)))


# Objects.


@keras.saving.register_keras_serializable(package="torusae_tests")
def square_quantiles(probabilities):
    return probabilities * probabilities


OBJECTS = [
    torusae.SpringLoss(period=24.0, reduction="sum", name="hours"),
    torusae.QuantileLoss(mean=2.0, stddev=0.5, squared=True, reduction="sum", name="radius"),
    torusae.QuantileLoss(quantile_function=square_quantiles),
]


@pytest.mark.parametrize("loss", OBJECTS, ids=lambda loss: loss.name)
def test_object_survives_serialization(loss, rng):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    values = to_tensor(rng.uniform(0.5, 3, (7, 2)))
    assert value_of(again, values) == value_of(loss, values)


def test_objects_call_their_functions(rng):
    x = to_tensor(rng.uniform(0.5, 2, (7, 2)))
    assert value_of(torusae.SpringLoss(), x) == value_of(torusae.spring_loss, x, reduction="normalized")
    quantiles = torusae.normal_quantiles(7)
    assert value_of(torusae.QuantileLoss(reduction="sum"), x) == value_of(torusae.quantile_loss, x, quantiles)


@pytest.mark.parametrize("loss", [torusae.SpringLoss(), torusae.QuantileLoss()], ids=lambda loss: loss.name)
def test_object_ignores_y_true_and_returns_a_scalar(loss, rng):
    x = to_tensor(rng.uniform(0.5, 2, (7, 2)))
    value = loss(to_tensor(np.zeros((7, 1))), x)
    assert tuple(value.shape) == tuple(loss(x).shape) == ()
    assert value_of(lambda: value) == value_of(loss, x)


@pytest.mark.parametrize(
    ("loss", "reads"),
    [
        (torusae.SpringLoss(), "angles"),
        (torusae.QuantileLoss(), "radii"),
        (torusae.QuantileLoss(squared=True), "squared_radii"),
    ],
)
def test_objects_say_what_they_read(loss, reads):
    assert loss.reads == reads


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("loss", [torusae.SpringLoss(), torusae.QuantileLoss()], ids=lambda loss: loss.name)
def test_half_precision_is_computed_in_float32(loss, dtype, rng):
    x = reference.round_to(rng.uniform(0, 2, (300, 2)), dtype)
    value = loss(to_tensor(x, dtype))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert value_of(lambda: value) == value_of(loss, to_tensor(x))


@pytest.mark.parametrize("neighbor", [1, 4])
def test_mean_of_the_spring_is_the_documented_one(rng, neighbor):
    batch, circles = 20, 3000
    angles = to_tensor(rng.uniform(-np.pi, np.pi, (batch, circles)))
    normalized = (neighbor + 1) / neighbor * batch / (batch + 1)
    assert value_of(torusae.SpringLoss(neighbor=neighbor), angles) == pytest.approx(normalized, rel=0.03)
    if neighbor == 1:
        total = 2 * circles * (2 * np.pi) ** 2 / (batch + 1)
        assert value_of(torusae.spring_loss, angles) == pytest.approx(total, rel=0.03)


# Errors.

X = np.zeros((4, 2), "float32")


def test_error_names_the_rule_and_what_came():
    for call, error, rule, received in [
        (lambda: torusae.spring_loss(X[0]), ValueError, "`angles` must have shape (batch, dim)", "angles.shape=(2,)"),
        (
            lambda: torusae.spring_loss(X[0]),
            ValueError,
            "For one row use angles[None, :], for one column angles[:, None]",
            "",
        ),
        (lambda: torusae.spring_loss(X[None]), ValueError, "`angles` must have shape (batch, dim)", "(1, 4, 2)"),
        (lambda: torusae.quantile_loss(X[0], [1.0]), ValueError, "`values` must have shape (batch, dim)", "(2,)"),
        (lambda: torusae.quantile_loss(X, X), ValueError, "`quantiles` must have shape (batch,)", "(4, 2)"),
        (
            lambda: torusae.quantile_loss(X, np.ones(3)),
            ValueError,
            "`quantiles` must hold one number per row of `values`",
            "quantiles.shape=(3,), values.shape=(4, 2). Use normal_quantiles(4)",
        ),
        (lambda: torusae.spring_loss(X.astype(int)), TypeError, "`angles` must be a tensor of floating", "dtype=int64"),
        (lambda: torusae.quantile_loss([["a"]], [1.0]), TypeError, "`values` must be a tensor of", "dtype=<U1"),
        (
            lambda: torusae.losses.angular_loss(X, X.astype("int32")),
            TypeError,
            "must be a tensor of floating",
            "dtype=int32",
        ),
        (lambda: torusae.spring_loss(X, period=0.0), ValueError, "`period` must be finite and positive", "period=0.0"),
        (lambda: torusae.SpringLoss(period=-2), ValueError, "`period` must be finite and positive", "period=-2.0"),
        (lambda: torusae.SpringLoss(period="day"), TypeError, "`period` must be a number", "period='day'"),
        (lambda: torusae.SpringLoss(period=True), TypeError, "`period` must be a number", "period=True"),
        (lambda: torusae.QuantileLoss(stddev=0), ValueError, "`stddev` must be finite and positive", "stddev=0.0"),
        (lambda: torusae.normal_quantiles(3, 0, -1), ValueError, "`stddev` must be finite and positive", "stddev=-1.0"),
        (lambda: torusae.normal_quantiles(0), ValueError, "`count` must be at least 1", "count=0"),
        (lambda: torusae.normal_quantiles(2.0), TypeError, "`count` must be an integer", "count=2.0"),
        (lambda: torusae.normal_quantiles(True), TypeError, "`count` must be an integer", "count=True"),
        (
            lambda: torusae.spring_loss(X, reduction="mean"),
            ValueError,
            "`reduction` must be one of ['sum', 'normalized']",
            "reduction='mean'",
        ),
        (lambda: torusae.SpringLoss(reduction="normalised"), ValueError, "Did you mean 'normalized'?", "'normalised'"),
        (lambda: torusae.QuantileLoss(reduction="summ"), ValueError, "Did you mean 'sum'?", "reduction='summ'"),
        (lambda: torusae.quantile_loss(X, np.ones(4), "norm"), ValueError, "must be one of", "reduction='norm'"),
        (
            lambda: torusae.QuantileLoss(quantile_function=0.5),
            TypeError,
            "`quantile_function` must be None or a function",
            "quantile_function=0.5",
        ),
        (
            lambda: torusae.SpringLoss()(X, X, sample_weight=np.ones(4)),
            ValueError,
            "takes no `sample_weight`",
            "sample_weight of shape (4,)",
        ),
    ]:
        with pytest.raises(error, match=re.escape(rule)) as caught:
            call()
        assert received in str(caught.value)


@pytest.mark.parametrize("loss", [torusae.SpringLoss(), torusae.QuantileLoss()], ids=lambda loss: loss.name)
def test_float64_arrays_are_taken_without_a_warning(loss, rng):
    # JAX warns where float64 is asked for; here warnings are errors.
    x = rng.uniform(0, 2, (7, 2))
    assert value_of(loss, x) == pytest.approx(value_of(loss, to_tensor(x)), rel=1e-6)


@pytest.mark.parametrize("num", [1, 2, 1000, 1 << 15, (1 << 15) + 1])
def test_radix_argsort_is_stable(num):
    """With ties, both zeros, infinities, and the smallest numbers that XLA does not take for zero."""
    x = np.round(np.random.default_rng(0).normal(size=(3, num)), 2).astype("float32")
    x[0, :1], x[0, -1:] = 0.0, -0.0
    x[1, : min(4, num)] = [np.inf, -np.inf, 1.2e-38, -1.2e-38][: min(4, num)]
    found = to_numpy(compiled(sorting._radix_argsort)(to_tensor(x)))
    np.testing.assert_array_equal(found, np.argsort(x, axis=-1, kind="stable"))


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)], ids=str)
def test_a_loss_of_nothing_is_refused(shape):
    named = {
        "spring_loss": torusae.losses.spring_loss,
        "quantile_loss": lambda values: torusae.losses.quantile_loss(values, np.zeros(len(values), "float32")),
        "diaphony_loss": torusae.losses.diaphony_loss,
        "circular_wasserstein_loss": torusae.losses.circular_wasserstein_loss,
        "product_moment_loss": torusae.losses.product_moment_loss,
        "cramer_wold_loss": torusae.losses.cramer_wold_loss,
        "gaussian_distance_loss": torusae.losses.gaussian_distance_loss,
        "kl_loss": torusae.losses.kl_loss,
        "maximum_mean_discrepancy": torusae.losses.maximum_mean_discrepancy,
        "harmonic_loss": torusae.losses.harmonic_loss,
        "character_loss": torusae.losses.character_loss,
    }
    for name, loss in named.items():
        with pytest.raises(ValueError, match=rf"{name}: .*at least one row.*\({shape[0]}, {shape[1]}\)"):
            loss(np.zeros(shape, "float32"))


def test_directions_of_any_length_have_a_finite_loss():
    values = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    unit = np.array([[0.6, 0.8], [-1.0, 0.0]], "float32")
    expected = to_numpy(torusae.losses.sliced_wasserstein_loss(to_tensor(values), unit))
    for length in (0.0, 1e-40, 1e-30, 5.0, 1e30):
        directions = (unit * length).astype("float32")
        value, slope = gradient(lambda x: torusae.losses.sliced_wasserstein_loss(x, directions), values)  # noqa: B023
        assert np.isfinite(value)
        assert np.all(np.isfinite(slope))
        if length == 5:
            np.testing.assert_allclose(value, expected, rtol=1e-5)
