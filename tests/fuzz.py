"""Drives every public function with random inputs: `nox -s fuzz`, or `python tests/fuzz.py --only to_polar --seed 7`.

Inputs have all shapes, dtypes and extremes. A call must end in one of three ways:

- finite results for finite input;
- any result for input with NaN, infinity or numbers whose squares leave float32;
- a `ValueError` or `TypeError` of torusae's own, with the name of the function or the class in front.

Anything else is printed with its seed, and the run fails. `--seed S --count 1` repeats one case.

Methods of a model also take x in every container, with 0, 1 and few rows: what is taken gives the result of a plain
array, what is not is refused by name. And Ctrl-C comes at random moments, after which the model works as before:
`--only Ctrl-C --count 20`.
"""

import argparse
import functools
import os
import pathlib
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib

with __import__("contextlib").suppress(ModuleNotFoundError):
    import torch  # noqa: F401 - TensorFlow that is loaded before torch can crash the process

import keras
import numpy as np
import pandas
import scipy.sparse
from keras import ops
from shared.tensors import gradient

import torusae
from torusae import angles as angles_module
from torusae import data, densities, losses, metrics, networks, paths, plots, topology

LARGEST = {"angles": 3e38, "values": 1e9}  # up to here finite input must have finite results
SPECIAL = [0.0, -0.0, np.pi, -np.pi, np.pi / 2, 2 * np.pi, 1.0, -1.0, 1e-30, -1e-30, 1e-40, 1e-12, 1e30, -1e30, 1e8]
SPECIAL += [float(np.nextafter(np.float32(np.pi), np.float32(side))) for side in (0, 4)]
NOT_FINITE = [np.inf, -np.inf, np.nan]
MOST_SECONDS = 20  # for one call
ROWS, COLUMNS = (1, 2, 3, 8, 64), (1, 2, 3, 8)


# Inputs


def numbers(rng, shape):
    """An array of floats of one of several kinds."""
    kind = rng.integers(8)
    if kind <= 2:
        array = rng.uniform(-np.pi, np.pi, shape)
    elif kind == 3:
        array = rng.normal(size=shape) * 10.0 ** rng.integers(-30, 9)
    elif kind == 4:
        array = np.full(shape, rng.choice(SPECIAL))
    elif kind == 5:
        array = rng.choice(SPECIAL, shape)
    elif kind == 6:
        array = rng.normal(size=shape)
    else:
        array = rng.integers(-9, 9, shape) * np.pi
    if rng.random() < 0.1 and array.size:
        array = np.array(array)
        array.flat[rng.integers(array.size)] = rng.choice([*NOT_FINITE, 1e30, -1e38])
    return array


def wrapped(rng, array):
    """An array as one of the types that a user passes."""
    kind = rng.integers(8)
    with np.errstate(over="ignore"):
        if kind == 0:
            return array.astype("float64")
        if kind == 1:
            return array.astype("float16")
        if kind == 2:
            return array.tolist()
        if kind == 3:
            return ops.convert_to_tensor(array.astype("float32"))
        if kind == 4:
            return ops.cast(ops.convert_to_tensor(array.astype("float32")), "bfloat16")
        return array.astype("float32")


def shape_of(rng, num_columns=None):
    return int(rng.choice(ROWS)), int(rng.choice(COLUMNS)) if num_columns is None else num_columns


def table(rng):
    return wrapped(rng, numbers(rng, shape_of(rng)))


def points_table(rng):
    rows, dim = shape_of(rng)
    return wrapped(rng, numbers(rng, (rows, 2 * dim)))


def like(name, make=lambda shape: shape):
    """Numbers in a shape that is computed from another argument's."""

    def generate(rng, arguments):
        return wrapped(rng, numbers(rng, make(np.shape(host(arguments[name])))))

    return generate


def size(*values):
    return lambda rng: values[rng.integers(len(values))]


