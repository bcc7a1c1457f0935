"""Losses on the whole torus against loops over pairs, over frequencies and an optimal assignment, and their laws."""

import itertools
import math

import keras
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from shared.tensors import gradient, to_numpy, to_tensor

import torusae

TAU = 2 * math.pi
UNIFORM_AT_ONE_OVER_BATCH = {
    "circular_wasserstein": torusae.losses.circular_wasserstein_loss,
    "diaphony": torusae.diaphony_loss,
    "diaphony_order": lambda a: torusae.diaphony_loss(a, max_frequency=2),
    "diaphony_pairs": lambda a: torusae.diaphony_loss(a, interactions=2),
    "diaphony_order_pairs": lambda a: torusae.diaphony_loss(a, max_frequency=2, interactions=2),
    "diaphony_decay": lambda a: torusae.diaphony_loss(a, max_frequency=3, interactions=1, decay=0.5),
    "sliced": lambda a: torusae.losses.sliced_loss(a, torusae.angles.primitive_directions(a.shape[1], 1)),
}
ALL = {
    **UNIFORM_AT_ONE_OVER_BATCH,
    "product_moment": torusae.losses.product_moment_loss,
    "spring_order": lambda a: torusae.spring_loss(a, reduction="normalized", neighbor=3),
}
REFERENCES = {
    "diaphony": lambda a: reference.diaphony(a, a.shape[1]),
    "diaphony_order": lambda a: reference.finite_diaphony(a, 2, a.shape[1]),
    "diaphony_pairs": lambda a: reference.diaphony(a, 2),
    "diaphony_order_pairs": lambda a: reference.finite_diaphony(a, 2, 2),
    "diaphony_decay": lambda a: reference.finite_diaphony(a, 3, 1, 0.5),
    "product_moment": reference.product_moment,
    "spring_order": lambda a: reference.mth_neighbour_springs(a, 3),
}


def points(batch=10, dim=3, seed=0, spread=math.pi):
    return np.random.default_rng(seed).uniform(-spread, spread, (batch, dim))


@pytest.mark.parametrize("name", REFERENCES)
def test_value_and_gradient(name):
    # Several turns away: only the value modulo 2π counts. Float32 holds such an angle to 1e-6.
    angles = points(spread=8.0)
    expected = REFERENCES[name](angles)
    slopes = np.zeros_like(angles)
    for index in itertools.product(range(0, 10, 3), range(3)):
        step = np.zeros_like(angles)
        step[index] = 1e-5
        slopes[index] = (REFERENCES[name](angles + step) - REFERENCES[name](angles - step)) / 2e-5
    for compile in (False, True):
        value, slope = gradient(ALL[name], angles, compile)
        np.testing.assert_allclose(value, expected, rtol=2e-5)
        np.testing.assert_allclose(slope[::3], slopes[::3], atol=3e-5 * np.abs(slopes).max())


def test_circular_wasserstein_is_the_cost_of_the_best_assignment():
    angles = points(8, 2, spread=2.0)
    # The grid can be off by half a cell of 400 against the best rotation: (1/800)² of a cost of about 0.1.
    value, slope = gradient(torusae.losses.circular_wasserstein_loss, angles, compile=True)
    np.testing.assert_allclose(value, reference.circular_wasserstein(angles), rtol=1e-3)
    step = np.zeros_like(angles)
    # Between changes of the order the loss is quadratic. float32 holds 0.3 to 3e-8: a difference over 2e-2 to 2e-6.
    step[3, 1] = 1e-2
    ends = [float(torusae.losses.circular_wasserstein_loss(to_tensor(angles + sign * step))) for sign in (1, -1)]
    np.testing.assert_allclose(slope[3, 1], (ends[0] - ends[1]) / 2e-2, rtol=1e-3)


def test_closed_form_is_the_limit_of_its_frequencies():
    angles = points(6, 2)
    exact = float(torusae.diaphony_loss(to_tensor(angles)))
    finite = [
        float(torusae.diaphony_loss(to_tensor(angles), max_frequency=max_frequency)) for max_frequency in (10, 40, 160)
    ]
    # What is cut off, as a share of all weights, falls as 1 / max_frequency.
    for most, value in zip((10, 40, 160), finite, strict=True):
        assert abs(value - exact) < 4 / most


