"""New samples from old ones through the latent space: analogies, turned circles, circles taken out."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from torusae._internal import checks, units
from torusae.autoencoder._codec import Codec

_TURN_STEPS = 32  # angles of a mean over a circle: exact for waves of the decoder with less than 32 periods
_MOST_VALUES = 1 << 24  # of turned samples in memory at a time


class Edits(Codec):
    """A model of two halves with what changes samples in its latent space."""

    def analogy(self, a: Any, b: Any, c: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """Samples d of which is said: a is to b as c is to d.

        Formula: the symmetry of the space that takes the point of a to that of b takes the point of c to that of d.
        On a torus angles add, `φ_d = φ_c + (φ_b - φ_a)`, and radii multiply, `r_d = r_c r_b / r_a`. In a Gaussian space
        points add, `d = c + (b - a)`. On a sphere the smallest turn from a to b turns c; rotations multiply,
        `D = B Aᵀ C`. An interval, a Möbius band and a Klein bottle have no such symmetries, nor has a product with one
        of them.

        Args:
            a: Samples `(num, *sample_shape)`, or `(1, *sample_shape)` for all rows.
            b: As `a`.
            c: As `a`.

        Returns:
            NumPy array `(num, *sample_shape)`.

        Raises:
            ValueError: If the space has no analogies, or the numbers of samples do not fit.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> a, b, c = np.random.default_rng(0).normal(size=(3, 10, 4)).astype("float32")
        >>> model.analogy(a, b, c, verbose=0).shape
        (10, 4)
        >>> np.allclose(model.analogy(a, a, c, verbose=0), model.reconstruct(c, verbose=0), atol=1e-5)
        True

        Reference:
            Reed et al. (2015), Deep Visual Analogy-Making; Radford et al. (2016), arXiv:1511.06434. They add features.
        """
        samples = {"a": a, "b": b, "c": c}
        for name, value in samples.items():
            self._check_rows("analogy", name, value)
        lengths = {name: len(value) for name, value in samples.items()}
        num = max(lengths.values())
        if not set(lengths.values()) <= {1, num}:
            raise ValueError(
                f"TorusAutoencoder.analogy: `a`, `b` and `c` must hold as many samples each, or one. "
                f"Received: {lengths}."
            )
        points = [self.encode(value, batch_size, verbose) for value in samples.values()]
        rows = (ops.convert_to_tensor(np.broadcast_to(each, (num, each.shape[1]))) for each in points)
        return self.decode(ops.convert_to_numpy(self.latent.space.analogy(*rows)), batch_size, verbose)

    def transform(
        self, x: Any, turns: Mapping[int, Any], batch_size: int | None = None, verbose: Any = "auto"
    ) -> np.ndarray:
        """Reconstructions of samples with some circles turned, and all other coordinates as they are.

        Args:
            x: Samples `(num, *sample_shape)`.
            turns: Dict from the number of a circle, its column in `angles(x)`, to the angle to add, radians: a number,
                or an array `(num,)` with one for each sample.

        Returns:
            NumPy array `(num, *sample_shape)`. A whole turn changes nothing, but on a Möbius band and a Klein bottle it
            turns the other coordinate over.

        Raises:
            TypeError: If `turns` is no dict, or its keys are no integers.
            ValueError: If the space has no such circle, or angles are of another shape or look like degrees.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> x = np.random.default_rng(0).normal(size=(10, 4)).astype("float32")
        >>> turned = model.transform(x, {1: np.pi / 2}, verbose=0)
        >>> np.allclose(model.transform(x, {1: 2 * np.pi}, verbose=0), model.reconstruct(x, verbose=0), atol=1e-5)
        True
        """
        owner = "TorusAutoencoder.transform"
        self._check_rows("transform", "x", x)
        if not isinstance(turns, Mapping):
            raise TypeError(
                f"{owner}: `turns` must be a dict from a circle to an angle, such as {{0: 0.5}}. Received: {turns!r}."
            )
        actions = np.zeros((len(x), self.latent.space.action_size))
        for circle, angle in turns.items():
            action = self._action(owner, circle)
            angle = units.radians(owner, f"turns[{circle}]", angle)
            if angle.shape not in ((), (len(x),)):
                raise ValueError(
                    f"{owner}: `turns[{circle}]` must be one angle or have shape ({len(x)},), one for each sample. "
                    f"Received: shape={angle.shape}."
                )
            # Wrapped here, in float64. An action has the period 2π.
            actions += np.remainder(angle.reshape(-1, 1) * action + np.pi, 2 * np.pi) - np.pi
        return self._decode_moved(self.encode(x, batch_size, verbose), actions, batch_size, verbose)

    def remove(self, x: Any, circle: int, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """Samples without what depends on one circle, such as cells without the cell cycle.

        Formula: `x - x̂(θ) + mean over θ' of x̂(θ')`, where `x̂(θ')` is the reconstruction with the circle's angle at
        `θ'` and all else as it is. What the reconstruction leaves out of x stays, noise for example, and so does the
        circle's radius. Without what is left out: `remove(x, circle) - x + reconstruct(x)`.

        Args:
            x: Array of samples `(num, *sample_shape)`.
            circle: Integer, the number of a circle, its column in `angles(x)`.

        Returns:
            NumPy float32 array `(num, *sample_shape)`. All samples are decoded 32 times.

        Raises:
            TypeError: If `circle` is no integer.
            ValueError: If the space has no such circle.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> x = np.random.default_rng(0).normal(size=(10, 4)).astype("float32")
        >>> model.remove(x, 0, verbose=0).shape
        (10, 4)

        Reference:
            Liang et al. (2020), Latent periodic process inference from single-cell RNA-seq data (Cyclum), subtract the
            waves of a linear decoder. With one, this is the same. The mean is a torusae choice for other decoders.
        """
        owner = "TorusAutoencoder.remove"
        self._check_rows("remove", "x", x)
        action = self._action(owner, circle)
        points = self.encode(x, batch_size, verbose)
        # In one period, 2π after this, a point comes back to itself. On a Möbius band that is two turns of the angle.
        actions = np.linspace(0, 2 * np.pi, _TURN_STEPS, endpoint=False)[:, None] * action / np.abs(action).max()
        size = max(1, _MOST_VALUES // (_TURN_STEPS * math.prod(self.sample_shape)))
        parts = []
        for start in range(0, len(points), size):
            block = np.tile(points[start : start + size], (_TURN_STEPS, 1))
            turned = self._decode_moved(block, np.repeat(actions, len(block) // _TURN_STEPS, axis=0), batch_size, 0)
            turned = turned.reshape(_TURN_STEPS, -1, *self.sample_shape)
            parts.append(turned[0] - turned.mean(axis=0))
        return np.asarray(checks.host_array(x), "float32") - np.concatenate(parts)

    def _check_rows(self, method: str, name: str, x: Any) -> None:
        """As `_check_data`, and a stream is an error."""
        if not checks.is_array(x):
            raise TypeError(
                f"TorusAutoencoder.{method}: `{name}` must be an array of samples. Received: {type(x).__name__}."
            )
        self._check_samples(f"TorusAutoencoder.{method}", name, x)
        checks.finite_array(f"TorusAutoencoder.{method}", name, checks.host_array(x))

    def _action(self, owner: str, circle: Any) -> np.ndarray:
        """The action that turns a circle by one radian, `(action_size,)`."""
        space = self.latent.space
        actions = space.angle_actions
        if isinstance(circle, bool) or not isinstance(circle, (int, np.integer)):
            raise TypeError(f"{owner}: a circle must be an integer, its column in angles(x). Received: {circle!r}.")
        if not 0 <= circle < len(actions):
            has = f"has the angles 0 to {len(actions) - 1}" if len(actions) else "has no angles"
            raise ValueError(f"{owner}: there is no circle {circle}. {space!r} {has}. Received: circle {circle}.")
        if not actions[circle].any():
            raise ValueError(
                f"{owner}: circle {circle} can be turned by no symmetry of the space. Received: {space!r}. "
                f"Define its `angle_actions` and `act`."
            )
        return actions[circle]

    def _decode_moved(self, points: np.ndarray, actions: np.ndarray, batch_size: Any, verbose: Any) -> np.ndarray:
        moved = self.latent.space.act(ops.convert_to_tensor(points), ops.convert_to_tensor(actions.astype("float32")))
        return self.decode(ops.convert_to_numpy(moved), batch_size, verbose)
