"""Trains one small model on some devices and writes its weights and losses: python distributed_run.py 4 result.npz

One device is the reference: a test calls `fit` in its own process. Rows are 125 and batches 32, so that the last batch
of 29 rows divides by neither 2 nor 4. Missing labels lie unevenly, too. The run is one that does not enlarge rounding:
the data are a circle whose codes, an ellipse, stay away from the origin, where angles turn fast, and SGD does not make
whole steps of small noise.
"""

import os
import sys

if __name__ == "__main__":  # before the backend is imported
    num_devices, path = int(sys.argv[1]), sys.argv[2]
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={num_devices}"

    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * num_devices)

import contextlib

import keras
import numpy as np
import pytest

import torusae
from torusae._internal import replicas

ROWS, BATCH, EPOCHS, RATE = 125, 32, 3, 0.05
# On TensorFlow a term can't be added to the loss of several replicas.
ADDED = os.environ["KERAS_BACKEND"] != "tensorflow"


def data():
    """Samples, and classes of which a third, all at the beginning, are missing."""
    rng = np.random.default_rng(0)
    turn = rng.uniform(-np.pi, np.pi, (ROWS, 1))
    circle = np.concatenate([np.cos(turn), np.sin(turn)], axis=1)
    x = (circle @ rng.normal(size=(2, 6))).astype("float32")
    labels = (x[:, 0] > 0).astype("int32")
    labels[:40] = -1
    return x, {"sign": labels}


def build(added=ADDED):
    """A model with every kind of term: moments, a sort of angles, a sort of radii, one that is added, a head."""
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    encoder = keras.Sequential([keras.Input((6,)), dense(16)])
    decoder = keras.Sequential([keras.Input((2,)), dense(16, activation="tanh"), dense(6)])
    losses = [torusae.SpringLoss(), torusae.DiaphonyLoss(max_frequency=2), torusae.QuantileLoss(squared=True)]
    if added:
        losses.append(torusae.Term(torusae.DiaphonyLoss(max_frequency=1, name="added"), 0.05, relative=False))
    weights = {"spring": 0.1, "diaphony": 1.0, "quantile": 0.1}
    latent = torusae.TorusLatent(1, losses, weights)
    return torusae.TorusAutoencoder(encoder, decoder, latent, {"sign": torusae.Head("classification", 2, weight=0.2)})


def weights(model):
    """What training changes."""
    return {f"weight {i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(model.trainable_variables)}


def fit(x, y, num_devices=1):
    """Loss of each epoch and weights, by Keras' own loop."""
    devices = torusae.distribution.data_parallel(num_devices) if num_devices > 1 else contextlib.nullcontext()
    with devices:
        model = build()
        model.compile(keras.optimizers.SGD(RATE), "mse")
        losses = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0).history["loss"]
        numbers = model.evaluate(x, y, batch_size=BATCH, verbose=0, return_dict=True)
        points = model.encode(x, batch_size=BATCH, verbose=0)
        if not ADDED and num_devices > 1:
            refused = build(added=True)
            refused.compile("sgd", "mse")
            with pytest.raises(ValueError, match="relative=False can't be added to the loss of several replicas"):
                refused.fit(x, y, verbose=0)
    return {
        "losses": losses,
        "evaluated": [numbers[name] for name in sorted(numbers)],
        "points": points,
        **weights(model),
    }


def process(rank, x, y, num_devices, port, path):
    """One of torch's processes: its rows of every batch, and DistributedDataParallel."""
    import datetime
    import gc

    import torch

    torch.distributed.init_process_group(
        "gloo",
        f"tcp://127.0.0.1:{port}",
        rank=rank,
        world_size=num_devices,
        timeout=datetime.timedelta(seconds=60),
    )
    model = build()
    model.compile("sgd", "mse")
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD([v.value for v in model.trainable_variables], lr=RATE)
    losses = []
    for _ in range(EPOCHS):
        model.means.reset_state()
        for start in range(0, ROWS, BATCH):
            rows = np.arange(start, min(start + BATCH, ROWS))[rank::num_devices]
            x_part = torch.from_numpy(x[rows])
            y_part = {"sign": torch.from_numpy(y["sign"][rows])}
            outputs = parallel(x_part, training=True)
            loss = model.compute_loss(x_part, y_part, outputs, training=True)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.means.sums.assign(replicas.current().sum(model.means.sums.value))
        losses.append(float(model.means.result()["loss"]))
    if rank == 0:
        np.savez(path, losses=losses, **weights(model))
    # The last owner of the group waits for its threads. DistributedDataParallel would wait with the interpreter locked,
    # which they may need to end: https://github.com/pytorch/pytorch/issues/56297
    del parallel, outputs, loss
    gc.collect()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    x, y = data()
    if os.environ["KERAS_BACKEND"] == "torch" and num_devices > 1:
        import socket

        import torch

        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        torch.multiprocessing.spawn(process, (x, y, num_devices, port, path), nprocs=num_devices)
    else:
        np.savez(path, **fit(x, y, num_devices))
