"""Codes of angles against loops over wrapped angles, and files of them against damage."""

import itertools
import math
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torusae import codes as c

ALL_BITS = range(1, 17)
EACH_BITS = pytest.mark.parametrize("bits", [1, 2, 5, 8, 11, 16])
HEADER, CHECKSUM = 26, 4
GOLDEN = (
    "545253430104020000002800000000000000540000000000000078da636000000002000140094901b0f488ffb0f4386db0f4"
    "386db0f4386d1111f16b1111112111111121111111211011112100002021f15a826d"
)


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


# Arithmetic


@EACH_BITS
def test_a_code_is_the_nearest_place(rng, bits):
    angles = rng.uniform(-20, 20, 200 if bits < 16 else 20)
    places = np.arange(1 << bits) * 2 * math.pi / (1 << bits)
    chord = np.abs(np.exp(1j * angles)[:, None] - np.exp(1j * places))
    found = c.quantize_angles(angles, bits)
    assert found.dtype == ("uint8" if bits <= 8 else "uint16")
    np.testing.assert_allclose(chord[np.arange(len(angles)), found], chord.min(axis=1), atol=1e-12)


@pytest.mark.parametrize("bits", ALL_BITS)
def test_places_survive_a_round_trip(bits):
    codes = np.arange(1 << bits)
    angles = c.dequantize(codes, bits)
    assert angles.dtype == "float32"
    assert angles.min() == np.float32(-math.pi)
    assert angles.max() < np.float32(math.pi)
    np.testing.assert_allclose(np.exp(1j * angles), np.exp(2j * math.pi * codes / (1 << bits)), atol=1e-6)
    np.testing.assert_array_equal(c.quantize_angles(angles, bits), codes)


@pytest.mark.parametrize(("bits", "dtype"), [(8, "uint8"), (16, "uint16")])
def test_the_arithmetic_of_integers_is_that_of_the_torus(rng, bits, dtype):
    a, b = (random_codes(rng, bits, 1000) for _ in range(2))
    assert a.dtype == dtype
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


@pytest.mark.parametrize("bits", [2, 8, 12])
@pytest.mark.parametrize("block", [1, 1 << 20])
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


# Files


@pytest.mark.parametrize("bits", ALL_BITS)
def test_bytes_survive_a_round_trip(rng, bits):
    for codes in (
        random_codes(rng, bits, 300, 2),
        c.quantize_angles(rng.normal(0, 0.2, (300, 2)), bits),
        np.full((300, 2), (1 << bits) - 1),
        random_codes(rng, bits, 1, 1),
        random_codes(rng, bits, 0, 3),
    ):
        content = c.compress(codes, bits)
        # Not more than the codes of `bits` bits, the header, zlib with a byte for each circle, and a word to end on.
        assert len(content) <= HEADER + CHECKSUM + 11 + codes.shape[1] + math.ceil(codes.size * bits / 8) + 8
        again, read_bits = c.decompress(content)
        assert read_bits == bits
        assert again.dtype == ("uint8" if bits <= 8 else "uint16")
        np.testing.assert_array_equal(again, codes)


@pytest.mark.parametrize("concentration", [0.0, 0.5, 3.0])
def test_bytes_are_within_a_percent_of_the_entropy(concentration):
    # The entropy is that of the distribution, not of the sample: a coder that fits the sample is below it.
    places = 2 * math.pi * np.arange(256) / 256
    probabilities = np.exp(concentration * np.cos(places))
    probabilities /= probabilities.sum()
    entropy = -probabilities @ np.log2(probabilities)
    codes = np.random.default_rng(0).choice(256, p=probabilities, size=(10_000, 4)).astype("uint8")
    size = len(c.compress(codes))
    # Chance moves the information of 40,000 codes by less than 0.3 %.
    assert 0.995 < 8 * size / (40_000 * entropy) < 1.01


def test_codes_of_few_places_have_small_histograms():
    codes = np.random.default_rng(0).binomial(8, 0.5, (10_000, 4)) + 500
    entropy = 2.5442  # of the binomial distribution, bits
    assert len(c.compress(codes, 10)) < 1.01 * 40_000 * entropy / 8


def test_uniform_codes_have_no_histogram(rng):
    size = len(c.compress(random_codes(rng, 8, 10_000, 2)))
    assert 20_000 <= size <= 20_000 + HEADER + CHECKSUM + 2 + 11 + 8


