"""Angle arithmetic: values beside the reference, the seam, the origin, and the laws of the circle."""

import math

import keras
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from shared.tensors import compiled, exact_angles, gradient, on_jax, to_numpy, to_tensor

import torusae
from torusae.angles import harmonics, split_coordinates, to_radians

PI = np.float32(np.pi)
PERIODS = [2 * math.pi, 1.0, 24.0, 0.1]


def assert_same_angles(a, b, atol):
    """Equal on the circle."""
    np.testing.assert_allclose(np.abs(np.exp(1j * np.float64(a)) - np.exp(1j * np.float64(b))), 0, atol=atol)


def near_the_seam(period):
    """float32 numbers at and one step beside the odd multiples of half a period, up to 100 periods away."""
    seams = ((np.arange(-100, 100) + 0.5) * period).astype("float32")
    return np.concatenate([seams, np.nextafter(seams, np.float32(0)), np.nextafter(seams, np.float32(1e9))])


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_wrap_stays_in_range_at_the_seam(period, compile):
    def fn(x):
        return torusae.wrap_angles(x, period)

    x = near_the_seam(period)
    wrapped = to_numpy((compiled(fn) if compile else fn)(to_tensor(x)))
    half = np.float32(period / 2)
    assert (wrapped >= -half).all()
    assert (wrapped < half).all()
    np.testing.assert_array_equal(to_numpy(fn(to_tensor(wrapped))), wrapped)
    # In parts of a turn, from three roundings beside half a turn.
    turn = 2 * np.pi / period
    assert_same_angles(wrapped * turn, x.astype("float64") * turn, atol=6e-7)


def test_wrap_leaves_what_is_in_range_and_turns_plus_pi_into_minus_pi():
    last = np.nextafter(PI, np.float32(0))
    x = np.array([-PI, -last, -1e-30, 0.0, 1.5, last], "float32")
    np.testing.assert_array_equal(to_numpy(torusae.wrap_angles(to_tensor(x))), x)
    np.testing.assert_array_equal(to_numpy(torusae.wrap_angles(to_tensor(np.array([PI, -PI])))), [-PI, -PI])


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_wrap_has_gradient_one_everywhere(compile):
    x = np.concatenate([near_the_seam(2 * np.pi), [PI, -PI, 0.0, 1e5]]).astype("float32")
    _, slope = gradient(lambda a: keras.ops.sum(torusae.wrap_angles(a)), x, compile)
    np.testing.assert_array_equal(slope, np.ones_like(x))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_wrap_matches_the_reference_far_from_zero(rng, dtype):
    x = reference.round_to(rng.uniform(-500, 500, 200), dtype)
    wrapped = torusae.wrap_angles(to_tensor(x, dtype))
    assert keras.backend.standardize_dtype(wrapped.dtype) == "float32"
    # Half a step of float32 at π for each of three roundings: half precision is widened before anything is computed.
    assert_same_angles(to_numpy(wrapped), [reference.wrap(float(a)) for a in x], atol=4e-7)


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_wrap_stays_in_range_at_any_size(rng, period, compile):
    def fn(x):
        return torusae.wrap_angles(x, period)

    sizes = 10.0 ** np.arange(-30, 31)
    x = np.concatenate([sizes, -sizes, rng.uniform(-1e9, 1e9, 1000), rng.uniform(-1e30, 1e30, 100)]).astype("float32")
    wrapped = to_numpy((compiled(fn) if compile else fn)(to_tensor(x)))
    assert (wrapped >= -np.float32(period / 2)).all()
    assert (wrapped < np.float32(period / 2)).all()


@pytest.mark.parametrize("size", [1e3, 4e5, 1e6, 1e7])
def test_wrap_is_as_accurate_as_documented(rng, size):
    x = np.concatenate([rng.uniform(-size, size, 10000), [size, -size]]).astype("float32")
    wrapped = to_numpy(torusae.wrap_angles(to_tensor(x))).astype("float64")
    error = np.abs(np.exp(1j * wrapped) - np.exp(1j * x.astype("float64")))
    # Beyond 2^16 turns their product with the period rounds, to half a step of x; the rest is a hundredth of that.
    assert (error < np.where(np.abs(x) <= 500, 4e-7, 0.505 * np.spacing(np.abs(x)))).all()


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch.export belongs to torch")
def test_angles_are_exported_by_torch():
    import torch

    class Angles(torch.nn.Module):
        def forward(self, points):
            return torusae.wrap_angles(torusae.to_polar(points)[1])

    points = torch.tensor([[0.5, -1.0], [-1.0, 0.0]])
    exported = torch.export.export(Angles(), (points,), strict=False).module()  # the default from torch 2.9 on
    np.testing.assert_array_equal(to_numpy(exported(points)), to_numpy(Angles()(points)))
    np.testing.assert_allclose(to_numpy(torch.vmap(Angles())(points)), to_numpy(Angles()(points)), atol=1e-6)


