"""One case of the golden values beside the library."""

import make_golden
import numpy as np

import torusae
from shared.tensors import gradient, to_tensor

ARRAYS, METADATA = make_golden.load()
CASES = METADATA["cases"]


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
        # The file keeps the names of its first version.
        renamed = {"order": "neighbor" if case["loss"] == "spring" else "max_frequency"}
        return makers[case["loss"]](**{renamed.get(name, name): value for name, value in case["options"].items()})
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
