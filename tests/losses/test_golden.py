"""One file of float64 numbers that every backend is held to; see make_golden.py for where each comes from."""

import zlib

import make_golden
import numpy as np
import pytest
from shared import failures
from shared.golden import ARRAYS, CASES, check
from shared.tensors import on_jax

_RATIO = (5**0.5 - 1) / 2
GOLDEN_RADIUS = float(np.float32(0.5 + _RATIO * (0.5 + 0.5 * _RATIO)))


LOSSES = sorted({case["loss"] for case in CASES.values()})
REDUCTIONS = {"spring": ("sum", "normalized"), "quantile": ("sum", "normalized")}


def test_inputs_are_the_ones_the_file_was_made_from():
    checksums = {name: zlib.crc32(make_golden.inputs(ARRAYS, name).tobytes()) for name in CASES}
    assert checksums == {name: case["crc32"] for name, case in CASES.items()}


@pytest.mark.parametrize(
    ("loss", "reduction"),
    [(loss, reduction) for loss in LOSSES for reduction in REDUCTIONS.get(loss, ("normalized",))],
)
def test_values_and_gradients(loss, reduction):
    """The normalized ones out of a compiled function, as in `fit`."""

    def check_case(name):
        case = CASES[name]
        if reduction == "normalized" or "options" not in case:
            dtype = "float32" if "options" in case else case["dtype"]
            check(name, reduction, dtype, case["rtol"], compile=True if reduction == "normalized" else None)

    assert not failures(check_case, [name for name in CASES if CASES[name]["loss"] == loss])


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
