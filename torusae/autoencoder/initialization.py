"""Initialization at the circles of the data, so that angles wind around them from the first step of training on."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks, keras_repairs, replicas, units
from torusae.autoencoder.adapter import WORD, Rows
from torusae.autoencoder.keeping import Kept
from torusae.autoencoder.parts import Fill
from torusae.layers.latent import Latent
from torusae.layers.logger import latent_layer
from torusae.spaces import Space
from torusae.supervision import Supervision
from torusae.topology import Circles, find_circles
from torusae.topology._fill import filled

_STEPS = 500
_BATCH = 128
_LEAST_STEPS = 20  # in an epoch
_MAX_ROWS = 50_000
_LEAST_ROWS = 500  # where nobody asked for it: circles of fewer rows are doubtful
_LEAST_LABELLED_ROWS = 100  # with known values: 500 steps are out of proportion to fewer


def initialize_at_circles(
    model: keras.Model,
    x: Any,
    y: Any = None,
    angles: Any = None,
    num_steps: int = _STEPS,
    seed: int = 0,
    verbose: Any = 0,
) -> np.ndarray:
    """Trains a new model to the angles of its data's circles, for a few steps, before `fit`.

    The angles of an encoder with random weights wind around nothing, and training seldom changes windings: angles end
    even, but folded and torn. This call finds the circles of the data with `find_circles` and trains the encoder to
    their angles, and the decoder to the data from their angles. `TorusAutoencoder.fit` does it by itself
    (`init="auto"`); this is for other models with a latent layer, and for angles that are known.

    With fewer circles than the latent layer has angles, its first angles are trained to them. The others stay the
    encoder's own.

    Args:
        model: A built `TorusAutoencoder`, Sequential or Functional model with one `Latent` layer. Weights are changed;
            optimizer, losses and metrics are not used, except a single loss given to `compile`, else `"mse"`.
        x: Float array of samples `(num, ...)`, with NaN where the model has `missing="ignore"`.
        y: Targets of the model's output. Defaults to `None`, `x`.
        angles: Float array `(num, num_circles)`, radians, angles of the samples, if they are known, with NaN where one
            is not, or the `Circles` that `find_circles` found. Samples without any are left out. Defaults to `None`:
            those that `find_circles(x, seed=seed)` finds.
        num_steps: Integer, at least 1, steps of 128 samples with Adam at a rate of 0.001. Defaults to `500`.
        seed: Integer, seed of the search. Defaults to `0`.
        verbose: As in `fit`. Defaults to `0`.

    Returns:
        Float array `(num, num_circles)`, the angles, radians. Without columns where the data show no circle; then the
        model is left alone.

    Raises:
        ImportError: If ripser is missing and `angles` are not given: `pip install ripser scikit-learn`.
        TypeError: If the model's layers can't be told apart, as in a subclassed model.
        ValueError: If the model has no latent layer or more than one, its space has no angles, or `angles` have
            another number of rows, or none of them is known.

    Example:

    >>> import keras, numpy as np, torusae
    >>> model = keras.Sequential([keras.Input((50,)), torusae.TorusLatent(1), keras.layers.Dense(50)])
    >>> table, angles = torusae.datasets.torus_table(500, dim=1, seed=0)
    >>> torusae.initialize_at_circles(model, table, angles=angles, num_steps=200).shape
    (500, 1)
    >>> found = torusae.to_polar(keras.Model(model.inputs[0], model.layers[0].output)(table))[1]
    >>> bool(torusae.topology.align(found, angles).scores > 0.9)
    True

    Reference:
        Winding numbers as obstructions: Esmaeili et al. (2023), Topological obstructions and how to avoid them,
        arXiv:2312.07529. The initialization is a torusae choice.
    """
    return _at_angles("initialize_at_circles", "angles", model, x, y, angles, num_steps, seed, verbose)


def _at_angles(
    owner: str,
    name: str,
    model: Any,
    x: Any,
    y: Any,
    angles: Any,
    num_steps: int = _STEPS,
    seed: int = 0,
    verbose: Any = 0,
) -> np.ndarray:
    """`initialize_at_circles` for a caller whose argument `name` has the angles."""
    encoder, latent, decoder, loss = _parts(owner, model)
    fill: Any = getattr(model, "fill", None)
    missing, word = isinstance(fill, Fill), WORD if hasattr(model, "adapter") else ""
    x = checks.numpy_array(owner, "x", x, missing=missing)
    checks.finite_array(owner, "x", x, missing, word)
    num_steps = checks.positive_int(owner, "num_steps", num_steps)
    if not latent.space.num_angles:
        raise ValueError(f"{owner}: a space with angles is needed. Received: {latent.space!r}. Use a Torus.")
    found = angles is None or isinstance(angles, Circles) or name == "circles"
    if angles is None:
        angles = find_circles(x, seed=seed).angles
    angles = angles.angles if isinstance(angles, Circles) else angles
    angles = np.asarray(checks.numpy_array(owner, name, angles), dtype="float32")
    if angles.ndim != 2 or len(angles) != len(x):
        raise ValueError(
            f"{owner}: `{name}` must have shape ({len(x)}, num_circles). Received: {name}.shape={angles.shape}."
        )
    unknown = np.isnan(angles)
    checks.finite_array(owner, name, np.where(unknown, 0, angles))
    units.check_radians(owner, name, angles)
    angles = angles[:, : latent.space.num_angles]
    if angles.shape[1]:
        rows = np.flatnonzero(~unknown.all(axis=1))
        if not len(rows):
            raise ValueError(f"{owner}: `{name}` must hold a known angle. Received: NaN in all {len(x)} rows.")
        y = x if y is None else checks.numpy_array(owner, "y", y, missing=missing)
        if not checks.finite_array(owner, "y", y, missing, word):
            y = filled(y)
        if missing:
            if not model.was_trained:
                fill.fit(x)
            x = fill.of_array(x)
        _train(encoder, latent, decoder, loss, x, y, angles, rows, num_steps, verbose)
        # Not those of labels: the model follows these as well as it can.
        if found and hasattr(model, "kept"):
            model.kept = Kept(model, x, angles)
    latent.num_initialized = angles.shape[1]
    return angles


def checked_init(owner: str, init: Any, space: Space) -> str:
    """Returns the argument `init` of a model after checking it."""
    checks.option(owner, "init", init, ("auto", "circles", "random"))
    if init == "circles" and not space.num_angles:
        raise ValueError(
            f"{owner}: init='circles' needs a space with angles. Received: {space!r}. Use a Torus, or init='random'."
        )
    return init


def _parts(owner: str, model: Any) -> tuple[Any, Latent, Any, Any]:
    """The encoder, the latent layer, the decoder and the loss of a model."""
    if isinstance(getattr(model, "latent", None), Latent) and hasattr(model, "decoder"):
        objective = getattr(model, "objective", None)
        return model.encoder, model.latent, model.decoder, objective.reconstruction if objective else "mse"
    layer = latent_layer(owner, model)
    sizes = [len(getattr(model, name, None) or [None]) for name in ("inputs", "outputs")]
    if sizes != [1, 1]:
        raise ValueError(
            f"{owner}: a model with one input and one output is needed. Received: {sizes[0]} inputs, {sizes[1]} "
            f"outputs. Call this with keras.Model(input, output) of one path, before its layers are called a second "
            f"time: the weights are shared."
        )
    try:
        encoder = keras.Model(model.inputs[0], layer.input)
        decoder = keras.Model(layer.output, model.outputs[0])
    except (AttributeError, ValueError, TypeError) as error:
        raise TypeError(
            f"{owner}: a Sequential or Functional model is needed, whose layers are known and called once. "
            f"Received: {model!r}, {error}. For a "
            f"subclassed model, call this with a Functional model of the same layers: the weights are shared."
        ) from error
    loss = getattr(model, "loss", None)
    return encoder, layer, decoder, loss if isinstance(loss, (str, keras.losses.Loss)) or callable(loss) else "mse"


class _Charted(keras.Model):
    """Encoder and decoder of a latent space whose angles are given."""

    def __init__(self, encoder: Any, latent: Latent, decoder: Any):
        super().__init__(name="charted")  # TensorFlow takes no name that starts with an underscore
        keras_repairs.keep_state(self)
        self.encoder, self.latent, self.decoder = encoder, latent, decoder

    def call(self, inputs, training=None):
        x, angles = inputs
        space = self.latent.space
        point = space.point(self.latent.projection(self.encoder(x, training=training)))
        own = space.angles(point)[:, : angles.shape[1]]
        target = space.decoder_input(space.with_angles(point, ops.where(ops.isnan(angles), own, angles)))
        self.add_loss(ops.mean(ops.square(space.decoder_input(point) - ops.stop_gradient(target))))
        return self.decoder(target, training=training)


def _train(
    encoder: Any,
    latent: Latent,
    decoder: Any,
    loss: Any,
    x: Any,
    y: Any,
    angles: np.ndarray,
    rows: np.ndarray,
    num_steps: int,
    verbose: Any,
) -> None:
    if not latent.built:
        latent.build(encoder.output_shape)
    model = _Charted(encoder, latent, decoder)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    if len(rows) > _MAX_ROWS:  # a copy of a large file would not fit
        rows = rows[np.linspace(0, len(rows) - 1, _MAX_ROWS).astype(int)]
    batch = min(_BATCH, len(rows))
    # Few rows are repeated: an epoch of one step takes as long as twenty steps on TensorFlow.
    rows = np.tile(rows, -(-_LEAST_STEPS * batch // len(rows)))
    # Whole batches: no step compiles for a smaller one.
    rows = rows[: max(batch, len(rows) // batch * batch)]
    epochs = max(1, round(num_steps * batch / len(rows)))
    before = model.get_weights()
    model.fit(
        [x[rows], angles[rows]], y[rows], batch_size=batch, epochs=epochs, verbose=0 if verbose == "auto" else verbose
    )
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        model.set_weights(before)


def initialize(
    model: Any, rows: Rows, circles: Any, verbose: Any, callbacks: Any, found: np.ndarray | None = None
) -> None:
    """What the first `fit` of a model does before it trains, by `model.init`. Says in one line what it did.

    `circles` are angles to begin at, or `Circles`; `None` are those that supervision knows, that `from_data` has
    `found`, or that are found now.
    """
    space, x = model.latent.space, rows.sample
    asked = model.init == "circles" or circles is not None
    if (model.init == "random" and circles is None) or _resumes(callbacks) or not space.num_angles:
        return
    model.latent.num_initialized = model.latent.num_initialized or 0
    owner = model.adapter.named("fit")
    if not checks.is_array(x):
        if asked:
            raise ValueError(
                f"{owner}: init='circles' needs an array. Received: {type(x).__name__}. Call "
                f"initialize_at_circles(model, x) with some of the samples before, and give init='random'."
            )
        return
    known = None if circles is not None else known_angles(model.adapter.supervision, space, len(x), rows.targets)
    # Supervision says which circles they are and in which direction they go; found ones may go the other way, and
    # training seldom changes a direction.
    if not asked and (
        not model.encoder.trainable_variables
        or (model.adapter.supervision and known is None)
        or (found is None and len(x) < (_LEAST_ROWS if known is None else _LEAST_LABELLED_ROWS))
    ):
        return

    def say(words: str) -> None:
        if verbose:
            sys.stdout.write(words)
            sys.stdout.flush()

    x, y = checks.host_array(x), checks.host_array(rows.targets["reconstruction"])
    say("initialization: ")
    if replicas.current().size > 1 or keras.distribution.distribution() is not None:
        said = "not done on several devices. Call initialize_at_circles on one, before."
    elif circles is not None:
        say("training both networks to the given angles ... ")
        _at_angles(owner, "circles", model, x, y, circles)
        said = "done"
    elif known is not None:
        num = int((~np.isnan(known)).any(axis=1).sum())
        say(f"training both networks to the known angles of {num} samples ... ")
        initialize_at_circles(model, x, y, known)
        said = "done"
    elif found is not None and not found.shape[1]:
        said = "from_data found no circle"
    elif found is not None:
        say("training both networks to the circles that from_data found ... ")
        _at_angles(owner, "circles", model, x, y, found)
        said = "done"
    else:
        say("looking for circles ... ")
        said = _at_found_circles(model, x, y, asked)
    say(f"{said}\n")


def known_angles(
    supervision: Mapping[str, Supervision], space: Space, num: int, targets: Mapping[str, Any]
) -> np.ndarray | None:
    """True angles of samples as supervision has them, `(num, num_angles)`, NaN where unknown, or `None`."""
    angles = np.full((num, space.num_angles), np.nan)
    # Differences leave the zero of a circle free: anchors of the same one come last and count.
    for name, each in sorted(supervision.items(), key=lambda item: item[1].fixes_zero):
        values = each.known_angles(targets[name], num) if each.weight and name in targets else None
        if values is not None:
            angles[:, each.circles] = values
    return None if np.isnan(angles).all() else angles


def _at_found_circles(model: Any, x: np.ndarray, y: np.ndarray, asked: bool) -> str:
    begin = time.time()
    try:
        circles = find_circles(x)
    except (ImportError, ValueError) as error:  # the extra is missing, or the data can have no circle
        if asked:
            raise
        return f"circles were not looked for ({error})"
    said = [str(circles)]
    if circles.num_circles:
        initialize_at_circles(model, x, y, circles)
        more = model.latent.space.num_angles - circles.num_circles
        if more < 0:
            said.append(f"Only the first {circles.num_circles + more} are used: the model has no more angles.")
        if more > 0:
            said.append(f"The model has {more} more angle{'s' if more > 1 else ''}, which start at random.")
        said.append(f"Both networks were trained to their angles ({time.time() - begin:.0f} s).")
    return " ".join(said)


def _resumes(callbacks: Any) -> bool:
    """Whether a backup will replace the weights."""
    return any(
        isinstance(callback, keras.callbacks.BackupAndRestore) and any(Path(callback.backup_dir).glob("*"))
        for callback in keras.tree.flatten(getattr(callbacks, "callbacks", callbacks) or [])
    )
