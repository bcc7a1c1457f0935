"""Functions that the tests share. `value_and_gradient` and `compiled` are the only code here that names a backend."""

import keras
import numpy as np


def to_tensor(array, dtype=None):
    """An array or a list as a tensor of the current backend; float64 arrays become float32 unless `dtype` says so."""
    array = np.asarray(array)
    if dtype is None and array.dtype == np.float64:
        dtype = "float32"
    return keras.ops.convert_to_tensor(array, dtype=dtype)


def to_numpy(tensor):
    """A tensor as a NumPy array; bfloat16, which NumPy does not know by itself, becomes float32, which is exact."""
    if hasattr(tensor, "dtype") and keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = keras.ops.cast(tensor, "float32")
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def keras_is_before(*version):
    """Whether Keras is older than a version, such as 3, 15."""
    return tuple(map(int, keras.__version__.split(".")[:2])) < version


def exact_angles(rng, num, dim):
    """Uniform angles that float32 holds exactly, so that tensors and float64 loops see the same numbers."""
    return rng.uniform(-np.pi, np.pi, (num, dim)).astype("float32")


def on_jax():
    """Whether float64 is out of reach: JAX computes in float32 unless its user switches 64 bits on."""
    return keras.backend.backend() == "jax"


def compiled(fn, *, unknown_batch=True):
    """`fn` as the backend's `fit` would run it: jit on JAX, a graph on TensorFlow, eager on torch.

    On TensorFlow the first axis of every argument is unknown while the graph is made, as in `fit`.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(fn)
    if backend == "tensorflow":
        import tensorflow as tf

        def call(*args):
            signature = [
                tf.TensorSpec([None, *arg.shape[1:]] if unknown_batch and arg.shape.rank else arg.shape, arg.dtype)
                for arg in args
            ]
            return tf.function(fn, input_signature=signature)(*args)

        return call
    return fn


def compiled_on_jax(fn):
    """`fn`, on JAX as one compiled function: there each operation is otherwise compiled by itself, for every shape."""
    return compiled(fn) if on_jax() else fn


def value_and_gradient(fn, x):
    """Value and gradient of a scalar function of one tensor, as tensors: a function that `compiled` can take."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        with torch.enable_grad():
            x = x.detach().clone().requires_grad_(True)
            value = fn(x)
            (slope,) = torch.autograd.grad(value, x)
        return value.detach(), slope
    if backend == "jax":
        import jax

        return jax.value_and_grad(fn)(x)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = fn(x)
        return value, tape.gradient(value, x, unconnected_gradients="zero")
    raise NotImplementedError(f"No gradient for the backend {backend!r}: add it here.")


def gradient(fn, x, compile=None):
    """Value and gradient of a scalar function at `x` (an array or a tensor), as NumPy arrays.

    With `compile=True` both come out of one compiled function, as in `fit`. By default they do on JAX alone, which
    otherwise compiles each operation by itself, for the time of a whole function.
    """
    compile = on_jax() if compile is None else compile
    x = x if keras.ops.is_tensor(x) else to_tensor(x)

    def both(x):
        return value_and_gradient(fn, x)

    value, slope = (compiled(both) if compile else both)(x)
    return to_numpy(value), to_numpy(slope)


def balanced(own_loss, terms, point, max_ratio=1.0):
    """The gradient at a point by the definition of the balance, as a NumPy array: g + G p / max(1, |p| / max_ratio).

    `own_loss` and `terms` are scalar functions of the point `(S, columns)`; g and p are their gradients,
    `G = sqrt(S Σ g²)`, `|p| = sqrt(S Σ p²)`.
    """
    g, p = (gradient(function, point)[1].astype("float64") for function in (own_loss, terms))
    size, added = (np.sqrt(len(g) * np.sum(np.square(each))) for each in (g, p))
    return g + size * p / max(1.0, added / max_ratio)