@pytest.mark.skipif(on_jax(), reason="JAX computes in float32 unless jax_enable_x64 is set")
def test_float64_is_computed_in_float64(rng):
    x = rng.uniform(-500, 500, (50, 2))
    wrapped = to_numpy(torusae.wrap_angles(to_tensor(x, "float64")))
    assert wrapped.dtype == np.float64
    assert_same_angles(wrapped, x, atol=1e-12)  # 500 rad hold 1e-13 of a radian
    radii, angles = (to_numpy(part) for part in torusae.to_polar(to_tensor(x, "float64")))
    assert radii.dtype == angles.dtype == np.float64
    np.testing.assert_allclose(radii, np.hypot(x[:, :1], x[:, 1:]), rtol=1e-14)
    np.testing.assert_allclose(angles, np.arctan2(x[:, 1:], x[:, :1]), atol=1e-14)


@given(st.floats(-30, 30, width=32), st.floats(-30, 30, width=32))
def test_difference_is_the_shortest_arc_and_antisymmetric(a, b):
    there = float(torusae.angle_difference(to_tensor([a]), to_tensor([b]))[0])
    back = float(torusae.angle_difference(to_tensor([b]), to_tensor([a]))[0])
    assert -PI <= there < PI
    # Two wrapped angles and their difference, each rounded at up to 2π.
    assert abs(there) == pytest.approx(reference.circle_distance(a, b), abs=2e-6)
    assert_same_angles(there + back, 0.0, atol=2e-6)
    if abs(there) < 3.14:
        assert there + back == pytest.approx(0, abs=2e-6)


def test_difference_at_the_antipode_is_minus_pi():
    arcs = torusae.angle_difference(to_tensor([0.0, -PI, PI]), to_tensor([PI, 0.0, 0.0]))
    np.testing.assert_array_equal(to_numpy(arcs), [-PI, -PI, -PI])


def test_difference_broadcasts_and_has_gradients_one_and_minus_one():
    a, b = np.array([[0.5], [3.0]], "float32"), np.array([[0.25, -3.0]], "float32")
    assert tuple(torusae.angle_difference(to_tensor(a), to_tensor(b)).shape) == (2, 2)
    np.testing.assert_array_equal(
        gradient(lambda x: keras.ops.sum(torusae.angle_difference(x, to_tensor(b))), a, compile=True)[1], [[2.0], [2.0]]
    )
    np.testing.assert_array_equal(
        gradient(lambda x: keras.ops.sum(torusae.angle_difference(to_tensor(a), x)), b, compile=True)[1], [[-2.0, -2.0]]
    )


@pytest.mark.parametrize("shape", [(6,), (5, 6), (2, 3, 4)], ids=str)
def test_polar_and_cartesian_are_inverse(rng, shape):
    points = rng.normal(size=shape)
    radii, angles = torusae.to_polar(to_tensor(points))
    x, y = np.split(points, 2, axis=-1)
    np.testing.assert_allclose(to_numpy(radii), np.hypot(x, y), rtol=3e-7)
    np.testing.assert_allclose(to_numpy(angles), np.arctan2(y, x), atol=4e-7)
    np.testing.assert_allclose(to_numpy(torusae.to_cartesian(radii, angles)), points, atol=2e-6)


def test_angles_at_the_seam_and_on_the_axes():
    # Points (x, y): the ray of +π, from above, from exactly on it, and from below; then the axes.
    points = np.array([[-1.0, 1e-12], [-1.0, 0.0], [-1.0, -0.0], [-1.0, -1e-12], [0.0, 1.0], [0.0, -1.0]], "float32")
    angles = to_numpy(torusae.to_polar(to_tensor(points))[1])[:, 0]
    np.testing.assert_array_equal(angles, np.array([-PI, -PI, -PI, -PI, PI / 2, -PI / 2], "float32"))


