"""`explore`: checks, what the page needs of model and data, and the file."""

import html
import importlib.resources
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from torusae._internal import checks, files
from torusae.autoencoder import TorusAutoencoder
from torusae.explorer._layers import LAYERS, TO_CHANNELS_LAST, Description, UnknownLayer
from torusae.explorer._samples import Samples, base64_text, floats
from torusae.plots._style import choose_rows, classes, known_labels
from torusae.spaces import Gaussian, Space, Sphere, Torus

_OWNER = "explore"
_ATLAS_STEPS = {1: 64, 2: 24}  # tiles around each circle that are decoded in advance, by the number of circles
# Up to so many weights stay in float32, 0.7 MB. In float16 a picture of the paper's decoder was off by up to 0.0011.
_FEW_WEIGHTS = 1 << 17
_NUMBERS_RANGE = 3.0  # of a standard normal coordinate
_SCRIPTS = ("network.js", "samples.js", "plane.js", "gestures.js", "panel.js", "page.js")


def explore(
    model: Any,
    path: str | os.PathLike,
    data: Any = None,
    labels: Any = None,
    title: str | None = None,
    num_points: int = 2000,
    num_thumbnails: int = 400,
    overwrite: bool = False,
    batch_size: int | None = None,
    period: float | None = None,
) -> Path:
    """Writes a page that shows a model's torus: one HTML file that any browser opens from the disk, without a network.

    Two circles are the plane, which scrolls without end; sliders set the other circles and the numbers of Gaussian
    factors. A click shows the decoded sample and the nearest samples of the data, a second click every way to a second
    point. The decoder runs in the page; more than 131,072 weights are rounded to float16. Where it has a layer that the
    page does not know, or is no chain of layers, a fixed number of samples over the first two circles is decoded in
    advance, with a warning.

    Args:
        model: `TorusAutoencoder` of a space with circles: a torus, or its product with Gaussian spaces. Its samples are
            vectors, or images with 1 or 3 channels.
        path: Path that ends in `.html`.
        data: Array of samples `(num, *sample_shape)`; some of them are shown. Defaults to `None`, no points.
        labels: Array `(num,)`: integers or strings are classes, at most 20; floats are numbers; -1, NaN or
            `None` where there is none. Defaults to `None`.
        title: String. Defaults to `None`, the number of circles.
        num_points: Integer, the most samples that are points in the page. Defaults to `2000`.
        num_thumbnails: Integer, the most samples that are pictures in the page, and can be a nearest sample. Fewer
            where they are large. Defaults to `400`.
        overwrite: Boolean, whether a file at `path` is replaced. Of a link, the file that it leads to is. Defaults to
            `False`.
        batch_size: Integer. Defaults to `None`, Keras' 32.
        period: Positive float, the period of labels that are angles, 24 for hours: their colours then have no end.
            Defaults to `None`.

    Returns:
        `Path` of the file. MNIST with the paper's networks takes 0.7 MB.

    Raises:
        TypeError: If `model` is not a `TorusAutoencoder`, or data or labels are of the wrong type.
        ValueError: If the space has no circles or a part that can't be drawn, or data, labels or samples have a shape
            that does not fit, or `path` ends otherwise or is a pipe or a device.
        FileExistsError: If there is a file at `path` and `overwrite` is `False`.
        FileNotFoundError: If there is no folder for the file.
        OSError: If it can't be written. What was there stays.

    Example:

    >>> import numpy as np, torusae, warnings
    >>> warnings.simplefilter("ignore")  # the model is not trained
    >>> model = torusae.TorusAutoencoder.from_shape((8,), dim=2)
    >>> torusae.explore(model, "torus.html").name
    'torus.html'
    """
    if not isinstance(model, TorusAutoencoder):
        raise TypeError(
            f"{_OWNER}: `model` must be a TorusAutoencoder. Received: model={model!r}. Of a Keras model with a "
            f"latent layer, give TorusAutoencoder(encoder, decoder, latent) of its layers: they share the weights."
        )
    target = files.Target(_OWNER, path, (".html", ".htm"), "no browser", overwrite)
    space = model.latent.space
    circles, numbers = _columns(space)
    samples = Samples(_OWNER, model.sample_shape)
    num_points = checks.positive_int(_OWNER, "num_points", num_points)
    num_thumbnails = checks.positive_int(_OWNER, "num_thumbnails", num_thumbnails)
    if title is not None and not isinstance(title, str):
        raise TypeError(f"{_OWNER}: `title` must be a string. Received: title={title!r}.")
    period = None if period is None else checks.period(_OWNER, period)
    x, marks = _checked_data(model, data, labels, num_points, period)
    shown = x
    if x is not None and np.isnan(x).any():
        shown = np.where(np.isnan(x), model.reconstruct(x, batch_size, verbose=0), x)
    if not model.was_trained:
        warnings.warn(f"{_OWNER}: the model is not trained. The page shows its random weights.", stacklevel=2)
    content: dict[str, Any] = {
        "title": title or f"A torus of {len(circles)} circle{'s' * (len(circles) != 1)}",
        "decoderInputSize": space.decoder_input_size,
        "circles": circles,
        "numbers": [{"column": column, "low": -_NUMBERS_RANGE, "high": _NUMBERS_RANGE} for column in numbers],
    }
    if model.adapter.output_range is None or model.scaling is not None:
        prior = ops.convert_to_numpy(space.sample(256, seed=0))
        decoded = model.decode(prior, batch_size, verbose=0)
        checks.finite_array(_OWNER, "decoded samples", decoded)
        samples.set_range(decoded, *([] if shown is None else [shown]))
    try:
        content["network"] = _network(model, samples)
    except UnknownLayer as layer:
        used = "the first two circles" if len(circles) > 1 else "the circle"
        warnings.warn(
            f"{_OWNER}: the page can't compute the decoder, because of {layer}. It shows samples over {used}, decoded "
            f"in advance. It computes {', '.join(sorted({kind.__name__ for kind in LAYERS}))}, one after the other.",
            stacklevel=2,
        )
        content["atlas"] = _atlas(model, samples, circles, batch_size)
    content["sample"] = samples.description()
    if x is not None:
        points = ops.convert_to_tensor(model.encode(x, batch_size, verbose=0))
        inputs = ops.convert_to_numpy(space.decoder_input(points))
        for number in content["numbers"]:
            column = inputs[:, number["column"]]
            number["low"] = min(number["low"], float(column.min()))
            number["high"] = max(number["high"], float(column.max()))
        content["points"] = {"count": len(x), "decoderInputs": floats(inputs), **marks}
        content["thumbnails"] = samples.thumbnails(shown[:num_thumbnails])
    with target.replacing() as part:
        part.write_text(_page(content), encoding="utf-8", newline="\n")
    return target.path