def test_files(rng, tmp_path):
    codes = random_codes(rng, 5, 20, 3)
    path = c.write(tmp_path / "a.codes", codes, 5)
    np.testing.assert_array_equal(c.read(path)[0], codes)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"^write: there is a file at .*overwrite=True"):
        c.write(path, codes[:1], 5)
    with pytest.raises(ValueError, match=r"must lie between 0 and 1\. Received: values from"):
        c.write(path, codes, 1, overwrite=True)
    assert path.read_bytes() == before
    c.write(str(path), codes[:1], 5, overwrite=True)
    assert len(c.read(path)[0]) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.codes"]
    with pytest.raises(FileNotFoundError, match=r"^read: `path` must be a file of codes. Found nothing at"):
        c.read(tmp_path / "b.codes")
    with pytest.raises(FileNotFoundError, match=r"^write: the folder of `path` must exist"):
        c.write(tmp_path / "no" / "b.codes", codes, 5)
    with pytest.raises(TypeError, match=r"^read: `path` must be a path\. Received: path=b'"):
        c.read(before)


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    c.write(tmp_path / "a.codes", np.zeros((2, 2), "uint8"))
    before = (tmp_path / "a.codes").read_bytes()

    def refuse(*arguments):
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="the disk is full"):
        c.write(tmp_path / "a.codes", np.ones((2, 2), "uint8"), overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.codes"]
    assert (tmp_path / "a.codes").read_bytes() == before


def test_a_file_of_this_version_is_read_for_ever():
    codes = [[i * i % 16, 3 * i // 8] for i in range(40)]
    np.testing.assert_array_equal(c.decompress(bytes.fromhex(GOLDEN))[0], codes)


CONTENT = c.compress(np.random.default_rng(0).binomial(15, 0.5, size=(100, 2)), 4)
DAMAGED = r"decompress: `content` (is cut off\. Received: \d+ of|is altered\. Copy|holds no codes of torusae)"


def test_a_stream_that_is_cut_off_at_any_place_is_told():
    for length in range(len(CONTENT)):
        with pytest.raises(ValueError, match=DAMAGED):
            c.decompress(CONTENT[:length])


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_a_byte_that_is_altered_is_told(place, change):
    altered = bytearray(CONTENT)
    altered[place] ^= change
    with pytest.raises(ValueError, match=DAMAGED):
        c.decompress(bytes(altered))


@given(st.binary(max_size=60), st.integers(0, len(CONTENT)), st.integers(0, 60))
def test_bytes_that_are_put_in_or_replaced_are_told(inserted, place, dropped):
    altered = CONTENT[:place] + inserted + CONTENT[place + dropped :]
    if altered != CONTENT:
        with pytest.raises(ValueError, match=DAMAGED):
            c.decompress(altered)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [(4, 2, "must be of version 1. Received: version 2"), (5, 1, "no output"), (26, 0, "no output")],
)
def test_a_header_that_no_writer_makes_is_refused(place, value, message):
    altered = bytearray(CONTENT[:-CHECKSUM])
    altered[place] = value
    with pytest.raises(ValueError, match=message):
        c.decompress(bytes(altered) + struct.pack("<I", zlib.crc32(altered)))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(ImportError, match=r'^compress: needs constriction.*pip install "torusae\[codes\]"'):
        c.compress(np.zeros((2, 2), "uint8"))
    with pytest.raises(ImportError, match=r"^decompress: needs constriction"):
        c.decompress(CONTENT)


# Input


@pytest.mark.parametrize("bits", [0, -1, 17])
@pytest.mark.parametrize(
    "call",
    [
        lambda bits: c.quantize_angles(np.zeros(2), bits),
        lambda bits: c.dequantize(np.zeros(2, int), bits),
        lambda bits: c.compress(np.zeros((2, 2), int), bits),
        lambda bits: c.nearest_codes(np.zeros((2, 2), int), np.zeros((2, 2), int), bits=bits),
    ],
)
def test_bits_are_1_to_16(call, bits):
    with pytest.raises(ValueError, match=rf"`bits` must be at (least 1|most 16)\. Received: bits={bits}\."):
        call(bits)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: c.quantize_angles(np.zeros(3, int)), TypeError, "must be floating-point numbers, radians"),
        (lambda: c.quantize_angles([0.0, math.nan]), ValueError, "must hold finite numbers only"),
        (lambda: c.quantize_angles([0.0], 2.0), TypeError, "`bits` must be an integer"),
        (lambda: c.dequantize(np.zeros(3)), TypeError, "`codes` must be integers"),
        (lambda: c.dequantize([4], 2), ValueError, "must lie between 0 and 3. Received: values from 4 to 4"),
        (lambda: c.dequantize([-1]), ValueError, "must lie between 0 and 255. Received: values from -1 to -1"),
        (lambda: c.code_difference([1, 2], [1, 2, 3]), ValueError, "must have shapes that broadcast"),
        (lambda: c.code_distance(1, [2]), ValueError, "`a` must have shape"),
        (lambda: c.nearest_codes([[1]], [[1, 2]]), ValueError, "`queries` must have as many columns as `codes`"),
        (lambda: c.nearest_codes([[1]], [[1], [2]], 3), ValueError, "`k` must be at most 2"),
        (lambda: c.nearest_codes([1], [[1]]), ValueError, r"`queries` must have shape \(num, dim\)"),
        (lambda: c.compress([1, 2]), ValueError, r"`codes` must have shape \(num, dim\)"),
        (lambda: c.decompress("text"), TypeError, "`content` must be bytes. Received: str"),
    ],
)
def test_wrong_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_tensors_and_huge_angles_are_read(rng):
    from keras import ops

    angles = ops.convert_to_tensor(np.array([[0.0, math.pi / 2]], "float32"))
    codes = c.quantize_angles(angles)
    assert codes.tolist() == [[0, 64]]
    assert c.quantize_angles(np.array([1e300]))[0] in range(256)
    assert c.dequantize(ops.convert_to_tensor(codes.astype("int32"))).shape == (1, 2)
