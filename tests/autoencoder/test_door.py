"""The door of data: every method takes every container of numbers as the array that it holds, and refuses the rest."""

import os
import signal

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from shared.tiny import samples, tiny_model

import torusae
from torusae import metrics
from torusae.supervision import Anchor, Relative
from torusae.topology import align

QUIET = {"verbose": 0}
VALUES = np.linspace(0, 3, 20)


@pytest.fixture(scope="module")
def model():
    model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
    model.compile("sgd", "mse", supervision={"pair": Relative(0), "value": Anchor(1)})
    return model


@pytest.fixture(scope="module")
def plain_model():
    model = tiny_model()
    model.compile("sgd", "mse")
    return model


class Frame:
    """What polars and pandas have in common, with the dtypes of polars."""

    class dtype:
        def __init__(self, numeric):
            self.numeric = numeric

        def is_numeric(self):
            return self.numeric

    def __init__(self, array, numeric=True):
        self.array, self.shape = array, array.shape
        self.columns = [f"column{i}" for i in range(array.shape[-1])]
        self.dtypes = [self.dtype(numeric)] * len(self.columns)

    def to_numpy(self):
        return self.array

    def __getitem__(self, name):
        return self.array[:, self.columns.index(name)]


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def mapped(x, path):
    np.save(path / "x.npy", x)
    return np.load(path / "x.npy", mmap_mode="r")


def stored(x, path):
    return h5py.File(path / "x.h5", "w").create_dataset("x", data=x)


CONTAINERS = {
    "list": lambda x, path: x.tolist(),
    "big-endian": lambda x, path: x.astype(">f4"),
    "Fortran": lambda x, path: np.asfortranarray(x),
    "reversed": lambda x, path: x[::-1].copy()[::-1],
    "float64": lambda x, path: x.astype("float64"),
    "read-only": lambda x, path: read_only(x),
    "matrix": lambda x, path: x.view(np.matrix) if x.ndim == 2 else x,
    "tensor": lambda x, path: keras.ops.convert_to_tensor(x),
    "memory map": mapped,
    "h5py": stored,
    "pandas": lambda x, path: pd.DataFrame(x) if x.ndim == 2 else pd.Series(x),
    "nullable": lambda x, path: (pd.DataFrame(x) if x.ndim == 2 else pd.Series(x)).astype("Float32"),
    "polars": lambda x, path: Frame(x) if x.ndim == 2 else x,
}


def fitted(model, x):
    model.set_weights(model.start)
    y = {"pair": VALUES, "value": VALUES}
    history = model.fit(x, y, shuffle=False, verbose=0, validation_data=(x,)).history
    return history["reconstruction"] + history["val_reconstruction"]