def _columns(space: Space) -> tuple[list[list[int]], list[int]]:
    """The x and y column of each circle in what the decoder reads, and the columns of free numbers."""
    circles: list[list[int]] = []
    numbers: list[int] = []
    start = 0
    for factor in getattr(space, "factors", [space]):
        columns = list(range(start, start + factor.decoder_input_size))
        start += len(columns)
        if isinstance(factor, Torus) or (isinstance(factor, Sphere) and factor.num_angles):  # all x, then all y
            half = len(columns) // 2
            circles += [list(pair) for pair in zip(columns[:half], columns[half:], strict=True)]
        elif isinstance(factor, Gaussian):
            numbers += columns
        else:
            raise ValueError(
                f"{_OWNER}: the page draws circles, and sliders for the numbers of Gaussian factors. Received: a space "
                f"with {factor!r}. Use a Torus, or its product with a Gaussian."
            )
    if not circles:
        raise ValueError(
            f"{_OWNER}: the space must have a circle. Received: {space!r}. plots.plot_samples draws samples."
        )
    return circles, numbers


def _checked_data(
    model: TorusAutoencoder, data: Any, labels: Any, num_points: int, period: float | None
) -> tuple[Any, dict[str, Any]]:
    """At most `num_points` samples in random order, and what their labels tell the page."""
    if period is not None and labels is None:
        raise ValueError(f"{_OWNER}: `period` is that of labels. Received: labels=None.")
    if data is None:
        if labels is not None:
            raise ValueError(f"{_OWNER}: `labels` need `data`. Received: data=None. Give the samples that they label.")
        return None, {}
    if not checks.is_array(data):
        raise TypeError(
            f"{_OWNER}: `data` must be an array of samples. Received: {type(data).__name__}. Use numpy.asarray(data), "
            f"or torusae.data.sample_rows(data, {num_points}) for a stream."
        )
    missing = model.adapter.missing
    data = checks.as_array(_OWNER, "data", data, missing=missing)
    model.adapter.check_samples(_OWNER, "data", data)
    if not len(data):
        raise ValueError(f"{_OWNER}: `data` must hold at least one sample. Received: data.shape={tuple(data.shape)}.")
    count = len(data)
    order = choose_rows(count, num_points)
    x = checks.host_array(data)[order]
    checks.finite_array(_OWNER, "data", x, missing)
    marks: dict[str, Any] = {}
    if labels is not None:
        marks = _marks(checks.label_column(_OWNER, labels, count, "one for each sample")[order], period)
    return x, marks