def index_rows(name, divisor=1):
    def generate(rng, arguments):
        shape = np.shape(host(arguments[name]))
        return rng.integers(-3, 4, (int(rng.choice(ROWS)), (shape[-1] if shape else 1) // divisor)).astype("int32")

    return generate


def vector(num):
    return lambda rng: wrapped(rng, numbers(rng, (num,)))


def points(num_columns):
    return lambda rng: wrapped(rng, numbers(rng, (int(rng.choice(ROWS)), num_columns)))


def labels_of(name):
    return lambda rng, arguments: rng.integers(-1, 3, np.shape(host(arguments[name]))[:1])


JUNK = [
    lambda rng: None,
    lambda rng: "elbow",
    lambda rng: "",
    lambda rng: b"bytes",
    lambda rng: True,
    lambda rng: int(rng.integers(-3, 4)),
    lambda rng: 10**30,
    lambda rng: -(10**12),
    lambda rng: float(rng.choice([*SPECIAL, *NOT_FINITE, 1e-300, 1e300, 3.5])),
    lambda rng: np.int64(rng.integers(-3, 9)),
    lambda rng: np.float32(rng.normal()),
    lambda rng: 3 + 4j,
    lambda rng: [],
    lambda rng: {},
    lambda rng: [[1.0, 2.0], [3.0]],
    lambda rng: object(),
    lambda rng: float,
    lambda rng: numbers(rng, ()),
    lambda rng: numbers(rng, (0,)),
    lambda rng: numbers(rng, (0, 2)),
    lambda rng: numbers(rng, (3, 0)),
    lambda rng: numbers(rng, (4,)).astype("float32"),
    lambda rng: numbers(rng, (2, 3, 4)).astype("float32"),
    lambda rng: numbers(rng, (3, 5)).astype("float32"),
    lambda rng: rng.integers(-5, 5, (3, 2)),
    lambda rng: np.array([["a", "b"]]),
    lambda rng: np.array([[None, 1.0]], dtype=object),
    lambda rng: np.zeros((3, 2), dtype=bool),
    lambda rng: np.zeros((3, 2), dtype=complex),
    lambda rng: np.array([np.iinfo("int64").max, np.iinfo("int64").min]),
    lambda rng: ops.convert_to_tensor(rng.normal(size=(5, 3)).astype("float32")),
]


def junk(rng):
    return JUNK[rng.integers(len(JUNK))](rng)


# What is called


@functools.cache
def small_model():
    keras.utils.set_random_seed(0)
    heads = {
        "digit": torusae.Head("classification", 3, units=(4,)),
        "hour": torusae.Head("circular_regression", period=24, units=(4,)),
    }
    encoder = networks.dense_encoder((4,), units=(5,))
    model = torusae.TorusAutoencoder(encoder, networks.dense_decoder((4,), 4, units=(5,)), 2, heads)
    model.compile("sgd", "mse")
    return model


@functools.cache
def head(task):
    head = torusae.Head(task, 3, units=(4,))
    head.build((None, 4))
    return head


CALLS = {
    "encode": lambda model, x: model.encode(x, verbose=0),
    "angles": lambda model, x: model.angles(x, verbose=0),
    "predict": lambda model, x: model.predict(x, verbose=0)["reconstruction"],
    "reconstruct": lambda model, x: model.reconstruct(x, verbose=0),
    "decode": lambda model, x: model.decode(x, verbose=0),
    "evaluate": lambda model, x: model.evaluate(x, verbose=0),
    "rotate": lambda model, x: model.rotate(x, {0: 1.0}, verbose=0),
    "remove": lambda model, x: model.remove(x, 0, verbose=0),
    "diagnose": lambda model, x: str(torusae.diagnose(model, x)),
    "fit": lambda model, x: model.fit(x, batch_size=8, verbose=0) and None,
}
TAKEN = {
    "float64": lambda x: x.astype("float64"),
    "big-endian": lambda x: x.astype(">f4"),
    "Fortran order": np.asfortranarray,
    "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "read-only": lambda x: np.frombuffer(x.tobytes(), "float32").reshape(x.shape),
    "tensor": ops.convert_to_tensor,
    "DataFrame": lambda x: pandas.DataFrame(x, columns=list("abcd")),
    "nullable DataFrame": lambda x: pandas.DataFrame(x, columns=list("abcd")).astype("Float32"),
}
REFUSED = {
    "masked": lambda x: np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) % 2),
    "complex": lambda x: x.astype("complex64"),
    "text": lambda x: x.astype(str),
    "longdouble": lambda x: x.astype("longdouble"),
    "sparse": scipy.sparse.csr_matrix,
    "text column": lambda x: pandas.DataFrame(x).astype(str),
    "missing": lambda x: pandas.DataFrame(x).astype("Float32").mask(np.ones(x.shape, bool)),
    "rank 3": lambda x: x[:, None],
}
SAMPLES = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")


