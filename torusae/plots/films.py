"""Films: the latent space while a model trains, and a morph, as GIFs."""

import io
import os
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks, files
from torusae._internal.checks import Tensor
from torusae.layers.latent import Latent
from torusae.layers.logger import latent_layers, raw_values
from torusae.plots import _style
from torusae.plots.angles import plot_angles
from torusae.plots.morphs import END_COLOUR, START_COLOUR, checked_morph
from torusae.plots.spaces import draw_points

_DPI = 80
_COLOURS = 256  # the most of a GIF
_COLUMNS = 5  # pictures of a morph side by side


class Film(keras.callbacks.Callback):
    """A callback that films the latent space while a model trains, as a GIF: before the first epoch and after each.

    A space with angles is drawn by `plot_angles`, another one by its own `draw`. The file is written anew after each
    picture, whole or not at all: a training that is interrupted leaves the film so far. A picture takes about 0.2 s.
    Where points are NaN or infinite the film has no picture, with a warning.

    Args:
        path: Path that ends in `.gif`.
        x: Array of samples to film, `(num, *sample_shape)`, for example of the validation data.
        labels: Array `(num,)`, as in `plot_angles`. Defaults to `None`.
        every: Integer, epochs from one picture to the next. Defaults to `1`.
        frames_per_second: Number. The last picture stays for a second longer. Defaults to `4.0`.
        max_points: Integer. Of more samples, a random choice of this size is filmed. Defaults to `1024`.
        layer: String, name of the latent layer. Defaults to `None`, the model's only one.
        overwrite: Boolean, whether a file at `path` is replaced. Defaults to `False`.
        **kwargs: Passed to `plot_angles` (`label_kind`, `label_name`, `pairs`).

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `path` or `x` is of the wrong type.
        ValueError: If `path` ends otherwise, or `x` is empty, or `labels` are of another length; when the training
            starts, if the model has no latent layer or several, or `labels` are given for a space without angles.
        FileExistsError: If there is a file at `path` and `overwrite` is `False`.
        FileNotFoundError: If there is no folder for the file.

    Example:

    >>> import numpy as np, torusae, torusae.plots
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=1, init="random")
    >>> model.compile("adam", "mse")
    >>> film = torusae.plots.Film("training.gif", x)
    >>> history = model.fit(x, epochs=2, verbose=0, callbacks=[film])
    >>> film.num_frames
    3
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        x: Any,
        labels: Any = None,
        every: int = 1,
        frames_per_second: float = 4.0,
        max_points: int = 1024,
        layer: str | None = None,
        overwrite: bool = False,
        **kwargs: Any,
    ):
        super().__init__()
        owner = "Film"
        self.every = checks.positive_int(owner, "every", every)
        self.layer = layer
        self._options = kwargs
        self._last = self._filmed = 0  # numbers of epochs
        self._gif = _Gif(owner, path, frames_per_second, overwrite)
        if not checks.is_array(x):
            raise TypeError(
                f"{owner}: `x` must be an array of samples. Received: {type(x).__name__}. Use numpy.asarray(x), or "
                f"torusae.data.sample_rows(x, 1024) for a stream."
            )
        if not len(x):
            raise ValueError(f"{owner}: `x` must hold at least one sample. Received: x.shape={tuple(x.shape)}.")
        rows = np.sort(_style.choose_rows(len(x), checks.positive_int(owner, "max_points", max_points)))
        self._x = checks.host_array(x)[rows]
        self._labels = None if labels is None else checks.label_column(owner, labels, len(x), "one a sample")[rows]

    @property
    def num_frames(self) -> int:
        """The number of pictures in the film."""
        return len(self._gif.frames)

    def set_model(self, model):
        """Finds the layer to film."""
        super().set_model(model)
        self._latent = self._chosen(latent_layers(model))
        if not self._latent.space.num_angles and (self._labels is not None or self._options):
            raise ValueError(
                f"Film: labels colour angles, and the space must have some. Received: {self._latent.space!r}. Leave "
                f"`labels` and the arguments of plot_angles out."
            )

    def on_train_begin(self, logs=None):
        """Films the model as it is before its first epoch. A film that goes on has that picture."""
        if not self._gif.frames:
            self._add("before the first epoch")

    def on_epoch_end(self, epoch, logs=None):
        """Films the model after an epoch."""
        self._last = epoch + 1
        if not self._last % self.every:
            self._film_last()

    def on_train_end(self, logs=None):
        """Films the model after its last epoch, whatever `every` is."""
        if self._filmed != self._last:
            self._film_last()

    def _film_last(self) -> None:
        self._filmed = self._last
        self._add(f"after epoch {self._last}")

    def _chosen(self, layers: list[Latent]) -> Latent:
        names = [layer.name for layer in layers]
        if not layers:
            raise ValueError(
                "Film: the model must have a latent layer, such as TorusLatent(3). Received: a model without."
            )
        if self.layer is not None:
            return layers[names.index(checks.option("Film", "layer", self.layer, names))]
        if len(layers) > 1:
            raise ValueError(
                f"Film: a model with several latent layers needs the name of one. Received: layers {names}. Use "
                f"Film(..., layer={names[0]!r})."
            )
        return layers[0]

    def _add(self, when: str) -> None:
        self.model  # noqa: B018 - on JAX, reading it brings the layers' variables up to date
        (raw,) = raw_values(self.model, [self._latent], self._x)
        if not np.isfinite(raw).all():
            warnings.warn(f"Film: the points are not finite {when}. The film has no picture of them.", stacklevel=2)
            return
        space = self._latent.space
        point = space.point(ops.convert_to_tensor(raw, dtype="float32"))
        if space.num_angles:
            figure = plot_angles(space.angles(point), self._labels, max_points=len(raw), **self._options)
        else:
            figure = _style.new_figure("Film", 4.6, 4.8)
            draw_points(space, figure.add_subplot(), ops.convert_to_numpy(point))
        figure.suptitle(", ".join(part for part in (figure.get_suptitle(), when) if part), fontsize="medium")
        self._gif.add(figure)
        self._gif.write()


def save_morph(
    path: str | os.PathLike[str],
    samples: Tensor,
    windings: Tensor | None = None,
    seconds: float = 3.0,
    back: bool = True,
    overwrite: bool = False,
) -> Path:
    """Writes a morph as a film: every path at once, from start to end and back, as a GIF.

    Images stand side by side between start and end, grey for one channel and RGB for three; vectors are lines, one
    panel a path, with start and end behind them.

    Args:
        path: Path that ends in `.gif`.
        samples: Float tensor `(num_paths, num_steps, *sample_shape)` from `TorusAutoencoder.morph`: one picture a step.
            Images have the layout of `keras.config.image_data_format()`, or no channel axis.
        windings: Integer tensor `(num_paths, dim)`, written above the paths as `k = (0, -1, 0)`. Defaults to `None`.
        seconds: Number, the time from start to end. Defaults to `3.0`.
        back: Boolean, whether the film returns to the start the same way. Defaults to `True`.
        overwrite: Boolean, whether a file at `path` is replaced. Defaults to `False`.

    Returns:
        `Path` of the file.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If an argument is of the wrong type.
        ValueError: If `path` ends otherwise, or shapes do not fit.
        FileExistsError: If there is a file at `path` and `overwrite` is `False`.
        FileNotFoundError: If there is no folder for the file.

    Example:

    >>> import numpy as np, torusae.plots
    >>> torusae.plots.save_morph("morph.gif", np.zeros((2, 6, 28, 28, 1)), [[0, 0], [0, -1]]).name
    'morph.gif'

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 4.
    """
    owner = "save_morph"
    seconds = checks.positive_float(owner, "seconds", seconds)
    samples, names = checked_morph(owner, samples, windings)
    num_steps = samples.shape[1]
    gif = _Gif(owner, path, num_steps / seconds, overwrite)
    figure, show = (_image_film if samples.ndim == 5 else _vector_film)(owner, samples, names)
    steps = [*range(num_steps), *(range(num_steps - 2, 0, -1) if back else [])]
    for step in steps:
        show(step)
        figure.suptitle(f"share of the path: t = {step / (num_steps - 1):.2f}", fontsize="medium")
        gif.add(figure)
    return gif.write()


def _image_film(owner: str, samples: np.ndarray, names: list[str]) -> tuple[_style.Figure, Any]:
    """A figure of the paths between start and end, and a function that shows a step in it."""
    low, high = min(0.0, float(samples.min())), max(1.0, float(samples.max()))
    shares = (samples - low) / (high - low)
    num_paths, _, height, width, channels = shares.shape
    rows, columns = _style.grid(num_paths + 2, _COLUMNS)
    figure = _style.new_figure(owner, max(1.3 * columns, 3.6), 1.3 * rows * height / width + 0.35 * rows + 0.4)
    panels = _style.panels(figure, num_paths + 2, _COLUMNS)
    shown = []
    for axes, name in zip(panels, ["start", *names, "end"], strict=True):
        axes.set_title(name, fontsize="small", color={"start": START_COLOUR, "end": END_COLOUR}.get(name, "black"))
        axes.set(xticks=[], yticks=[])
        empty = np.zeros((height, width) if channels == 1 else (height, width, channels))
        shown.append(axes.imshow(empty, cmap="gray", vmin=0, vmax=1, interpolation="nearest"))
        colour = {"start": START_COLOUR, "end": END_COLOUR}.get(name, "0.7")
        for side in axes.spines.values():
            side.set(color=colour, linewidth=1.6)
    if (low, high) != (0.0, 1.0):
        figure.supxlabel(f"black to white: {low:.3g} to {high:.3g}", fontsize="small")

    def show(step: int) -> None:
        pictures = [shares[0, 0], *shares[:, step], shares[0, -1]]
        for image, picture in zip(shown, pictures, strict=True):
            image.set_data(picture[..., 0] if channels == 1 else picture)

    return figure, show


def _vector_film(owner: str, samples: np.ndarray, names: list[str]) -> tuple[_style.Figure, Any]:
    """As `_image_film`, of lines."""
    num_paths, _, size = samples.shape
    rows, columns = _style.grid(num_paths, 4)
    figure = _style.new_figure(owner, max(2.4 * columns + 0.4, 4.4), 1.7 * rows + 0.9)
    places = np.arange(1, size + 1)
    marker = "." if size < 40 else None
    lines = []
    panels = _style.panels(figure, num_paths, 4, sharex=True, sharey=True)
    for axes, path, name in zip(panels, samples, names, strict=True):
        axes.plot(places, path[0], color=START_COLOUR, linewidth=0.8, label="start")
        axes.plot(places, path[-1], color=END_COLOUR, linewidth=0.8, label="end")
        lines += axes.plot(places, path[0], color="black", linewidth=1.6, marker=marker, label="at t")
        axes.set_title(name, fontsize="small", loc="left", pad=2)
        axes.set_ylim(*_margins(samples))
    for axes in panels[-columns:]:
        axes.set_xlabel("column of the sample", fontsize="small")
    figure.supylabel("value", fontsize="small")
    figure.legend(handles=axes.get_lines(), loc="outside lower center", ncols=3, frameon=False)

    def show(step: int) -> None:
        for line, path in zip(lines, samples, strict=True):
            line.set_ydata(path[step])

    return figure, show


def _margins(samples: np.ndarray) -> tuple[float, float]:
    """Limits a little outside of all values, equal ones included."""
    low, high = float(samples.min()), float(samples.max())
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


class _Gif:
    """Pictures of figures of one size, and their file."""

    def __init__(self, owner: str, path: Any, frames_per_second: float, overwrite: bool):
        rate = checks.positive_float(owner, "frames_per_second", frames_per_second)
        self._milliseconds = max(20, round(1000 / rate))  # browsers show shorter ones slowly
        self._file = files.target(owner, path, (".gif",), "no viewer", overwrite)
        _style.new_figure(owner, 1, 1)  # says what is missing before a training, not after its first epoch
        self.frames: list[Any] = []

    def add(self, figure: _style.Figure) -> None:
        """Adds the picture of a figure."""
        from PIL import Image

        pixels = io.BytesIO()
        figure.savefig(pixels, format="png", dpi=_DPI)
        with Image.open(pixels) as picture:
            # Of few colours in memory: the whole film is encoded again with every picture.
            self.frames.append(picture.convert("RGB").quantize(_COLOURS))

    def write(self) -> Path:
        """Writes all pictures so far."""
        content = io.BytesIO()
        durations = [self._milliseconds] * (len(self.frames) - 1) + [self._milliseconds + 1000]
        self.frames[0].save(
            content, "gif", save_all=True, append_images=self.frames[1:], duration=durations, loop=0, disposal=1
        )
        files.write(self._file, content.getvalue())
        return self._file