def _marks(labels: np.ndarray, period: float | None) -> dict[str, Any]:
    """Classes with their names, or numbers with their range: with a period, from 0 to it."""
    known, numbers = known_labels(labels)
    if period is not None and numbers.dtype.kind not in "iuf":
        raise TypeError(f"{_OWNER}: `labels` with a period must be numbers. Received: dtype={labels.dtype}.")
    if len(numbers) and (numbers.dtype.kind == "f" or period is not None):
        checks.finite_array(_OWNER, "labels", numbers)
        low, high = (float(numbers.min()), float(numbers.max())) if period is None else (0.0, period)
        if period is not None:
            numbers = np.remainder(numbers.astype("float64"), period)
        shares = np.full(len(labels), 255, "uint8")  # a missing label
        shares[known] = np.rint(254 * (numbers - low) / (high - low or 1.0))
        found = {"shares": base64_text(shares), "low": low, "high": high, "unknown": not known.all()}
        return {**found, "cyclic": period is not None}
    names, index, missing = classes(_OWNER, labels)
    return {"classes": base64_text(index.astype("uint8")), "names": names, "unknown": missing}


def _network(model: TorusAutoencoder, samples: Samples) -> dict[str, Any]:
    """The decoder's operations, their arrays one after the other, and the shapes of these."""
    network = Description(model.decoder, model.latent.space.decoder_input_size)
    if samples.channels_first:
        network.add("permute", axes=TO_CHANNELS_LAST)
    if model.scaling is not None:
        columns = np.ones(samples.shape[-1], "float32")
        network.add(
            "affine", scale=columns * np.float32(model.scaling.scale), shift=columns * np.float32(model.scaling.mean)
        )
    shapes = [list(array.shape) for array in network.arrays]
    joined = np.concatenate([array.ravel() for array in network.arrays] or [np.empty(0, "float32")])
    checks.finite_array(_OWNER, "weights of the decoder", joined)
    return {"operations": network.operations, "shapes": shapes, "arrays": floats(joined, joined.size > _FEW_WEIGHTS)}


def _atlas(model: TorusAutoencoder, samples: Samples, circles: list, batch_size: int | None) -> dict[str, Any]:
    """Samples at even angles of the first one or two circles, rows along the second. Other angles and numbers are 0."""
    used = circles[:2]
    steps = _ATLAS_STEPS[len(used)]
    angles = np.meshgrid(*[2 * np.pi * np.arange(steps) / steps] * len(used))
    points = np.zeros((steps ** len(used), model.latent.space.point_size), "float32")  # which the decoder reads
    points[:, [x for x, _ in circles]] = 1
    for (x, y), angle in zip(used, angles, strict=True):
        points[:, x], points[:, y] = np.cos(angle.ravel()), np.sin(angle.ravel())
    decoded = samples.rows(model.decode(points, batch_size, verbose=0))
    return {"circles": len(used), "steps": steps, **samples.packed(decoded)}


def _page(content: dict[str, Any]) -> str:
    """The page as text: its parts in their places, in one pass, so that no content is taken for a place."""
    parts = {"css": _file("page.css"), "script": "\n".join(map(_file, _SCRIPTS))}
    # Without "<", no "</script>" in a title or in the name of a class ends the script.
    parts["data"] = json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    parts["title"] = html.escape(content["title"])
    pieces = _file("page.html").split("@@")
    return "".join(parts[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _file(name: str) -> str:
    return importlib.resources.files("torusae.explorer").joinpath(name).read_text(encoding="utf-8")
