"""One file of float64 numbers that every backend is held to; see make_golden.py for where each comes from."""

import zlib

import make_golden
import numpy as np
import pytest
from helpers import gradient, on_jax, to_tensor

import torusae

ARRAYS, METADATA = make_golden.load()
CASES = METADATA["cases"]

_SHARE = (5**0.5 - 1) / 2
GOLDEN_RADIUS = float(np.float32(0.5 + _SHARE * (0.5 + 0.5 * _SHARE)))

# The gradient by an input of half precision comes back in its dtype: half a step of it, beside the golden tolerance.
GRADIENT_ROUNDING = {"float32": 0.0, "float64": 0.0, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def loss_of(case, reduction):
    if "options" in case:
        makers = {
            "circular_wasserstein": torusae.losses.CircularWassersteinLoss,
            "diaphony": torusae.DiaphonyLoss,
            "product_moment": torusae.losses.ProductMomentLoss,
            "spring": torusae.SpringLoss,
            "mmd": torusae.losses.MMDLoss,
            "cramer_wold": torusae.losses.CramerWoldLoss,
            "gaussian_distance": torusae.losses.GaussianDistanceLoss,
            "kl": torusae.losses.KLLoss,
        }
        if case["loss"] == "sliced_wasserstein":
            directions = to_tensor(make_golden.directions(case["shape"][1]).astype("float32"))
            return lambda values: torusae.losses.sliced_wasserstein_loss(values, directions)
        return makers[case["loss"]](**case["options"])
    if case["loss"] == "spring":
        return torusae.SpringLoss(case["period"], reduction)
    return torusae.QuantileLoss(case["mean"], case["stddev"], squared=case["squared"], reduction=reduction)


def check(name, reduction, dtype, rtol, compile=None):
    case = CASES[name]
    x = make_golden.inputs(ARRAYS, name)
    value, slope = gradient(loss_of(case, reduction), to_tensor(x, dtype), compile)
    np.testing.assert_allclose(value, ARRAYS[f"{name}/{reduction}/value"], rtol=rtol)
    assert slope.shape == tuple(case["shape"])
    largest = float(ARRAYS[f"{name}/{reduction}/largest"])
    error = np.abs(slope[:: case["stride"]].astype("float64") - ARRAYS[f"{name}/{reduction}/gradient"])
    beyond = error > (rtol + GRADIENT_ROUNDING[dtype]) * largest + seam_rounding(case, reduction, dtype) * (
        largest == 0
    )
    assert beyond.sum(axis=0).max() <= 2 * (case["loss"] == "spring"), f"off by {error.max()}, largest {largest}"
    # The two points beside the seam.
    assert (error[beyond] <= seam_rounding(case, reduction, dtype)).all(), f"off by {error.max()}, largest {largest}"


def seam_rounding(case, reduction, dtype):
    """What rounding of the period adds to the gradient of the two points beside the seam.

    The gap across the seam is one period plus the first angle minus the last: off by half a step of float32 at the
    period (4e-8 of it), and by as much again for the sum. It enters the gradient twice. At 4096 points that is 1e-4 of
    the largest gradient, while every other gap is a difference of two close numbers, which is exact.
    """
    if case["loss"] != "spring" or dtype == "float64" or "options" in case:
        return 0.0
    batch, dim = case["shape"]
    return 4 * 4e-8 * case["period"] * (batch / (dim * case["period"] ** 2) if reduction == "normalized" else 1.0)


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
