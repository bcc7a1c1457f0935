"""Losses with random directions are pure functions of a batch: fresh numbers for each batch, compiled or not."""

import keras
import numpy as np
import pytest
import scipy.stats
from shared.tensors import compiled, on_jax, to_numpy, to_tensor

import torusae
from torusae.losses import _random

P = 1e-4  # a sound generator fails one test of ten thousand

LOSSES = [
    torusae.losses.SlicedLoss(num_directions=3),
    torusae.losses.SlicedWassersteinLoss(num_directions=3),
]


def draws(function, num_batches=60):
    """Numbers of many batches, one row each."""
    function = compiled(function) if on_jax() else function
    rng = np.random.default_rng(0)
    return np.stack([to_numpy(function(to_tensor(rng.normal(size=(16, 3))))).ravel() for _ in range(num_batches)])


@pytest.mark.parametrize(
    ("function", "law"),
    [
        (lambda x: _random.uniform(x, 0, (50,)), scipy.stats.uniform),
        (lambda x: _random.normal(x, 0, (25, 2)), scipy.stats.norm),
    ],
    ids=["uniform", "normal"],
)
def test_numbers_follow_their_law_in_and_across_batches(function, law):
    found = draws(function)
    assert scipy.stats.kstest(found.ravel(), law.cdf).pvalue > P
    assert scipy.stats.kstest(found[:, 0], law.cdf).pvalue > P  # the first number of each batch
    unit = law.cdf(found)
    # Neighbours in a batch, and in two batches, are pairs of independent numbers: 10 x 10 cells.
    even = unit.shape[1] // 2 * 2
    for a, b in [(unit[:, :even:2], unit[:, 1:even:2]), (unit[::2], unit[1::2])]:
        counts = np.histogram2d(a.ravel(), b.ravel(), bins=10, range=[[0, 1], [0, 1]])[0]
        assert scipy.stats.chisquare(counts.ravel()).pvalue > P


@pytest.mark.parametrize("change", ["one bit", "one seed"])
def test_the_least_change_gives_unrelated_numbers(rng, change):
    x = rng.normal(size=(16, 3)).astype("float32")
    other = x.copy()
    if change == "one bit":
        other[5, 1] = np.nextafter(other[5, 1], np.float32(9))
    a = to_numpy(_random.uniform(to_tensor(x), 0, (4000,)))
    b = to_numpy(_random.uniform(to_tensor(other), int(change == "one seed"), (4000,)))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(4000)
    assert scipy.stats.kstest((a - b) % 1, "uniform").pvalue > P


def test_integers_are_even():
    found = draws(lambda x: _random.integers(x, 0, 50, 7))
    assert scipy.stats.chisquare(np.bincount(found.ravel(), minlength=7)).pvalue > P


def test_numbers_are_never_0_or_1():
    counters = np.array([_unmixed(bits) for bits in (-(1 << 31), (1 << 31) - 1, -1, 0)], "int32")
    found = to_numpy(_random._uniform(to_tensor(counters)))
    assert (found > 0).all()
    assert (found < 1).all()
    assert found.min() < 1e-6
    assert found.max() > 1 - 1e-6


def _unmixed(bits):
    """The counter whose hash is `bits`: each step of the hash is one to one."""
    mask, bits = 0xFFFFFFFF, bits & 0xFFFFFFFF
    for shift, factor in [(15, 0xD35A2D97), (16, 0x21F0AAAD)]:
        bits = bits * pow(factor, -1, 1 << 32) & mask
        bits ^= bits >> shift ^ bits >> 2 * shift
    return bits - (bits >> 31 << 32)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_equal_values_give_equal_losses_and_the_seed_counts(loss, rng):
    x = rng.normal(size=(12, 3)).astype("float32")
    value = float(loss(to_tensor(x)))
    assert float(loss(to_tensor(x))) == value
    assert float(compiled(loss)(to_tensor(x))) == pytest.approx(value, rel=1e-5, abs=1e-5)
    assert float(loss(to_tensor(x[::-1].copy()))) == pytest.approx(value, rel=1e-5, abs=1e-5)
    other = type(loss).from_config({**loss.get_config(), "seed": 1})
    assert float(other(to_tensor(x))) != pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_random_losses_do_not_freeze_in_compile(loss, rng):
    """No layer carries a state in `compile(loss=...)`: a generator would draw the same numbers in each step on JAX."""
    points = keras.Input((3,), name="points")
    model = keras.Model(
        points, {"points": keras.layers.Dense(3, use_bias=False, kernel_initializer="identity")(points)}
    )
    model.compile(keras.optimizers.SGD(0.0), loss={"points": loss})
    x = rng.normal(size=(12, 3)).astype("float32")
    values = []
    for step in range(5):
        near = x + np.float32(1e-6 * step)  # with equal directions the losses are equal to 1e-5
        model.reset_metrics()  # Keras 3.13 returns the mean of all steps
        values.append(float(model.train_on_batch(near, {"points": np.zeros((12, 1), "float32")})))
        assert values[-1] == pytest.approx(float(loss(to_tensor(near))), rel=1e-3)
    assert np.ptp(values) > 1e-2 * np.mean(np.abs(values))


def test_a_seed_is_an_integer():
    for make in [
        lambda seed: torusae.losses.SlicedLoss(seed=seed),
        lambda seed: torusae.losses.SlicedWassersteinLoss(seed=seed),
    ]:
        with pytest.raises(TypeError, match=r"`seed` must be an integer. Received: seed=None"):
            make(None)
