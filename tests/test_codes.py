"""Quantized angles against loops over wrapped angles."""

import itertools
import math

import numpy as np
import pytest

from torusae import codes as c

EACH_BITS = pytest.mark.parametrize("bits", [1, 5, 8, 11, 16])


def random_codes(rng, bits, *shape):
    return rng.integers(0, 1 << bits, shape).astype("uint8" if bits <= 8 else "uint16")


def arc(a, b):
    """The signed arc from b to a by a loop: whole turns are taken off until it lies in [-π, π)."""
    value = a - b
    while value >= math.pi:
        value -= 2 * math.pi
    while value < -math.pi:
        value += 2 * math.pi
    return value


@EACH_BITS
def test_a_code_is_the_nearest_place(rng, bits):
    angles = rng.uniform(-20, 20, 200 if bits < 16 else 20)
    places = np.arange(1 << bits) * 2 * math.pi / (1 << bits)
    chord = np.abs(np.exp(1j * angles)[:, None] - np.exp(1j * places))
    found = c.quantize_angles(angles, bits)
    assert found.dtype == ("uint8" if bits <= 8 else "uint16")
    np.testing.assert_allclose(chord[np.arange(len(angles)), found], chord.min(axis=1), atol=1e-12)


def test_places_survive_a_round_trip():
    for bits in range(1, 17):
        codes = np.arange(1 << bits)
        angles = c.dequantize(codes, bits)
        assert angles.dtype == "float32"
        assert angles.min() == np.float32(-math.pi)
        assert angles.max() < np.float32(math.pi)
        np.testing.assert_allclose(np.exp(1j * angles), np.exp(2j * math.pi * codes / (1 << bits)), atol=1e-6)
        np.testing.assert_array_equal(c.quantize_angles(angles, bits), codes)


@pytest.mark.parametrize("bits", [8, 16])
def test_the_arithmetic_of_integers_is_that_of_the_torus(rng, bits):
    a, b = (random_codes(rng, bits, 1000) for _ in range(2))
    total = np.exp(1j * (c.dequantize(a, bits) + c.dequantize(b, bits)))
    np.testing.assert_allclose(np.exp(1j * c.dequantize(a + b, bits)), total, atol=1e-6)


@EACH_BITS
def test_difference_is_the_wrapped_arc(rng, bits):
    a, b = (random_codes(rng, bits, 50) for _ in range(2))
    found = c.code_difference(a, b, bits)
    assert found.dtype == ("int8" if bits <= 8 else "int16")
    step = 2 * math.pi / (1 << bits)
    expected = [arc(x * step, y * step) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    # At the antipode the loop in floats can end on either side.
    np.testing.assert_allclose(np.exp(1j * found * step), np.exp(1j * np.array(expected)), atol=1e-9)
    assert (np.abs(found.astype(int)) <= (1 << bits) // 2).all()
    np.testing.assert_array_equal((b + found.astype(int)) % (1 << bits), a)
    assert c.code_difference(np.array(0, a.dtype), np.array(1, a.dtype), bits) == -1  # single numbers, no warning


@EACH_BITS
def test_distance_is_symmetric_and_near_that_of_the_angles(rng, bits):
    angles = rng.uniform(-math.pi, math.pi, (2, 40, 3))
    a, b = c.quantize_angles(angles, bits)
    found = c.code_distance(a, b, bits)
    np.testing.assert_array_equal(found, c.code_distance(b, a, bits))
    exact = [math.hypot(*map(arc, x, y)) for x, y in angles.transpose(1, 0, 2).tolist()]
    cell = 2 * math.pi / (1 << bits)
    # Each end moves by at most half a cell in each of three angles.
    assert np.abs(found - exact).max() <= 2 * math.sqrt(3) * cell / 2
    grid = [math.hypot(*map(arc, x, y)) for x, y in zip(a * cell, b * cell, strict=True)]
    np.testing.assert_allclose(found, grid, rtol=1e-9, atol=1e-9)


def test_distances_of_many_wide_circles_do_not_overflow():
    a, b = np.zeros((1, 64), "uint16"), np.full((1, 64), 1 << 15, "uint16")
    assert c.code_distance(a, b, 16)[0] == pytest.approx(math.pi * 8)
    assert c.nearest_codes(a, b, bits=16)[1][0, 0] == pytest.approx(math.pi * 8)


@pytest.mark.parametrize(("bits", "block"), [(2, 1 << 20), (8, 1), (12, 1 << 20)])
def test_nearest_codes_are_those_of_a_loop(rng, bits, block, monkeypatch):
    monkeypatch.setattr(c, "_BLOCK", block)
    queries, codes = random_codes(rng, bits, 6, 3), random_codes(rng, bits, 40, 3)
    rows, distances = c.nearest_codes(queries, codes, 5, bits)
    cell = 2 * math.pi / (1 << bits)
    for query, own, near in zip(queries * cell, rows, distances, strict=True):
        loop = [math.hypot(*map(arc, query, code)) for code in codes * cell]
        np.testing.assert_allclose(near, sorted(loop)[:5], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(near, np.array(loop)[own], rtol=1e-9, atol=1e-9)
        assert len(set(own)) == 5
        assert all(i < j for (i, x), (j, y) in itertools.pairwise(zip(own, near, strict=True)) if x == y)


def test_wrong_input_is_named():
    for call, error, message in [
        (lambda: c.quantize_angles(np.zeros(3, int)), TypeError, "must be floating-point numbers, radians"),
        (lambda: c.quantize_angles([0.0, math.nan]), ValueError, "must hold finite numbers only"),
        (lambda: c.quantize_angles([0.0], 2.0), TypeError, "`bits` must be an integer"),
        (lambda: c.quantize_angles([0.0], 17), ValueError, r"`bits` must be at most 16. Received: bits=17"),
        (lambda: c.nearest_codes([[1]], [[1]], bits=0), ValueError, r"`bits` must be at least 1. Received: bits=0"),
        (lambda: c.dequantize(np.zeros(3)), TypeError, "`codes` must be integers"),
        (lambda: c.dequantize([4], 2), ValueError, "must lie between 0 and 3. Received: values from 4 to 4"),
        (lambda: c.dequantize([-1]), ValueError, "must lie between 0 and 255. Received: values from -1 to -1"),
        (lambda: c.code_difference([1, 2], [1, 2, 3]), ValueError, "must have shapes that broadcast"),
        (lambda: c.code_distance(1, [2]), ValueError, "`a` must have shape"),
        (lambda: c.nearest_codes([[1]], [[1, 2]]), ValueError, "`queries` must have as many columns as `codes`"),
        (lambda: c.nearest_codes([[1]], [[1], [2]], 3), ValueError, "`k` must be at most 2"),
        (lambda: c.nearest_codes([1], [[1]]), ValueError, r"`queries` must have shape \(num, dim\)"),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_tensors_and_huge_angles_are_read(rng):
    from keras import ops

    angles = ops.convert_to_tensor(np.array([[0.0, math.pi / 2]], "float32"))
    codes = c.quantize_angles(angles)
    assert codes.tolist() == [[0, 64]]
    assert c.quantize_angles(np.array([1e300]))[0] in range(256)
    assert c.dequantize(ops.convert_to_tensor(codes.astype("int32"))).shape == (1, 2)
