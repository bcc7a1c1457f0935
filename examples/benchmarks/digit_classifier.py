"""Trains the small digit classifier, `examples/benchmarks/files/digit_classifier.keras`, that judges generated digits.

    KERAS_BACKEND=jax python examples/benchmarks/digit_classifier.py --output digit_classifier.keras

It shows progress and the accuracy on the test digits, then writes the model without its optimizer, under 1 MB. A
Fréchet distance between real and generated digits compares the outputs of its layer "features": see
`examples/benchmarks/compare.py --classifier`.

Data: 10,000 digits that come with the package. `--full` is all of MNIST, from the Keras cache or a download; `--data
PATH` is a file.
"""

import argparse
import math
from pathlib import Path

import keras
import numpy as np

from torusae import datasets

BATCH_SIZE = 64
LEARNING_RATE = 2e-3
SHIFT = 2  # pixels: the digits of a decoder are less exactly centred than those of MNIST


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come with the package)")
    source.add_argument("--full", action="store_true", help="all of MNIST, from the Keras cache or a download")
    parser.add_argument("--samples", type=int, help="the most digits to train on")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights, the batches and the shifts")
    parser.add_argument("--output", type=Path, default=Path("digit_classifier.keras"), help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="allow an output file that exists")
    return parser.parse_args(argv)


def build(initializer: str = "glorot_uniform") -> keras.Model:
    """The classifier: images `(28, 28, 1)` in [0, 1] to probabilities of the ten digits."""
    layers = keras.layers
    first = {"kernel_initializer": initializer}
    options = {"padding": "same", "activation": "relu", "data_format": "channels_last", **first}
    pool = {"padding": "same", "data_format": "channels_last"}
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(16, 3, **options),
            layers.MaxPooling2D(2, **pool),
            layers.Conv2D(32, 3, **options),
            layers.MaxPooling2D(2, **pool),
            layers.Conv2D(48, 3, **options),
            layers.MaxPooling2D(2, **pool),
            layers.Flatten(data_format="channels_last"),
            # tanh: bounded, no unit is always zero, so the features have a well-conditioned covariance.
            layers.Dense(64, activation="tanh", name="features", **first),
            layers.Dense(10, activation="softmax", name="digit", **first),
        ],
        name="digit_classifier",
    )


def shifted(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every image moved by up to `SHIFT` pixels each way, each on its own."""
    padded = np.pad(x, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    rows, columns = rng.integers(0, 2 * SHIFT + 1, (2, len(x), 1, 1))
    size = np.arange(28)
    return padded[np.arange(len(x))[:, None, None], size[:, None] + rows, size + columns]


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Runs the example and returns loss and accuracy on the test digits."""
    args = arguments(argv)
    if args.output.exists() and not args.overwrite:
        raise SystemExit(f"--output {args.output} exists already. Name another file, or add --overwrite.")
    keras.utils.set_random_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    data = datasets.load_mnist(args.data) if args.data or args.full else datasets.load_mnist_subset()
    # The classifier reads channels last, whatever the image layout of Keras is.
    x_train, x_test = (x.reshape(-1, 28, 28, 1) for x in (data.x_train[: args.samples], data.x_test))
    y_train = data.y_train[: args.samples]
    print(f"Data: {data.source}\nTraining on {len(x_train)} digits, testing on {len(x_test)}.")

    trainer = build()
    steps = max(1, args.epochs * math.ceil(len(x_train) / args.batch_size))
    learning_rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps, alpha=0.01)
    trainer.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    for epoch in range(args.epochs):
        history = trainer.fit(shifted(x_train, rng), y_train, args.batch_size, verbose=0).history
        print(f"Epoch {epoch + 1} of {args.epochs}: training accuracy {history['accuracy'][0]:.4f}")
    results = trainer.evaluate(x_test, data.y_test, batch_size=512, verbose=0, return_dict=True)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    # A copy without the optimizer. In files of newer versions of Keras, other initializers have arguments that older
    # versions can't read.
    model = build("zeros")
    model.set_weights(trainer.get_weights())
    model.save(args.output)
    print(f"Test accuracy {results['accuracy']:.4f}, loss {results['loss']:.4f}")
    print(f"The model is in {args.output.resolve()}, {args.output.stat().st_size / 1000:.0f} kB")
    return results


if __name__ == "__main__":
    main()