def still_works(model):
    model.get_weights()
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
    return model.angles(SAMPLES, verbose=0)


def call_with(call, num, container):
    """A method of a model with rows in a container, against those in a plain array."""
    model, x = small_model(), SAMPLES[:num]
    try:
        got = call(model, {**TAKEN, **REFUSED}[container](x))
        assert container in TAKEN or not num, f"{container} is taken"
        expected = call(model, x)
        if not isinstance(expected, (str, type(None))):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    finally:
        recover(still_works)


def interrupt(call, trains, moment):
    """Ctrl-C `moment` seconds after the first of many calls; nothing but a training may change the model."""
    model = small_model()
    before = model.angles(SAMPLES, verbose=0)
    handler = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, moment, 5)  # again where Python ignores it, as in a finalizer
    try:
        while True:
            call(model, SAMPLES)
    except KeyboardInterrupt:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    after = recover(still_works)
    assert trains or np.array_equal(before, after), "the angles are others"


def recover(check):
    """A check of the model. One that it breaks is made anew for the next case."""
    try:
        return check(small_model())
    except Exception:
        small_model.cache_clear()
        raise


def density_call(make):
    def call(points, num_samples):
        density = make().fit(points)
        draws = density.sample(num_samples, seed=0)
        return draws if isinstance(density, densities.PathDensity) else (draws, density.log_density(points))

    return call


SPACES = {
    "Torus": torusae.Torus(2),
    "Gaussian": torusae.Gaussian(3),
    "Product": torusae.Torus(1) * torusae.Gaussian(2),
    "Interval": torusae.spaces.Interval(),
    "Sphere": torusae.spaces.Sphere(2),
    "SO3": torusae.spaces.SO3(),
    "ProjectiveSpace": torusae.spaces.ProjectiveSpace(2),
    "KleinBottle": torusae.spaces.KleinBottle(),
    "MobiusBand": torusae.spaces.MobiusBand(),
}


def space_call(space, name):
    """A member of a space, of points that raw values give."""

    def point(raw):
        return space.point(checked_table(raw, space.raw_size))

    members = {
        "point": point,
        "decoder_input": lambda raw: space.decoder_input(point(raw)),
        "head_input": lambda raw: space.head_input(point(raw)),
        "distance": lambda raw: space.distance(point(raw), ops.flip(point(raw), axis=0)),
        "act": lambda raw: space.act(point(raw), ops.ones((len(raw), space.action_size))),
        "statistics": lambda raw: [
            value.value for value in torusae.diagnostics.prior_statistics(space, host(point(raw))).values()
        ],
    }
    return members[name]


def checked_table(raw, num_columns):
    """Raw values are what the layer's own linear map gives: floats, of the right shape."""
    array = host(raw)
    if array.dtype.kind != "f" or array.ndim != 2 or array.shape[1] != num_columns or not len(array):
        raise Skipped
    return ops.convert_to_tensor(array.astype("float32"))


class Skipped(Exception):
    """An input that a user can't give."""


def positive(*values):
    return lambda rng: float(rng.choice(values or (0.1, 1.0, 2 * np.pi, 24.0, 360.0, 1e-6, 1e6)))