def test_blocks_make_no_difference(monkeypatch):
    angles = points(50, 3)
    whole = gradient(torusae.diaphony_loss, angles)
    # 50 rows in blocks of 3: 16 whole ones and one with a single row.
    monkeypatch.setattr("torusae.losses.diaphony._BLOCK_PAIRS", 150)
    for compile in (False, True):
        for part, expected in zip(gradient(torusae.diaphony_loss, angles, compile), whole, strict=True):
            np.testing.assert_allclose(part, expected, rtol=1e-5, atol=1e-7)


def test_closed_form_of_many_circles_is_finite():
    # A point and itself have the kernel's largest value, 4.3^64, which float32 does not hold; all others are nothing
    # beside it, so that the closed form is the share of pairs that are one point.
    value, slope = gradient(torusae.diaphony_loss, points(4, 64))
    np.testing.assert_allclose(value, 1 / 4, rtol=1e-5)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("dim", [1, 4])
@pytest.mark.parametrize("name", UNIFORM_AT_ONE_OVER_BATCH)
def test_one_point_gives_one(name, dim):
    loss = UNIFORM_AT_ONE_OVER_BATCH[name]
    value, slope = gradient(loss, np.full((5, dim), 0.3))
    np.testing.assert_allclose(value, 1.0, rtol=1e-5)
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(gradient(loss, np.full((1, dim), 0.3))[0], 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_independent_uniform_points_give_the_stated_mean(name):
    batch = 64
    values = [float(ALL[name](to_tensor(points(batch, 3, seed)))) for seed in range(100)]
    expected = {"product_moment": 2 / batch, "spring_order": 4 / 3 * batch / (batch + 1)}.get(name, 1 / batch)
    # Five standard errors of the mean of 100 values.
    assert abs(np.mean(values) - expected) < 5 * np.std(values) / math.sqrt(100) + 0.02 * expected


@pytest.mark.parametrize("name", ALL)
@given(shift=st.lists(st.floats(-7, 7), min_size=3, max_size=3), seed=st.integers(0, 99))
def test_turns_permutations_and_rotations_change_nothing(name, shift, seed):
    angles = points(7, 3, seed)
    value = float(ALL[name](to_tensor(angles)))
    other = np.random.default_rng(seed).permutation(angles) + np.array(shift) + TAU * (angles > 1)
    # An angle of 20 radians is off by 1e-6 in float32.
    assert math.isclose(float(ALL[name](to_tensor(other))), value, rel_tol=2e-4, abs_tol=2e-5)


@pytest.mark.parametrize(
    ("name", "loss"), [("sliced", torusae.losses.SlicedLoss(seed=3)), ("diaphony", torusae.DiaphonyLoss())]
)
def test_joint_losses_see_what_the_spring_does_not(name, loss):
    even = np.linspace(-math.pi, math.pi, 64, endpoint=False)
    tied = np.stack([even, even], axis=1)  # each circle even, and yet all on one line of the torus
    apart = np.stack([even, np.random.default_rng(0).permutation(even)], axis=1)
    assert float(torusae.spring_loss(to_tensor(tied), reduction="normalized")) == pytest.approx(1, abs=1e-5)
    assert float(loss(to_tensor(tied))) > 3 * float(loss(to_tensor(apart)))


def test_product_moment_at_dim_1_is_zero():
    value, slope = gradient(torusae.losses.product_moment_loss, points(5, 1))
    assert value == 0
    assert (slope == 0).all()


@pytest.mark.parametrize(
    "loss",
    [
        torusae.losses.CircularWassersteinLoss(),
        torusae.losses.SlicedLoss(
            torusae.SpringLoss(neighbor=2), num_directions=5, max_frequency=1, interactions=None, seed=4
        ),
        torusae.DiaphonyLoss(),
        torusae.DiaphonyLoss(max_frequency=3, interactions=2, decay=1.0),
        torusae.losses.ProductMomentLoss(),
        torusae.SpringLoss(neighbor=4),
    ],
    ids=lambda loss: loss.name,
)
def test_serialized_loss_gives_the_same(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    angles = to_tensor(points(9, 3))
    assert float(again(angles)) == pytest.approx(float(loss(angles)), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        torusae.losses.SlicedLoss(seed=0, num_directions=4),
        torusae.DiaphonyLoss(),
        torusae.DiaphonyLoss(max_frequency=2),
    ],
)
def test_layer_trains_with_joint_losses(loss):
    x = np.random.default_rng(0).normal(size=(70, 5)).astype("float32")
    model = torusae.TorusAutoencoder.from_shape((5,), 2, losses=[loss, torusae.QuantileLoss(squared=True)])
    model.compile("adam", "mse")
    history = model.fit(x, batch_size=32, epochs=2, verbose=0).history  # a last batch of 6
    assert np.isfinite(history["loss"]).all()
    host = keras.Sequential([keras.Input((5,)), torusae.TorusLatent(2, losses=[loss]), keras.layers.Dense(5)])
    host.compile("adam", "mse")
    assert np.isfinite(host.fit(x, x, batch_size=32, verbose=0).history["loss"]).all()


def test_bad_values():
    for call, message in [
        (lambda a: torusae.losses.sliced_loss(a, [[1, 0, 0], [0, 0, 0]]), "zeros in row 1"),
        (lambda a: torusae.losses.sliced_loss(a, [[1, 0]]), r"shape \(num_directions, 3\)"),
        (lambda a: torusae.diaphony_loss(a, max_frequency=0), "`max_frequency` must be at least 1"),
        (lambda a: torusae.diaphony_loss(a, interactions=0), "`interactions` must be at least 1"),
        (lambda a: torusae.diaphony_loss(a, max_frequency=40), r"at most 65536 vectors k.*Received: 265720"),
        (lambda a: torusae.diaphony_loss(a, decay=1.0), "closed form has `decay` 2"),
        (lambda a: torusae.diaphony_loss(a[0]), "must have shape"),
        (lambda a: torusae.spring_loss(a, neighbor=0), "`neighbor` must be at least 1"),
        (lambda a: torusae.losses.SlicedLoss(torusae.QuantileLoss()), "must read angles"),
    ]:
        with pytest.raises(ValueError, match=message):
            call(to_tensor(points()))


def test_bad_types():
    for call, message in [
        (lambda a: torusae.losses.sliced_loss(a, [[0.5, 0.0, 1.0]]), "must be integers"),
        (lambda a: torusae.losses.SlicedLoss(torusae.spring_loss), "must be a LatentLoss"),
        (lambda a: torusae.DiaphonyLoss(max_frequency=1.5), "must be an integer"),
        (lambda a: torusae.losses.circular_wasserstein_loss(keras.ops.cast(a, "int32")), "floating-point"),
    ]:
        with pytest.raises(TypeError, match=message):
            call(to_tensor(points()))


@pytest.mark.parametrize(
    ("dim", "max_frequency", "interactions", "count"),
    [(1, 3, None, 1), (3, 1, None, 13), (3, 2, None, 49), (8, 2, 2, 8 + 28 * 6)],
)
def test_primitive_directions(dim, max_frequency, interactions, count):
    directions = torusae.angles.primitive_directions(dim, max_frequency, interactions)
    assert directions.shape == (count, dim)
    assert (np.gcd.reduce(directions, axis=1) == 1).all()
    lines = {max(tuple(k), tuple(-k)) for k in directions}
    assert len(lines) == count
    expected = (
        {
            max(k, tuple(-n for n in k))
            for k in itertools.product(range(-max_frequency, max_frequency + 1), repeat=dim)
            if math.gcd(*k) == 1 and sum(n != 0 for n in k) <= (interactions or dim)
        }
        if dim < 5
        else lines
    )
    assert lines == expected
    assert (np.diff((directions**2).sum(axis=1)) >= 0).all()


def test_too_many_directions():
    with pytest.raises(ValueError, match="Use fewer interactions or a smaller max_frequency"):
        torusae.angles.primitive_directions(20, 2)


def test_float64_and_half_precision():
    angles = points(6, 2)
    for name, loss in UNIFORM_AT_ONE_OVER_BATCH.items():
        half = to_numpy(loss(keras.ops.cast(to_tensor(angles), "bfloat16")))
        assert half.dtype == np.float32, name
