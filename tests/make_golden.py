"""Writes golden.npz, the losses' values and gradients that every backend is held to, out of the loops in reference.py.

    python tests/make_golden.py            write the file, and print what changed
    python tests/make_golden.py --check    print what would change, and exit with 1 if anything would

Needs NumPy and SciPy alone. Arrays are named `case/field`; `metadata`, a JSON text, says where each case comes from.
"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import reference
import scipy

PATH = Path(__file__).with_name("golden.npz")

# NumPy's and SciPy's functions may differ by a last bit or two between versions and machines.
SAME = 1e-12

# More gradient entries than this are stored for every n-th row alone; the largest entry is that of all rows.
MOST_ENTRIES = 2048

EXACT = 1e-5  # float32 sums of up to 262144 squares, each within 2e-7
# A wrapped angle far from zero is off by up to 3.6e-7 rad: half a step of float32 at π for each of three roundings.
# A gradient holds four angles and a factor of 2, against a largest one of 0.2 rad for 128 angles.
FAR = 2e-5
# Differences of means of kernels: what is left is a tenth to a hundredth of what is added, each within 3e-7.
DIFFERENCE = {"mmd": 5e-5, "cramer_wold": 5e-5}


def spring_cases():
    """Yields name, input as float32, input as the reference reads it, keyword arguments, tolerance, origin."""
    for batch, dim in [(1, 1), (2, 3), (3, 64), (128, 3), (4096, 1), (4096, 64)]:
        angles = reference.TAU * (reference.kronecker(batch, dim) - 0.5)
        yield f"{batch}x{dim}", angles, {}, EXACT, "angles 2π (reference.kronecker - 1/2)"
    angles = 100 * (reference.kronecker(3, 64) - 0.5)
    yield "far_3x64", angles, {}, EXACT, "angles 100 (reference.kronecker - 1/2), 8 turns either way"
    angles = 1000 * (reference.kronecker(128, 3) - 0.5)
    yield "far_128x3", angles, {}, FAR, "angles 1000 (reference.kronecker - 1/2), 80 turns either way"
    angles = np.array([[0.5, 1.0], [0.5, -2.0], [-1.0, 1.0], [0.5, 1.0], [-1.0, 3.0]])
    yield "ties", angles, {}, EXACT, "three, two and three equal angles; the order in the batch decides"
    yield "all_equal", np.full((5, 2), 0.25), {}, EXACT, "by hand: value 8π², gradient ±4π in the end rows"
    seam = np.array([[np.pi], [-np.pi], [0.0], [np.pi], [3.0], [-3.0]])
    yield "seam", seam, {}, EXACT, "angles at ±π, one point of the circle: float32's nearest to ±π is read as ±π"
    yield "antipodal", np.array([[0.0], [-np.pi]]), {}, EXACT, "by hand: value 2π², gradient 0"
    even = np.array([[-3.0], [-1.0], [1.0], [3.0]])
    yield "period_8", even, {"period": 8.0}, EXACT, "by hand: four gaps of 2, value 16, gradient 0"
    hours = 48 * (reference.kronecker(128, 3) - 0.5)
    yield "period_24", hours, {"period": 24.0}, FAR, "hours of two days"
    for dtype in ("float16", "bfloat16"):
        for batch, dim in [(128, 3), (4096, 1)]:
            angles = reference.TAU * (reference.kronecker(batch, dim) - 0.5)
            yield f"{dtype}_{batch}x{dim}", angles, {"dtype": dtype}, EXACT, f"rounded to {dtype}, so with many ties"


def quantile_cases():
    """As `spring_cases`, for radii between 0.5 and 1.5."""
    for batch, dim in [(1, 1), (2, 3), (3, 64), (128, 3), (4096, 1), (4096, 64)]:
        yield f"{batch}x{dim}", 0.5 + reference.kronecker(batch, dim), {}, EXACT, "radii 1/2 + reference.kronecker"
    yield "ties", np.array([[1.25], [0.75], [1.25], [0.75]]), {}, EXACT, "two pairs of equal radii"
    wide = {"mean": 0.5, "stddev": 2.0}
    yield "wide_3x64", 0.5 + reference.kronecker(3, 64), wide, EXACT, "N(0.5, 2): a quantile below zero"
    for dtype in ("float16", "bfloat16"):
        radii = 0.5 + reference.kronecker(128, 3)
        yield f"{dtype}_128x3", radii, {"dtype": dtype}, EXACT, f"rounded to {dtype}, so with ties"


def torus_cases():
    """Yields loss, arguments, name, angles, origin: the losses on the whole torus, whose value is all there is."""
    sizes = [(1, 1), (3, 8), (24, 3)]
    losses = [
        ("circular_wasserstein", {}),
        ("diaphony", {}),
        ("diaphony", {"interactions": 2}),
        ("diaphony", {"order": 2, "interactions": 2, "decay": 1.0}),
        ("product_moment", {}),
        ("spring", {"order": 2}),
    ]
    for loss, options in losses:
        label = "_".join([loss, *(f"{name}{value:g}" for name, value in options.items())])
        for batch, dim in sizes:
            angles = reference.TAU * (reference.kronecker(batch, dim) - 0.5)
            yield loss, options, f"{label}/{batch}x{dim}", angles, "angles 2π (reference.kronecker - 1/2)"
        far = 100 * (reference.kronecker(12, 2) - 0.5)
        yield loss, options, f"{label}/far_12x2", far, "8 turns either way"


def torus_loss(loss, options, angles):
    """A loss on the torus by the loops of reference.py."""
    dim = angles.shape[1]
    if loss == "spring":
        return reference.mth_neighbour_springs(angles, options["order"])
    if loss == "circular_wasserstein":
        return reference.circular_wasserstein_closed(angles)
    if loss == "product_moment":
        return reference.product_moment(angles) if dim > 1 else 0.0
    if loss != "diaphony":
        raise ValueError(f"torus_loss: no reference of {loss!r}. Add its function of reference.py here.")
    if "order" in options:
        return reference.finite_diaphony(angles, options["order"], options["interactions"], options["decay"])
    return reference.diaphony(angles, min(options.get("interactions", dim), dim))


def gaussian_cases():
    """As `torus_cases`: the losses of Gaussian spaces."""
    for loss in ("mmd", "cramer_wold", "sliced_wasserstein", "gaussian_distance", "kl"):
        for batch, dim in [(3, 2), (12, 4), (5, 24)]:
            values = 5 * (reference.kronecker(batch, dim) - 0.5)
            yield loss, {}, f"{loss}/{batch}x{dim}", values, "values 5 (reference.kronecker - 1/2)"
        if loss != "kl":
            together = 0.1 * (reference.kronecker(8, 3) - 0.5) + 1.0
            yield loss, {}, f"{loss}/together_8x3", together, "near (1, 1, 1), where a posterior has collapsed"


def gaussian_loss(loss, values):
    """A loss of a Gaussian space by the loops of reference.py."""
    if loss == "sliced_wasserstein":
        return reference.sliced_wasserstein(values, directions(values.shape[1]))
    losses = {
        "mmd": reference.maximum_mean_discrepancy,
        "cramer_wold": reference.cramer_wold,
        "gaussian_distance": reference.gaussian_distance,
        "kl": reference.kl_divergence,
    }
    return losses[loss](values)


def directions(dim):
    """The directions of the sliced distance."""
    return reference.kronecker(5, dim) - 0.5


def slopes(function, angles, step=1e-5):
    """The gradient by central differences in float64, good to about 1e-9 of a value of one."""
    gradient = np.zeros_like(angles)
    for index in np.ndindex(angles.shape):
        ends = []
        for sign in (1, -1):
            moved = angles.copy()
            moved[index] += sign * step
            ends.append(function(moved))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def make():
    """All arrays of the file, and the metadata."""
    arrays, cases = {}, {}

    def add(name, read, exact, compute, entry, reductions=("sum", "normalized")):
        entry |= {"inputs": "stored", "crc32": zlib.crc32(read.tobytes()), "shape": read.shape}
        if read.size <= MOST_ENTRIES:
            arrays[f"{name}/inputs"] = read
        else:
            entry["inputs"] = entry["origin"]
        value, slope = {}, {}
        for reduction in reductions:
            value[reduction], slope[reduction] = compute(exact, reduction)
        entry["stride"] = stride = -(-read.size // MOST_ENTRIES)
        for reduction in value:
            arrays[f"{name}/{reduction}/value"] = np.array(value[reduction])
            arrays[f"{name}/{reduction}/gradient"] = slope[reduction][::stride]
            arrays[f"{name}/{reduction}/largest"] = np.abs(slope[reduction]).max()
        cases[name] = entry

    for name, angles, options, rtol, origin in spring_cases():
        dtype, period = options.get("dtype", "float32"), options.get("period", reference.TAU)
        read = reference.round_to(angles, dtype)
        exact = read.astype("float64")
        # float32's nearest to π is above π. The library takes it for π itself, so that both ends are one point.
        at_seam = np.abs(read) == np.float32(np.pi)
        exact[at_seam] = np.sign(exact[at_seam]) * np.pi

        def compute(x, reduction, period=period):
            return reference.spring_loss(x, period, reduction)

        entry = {"loss": "spring", "equation": 2, "dtype": dtype, "period": period, "rtol": rtol, "origin": origin}
        add(f"spring/{name}", read, exact, compute, entry)

    for name, radii, options, rtol, origin in quantile_cases():
        dtype, mean, stddev = options.get("dtype", "float32"), options.get("mean", 1.0), options.get("stddev", 0.1)
        for squared in (False, True):
            read = reference.round_to(radii**2 if squared else radii, dtype)
            quantiles = reference.normal_quantiles(len(read), mean, stddev)
            if squared:
                quantiles = np.sort(quantiles**2)

            def compute(x, reduction, quantiles=quantiles):
                return reference.quantile_loss(x, quantiles, reduction)

            entry = {"loss": "quantile", "equation": "3 to 5", "dtype": dtype, "rtol": rtol, "squared": squared}
            entry |= {"mean": mean, "stddev": stddev, "origin": origin + (", squared" if squared else "")}
            label = "quantile_squared" if squared else "quantile"
            add(f"{label}/{name}", read, read.astype("float64"), compute, entry)

    for loss, options, name, angles, origin in torus_cases():
        read = reference.round_to(angles, "float32")
        exact = read.astype("float64")

        def compute(x, reduction, loss=loss, options=options):
            return torus_loss(loss, options, x), slopes(lambda a: torus_loss(loss, options, a), x)

        entry = {"loss": loss, "options": options, "dtype": "float32", "rtol": FAR if "far" in name else EXACT}
        entry |= {"equation": "as the docstring defines it", "origin": origin + "; gradient by central differences"}
        add(name, read, exact, compute, entry, reductions=("normalized",))

    for loss, options, name, values, origin in gaussian_cases():
        read = reference.round_to(values, "float32")

        def compute(x, reduction, loss=loss):
            # SciPy's integrals are good to 1e-14 or so; sorts need steps that no order changes within.
            step = 1e-4 if loss == "mmd" else 1e-6
            return gaussian_loss(loss, x), slopes(lambda a: gaussian_loss(loss, a), x, step)

        entry = {"loss": loss, "options": options, "dtype": "float32", "rtol": DIFFERENCE.get(loss, EXACT)}
        entry |= {"equation": "as the docstring defines it", "origin": origin + "; gradient by central differences"}
        add(name, read, read.astype("float64"), compute, entry, reductions=("normalized",))

    metadata = {
        "made by": "make_golden.py: float64 loops of reference.py over the inputs as rounded to their dtype",
        "equations": "Mikulski & Duda (2019), arXiv:1903.12286; 'normalized' as the docstrings define it",
        "gradient": "derivative by the inputs, every `stride`-th row; `largest` is its max-norm over all rows",
        "rtol": "allowed for the value, and for the gradient in parts of `largest`, in float32",
        "versions": {"numpy": np.__version__, "scipy": scipy.__version__},
        "cases": cases,
    }
    return arrays, metadata


def load():
    """The committed arrays and metadata."""
    with np.load(PATH) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return arrays, json.loads(str(arrays.pop("metadata")))


def inputs(arrays, name):
    """The input of a case: stored, or made again by its closed form where it is large."""
    if f"{name}/inputs" in arrays:
        return arrays[f"{name}/inputs"]
    loss, case = name.split("/")
    shape = tuple(int(size) for size in case.split("_")[-1].split("x"))
    dtype = case.split("_")[0] if "float" in case else "float32"
    unit = reference.kronecker(*shape)
    x = {"spring": reference.TAU * (unit - 0.5), "quantile": 0.5 + unit, "quantile_squared": (0.5 + unit) ** 2}[loss]
    return reference.round_to(x, dtype)


def differences(old, new):
    """Lines that say how two files differ, beyond rounding and version numbers."""
    (old_arrays, old_meta), (new_arrays, new_meta) = old, new
    lines = [f"- {name}" for name in old_arrays.keys() - new_arrays.keys()]
    lines += [f"+ {name}" for name in new_arrays.keys() - old_arrays.keys()]
    for name in sorted(old_arrays.keys() & new_arrays.keys()):
        a, b = old_arrays[name], new_arrays[name]
        if a.shape != b.shape:
            lines.append(f"! {name}: shape {a.shape} -> {b.shape}")
        elif np.abs(a - b).max() > SAME * max(1e-3, np.abs(a).max()):
            lines.append(f"! {name}: largest difference {np.abs(a - b).max():.3g}")
    new_cases = json.loads(json.dumps(new_meta["cases"]))
    for name in sorted(old_meta["cases"].keys() | new_cases.keys()):
        if old_meta["cases"].get(name) != new_cases.get(name):
            lines.append(f"! {name}: metadata {old_meta['cases'].get(name)} -> {new_cases.get(name)}")
    return lines


def main(argv):
    """Returns the exit status."""
    arrays, metadata = make()
    lines = differences(load(), (arrays, metadata)) if PATH.exists() else ["no file yet"]
    print("\n".join(lines) or "no difference")  # noqa: T201
    if argv == ["--check"]:
        return int(bool(lines))
    np.savez_compressed(PATH, metadata=np.array(json.dumps(metadata, ensure_ascii=False)), **arrays)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