def targets():
    """By name: the function, its arguments' generators, and up to which size its numbers must have finite results."""
    seed = size(0, 1, 12345)
    found = {
        "wrap_angles": (torusae.wrap_angles, {"angles": table, "period": positive()}, "angles"),
        "to_radians": (angles_module.to_radians, {"values": table, "period": positive()}, "angles"),
        "harmonics": (
            angles_module.harmonics,
            {"values": table, "num_harmonics": size(1, 2, 5), "period": positive()},
            "angles",
        ),
        "angle_difference": (torusae.angle_difference, {"a": table, "b": like("a")}, "angles"),
        "to_polar": (torusae.to_polar, {"points": points_table}, "values"),
        "to_cartesian": (torusae.to_cartesian, {"radii": table, "angles": like("radii")}, "values"),
        "split_coordinates": (angles_module.split_coordinates, {"points": points_table}, "values"),
        "squared_radii": (angles_module.squared_radii, {"points": points_table}, "values"),
        "integer_vectors": (
            angles_module.integer_vectors,
            {"dim": size(1, 2, 3), "max_frequency": size(1, 2), "interactions": size(None, 1, 2)},
            "values",
        ),
        "primitive_directions": (
            angles_module.primitive_directions,
            {"dim": size(1, 2, 3), "max_frequency": size(1, 2), "interactions": size(None, 1, 2)},
            "values",
        ),
        "windings": (torusae.windings, {"dim": size(1, 2, 3), "max_winding": size(0, 1, 2)}, "values"),
        "shortest_winding": (torusae.shortest_winding, {"start": vector(4), "end": vector(4)}, "values"),
        "two_way_windings": (torusae.two_way_windings, {"start": vector(4), "end": vector(4)}, "values"),
        "morph_paths": (
            torusae.morph_paths,
            {"start": vector(4), "end": vector(4), "windings": index_rows("start", 2), "num_steps": size(2, 3, 12)},
            "values",
        ),
        "interpolate": (
            paths.interpolate,
            {
                "start": vector(4),
                "end": vector(4),
                "t": lambda rng: rng.uniform(size=5).astype("float32"),
                "interpolation": size(*paths.INTERPOLATIONS),
            },
            "values",
        ),
        "normal_quantiles": (
            torusae.normal_quantiles,
            {"count": size(1, 2, 64), "mean": positive(0.5, 1.0), "stddev": positive(0.1, 1.0)},
            "values",
        ),
        "sample_rows": (
            data.sample_rows,
            {"data": lambda rng: np.asarray(numbers(rng, shape_of(rng))), "num_rows": size(1, 5, 100), "seed": seed},
            None,
        ),
    }
    for name, arguments in LOSSES.items():
        function = getattr(losses, name)
        found[name] = (function, arguments, "angles" if name in OF_ANGLES else "values")
        found[f"gradient of {name}"] = (
            functools.partial(gradient_of, function),
            arguments,
            "angles" if name in OF_ANGLES else "values",
        )
    found["gradient of to_polar"] = (
        functools.partial(gradient_of, torusae.to_polar),
        {"points": points_table},
        "values",
    )
    for name in LOSS_CLASSES:
        make = getattr(losses, name)
        found[name] = (lambda values, make=make: make()(values), {"values": points_table}, "values")
    for name, more in METRICS.items():
        # Equal distances to both neighbours mean an infinite dimension.
        limit = None if name == "intrinsic_dimension" else "angles"
        found[name] = (getattr(metrics, name), {"angles": table, **more}, limit)
    found["frechet_distance"] = (
        metrics.frechet_distance,
        {"a": table, "b": like("a", lambda shape: (8, *shape[1:]))},
        "values",
    )
    for name, make in DENSITIES.items():
        found[name] = (density_call(make), {"points": points(4), "num_samples": size(1, 3)}, "values")
    for name, space in SPACES.items():
        columns = space.point_size
        found[f"{name}.sample"] = (space.sample, {"num_samples": size(1, 3), "seed": seed}, "values")
        found[f"{name}.distance"] = (space.distance, {"a": points(columns), "b": like("a")}, "values")
        found[f"{name}.analogy"] = (space.analogy, {"a": points(columns), "b": like("a"), "c": like("a")}, "values")
        found[f"{name}.windings"] = (space.windings, {"start": vector(columns), "end": vector(columns)}, "values")
        found[f"{name}.terms"] = (space.terms, {"preset": size(*space.presets)}, "values")
        for member in ("point", "decoder_input", "head_input", "distance", "act", "statistics"):
            call = space_call(space, member)
            found[f"{name}.{member} of raw values"] = (call, {"raw": points(space.raw_size)}, "values")
    for name, argument in (("Torus", "dim"), ("Gaussian", "dim"), ("Sphere", "n"), ("ProjectiveSpace", "n")):
        found[name] = (getattr(torusae.spaces, name), {argument: size(1, 2)}, "values")
    found |= {
        "parse": (torusae.spaces.parse, {"text": size("T2", "T2 x R4", "K * M", "so3", "x", "T0", "RP2 x S2")}, None),
        "align": (topology.align, {"angles": table, "reference": like("angles")}, "angles"),
        "orient": (
            topology.orient,
            {
                "angles": table,
                "times": lambda rng, arguments: np.arange(len(host(arguments["angles"]))),
                "peak": like("angles"),
            },
            None,
        ),
        "windows": (
            data.windows,
            {"series": table, "length": size(2, 5), "step": size(1, 3), "remove": size(None, "mean", "line")},
            None,
        ),
        "find_circles": (topology.find_circles, {"x": points(3), "num_landmarks": size(None, 50)}, None),
        "short_basis": (topology.short_basis, {"differences": points(3)}, None),
        "geodesic_stress": (metrics.geodesic_stress, {"a": table, "b": like("a")}, None),
        "kolmogorov_smirnov": (metrics.kolmogorov_smirnov, {"values": table}, "angles"),
        "CircularEmbedding": (
            lambda values, **arguments: torusae.CircularEmbedding(**arguments)(values),
            {
                "values": lambda rng: numbers(rng, shape_of(rng)).astype("float32"),
                "num_harmonics": size(1, 2, 5),
                "period": positive(),
            },
            "angles",
        ),
        "Polar": (
            lambda points: torusae.Polar()(points),
            {"points": lambda rng: numbers(rng, (8, 4)).astype("float32")},
            "values",
        ),
        "conv_encoder": (
            networks.conv_encoder,
            {"input_shape": size((8, 8, 1), (4, 4, 3)), "filters": size((2,))},
            None,
        ),
        "conv_decoder": (
            networks.conv_decoder,
            {"output_shape": size((8, 8, 1), (4, 4, 3)), "decoder_input_size": size(2, 4), "filters": size((2,))},
            None,
        ),
        "Term": (
            torusae.Term,
            {"loss": lambda rng: torusae.SpringLoss(), "weight": positive(), "reads": size(None, "angles")},
            "values",
        ),
        "TorusLatent": (
            torusae.TorusLatent,
            {"dim": size(1, 2), "losses": size(None, "paper", "none"), "loss_weights": size(None, {})},
            "values",
        ),
        "Latent": (torusae.Latent, {"space": size(*SPACES.values()), "losses": size(None, "none")}, "values"),
        "Head": (
            torusae.Head,
            {"task": size("classification"), "num_outputs": size(2, 3), "weight": positive(), "units": size((), (4,))},
            "values",
        ),
        "Head.loss_and_score": (
            lambda outputs: head("circular_regression").loss_and_score(ops.ones((outputs.shape[0], 3)), outputs)[0],
            {"outputs": lambda rng: ops.convert_to_tensor(numbers(rng, (8, 6)).astype("float32"))},
            "values",
        ),
        "dense_encoder": (networks.dense_encoder, {"input_shape": size((4,), (2, 3)), "units": size((4,), ())}, None),
        "dense_decoder": (
            networks.dense_decoder,
            {"output_shape": size((4,), (2, 3)), "decoder_input_size": size(2, 4), "units": size((4,), ())},
            None,
        ),
        "autoencoder_networks": (
            torusae.autoencoder_networks,
            {"input_shape": size((4,), (8, 8, 1)), "decoder_input_size": size(2, 4)},
            None,
        ),
        "LatentLogger": (torusae.LatentLogger, {"x": size(None)}, None),
        "torus_table": (torusae.datasets.torus_table, {"num_samples": size(1, 10), "seed": seed}, "values"),
        "hue_images": (torusae.datasets.hue_images, {"num_samples": size(1, 3), "seed": seed}, "values"),
        "diagnose": (lambda points: torusae.diagnose(torusae.Torus(2), points), {"points": points(4)}, None),
    }
    silent = {"verbose": 0}
    found |= {
        "TorusAutoencoder.encode": (functools.partial(small_model().encode, **silent), {"x": points(4)}, "values"),
        "TorusAutoencoder.angles": (functools.partial(small_model().angles, **silent), {"x": points(4)}, "values"),
        "TorusAutoencoder.predict": (functools.partial(small_model().predict, **silent), {"x": points(4)}, "values"),
        "TorusAutoencoder.decode": (functools.partial(small_model().decode, **silent), {"points": points(4)}, "values"),
        "TorusAutoencoder.sample": (
            functools.partial(small_model().sample, **silent),
            {"num_samples": size(1, 3), "seed": seed, "density": size("prior")},
            "values",
        ),
        "TorusAutoencoder.morph": (
            functools.partial(small_model().morph, **silent),
            {"start": vector(4), "end": vector(4), "num_steps": size(2, 5)},
            "values",
        ),
        "TorusAutoencoder.analogy": (
            functools.partial(small_model().analogy, **silent),
            {"a": points(4), "b": like("a"), "c": like("a")},
            "values",
        ),
        "TorusAutoencoder.rotate": (
            functools.partial(small_model().rotate, **silent),
            {
                "x": points(4),
                "angles": lambda rng: {int(rng.integers(3)): numbers(rng, () if rng.integers(2) else (3,))},
            },
            "values",
        ),
        "TorusAutoencoder.remove": (
            functools.partial(small_model().remove, **silent),
            {"x": points(4), "circle": size(0, 1, 2)},
            "values",
        ),
        "TorusAutoencoder.fit": (
            functools.partial(small_model().fit, **silent),
            {"x": points(4), "y": lambda rng, arguments: {name: labels_of("x")(rng, arguments) for name in ("digit",)}},
            None,
        ),
        "TorusAutoencoder.from_shape": (
            torusae.TorusAutoencoder.from_shape,
            {"input_shape": size((4,)), "dim": size(1, 2), "heads": size(None, {})},
            None,
        ),
    }
    rows = {"num": size(0, 1, 2, 3, 20), "container": size(*TAKEN, *REFUSED)}
    for name, call in CALLS.items():
        found[f"TorusAutoencoder.{name} of a container"] = (functools.partial(call_with, call), rows, None)
        moment = {"moment": lambda rng: rng.uniform(0.001, 0.5)}
        found[f"Ctrl-C in TorusAutoencoder.{name}"] = (functools.partial(interrupt, call, name == "fit"), moment, None)
    for name, arguments in PLOTS.items():
        found[name] = (getattr(plots, name), arguments, None)
    return found


