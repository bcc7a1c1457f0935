"""One file of float64 numbers that every backend is held to; see make_golden.py for where each comes from."""

import zlib

import make_golden
import numpy as np
import pytest
from shared.golden import ARRAYS, CASES, check
from shared.tensors import on_jax

_SHARE = (5**0.5 - 1) / 2
GOLDEN_RADIUS = float(np.float32(0.5 + _SHARE * (0.5 + 0.5 * _SHARE)))

# The gradient by an input of half precision comes back in its dtype: half a step of it, beside the golden tolerance.


@pytest.mark.parametrize("name", CASES)
def test_inputs_are_the_ones_the_file_was_made_from(name):
    x = make_golden.inputs(ARRAYS, name)
    assert zlib.crc32(x.tobytes()) == CASES[name]["crc32"]


@pytest.mark.parametrize(("reduction", "compile"), [("sum", None), ("normalized", True)], ids=["sum", "normalized"])
@pytest.mark.parametrize("name", [name for name in CASES if "options" not in CASES[name]])
def test_value_and_gradient(name, reduction, compile):
    check(name, reduction, CASES[name]["dtype"], CASES[name]["rtol"], compile)


@pytest.mark.parametrize("name", [name for name in CASES if "options" in CASES[name]])
def test_value_and_gradient_of_the_other_losses(name):
    check(name, "normalized", "float32", CASES[name]["rtol"], compile=True)


@pytest.mark.skipif(on_jax(), reason="JAX computes in float32 unless jax_enable_x64 is set")
@pytest.mark.parametrize("name", ["spring/128x3", "spring/far_128x3", "spring/ties", "quantile/128x3"])
def test_float64_input_is_computed_in_float64(name):
    # The stable formula loses a few of 16 digits where angles wrap through up to 80 turns.
    check(name, "sum", "float64", 1e-12)


@pytest.mark.parametrize(
    ("name", "value", "gradient"),
    [
        ("spring/all_equal", 2 * (2 * np.pi) ** 2, [[4 * np.pi] * 2, *[[0.0] * 2] * 3, [-4 * np.pi] * 2]),
        ("spring/antipodal", 2 * np.pi**2, [[0.0], [0.0]]),
        ("spring/period_8", 16.0, [[0.0]] * 4),
        # N(1, 0.1) has the median 1; the input is 0.5 + u (1 + u) / 2 for u = 0.6180..., rounded to float32.
        ("quantile/1x1", (GOLDEN_RADIUS - 1) ** 2, [[2 * (GOLDEN_RADIUS - 1)]]),
    ],
)
def test_file_holds_what_is_known_by_hand(name, value, gradient):
    np.testing.assert_allclose(ARRAYS[f"{name}/sum/value"], value, rtol=1e-14)
    np.testing.assert_allclose(ARRAYS[f"{name}/sum/gradient"], gradient, rtol=1e-14, atol=1e-14)