# Each door with the data that come through it. The other arguments are arrays.
DOORS = {
    "fit": (lambda m, x: fitted(m, x), samples()),
    "weights": (lambda m, v: m.evaluate(samples(), sample_weight=v, **QUIET)[0], VALUES.astype("float32")),
    "evaluate": (lambda m, x: m.evaluate(x, **QUIET)[0], samples()),
    "targets": (lambda m, x: m.evaluate(samples(), {"reconstruction": x}, **QUIET)[0], samples()),
    "values": (lambda m, v: m.evaluate(samples(), {"pair": v, "value": v}, **QUIET)[0], VALUES.astype("float32")),
    "pairs": (lambda m, x: m.evaluate(samples(), {"pair": (x, x, VALUES)}, **QUIET)[0], samples()),
    "predict": (lambda m, x: m.predict(x, **QUIET)["reconstruction"], samples()),
    "encode": (lambda m, x: m.encode(x, **QUIET), samples()),
    "angles": (lambda m, x: m.angles(x, **QUIET), samples()),
    "decode": (lambda m, p: m.decode(p, **QUIET), samples()),
    "decode angles": (lambda m, a: m.decode(angles=a, **QUIET), samples()[:, :2]),
    "reconstruct": (lambda m, x: m.reconstruct(x, **QUIET), samples()),
    "morph": (lambda m, x: m.morph(x, samples()[1], **QUIET), samples()[0]),
    "rotate": (lambda m, x: m.rotate(x, {0: 0.3}, **QUIET), samples()),
    "rotate by": (lambda m, a: m.rotate(samples(), {0: a}, **QUIET), VALUES.astype("float32")),
    "analogy": (lambda m, x: m.analogy(x, samples(), x, **QUIET), samples()),
    "remove": (lambda m, x: m.remove(x, 0, **QUIET), samples()),
    "fit_density": (
        lambda m, x: m.fit_density(x, torusae.densities.VonMisesMixture(2, seed=0), **QUIET).sample(3, 0),
        samples(),
    ),
    "align": (lambda m, a: align(a, samples()[:, :2]).scores, samples()[:, :2]),
    "metrics": (lambda m, a: metrics.kuiper_statistic(a), samples()[:, :2]),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_container_is_the_array_that_it_holds(model, door, tmp_path):
    model.start = getattr(model, "start", None) or model.get_weights()
    call, x = DOORS[door]
    model.set_weights(model.start)
    model.adapter.columns = None
    expected = call(model, x)
    for name, container in CONTAINERS.items():
        model.adapter.columns = None
        np.testing.assert_allclose(
            call(model, container(x, tmp_path)), expected, rtol=2e-5, atol=1e-5, err_msg=f"{door}: {name}"
        )


REFUSED = {
    "masked": (lambda x: np.ma.masked_greater(x, 0.5), "masked array"),
    "sparse": (scipy.sparse.csr_matrix, "must be dense.*sparse csr_matrix"),
    "longdouble": (lambda x: x.astype(np.longdouble), "Use x.astype"),
    "complex": (lambda x: x.astype("complex64"), "dtype=complex64"),
    "Boolean": (lambda x: x > 0, "dtype=bool"),
    "object": (lambda x: x.astype(object), "dtype=object"),
    "text": (lambda x: x.astype(str), "dtype=<U"),
    "rank": (lambda x: x[None], "must have shape|must be numbers of shape|as many rows|must be pairs"),
    "text column": (lambda x: pd.DataFrame(x).assign(city="Rome"), "columns of numbers.*'city'"),
    "Boolean column": (lambda x: pd.DataFrame(x).assign(old=True), "columns of numbers.*'old' of bool"),
    "polars": (lambda x: Frame(x, numeric=False), "columns of numbers.*'column0'"),
}


@pytest.mark.parametrize("door", [name for name, (_, x) in DOORS.items() if x.ndim == 2])
def test_what_is_no_array_of_numbers_is_refused_by_name(model, door):
    model.start = getattr(model, "start", None) or model.get_weights()
    call, x = DOORS[door]
    for container, message in REFUSED.values():
        with pytest.raises((TypeError, ValueError), match=rf"(?s)^\w+(\.\w+)?: .*({message})"):
            call(model, container(x))
    assert np.isfinite(model.encode(samples(), **QUIET)).all()


def test_missing_values_of_a_nullable_column_are_named(model):
    frame = pd.DataFrame(samples(), columns=list("abcd")).astype("Float64")
    frame.loc[3, "b"] = pd.NA
    model.adapter.columns = None
    with pytest.raises(ValueError, match=r"fit: `x` must hold finite.*position \(3, 1\), the column 'b'"):
        model.fit(frame, {"pair": VALUES, "value": VALUES}, **QUIET)


def test_missing_values_of_a_column_of_labels_are_missing_labels(model):
    values = pd.Series(VALUES, dtype="Float64")
    values[5:] = pd.NA
    known = np.where(np.arange(20) < 5, VALUES, np.nan)
    got, expected = (model.evaluate(samples(), {"value": each}, **QUIET)[0] for each in (values, known))
    assert got == pytest.approx(expected)


def test_no_rows_give_no_results_or_an_error(model):
    x = samples()[:0]
    for name in ("encode", "decode", "angles", "reconstruct"):
        assert len(getattr(model, name)(x, **QUIET)) == 0
    for result in (
        model.predict(x, **QUIET)["reconstruction"],
        model.decode(angles=x[:, :2], **QUIET),
        model.rotate(x, {0: 0.1}, **QUIET),
        model.remove(x, 0, **QUIET),
        model.analogy(samples()[:1], samples()[:1], x, **QUIET),
    ):
        assert result.shape == (0, 4)
    for name in ("fit", "evaluate", "fit_density"):
        with pytest.raises(ValueError, match=rf"{name}: `x` must hold at least one sample. Received: x.shape=\(0, 4\)"):
            getattr(model, name)(x, **QUIET)
    assert np.isfinite(model.encode(samples(), **QUIET)).all()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX takes the values out of a model's variables")
@pytest.mark.parametrize("batches", [0, 1, 2])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "encode"])
@pytest.mark.parametrize("end", ["error", "Ctrl-C"])
def test_a_model_lives_on_after_an_error_and_after_ctrl_c(plain_model, method, batches, end):
    def stream():
        for _ in range(batches):
            yield (samples(),)
        if end == "error":
            raise RuntimeError("the end")
        os.kill(os.getpid(), signal.SIGINT)
        yield (samples(),)

    model = plain_model
    with pytest.raises(RuntimeError if end == "error" else KeyboardInterrupt):
        getattr(model, method)(stream(), **QUIET, **({"shuffle": False} if method == "fit" else {}))
    assert all(np.isfinite(each).all() for each in model.get_weights())
    assert np.isfinite(model.encode(samples(), **QUIET)).all()
    model.train_on_batch(samples())


def test_initialization_takes_one_path_and_numbers():
    a, b = keras.Input((4,)), keras.Input((4,))
    first = keras.layers.Dense(4)(torusae.TorusLatent(1)(a))
    x, angles = samples(), VALUES[:, None]
    for inputs, outputs, message in [
        ([a, b], keras.layers.Add()([first, b]), "2 inputs, 1 outputs"),
        (a, [first, keras.layers.Dense(1)(first)], "1 inputs, 2 outputs"),
    ]:
        with pytest.raises(ValueError, match=f"initialize_at_circles: a model with one input.*{message}"):
            torusae.initialize_at_circles(keras.Model(inputs, outputs), x, angles=angles)
    model = keras.Model(a, first)
    torusae.initialize_at_circles(model, x, angles=angles, num_steps=20)  # as the error says
    for bad, message in [(x * np.inf, "finite"), (x > 0, "dtype=bool"), (x.astype(complex), "complex")]:
        with pytest.raises((TypeError, ValueError), match=f"initialize_at_circles: `x` must .*{message}"):
            torusae.initialize_at_circles(model, bad, angles=angles)


def test_slips_of_newcomers_are_told_in_a_sentence(plain_model):
    with pytest.warns(UserWarning, match="fit: the latent losses compare.*batch_size=1. Give 128"):
        plain_model.fit(samples(4), batch_size=1, **QUIET)
    model = torusae.TorusAutoencoder.from_shape(samples().shape, dim=1)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"make the model with x.shape\[1:\]"):
        model.fit(samples(), **QUIET)
