"""Films: the latent space while a model trains, and a morph, as GIFs."""

import os
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks, files
from torusae._internal.checks import Tensor
from torusae.layers.logger import latent_layer, raw_values
from torusae.plots import _style
from torusae.plots.angles import plot_angles
from torusae.plots.morphs import checked_morph, draw_morphs, morph_size
from torusae.plots.spaces import draw_points

_DPI = 80
_GROWTH = 1.25  # from one writing of a film to the next: all its pictures are encoded again


class Film(keras.callbacks.Callback):
    """A callback that films the latent space while a model trains, as a GIF: before the first epoch and after each.

    A space with angles is drawn by `plot_angles`, another one by `draw_points`. The file is written anew, whole or not
    at all, where the film has grown by a quarter, and at the end: a training that is interrupted leaves at least four
    fifths of its film. A picture takes about 0.3 s. Where points are NaN or infinite the film has no picture, with a
    warning.

    Args:
        path: Path that ends in `.gif`.
        x: Array of samples to film, `(num, *sample_shape)`, for example of the validation data.
        labels: Array `(num,)`, as in `plot_angles`. Defaults to `None`.
        every: Integer, epochs from one picture to the next. Defaults to `1`.
        frames_per_second: Number. Defaults to `4.0`.
        max_points: Integer. Of more samples, a random choice of this size is filmed. Defaults to `1024`.
        layer: String, name of the latent layer. Defaults to `None`, the model's only one.
        overwrite: Boolean, whether a file at `path` is replaced. Defaults to `False`.
        **kwargs: Passed to `plot_angles` (`label_kind`, `label_name`, `pairs`).

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `path` or `x` is of the wrong type.
        ValueError: If `path` ends otherwise or is a pipe or a device, or `x` is empty, or `labels` are of another
            length; when the training starts, if the model has no latent layer or several, or `labels` are given for a
            space without angles.
        FileExistsError: If there is a file at `path` and `overwrite` is `False`.
        FileNotFoundError: If there is no folder for the file.
        OSError: If it can't be written. What was there stays.

    Example:

    >>> import numpy as np, torusae, torusae.plots
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=1, init="random")
    >>> model.compile("adam", "mse")
    >>> history = model.fit(x, epochs=2, verbose=0, callbacks=[torusae.plots.Film("training.gif", x)])
    >>> import PIL.Image
    >>> with PIL.Image.open("training.gif") as pictures:
    ...     pictures.n_frames
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
        self._pictures = self._written = 0
        self._target = files.Target(owner, path, (".gif",), "no viewer", overwrite)
        first = _style.new_figure(owner, 1, 1)  # says what is missing before a training, not after its first epoch
        self._writer = _writer(
            first, self._target, checks.positive_float(owner, "frames_per_second", frames_per_second)
        )
        if not checks.is_array(x):
            raise TypeError(
                f"{owner}: `x` must be an array of samples. Received: {type(x).__name__}. Use numpy.asarray(x), or "
                f"torusae.data.sample_rows(x, 1024) for a stream."
            )
        if not len(x):
            raise ValueError(f"{owner}: `x` must hold at least one sample. Received: x.shape={tuple(x.shape)}.")
        rows = np.sort(_style.choose_rows(len(x), checks.positive_int(owner, "max_points", max_points)))
        self._x = checks.numpy_array(owner, "x", x)[rows]
        self._labels = None if labels is None else checks.label_column(owner, labels, len(x), "one a sample")[rows]

    def set_model(self, model):
        """Finds the layer to film."""
        super().set_model(model)
        self._latent = latent_layer("Film", model, self.layer)
        if not self._latent.space.num_angles and (self._labels is not None or self._options):
            raise ValueError(
                f"Film: labels colour angles, and the space must have some. Received: {self._latent.space!r}. Leave "
                f"`labels` and the arguments of plot_angles out."
            )

    def on_train_begin(self, logs=None):
        """Films the model as it is before its first epoch. A film that goes on has that picture."""
        if not self._pictures:
            self._add("before the first epoch")

    def on_epoch_end(self, epoch, logs=None):
        """Films the model after an epoch."""
        self._last = epoch + 1
        if not self._last % self.every:
            self._add(f"after epoch {self._last}")

    def on_train_end(self, logs=None):
        """Films the model after its last epoch, whatever `every` is."""
        if self._filmed != self._last:
            self._add(f"after epoch {self._last}")
        if self._written < self._pictures:
            self._write()

    def _add(self, when: str) -> None:
        self._filmed = self._last
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
        self._writer.fig = figure
        self._writer.grab_frame()
        self._pictures += 1
        if self._pictures >= _GROWTH * self._written:
            self._write()

    def _write(self) -> None:
        with self._target.replacing() as self._writer.outfile:
            self._writer.finish()
        self._written = self._pictures


def _writer(figure: _style.Figure, target: files.Target, frames_per_second: Any) -> Any:
    """matplotlib's writer of GIFs for figures like this one."""
    from matplotlib.animation import PillowWriter

    writer = PillowWriter(frames_per_second)
    writer.setup(figure, target.path, _DPI)
    return writer


def save_morph(
    path: str | os.PathLike[str],
    samples: Tensor,
    windings: Tensor | None = None,
    seconds: float = 3.0,
    back: bool = True,
    overwrite: bool = False,
) -> Path:
    """Writes a morph as a film: every path at once, from start to end and back, as a GIF.

    Each path has a row as in `plot_morph`: images between start and end, grey for one channel and RGB for three;
    vectors as lines in one panel, with start and end.

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
        ValueError: If `path` ends otherwise or is a pipe or a device, or shapes do not fit.
        FileExistsError: If there is a file at `path` and `overwrite` is `False`.
        FileNotFoundError: If there is no folder for the file.
        OSError: If it can't be written. What was there stays.

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
    target = files.Target(owner, path, (".gif",), "no viewer", overwrite)
    figure = _style.new_figure(owner, *morph_size([samples[:, :3]]))
    steps = [*range(num_steps), *(range(num_steps - 2, 0, -1) if back else [])]
    writer = _writer(figure, target, num_steps / seconds)
    for step in steps:
        figure.clear()
        draw_morphs(figure, [(samples, names)], steps=[0, step, num_steps - 1])
        writer.grab_frame()
    with target.replacing() as writer.outfile:
        writer.finish()
    return target.path