# 1e-40 is subnormal in float32; 9e-7 and 1.1e-6 lie on either side of the guard.
RADII = [0.0, 1e-40, 1e-30, 1e-20, 9e-7, 1.1e-6, 1e-3, 1.0, 1e15]


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("what", ["radii", "angles", "squared_radii"])
def test_value_and_gradient_are_finite_from_the_origin_outwards(what, compile):
    directions = np.array([0.0, 0.5, np.pi / 2, np.pi, -np.pi / 2, -3.0])
    radii = np.repeat(RADII, len(directions))
    turned = np.tile(directions, len(RADII))
    points = np.stack([radii * np.cos(turned), radii * np.sin(turned)], axis=-1).astype("float32")

    def total(points):
        if what == "squared_radii":
            part = torusae.angles.squared_radii(points)
        else:
            part = torusae.to_polar(points)[0 if what == "radii" else 1]
        return keras.ops.sum(part)

    value, slope = gradient(total, points, compile)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    if what != "squared_radii":
        assert (slope[radii < 1e-6] == 0).all()
        known = radii > 1e-6
        x, y, r = (part[known] for part in (points[:, 0].astype("float64"), points[:, 1].astype("float64"), radii))
        expected = np.stack([x / r, y / r] if what == "radii" else [-y / r**2, x / r**2], axis=-1)
        error = np.abs(slope[known] - expected).max(axis=-1) * (1 if what == "radii" else r)
        np.testing.assert_allclose(error, 0, atol=1e-5)  # float32 sums of two squares and a root


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_origin_in_half_precision(dtype):
    points = np.array([[0.0, 0.0], [1e-7, 0.0], [6e-8, -6e-8], [1e-3, 1e-3], [-3.0, 0.0]])

    def total(points):
        radii, angles = torusae.to_polar(points)
        return keras.ops.sum(radii) + keras.ops.sum(angles)

    value, slope = gradient(total, to_tensor(points, dtype))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_polar_angles_are_those_of_to_polar(rng):
    points = to_tensor(rng.normal(size=(9, 4)))
    np.testing.assert_array_equal(to_numpy(torusae.angles.polar_angles(points)), to_numpy(torusae.to_polar(points)[1]))


def test_symbolic_input_with_an_unknown_batch():
    points = keras.Input((6,))
    radii, angles = torusae.to_polar(points)
    assert radii.shape == angles.shape == (None, 3)
    assert torusae.to_cartesian(radii, angles).shape == (None, 6)


def test_split_coordinates_keeps_x_before_y():
    x, y = torusae.angles.split_coordinates(to_tensor([[1.0, 2.0, 3.0, 4.0]]))
    np.testing.assert_array_equal(to_numpy(x), [[1.0, 2.0]])
    np.testing.assert_array_equal(to_numpy(y), [[3.0, 4.0]])


def test_a_code_of_odd_size_is_refused():
    for fn in [torusae.angles.split_coordinates, torusae.angles.squared_radii, torusae.to_polar]:
        with pytest.raises(
            ValueError, match=r"`points` must have shape \(\.\.\., 2 \* dim\).*even.*points.shape=\(4, 3\)"
        ):
            fn(to_tensor(np.zeros((4, 3))))
        with pytest.raises(ValueError, match=r"not empty.*points.shape=\(4, 0\)"):
            fn(to_tensor(np.zeros((4, 0))))
        with pytest.raises(ValueError, match=r"points.shape=\(\)"):
            fn(to_tensor(1.0))


@pytest.mark.parametrize(
    ("array", "dtype"),
    [(np.zeros((2, 2), "int32"), "int32"), (np.array([["a", "b"]]), "<U1")],
    ids=["int", "string"],
)
def test_numbers_that_are_not_floating_point_are_refused(array, dtype):
    rule = f"must be a tensor of floating-point numbers. Received: dtype={dtype}"
    for owner, name, fn in [
        ("wrap_angles", "angles", torusae.wrap_angles),
        ("split_coordinates", "points", torusae.to_polar),
        ("to_cartesian", "angles", lambda a: torusae.to_cartesian(np.ones((2, 2), "float32"), a)),
        ("to_cartesian", "radii", lambda r: torusae.to_cartesian(r, np.ones((2, 2), "float32"))),
    ]:
        with pytest.raises(TypeError, match=f"^{owner}: `{name}` {rule}"):
            fn(array)


