"""Time of a training step: by hand, in a plain Keras autoencoder, in `TorusAutoencoder`, and in pythae.

    KERAS_BACKEND=jax python examples/benchmarks/step.py

All train one network with Adam on the mean squared error, on equal batches, epoch by epoch in turns, so that other load
of the machine falls on each. Numbers are medians over the epochs, after one that compiles. Networks:

- `convolutions`: the paper's, three convolutions with pooling, and back;
- `dense`: 784, 256, 128, 6, and back.

Columns:

- `by hand`: a loop in the backend alone. On torch it is in channels last, the fastest layout there; on JAX the step is
  compiled as a whole; on TensorFlow it is a graph with the fused Adam.
- `plain Keras`: `fit` of a Sequential model with a Dense layer as its latent.
- `TorusLatent`: the same model with `TorusLatent` in place of that layer.
- `none`, `paper`, `default`: `TorusAutoencoder` with these losses.
- `pythae WAE`: pythae's own trainer on its WAE, in torch for every backend, where it is installed: `pip install
  pythae==0.1.2`.

Results are stored after every network.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import torusae
from torusae import datasets

CODE, FEATURES, FILTERS, UNITS, RATE = 6, 256, (32, 64, 64), (256, 128), 1e-3
NETWORKS = ("convolutions", "dense")
TURNS = 9  # at least


def by_keras(network: str, x: np.ndarray, batch_size: int, latent: keras.layers.Layer) -> Callable[[], None]:
    """An epoch of `fit` of a plain Keras model with a latent layer."""
    x = x if network == "convolutions" else x.reshape(len(x), -1)
    encoder, decoder = torusae.autoencoder_networks(x.shape[1:], CODE)
    model = keras.Sequential([keras.Input(x.shape[1:]), *encoder.layers[1:], latent, *decoder.layers[1:]])
    model.compile(keras.optimizers.Adam(RATE), "mse")
    return lambda: model.fit(x, x, batch_size=batch_size, verbose=0)


def by_torusae(network: str, x: np.ndarray, batch_size: int, losses: str | None) -> Callable[[], None]:
    """An epoch of `TorusAutoencoder.fit`."""
    x = x if network == "convolutions" else x.reshape(len(x), -1)
    # An epoch is a call of `fit` here: what `fit` does once, before and after its epochs, is not a step.
    model = torusae.TorusAutoencoder.from_shape(x.shape[1:], CODE // 2, init="random", losses=losses)
    model.compile(keras.optimizers.Adam(RATE), "mse")
    return lambda: model.fit(x, batch_size=batch_size, verbose=0)


def torch_networks(network: str):
    """Encoder and decoder in torch, the same as those of `torusae.autoencoder_networks`."""
    from torch import nn

    if network == "dense":
        encoder = nn.Sequential(nn.Linear(784, UNITS[0]), nn.ReLU(), nn.Linear(*UNITS), nn.ReLU())
        decoder = [nn.Linear(CODE, UNITS[1]), nn.ReLU(), nn.Linear(UNITS[1], UNITS[0]), nn.ReLU()]
        return nn.Sequential(encoder, nn.Linear(UNITS[1], CODE)), nn.Sequential(*decoder, nn.Linear(UNITS[0], 784))
    layers, channels = [], 1
    for count in FILTERS:
        layers += [nn.Conv2d(channels, count, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
        channels = count
    layers += [nn.Flatten(), nn.Linear(16 * channels, FEATURES), nn.ReLU(), nn.Linear(FEATURES, CODE)]
    back = [nn.Linear(CODE, 16 * channels), nn.ReLU(), nn.Unflatten(1, (channels, 4, 4))]
    for count, surplus in zip(reversed(FILTERS), (1, 0, 0), strict=True):
        back += [nn.Conv2d(channels, count, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2)]
        back += [nn.ZeroPad2d((0, -surplus, 0, -surplus))] if surplus else []
        channels = count
    return nn.Sequential(*layers), nn.Sequential(*back, nn.Conv2d(channels, 1, 3, padding=1), nn.Sigmoid())


def by_torch(network: str, x: np.ndarray, batch_size: int) -> Callable[[], None]:
    """An epoch by hand in torch."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torch.nn.Sequential(*torch_networks(network)).to(device)
    data = torch.from_numpy(x.reshape(len(x), -1) if network == "dense" else np.moveaxis(x, -1, 1))
    if network == "convolutions":
        model, data = model.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), RATE)

    def epoch():
        total = torch.zeros((), device=device)
        for rows in torch.randperm(len(data)).split(batch_size):
            batch = data[rows].to(device)
            loss = torch.nn.functional.mse_loss(model(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()

    return epoch


def initial_weights(network: str) -> list[np.ndarray]:
    """Kernels and biases of all layers, in order, of the shapes that JAX and TensorFlow take."""
    encoder, decoder = torusae.autoencoder_networks((28, 28, 1) if network == "convolutions" else (784,), CODE)
    code = [np.random.default_rng(0).normal(0, 0.05, (encoder.output_shape[1], CODE)), np.zeros(CODE)]
    return [np.asarray(w, "float32") for w in (*encoder.get_weights(), *code, *decoder.get_weights())]


def forward(network: str, weights, x, conv, pool, enlarge, dense, relu, sigmoid):
    """The network in terms of a backend's own functions, channels last."""
    layers = iter(zip(weights[::2], weights[1::2], strict=True))
    if network == "dense":
        for _ in UNITS:
            x = relu(dense(x, *next(layers)))
        x = dense(x, *next(layers))
        for _ in UNITS:
            x = relu(dense(x, *next(layers)))
        return dense(x, *next(layers))
    for _ in FILTERS:
        x = pool(relu(conv(x, *next(layers))))
    x = relu(dense(x.reshape(x.shape[0], -1) if hasattr(x, "reshape") else _flat(x), *next(layers)))
    x = dense(x, *next(layers))
    x = relu(dense(x, *next(layers)))
    x = x.reshape(-1, 4, 4, FILTERS[-1]) if hasattr(x, "reshape") else _square(x)
    for side in (7, 14, 28):
        x = enlarge(relu(conv(x, *next(layers))))[:, :side, :side]
    return sigmoid(conv(x, *next(layers)))


def _flat(x):
    import tensorflow as tf

    return tf.reshape(x, (-1, 16 * FILTERS[-1]))


def _square(x):
    import tensorflow as tf

    return tf.reshape(x, (-1, 4, 4, FILTERS[-1]))


def by_jax(network: str, x: np.ndarray, batch_size: int) -> Callable[[], None]:
    """An epoch by hand in JAX."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    x = x if network == "convolutions" else x.reshape(len(x), -1)
    functions = {
        "conv": lambda x, w, b: (
            lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b
        ),
        "pool": lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME"),
        "enlarge": lambda x: jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2),
        "dense": lambda x, w, b: x @ w + b,
        "relu": jax.nn.relu,
        "sigmoid": jax.nn.sigmoid,
    }

    def loss(weights, batch):
        return jnp.mean(jnp.square(forward(network, weights, batch, **functions) - batch))

    @jax.jit
    def step(state, batch):
        weights, first, second, count = state
        value, slope = jax.value_and_grad(loss)(weights, batch)
        count = count + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, slope, strict=True)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, slope, strict=True)]
        rate = RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        moved = zip(weights, first, second, strict=True)
        weights = [w - rate * m / (jnp.sqrt(v) + 1e-7) for w, m, v in moved]
        return (weights, first, second, count), value

    weights = [jnp.asarray(w) for w in initial_weights(network)]
    state = (weights, [w * 0 for w in weights], [w * 0 for w in weights], jnp.zeros(()))

    def epoch():
        nonlocal state
        order, total = np.random.permutation(len(x)), []  # noqa: NPY002
        for start in range(0, len(x), batch_size):
            state, value = step(state, x[order[start : start + batch_size]])
            total.append(value)
        jax.block_until_ready(total)

    return epoch


def by_tensorflow(network: str, x: np.ndarray, batch_size: int) -> Callable[[], None]:
    """An epoch by hand in TensorFlow."""
    import tensorflow as tf

    x = x if network == "convolutions" else x.reshape(len(x), -1)
    functions = {
        "conv": lambda x, w, b: tf.nn.bias_add(tf.nn.conv2d(x, w, 1, "SAME"), b),
        "pool": lambda x: tf.nn.max_pool2d(x, 2, 2, "SAME"),
        "enlarge": lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, (2 * x.shape[1], 2 * x.shape[2])),
        "dense": lambda x, w, b: tf.matmul(x, w) + b,
        "relu": tf.nn.relu,
        "sigmoid": tf.nn.sigmoid,
    }
    weights = [tf.Variable(w) for w in initial_weights(network)]
    moments = [(tf.Variable(tf.zeros_like(w)), tf.Variable(tf.zeros_like(w))) for w in weights]
    count = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([None, *x.shape[1:]], tf.float32)])
    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(forward(network, weights, batch, **functions) - batch))
        slope = tape.gradient(loss, weights)
        now = count.assign_add(1.0)
        for w, (m, v), g in zip(weights, moments, slope, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=w.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=0.9**now,
                beta2_power=0.999**now,
                lr=RATE,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-7,
                grad=g,
            )
        return loss

    def epoch():
        data = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x)).batch(batch_size).prefetch(2)
        total = [step(batch) for batch in data]
        float(total[-1])

    return epoch


def by_pythae(network: str, x: np.ndarray, batch_size: int, folder: Path) -> Callable[[], None]:
    """An epoch of pythae's trainer on its WAE with the MMD, in torch."""
    os.environ["TQDM_DISABLE"] = "1"  # its progress bars would fill the screen
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import WAE_MMD, WAE_MMD_Config
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    encoder, decoder = torch_networks(network)

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.layers = encoder

        def forward(self, x):
            return ModelOutput(embedding=self.layers(x))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = decoder

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    x = x.reshape(len(x), -1) if network == "dense" else np.ascontiguousarray(np.moveaxis(x, -1, 1))
    data = BaseDataset(torch.from_numpy(x), torch.zeros(len(x)))
    config = WAE_MMD_Config(input_dim=x.shape[1:], latent_dim=CODE, kernel_choice="imq")
    training = BaseTrainerConfig(
        output_dir=str(folder),
        num_epochs=1,
        learning_rate=RATE,
        per_device_train_batch_size=batch_size,
        train_dataloader_num_workers=0,
    )
    trainer = BaseTrainer(WAE_MMD(config, Encoder(), Decoder()), data, training_config=training)
    trainer.prepare_training()
    return lambda: trainer.train_step(1)


def measure(epochs: dict[str, Callable[[], None]], num_steps: int, seconds: float, turns: int) -> dict[str, float]:
    """The median time of a step, in milliseconds, of epochs that take turns."""
    times: dict[str, list[float]] = {name: [] for name in epochs}
    for epoch in epochs.values():
        epoch()
    order = np.random.default_rng(0)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < turns:
        for name in order.permutation(list(epochs)):  # an epoch leaves threads and memory to the next
            epoch = epochs[name]
            start = time.perf_counter()
            epoch()
            times[name].append(1e3 * (time.perf_counter() - start) / num_steps)
    return {name: statistics.median(values) for name, values in times.items()}


def main(argv: list[str] | None = None) -> list[dict]:
    """Measures both networks and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, help="of an epoch (default 20, dense 60)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each network (default 60)")
    parser.add_argument("--turns", type=int, default=TURNS, help=f"epochs of each, at least (default {TURNS})")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--output", type=Path, default=Path("out", "benchmark_step.json"))
    args = parser.parse_args(argv)
    backend = keras.backend.backend()
    by_hand = {"torch": by_torch, "jax": by_jax, "tensorflow": by_tensorflow}[backend]
    about = {
        "backend": backend,
        "keras": keras.__version__,
        "torusae": torusae.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "date": datetime.date.today().isoformat(),
        "unit": "milliseconds a step, median",
    }
    data = datasets.load_mnist_subset().x_train
    rows: list[dict] = []
    args.output.parent.mkdir(parents=True, exist_ok=True)
    for network in args.networks:
        num_steps = args.steps or (20 if network == "convolutions" else 60)
        x = np.resize(data, (num_steps * args.batch_size, 28, 28, 1))
        keras.utils.set_random_seed(0)
        setting = (network, x, args.batch_size)
        epochs = {
            "by hand": by_hand(*setting),
            "plain Keras": by_keras(*setting, keras.layers.Dense(CODE)),
            "TorusLatent": by_keras(*setting, torusae.TorusLatent(CODE // 2)),
            "none": by_torusae(*setting, "none"),
            "paper": by_torusae(*setting, "paper"),
            "default": by_torusae(*setting, None),
        }
        try:
            epochs["pythae WAE"] = by_pythae(network, x, args.batch_size, args.output.parent / "pythae")
        except ImportError as error:
            about["pythae"] = f"not measured: {error}"
        times = measure(epochs, num_steps, args.seconds, args.turns)
        plain = times["plain Keras"]
        ratios = {name: value / plain for name, value in times.items()}
        rows.append({"network": network, "batch": args.batch_size, "times": times, "over plain Keras": ratios})
        for name, value in times.items():
            print(f"{network}, {name}: {value:.2f} ms, {ratios[name]:.2f} of plain Keras", flush=True)
        args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"Rows are in {args.output.resolve()}")
    return rows


if __name__ == "__main__":
    main()
