"""What is done with a trained model, as functions of it. The methods of `TorusAutoencoder` say what they return."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from torusae._internal import batches, checks, units
from torusae.angles import wrap_angles
from torusae.densities import densities_of

_TURN_STEPS = 32  # angles of a mean over a circle: exact for waves of the decoder with less than 32 periods
_MOST_VALUES = 1 << 24  # of rotated samples in memory at a time


def encode(
    model: Any,
    x: Any,
    batch_size: int | None = None,
    verbose: Any = "auto",
    groups: Any = None,
    offset: str | None = None,
) -> np.ndarray:
    """Points of samples."""
    return _encoded(model, "encode", x, batch_size, verbose, groups=groups, offset=offset)["point"]


def angles(
    model: Any,
    x: Any,
    batch_size: int | None = None,
    verbose: Any = "auto",
    uniform: bool = False,
    groups: Any = None,
    offset: str | None = None,
) -> np.ndarray:
    """Angles of samples; with `uniform`, mapped by the fitted flow."""
    if not model.space.num_angles:
        raise ValueError(
            f"{model.adapter.named('angles')}: the latent space must have angles. Received: {model.space!r}. "
            f"Use encode(x) for its points."
        )
    flow = _flow(model, "angles") if uniform else None
    found = _encoded(model, "angles", x, batch_size, verbose, groups=groups, offset=offset)["angles"]
    if flow is None or not len(found):
        return found
    # Rounded to float32, an angle just below π can be π.
    return ops.convert_to_numpy(wrap_angles(flow.to_uniform(found).astype("float32")))


def decode(
    model: Any, points: Any, batch_size: int | None = None, verbose: Any = "auto", angles: Any = None
) -> np.ndarray:
    """Samples of points, of angles, or of points with other angles."""
    owner, space = model.adapter.named("decode"), model.space
    if angles is not None:
        points = _points_at(owner, space, points, units.radians(owner, "angles", angles))
    points = checks.numpy_array(owner, "points", points)
    if points.ndim != 2 or points.shape[1] != space.point_size:
        raise ValueError(
            f"{owner}: `points` must have shape (num, {space.point_size}). Received: points.shape={points.shape}. "
            f"Give what encode(x) returns"
            + (", or decode(angles=...)." if points.shape[1:] == (space.num_angles,) else ".")
        )
    checks.finite_array(owner, "points", points)
    return model.adapter.in_units(_decoded(model, points, batch_size, verbose))


def reconstruct(
    model: Any,
    x: Any,
    batch_size: int | None = None,
    verbose: Any = "auto",
    groups: Any = None,
    offset: str | None = None,
) -> np.ndarray:
    """Samples as the model encodes and decodes them."""
    rows = model.adapter.check("reconstruct", x, groups=groups, offset=offset)
    points = predicted(model, rows.sample, batch_size, verbose)["point"]
    return rows.in_units(_decoded(model, points, batch_size, verbose))


def sample(
    model: Any,
    num_samples: int,
    seed: Any = None,
    batch_size: int | None = None,
    verbose: Any = "auto",
    density: str | None = None,
) -> np.ndarray:
    """Decoded points of the fitted density, or of the prior."""
    owner = model.adapter.named("sample")
    if density is None:
        density = "prior" if model.density is None else "fitted"
    checks.option(owner, "density", density, ("prior", "fitted"))
    if density == "fitted" and model.density is None:
        raise ValueError(
            f"{owner}: density='fitted' needs a fitted density. Received: a model without one. "
            f"Call fit_density(x) with the training data first, or sample from the prior."
        )
    source = model.space if density == "prior" else model.density
    return decode(model, ops.convert_to_numpy(source.sample(num_samples, seed)), batch_size, verbose)


def fit_density(
    model: Any,
    x: Any,
    density: Any = None,
    seed: int | None = None,
    batch_size: int | None = None,
    verbose: Any = "auto",
    groups: Any = None,
) -> Any:
    """Fits a density to the points of samples, and keeps it beside the model."""
    owner = model.adapter.named("fit_density")
    named = densities_of(model.space)
    if density is None or isinstance(density, str):
        name = next(iter(named)) if density is None else checks.option(owner, "density", density, named)
        density = named[name](seed=seed)
    if isinstance(density, type) or not all(callable(getattr(density, name, None)) for name in ("fit", "sample")):
        raise TypeError(
            f"{owner}: `density` must be one of {list(named)}, or an object with `fit` and `sample`. "
            f"Received: density={density!r}."
        )
    points = _encoded(model, "fit_density", x, batch_size, verbose, 1, groups)["point"]
    try:
        density.fit(points)
    except KeyboardInterrupt:
        if getattr(density, "is_fitted", False):
            model.density = density
        raise
    model.density = density
    return density


def morph(
    model: Any,
    start: Any,
    end: Any,
    windings: Any = None,
    num_steps: int = 12,
    batch_size: int | None = None,
    verbose: Any = "auto",
    uniform: bool = False,
) -> np.ndarray:
    """Decoded points along several paths from one sample to another."""
    owner, space, shape = model.adapter.named("morph"), model.space, model.sample_shape
    flow = _flow(model, "morph") if uniform else None
    pair = []
    for name, each in (("start", start), ("end", end)):
        each = checks.numpy_array(owner, name, each)
        if tuple(each.shape) != shape:
            fix = f" Use {name}[0]." if tuple(each.shape[1:]) == shape else ""
            raise ValueError(
                f"{owner}: `{name}` must be one sample of shape {shape}. Received: {name}.shape={tuple(each.shape)}."
                f"{fix}"
            )
        # Of one dtype: float16 and bfloat16 have none in common.
        pair.append(model.adapter.check_rows("morph", name, each[None]).sample[0].astype("float32"))
    ends = predicted(model, np.stack(pair), None, 0)["point"]
    first, last = map(ops.convert_to_tensor, ends if flow is None else flow.to_uniform_points(ends))
    if windings is None:
        windings = space.windings(first, last)
    paths = ops.convert_to_numpy(space.paths(first, last, windings, num_steps))
    if flow is not None:
        paths = flow.from_uniform_points(paths.reshape(-1, paths.shape[-1])).reshape(paths.shape)
        paths[:, 0], paths[:, -1] = ends
    samples = decode(model, paths.reshape(-1, paths.shape[-1]), batch_size, verbose)
    return samples.reshape(*paths.shape[:2], *shape)


def analogy(model: Any, a: Any, b: Any, c: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
    """Samples d of which is said: a is to b as c is to d."""
    rows = {
        name: model.adapter.check_rows("analogy", name, each).sample for name, each in (("a", a), ("b", b), ("c", c))
    }
    lengths = {name: len(value) for name, value in rows.items()}
    num = max(lengths.values()) if all(lengths.values()) else 0
    if not set(lengths.values()) <= {1, num}:
        raise ValueError(
            f"{model.adapter.named('analogy')}: `a`, `b` and `c` must hold as many samples each, or one. "
            f"Received: {lengths}."
        )
    points = [predicted(model, each, batch_size, verbose)["point"] for each in rows.values()]
    if not num:
        return decode(model, points[0][:0], batch_size, verbose)
    found = model.space.analogy(
        *(ops.convert_to_tensor(np.broadcast_to(each, (num, each.shape[1]))) for each in points)
    )
    return decode(model, ops.convert_to_numpy(found), batch_size, verbose)


def rotate(
    model: Any,
    x: Any,
    angles: Mapping[int, Any],
    batch_size: int | None = None,
    verbose: Any = "auto",
    groups: Any = None,
    offset: str | None = None,
) -> np.ndarray:
    """Reconstructions of samples with some circles rotated."""
    owner = model.adapter.named("rotate")
    rows = model.adapter.check_rows("rotate", "x", x, groups, offset)
    x = rows.sample
    if not isinstance(angles, Mapping):
        raise TypeError(
            f"{owner}: `angles` must be a dict from a circle to an angle, such as {{0: 0.5}}. Received: {angles!r}."
        )
    actions = np.zeros((len(x), model.space.action_size))
    for circle, angle in angles.items():
        action = _rotation(owner, model.space, circle)
        angle = units.radians(owner, f"angles[{circle}]", angle)
        if angle.shape not in ((), (len(x),)):
            raise ValueError(
                f"{owner}: `angles[{circle}]` must be one angle or have shape ({len(x)},), one for each sample. "
                f"Received: shape={angle.shape}."
            )
        # Wrapped here, in float64. An action has the period 2π.
        actions += np.remainder(angle.reshape(-1, 1) * action + np.pi, 2 * np.pi) - np.pi
    points = predicted(model, x, batch_size, verbose)["point"]
    return rows.in_units(_decode_moved(model, points, actions, batch_size, verbose))


def remove(
    model: Any,
    x: Any,
    circle: int,
    batch_size: int | None = None,
    verbose: Any = "auto",
    groups: Any = None,
    offset: str | None = None,
) -> np.ndarray:
    """Samples without what depends on one circle."""
    rows = model.adapter.check_rows("remove", "x", x, groups, offset)
    x = rows.sample
    action = _rotation(model.adapter.named("remove"), model.space, circle)
    points = predicted(model, x, batch_size, verbose)["point"]
    # In one period, 2π after this, a point comes back to itself. On a Möbius band that is two turns of the angle.
    actions = np.linspace(0, 2 * np.pi, _TURN_STEPS, endpoint=False)[:, None] * action / np.abs(action).max()
    size = max(1, _MOST_VALUES // (_TURN_STEPS * math.prod(model.sample_shape)))
    parts = []
    for start in range(0, max(len(points), 1), size):
        block = np.tile(points[start : start + size], (_TURN_STEPS, 1))
        rotated = _decode_moved(model, block, np.repeat(actions, len(block) // _TURN_STEPS, axis=0), batch_size, 0)
        rotated = rotated.reshape(_TURN_STEPS, len(block) // _TURN_STEPS, *model.sample_shape)
        parts.append(rotated[0] - rotated.mean(axis=0))
    return rows.in_units(np.asarray(x, "float32") - np.concatenate(parts))


def _encoded(
    model: Any,
    method: str,
    x: Any,
    batch_size: int | None,
    verbose: Any,
    least: int = 0,
    groups: Any = None,
    offset: str | None = None,
) -> dict[str, np.ndarray]:
    """The points and the angles of samples that `method` was given, so many at least."""
    rows = model.adapter.check(method, x, least=least, groups=groups, offset=offset)
    return predicted(model, rows.sample, batch_size, verbose)


def _decoded(model: Any, points: np.ndarray, batch_size: int | None, verbose: Any) -> np.ndarray:
    """What the decoder makes of points: samples without level and scale."""
    return batches.predict(model.codec[1].predict, points, batch_size, verbose)


def predicted(model: Any, x: Any, batch_size: int | None, verbose: Any) -> dict[str, np.ndarray]:
    """The points and the angles of samples without level and scale."""
    return batches.predict(model.codec[0].predict, x, batch_size, verbose)


def _points_at(owner: str, space: Any, points: Any, angles: np.ndarray) -> np.ndarray:
    """Points at angles; what else there is comes from `points`, or is that of raw values of zero."""
    if angles.ndim != 2 or angles.shape[1] != space.num_angles:
        raise ValueError(
            f"{owner}: `angles` must have shape (num, {space.num_angles}), the angles of {space!r}. "
            f"Received: angles.shape={angles.shape}."
        )
    if not len(angles):
        return np.zeros((0, space.point_size))
    if points is None:
        points = space.point(ops.zeros((len(angles), space.raw_size)))
    elif len(points) != len(angles):
        raise ValueError(
            f"{owner}: `points` and `angles` must have as many rows. Received: {len(points)} and {len(angles)}."
        )
    # Wrapped here, in float64: float32 would round large angles.
    wrapped = np.remainder(angles + np.pi, 2 * np.pi) - np.pi
    tensors = (ops.convert_to_tensor(each, dtype="float32") for each in (points, wrapped))
    return ops.convert_to_numpy(space.with_angles(*tensors))


def _flow(model: Any, method: str) -> Any:
    """The fitted density, if it is a map onto uniform angles."""
    owner = model.adapter.named(method)
    if hasattr(model.density, "to_uniform"):
        return model.density
    if "flow" not in densities_of(model.space):
        raise ValueError(
            f"{owner}: uniform=True needs a flow, and only a torus has one. Received: {model.space!r}. "
            f"Use uniform=False."
        )
    raise ValueError(
        f"{owner}: uniform=True needs a fitted flow. Received: {model.density!r}. "
        f"Call fit_density(x, 'flow') with the training data first."
    )


def _rotation(owner: str, space: Any, circle: Any) -> np.ndarray:
    """The action that rotates a circle by one radian, `(action_size,)`."""
    actions = space.angle_actions
    if isinstance(circle, bool) or not isinstance(circle, (int, np.integer)):
        raise TypeError(f"{owner}: a circle must be an integer, its column in angles(x). Received: {circle!r}.")
    if not 0 <= circle < len(actions):
        has = f"has the angles 0 to {len(actions) - 1}" if len(actions) else "has no angles"
        raise ValueError(f"{owner}: there is no circle {circle}. {space!r} {has}. Received: circle {circle}.")
    if not actions[circle].any():
        raise ValueError(
            f"{owner}: circle {circle} can be rotated by no symmetry of the space. Received: {space!r}. "
            f"Define its `angle_actions` and `act`."
        )
    return actions[circle]


def _decode_moved(model: Any, points: np.ndarray, actions: np.ndarray, batch_size: Any, verbose: Any) -> np.ndarray:
    if not len(points):
        return _decoded(model, points, batch_size, verbose)
    moved = model.space.act(ops.convert_to_tensor(points), ops.convert_to_tensor(actions.astype("float32")))
    return _decoded(model, ops.convert_to_numpy(moved), batch_size, verbose)