# Periods of columns, and harmonics


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_each_column_has_its_own_period(rng, compile):
    x = np.concatenate([near_the_seam(period)[:, None] for period in PERIODS], axis=1)

    def fn(x):
        return torusae.wrap_angles(x, PERIODS)

    wrapped = to_numpy((compiled(fn) if compile else fn)(to_tensor(x)))
    for column, period in enumerate(PERIODS):
        alone = to_numpy(torusae.wrap_angles(to_tensor(x[:, column]), period))
        assert_same_angles(wrapped[:, column] * (2 * np.pi / period), alone * (2 * np.pi / period), atol=1e-6)
        half = np.float32(period / 2)
        assert (wrapped[:, column] >= -half).all()
        assert (wrapped[:, column] < half).all()
    _, slope = gradient(lambda a: keras.ops.sum(torusae.wrap_angles(a, np.array(PERIODS))), x[:6], compile)
    np.testing.assert_array_equal(slope, np.ones_like(x[:6]))


def test_radians_of_any_period(rng):
    hours = rng.uniform(-12, 12, (50, 1)).astype("float32")
    values = np.concatenate([hours, hours * 15 + 360, hours + 24 * 20_000], axis=1).astype("float32")
    angles = to_numpy(to_radians(to_tensor(values), (24, 360, 24)))
    exact = values.astype("float64") / [24, 360, 24]
    assert_same_angles(angles, 2 * np.pi * exact, atol=5e-7)  # three roundings beside π
    assert (np.abs(angles) <= np.nextafter(PI, np.float32(4))).all()
    np.testing.assert_allclose(to_numpy(to_radians(to_tensor([18.0, 3.0]), 24)), [-np.pi / 2, np.pi / 4], rtol=2e-7)
    _, slope = gradient(lambda a: keras.ops.sum(to_radians(a, (24, 360, 24))), values)
    np.testing.assert_allclose(slope, np.broadcast_to([np.pi / 12, np.pi / 180, np.pi / 12], values.shape), rtol=1e-6)


def loop_of_waves(values, num_harmonics, periods):
    """Cosines and sines in float64, one by one, in the documented order."""
    rows = []
    for row in values.astype("float64"):
        halves = [
            [wave(k * 2 * math.pi * math.fmod(value, period) / period) for k in range(1, num_harmonics + 1)
             for value, period in zip(row, periods, strict=True)]
            for wave in (math.cos, math.sin)
        ]  # fmt: skip
        rows.append(halves[0] + halves[1])
    return np.array(rows)


@pytest.mark.parametrize("num_harmonics", [1, 2, 5])
@pytest.mark.parametrize("period", [2 * math.pi, 24, (2 * math.pi, 24.0, 0.1), [7, 365.25, 360]], ids=str)
@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_harmonics_are_waves_of_multiples(rng, num_harmonics, period, compile):
    periods = period if isinstance(period, (list, tuple)) else [period] * 3
    values = (rng.uniform(-70, 70, (40, 3)) * periods).astype("float32")

    def fn(x):
        return harmonics(x, num_harmonics, period)

    waves = to_numpy((compiled(fn) if compile else fn)(to_tensor(values)))
    expected = loop_of_waves(values, num_harmonics, periods)
    np.testing.assert_allclose(waves, expected, atol=5e-7 * num_harmonics)  # the documented accuracy
    # A slope is k 2π / period times the other wave.
    weights = rng.normal(size=expected.shape[1])
    _, slope = gradient(lambda x: keras.ops.sum(harmonics(x, num_harmonics, period) * to_tensor(weights)), values)
    steps = np.array(periods) * 1e-6
    exact = sum(
        (loop_of_waves(values + (np.arange(3) == j) * steps, num_harmonics, periods)
         - loop_of_waves(values - (np.arange(3) == j) * steps, num_harmonics, periods)) @ weights[:, None]
        / (2 * steps[j]) * (np.arange(3) == j)
        for j in range(3)
    )  # fmt: skip
    scale = np.abs(exact).max(axis=0)
    np.testing.assert_allclose(slope / scale, exact / scale, atol=2e-5)