def gradient_of(function, *, wrt=None, **arguments):
    """Value and gradient by the first argument."""
    first, *rest = arguments
    fixed = {name: arguments[name] for name in rest}
    value = arguments[first]
    checked = function(**arguments)  # raises what the function raises, before there is a tape
    if not np.issubdtype(host(value).dtype, np.floating):
        value = np.asarray(host(value), dtype="float32")

    def total(values):
        outputs = function(values, **fixed)
        return sum(ops.sum(output) for output in outputs) if isinstance(outputs, tuple) else ops.sum(outputs)

    # Compiled on JAX, as in `fit`: XLA rewrites formulas, and some rewritten ones overflow.
    return checked, gradient(total, np.asarray(host(value), dtype="float32"))


def quantiles_of(rng, arguments):
    rows = np.shape(host(arguments["values"]))[0] if np.ndim(host(arguments["values"])) else 1
    return np.sort(rng.normal(size=rows)).astype("float32")


LOSSES = {
    "spring_loss": {"angles": table, "period": positive(), "reduction": size("sum", "normalized")},
    "quantile_loss": {"values": table, "quantiles": quantiles_of, "reduction": size("sum", "normalized")},
    "diaphony_loss": {"angles": table, "max_frequency": size(None, 1, 2), "interactions": size(None, 1, 2)},
    "circular_wasserstein_loss": {"angles": table},
    "sliced_loss": {"angles": table, "directions": index_rows("angles")},
    "product_moment_loss": {"angles": table},
    "cramer_wold_loss": {"values": table},
    "gaussian_distance_loss": {"values": table},
    "kl_loss": {"posterior": points_table},
    "maximum_mean_discrepancy": {"values": table},
    "sliced_wasserstein_loss": {
        "values": table,
        "directions": like("values", lambda shape: (4, *shape[1:])),
    },
    "angular_loss": {"targets": table, "angles": like("targets"), "period": positive()},
    "harmonic_loss": {"points": table, "degree": size(1, 2, 4), "decay": positive(0.0, 1.0), "even": size(False, True)},
    "character_loss": {"rotations": lambda rng: points(9)(rng), "degree": size(1, 2), "decay": positive(0.0, 1.0)},
}
OF_ANGLES = {
    "spring_loss",
    "diaphony_loss",
    "circular_wasserstein_loss",
    "sliced_loss",
    "product_moment_loss",
    "angular_loss",
}
LOSS_CLASSES = [
    "SpringLoss",
    "QuantileLoss",
    "DiaphonyLoss",
    "CircularWassersteinLoss",
    "SlicedLoss",
    "ProductMomentLoss",
    "CramerWoldLoss",
    "GaussianDistanceLoss",
    "KLLoss",
    "MMDLoss",
    "SlicedWassersteinLoss",
    "HarmonicLoss",
    "CharacterLoss",
]
METRICS = {
    "kuiper_statistic": {},
    "intrinsic_dimension": {"max_points": size(10, 100), "seed": size(0)},
    "cell_occupancy": {"cells": size(2, 8)},
    "max_moment": {"max_frequency": size(1, 2)},
    "moment_spectrum": {"max_frequency": size(1, 2), "interactions": size(None, 1)},
    "direction_kuiper": {"max_frequency": size(1, 2), "interactions": size(1, 2)},
}
DENSITIES = {
    "VonMisesMixture": lambda: densities.VonMisesMixture(3, seed=0),
    "TorusFlow": lambda: densities.TorusFlow(num_bins=4, units=4, epochs=1, seed=0),
    "PathDensity": lambda: densities.PathDensity(torusae.Torus(2), seed=0),
}
PLOTS = {
    "plot_angles": {"angles": table, "labels": labels_of("angles"), "max_points": size(10)},
    "plot_occupancy": {"angles": table},
    "plot_radii": {"radii": table},
    "plot_samples": {"samples": lambda rng: numbers(rng, (int(rng.choice(ROWS[:4])), 5, 5, 1)).astype("float32")},
    "plot_spring": {"angles": table},
    "plot_morph": {"samples": lambda rng: numbers(rng, (2, 3, 5, 5, 1)).astype("float32")},
    "plot_history": {"history": lambda rng: {"loss": numbers(rng, (3,)).tolist()}},
}


