"""The use of a trained autoencoder: encode, decode, sample, morph."""

from typing import Any

import numpy as np
from keras import ops

from torusae._internal import batches, checks
from torusae.angles import wrap_angles
from torusae.autoencoder._density import Fitted
from torusae.densities import densities_of


class Codec(Fitted):
    """A model of two halves with what a user of a trained one calls."""

    def encode(self, x: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """Points of samples, `(num, point_size)`. For a torus, `to_polar(points)` gives radii and angles."""
        self._check_data("encode", x)
        return batches.predict(self.encoding_model.predict, x, batch_size, verbose)["point"]

    def angles(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", uniform: bool = False) -> np.ndarray:
        """Angles of samples, `(num, num_angles)`, radians, `[-π, π)`.

        With `uniform=True` they are mapped by the fitted flow: data like those of `fit_density(x, "flow")` then have
        uniform and independent angles. Decoder and heads read angles that are not mapped.
        """
        self._check_data("angles", x)
        if not self.latent.space.num_angles:
            raise ValueError(
                f"TorusAutoencoder.angles: the latent space must have angles. Received: {self.latent.space!r}. "
                f"Use encode(x) for its points."
            )
        flow = self._flow("angles") if uniform else None
        angles = batches.predict(self.encoding_model.predict, x, batch_size, verbose)["angles"]
        if flow is None:
            return angles
        # Rounded to float32, an angle just below π can be π.
        return ops.convert_to_numpy(wrap_angles(flow.to_uniform(angles).astype("float32")))

    def decode(self, points: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """Samples `(num, *sample_shape)` of points `(num, point_size)`."""
        size = self.latent.space.point_size
        points = checks.host_array(checks.as_array("TorusAutoencoder.decode", "points", points))
        if points.dtype.kind not in "iu" and "float" not in str(points.dtype):
            raise TypeError(f"TorusAutoencoder.decode: `points` must be numbers. Received: dtype={points.dtype}.")
        if points.ndim != 2 or points.shape[1] != size:
            raise ValueError(
                f"TorusAutoencoder.decode: `points` must have shape (num, {size}). "
                f"Received: points.shape={points.shape}. Give what encode(x) returns."
            )
        checks.finite_array("TorusAutoencoder.decode", "points", points)
        return batches.predict(self.decoding_model.predict, points, batch_size, verbose)

    def reconstruct(self, x: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """`decode(encode(x))`."""
        return self.decode(self.encode(x, batch_size, verbose), batch_size, verbose)

    def sample(
        self,
        num_samples: int,
        seed: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        density: str | None = None,
    ) -> np.ndarray:
        """Decodes points drawn from the fitted density, or from the latent space's prior.

        Args:
            num_samples: Integer.
            seed: Integer or `keras.random.SeedGenerator`, for the same samples on one backend. Defaults to `None`.
            density: `"prior"` or `"fitted"`. Defaults to `None`: the model's `density` if there is one, else the prior.
                On a torus, `fit` on an array of 300 or more samples leaves a `TorusFlow`.

        Returns:
            NumPy array `(num_samples, *sample_shape)`.
        """
        if density is None:
            density = "prior" if self.density is None else "fitted"
        checks.option("TorusAutoencoder.sample", "density", density, ("prior", "fitted"))
        if density == "fitted" and self.density is None:
            raise ValueError(
                "TorusAutoencoder.sample: density='fitted' needs a fitted density. Received: a model without one. "
                "Call fit_density(x) with the training data first, or sample from the prior."
            )
        source = self.latent.space if density == "prior" else self._fresh_density("sample")
        return self.decode(ops.convert_to_numpy(source.sample(num_samples, seed)), batch_size, verbose)

    def fit_density(
        self,
        x: Any,
        density: Any = None,
        seed: int | None = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
    ) -> Any:
        """Fits a density to the points of samples, for `sample`, and returns it. It is saved with the weights.

        Samples of the prior look like data only where the data fill the space. A `"flow"` also makes angles uniform,
        `angles(x, uniform=True)` and `morph(..., uniform=True)`. After further training, fit again. Ctrl-C while a flow
        is fitted leaves the model with the best map so far.

        Args:
            x: Samples, best the training data.
            density: A name among the space's `densities`, for a torus `"flow"`, `"mixture"`, `"kernel"` or
                `"neighbors"`; or an object with `fit(points)` and `sample(num_samples, seed)`, such as
                `VonMisesMixture(20)`. Defaults to `None`, the space's first.
            seed: Integer, seed of the density where `density` is a name. Defaults to `None`, a random seed.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> model.fit_density(x, torusae.densities.VonMisesMixture(3, seed=0), verbose=0)
        VonMisesMixture(3 components, dim 2)
        """
        owner = "TorusAutoencoder.fit_density"
        named = densities_of(self.latent.space)
        if density is None or isinstance(density, str):
            name = next(iter(named)) if density is None else checks.option(owner, "density", density, named)
            density = named[name](seed=seed)
        if isinstance(density, type) or not all(callable(getattr(density, name, None)) for name in ("fit", "sample")):
            raise TypeError(
                f"{owner}: `density` must be one of {list(named)}, or an object with `fit` and `sample`. "
                f"Received: density={density!r}."
            )
        points = self.encode(x, batch_size, verbose)
        try:
            density.fit(points)
        except KeyboardInterrupt:
            if getattr(density, "is_fitted", False):
                self.density = density
            raise
        self.density = density
        return density

    def morph(
        self,
        start: Any,
        end: Any,
        windings: Any = None,
        num_steps: int = 12,
        batch_size: int | None = None,
        verbose: Any = "auto",
        uniform: bool = False,
    ) -> np.ndarray:
        """Morphs one sample into another along several paths of the latent space.

        Args:
            start: One sample, `sample_shape`.
            end: One sample, `sample_shape`.
            windings: Integer array `(num_paths, num_windings)`, one row per path. Defaults to `None`, the space's own,
                the shortest path first. A torus takes each circle the short or the long way: see `two_way_windings`. A
                Gaussian space takes the straight line, and has three other ways: see `Gaussian`.
            num_steps: Integer, at least 2, samples along each path. Defaults to `12`.
            uniform: Boolean, whether paths are straight in the uniform angles of the fitted flow, and windings count
                their turns. Defaults to `False`.

        Returns:
            NumPy array `(num_paths, num_steps, *sample_shape)`. The ends are the reconstructions of both samples.
        """
        flow = self._flow("morph") if uniform else None
        pair = []
        for name, sample in (("start", start), ("end", end)):
            sample = checks.host_array(checks.as_array("TorusAutoencoder.morph", name, sample))
            if tuple(sample.shape) != self.sample_shape:
                fix = f" Use {name}[0]." if tuple(sample.shape[1:]) == self.sample_shape else ""
                raise ValueError(
                    f"TorusAutoencoder.morph: `{name}` must be one sample of shape {self.sample_shape}. "
                    f"Received: {name}.shape={tuple(sample.shape)}.{fix}"
                )
            # Of one dtype: float16 and bfloat16 have none in common.
            pair.append(sample.astype("float32") if "float" in str(sample.dtype) else sample)
        ends = self.encode(np.stack(pair), verbose=0)
        first, last = ends if flow is None else flow.to_uniform_points(ends)
        if windings is None:
            windings = self.latent.space.windings(first, last)
        paths = ops.convert_to_numpy(self.latent.space.paths(first, last, windings, num_steps))
        if flow is not None:
            paths = flow.from_uniform_points(paths.reshape(-1, paths.shape[-1])).reshape(paths.shape)
            paths[:, 0], paths[:, -1] = ends
        samples = self.decode(paths.reshape(-1, paths.shape[-1]), batch_size, verbose)
        return samples.reshape(*paths.shape[:2], *self.sample_shape)