def test_harmonics_are_a_code_of_more_circles(rng):
    angles = exact_angles(rng, 6, 2)
    one = to_numpy(harmonics(to_tensor(angles)))
    np.testing.assert_allclose(one, to_numpy(torusae.to_cartesian(np.ones_like(angles), angles)), atol=2e-7)
    cosines, sines = map(to_numpy, split_coordinates(harmonics(to_tensor(angles), 3)))
    np.testing.assert_array_equal(np.concatenate([cosines[:, :2], sines[:, :2]], axis=1), one)
    np.testing.assert_allclose(cosines[:, 2:4], np.cos(2 * angles), atol=1e-6)
    radii, multiples = map(to_numpy, torusae.to_polar(harmonics(to_tensor(angles), 3)))
    np.testing.assert_allclose(radii, 1, rtol=1e-6)
    assert_same_angles(multiples, np.concatenate([angles, 2 * angles, 3 * angles], axis=1), atol=2e-6)
    several = to_numpy(harmonics(to_tensor(angles.reshape(3, 2, 2)), 3))
    np.testing.assert_array_equal(several.reshape(6, 12), np.concatenate([cosines, sines], axis=1))


@pytest.mark.parametrize("period", [24, 7, 365, 604_800, 365.25])
def test_integers_of_float32_keep_their_digits(rng, period):
    values = rng.integers(-(2**24), 2**24, (2000, 1)).astype("float32")  # hours since 1970 are half a million
    waves = to_numpy(harmonics(to_tensor(values), 3, period))
    np.testing.assert_allclose(waves, loop_of_waves(values, 3, [period]), atol=1.5e-6)  # k · 5e-7, wherever they lie


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_spoils_its_own_columns(bad):
    waves = to_numpy(harmonics(to_tensor([[6.0, bad], [1.0, 2.0]]), 2, (24, 7)))
    np.testing.assert_array_equal(np.isnan(waves), [[False, True] * 4, [False] * 8])


PERIOD_ERRORS = [
    ((24, 7, 12), ValueError, r"one number, or one for each column.*\(24, 7, 12\), \w+.shape=\(5, 2\)"),
    ([], ValueError, r"one number, or one for each column.*period=\[\]"),
    ((24, 0), ValueError, r"`period\[1\]` must be finite and positive. Received: period\[1\]=0.0"),
    ((24, math.nan), ValueError, r"`period\[1\]` must be finite and positive"),
    ((1e-300, 7), ValueError, r"`period\[0\]` must lie between.*1e-300"),
    ((24, "7"), TypeError, r"`period\[1\]` must be a number. Received: period\[1\]='7'"),
    (-7, ValueError, "`period` must be finite and positive. Received: period=-7.0"),
    (None, TypeError, "`period` must be a number. Received: period=None"),
]


@pytest.mark.parametrize("function", [torusae.wrap_angles, to_radians, harmonics])
@pytest.mark.parametrize(("period", "error", "message"), PERIOD_ERRORS)
def test_periods_that_do_not_fit_are_named(function, period, error, message):
    with pytest.raises(error, match=f"{function.__name__}: .*{message}"):
        function(to_tensor(np.ones((5, 2))), period=period)


def test_values_that_have_no_harmonics():
    with pytest.raises(TypeError, match=r"harmonics: `values` must be a tensor of floating-point numbers.*int"):
        harmonics(np.arange(24)[:, None], period=24)
    with pytest.raises(ValueError, match=r"harmonics: `values` must have shape \(..., dim\)"):
        harmonics(6.0, period=24)
    with pytest.raises(ValueError, match=r"harmonics: `num_harmonics` must be at least 1. Received: num_harmonics=0"):
        harmonics(to_tensor([0.0]), 0)


def test_a_period_that_is_not_positive_is_refused():
    for period in [0.0, -1.0, math.inf, math.nan]:
        with pytest.raises(
            ValueError, match=f"wrap_angles: `period` must be finite and positive. Received: period={period}"
        ):
            torusae.wrap_angles(to_tensor([0.0]), period)


def test_a_period_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match=r"`period` must be a number\. Received: period='2π'"):
        torusae.wrap_angles(to_tensor([0.0]), "2π")