# Their arguments are what the library itself makes, or Keras converts them before they come.
INTERNAL = {"Head.loss_and_score", "CircularEmbedding", "Polar"}
for each in CALLS:
    INTERNAL |= {f"TorusAutoencoder.{each} of a container", f"Ctrl-C in TorusAutoencoder.{each}"}


# Outcomes


def host(value):
    """A value as a NumPy array."""
    if ops.is_tensor(value):
        return ops.convert_to_numpy(ops.cast(value, "float32") if "bfloat16" in str(value.dtype) else value)
    try:
        return np.asarray(value)
    except ValueError:
        return np.asarray(None)


def leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def are_finite(value, largest=np.inf):
    """Whether all numbers are finite and not above a size; what holds no numbers is."""
    for leaf in leaves(value):
        array = host(leaf)
        if array.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                if not np.all(np.abs(array.astype("float64")) <= largest) or not np.all(np.isfinite(array)):
                    return False
    return True


def is_clear(error):
    """Whether torusae raised an error itself, with the name of what was called in front."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    named = re.match(r"`?[A-Za-z0-9_.]+`?( \w+)?(,[^:]*)?: ", str(error))
    return isinstance(error, (ValueError, TypeError)) and PACKAGE in last.filename and bool(named)


PACKAGE = str(pathlib.Path(torusae.__file__).parent)


def case(name, seed):
    """The function of a target, its arguments for a seed, and up to which size results must be finite."""
    function, generators, limit = TARGETS[name]
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    arguments = {}
    for argument, generate in generators.items():
        takes_others = getattr(generate, "__code__", None) is not None and generate.__code__.co_argcount == 2
        arguments[argument] = generate(rng, arguments) if takes_others else generate(rng)
    if rng.random() < 0.3 and name not in INTERNAL:
        arguments[list(generators)[rng.integers(len(generators))]] = junk(rng)
    return function, arguments, None if limit is None else LARGEST[limit]


def run(name, seed):
    """What is wrong with one case, or `None`; and the number of its values."""
    function, arguments, limit = case(name, seed)
    amount = sum(host(leaf).size for leaf in leaves(arguments))
    signal.alarm(MOST_SECONDS)
    try:
        results = function(**arguments)
    except Skipped:
        return None, 0
    except Exception as error:  # each is judged
        if is_clear(error):
            return None, amount
        lines = "".join(traceback.format_exception(error)[-3:])
        return f"raised {type(error).__name__}: {str(error)[:500]}\n{lines}", amount
    finally:
        signal.alarm(0)
    if limit is not None and are_finite(arguments, limit) and not are_finite(results):
        return f"not finite: {[host(leaf) for leaf in leaves(results)]}"[:800], amount
    return None, amount


def too_slow(number, frame):
    raise TimeoutError(f"a call took more than {MOST_SECONDS} s")


def described(value):
    array = host(value)
    text = np.array2string(array, threshold=12) if array.dtype.kind in "fiu" else repr(value)
    return f"{type(value).__name__} {getattr(value, 'dtype', '')} {np.shape(array)} {text}"[:500]


def forget_compiled_operations():
    """JAX keeps every operation that it compiled for a shape: gigabytes, over all functions."""
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()


def main():
    """Splits the time over the functions, and prints every kind of failure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="time for all functions")
    parser.add_argument("--count", type=int, default=1_000_000, help="calls, at most, of each function")
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("--only", default="", help="functions whose names contain this")
    options = parser.parse_args()
    names = [name for name in TARGETS if options.only in name]
    calls = values = failures = 0
    for name in names:
        forget_compiled_operations()
        end = time.perf_counter() + options.seconds / len(names)
        kinds = set()
        seed = options.seed
        while seed < options.seed + options.count and time.perf_counter() < end:
            wrong, amount = run(name, seed)
            if wrong is not None and wrong[:60] not in kinds:
                kinds.add(wrong[:60])
                failures += 1
                print(f"\nFAILED {name} --seed {seed}: {wrong}", flush=True)
                for argument, value in case(name, seed)[1].items():
                    print(f"    {argument} = {described(value)}")
            seed, calls, values = seed + 1, calls + 1, values + amount
            if len(kinds) > 5:
                break
    print(f"\n{keras.backend.backend()}: {len(names)} functions, {calls} calls, {values} values, {failures} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_slow)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    np.seterr(all="ignore")
    TARGETS = targets()
    main()
