"""Bytes against distortion on MNIST's test digits: codes of a torus beside other latent spaces.

    KERAS_BACKEND=jax python examples/benchmarks/compression.py --data mnist.npz

All networks are dense (784, 512, 256 and back) and trained alike, Adam with a cosine decay from 2e-3, mean squared
error. Only what stands between encoder and decoder differs:

- `torus`: angles, rounded in training to the places of their few bits (`QuantizedTorus`);
- `torus, 8 bits`: angles of 8 bits each, with noise as wide as a place in training;
- `torus, 8 bits, flow`: the same models, codes of the angles that a flow fitted to the training digits makes uniform;
- `Gaussian`: a Gaussian space with its default loss, coordinates rounded in training to even steps;
- `FSQ`: finite scalar quantisation, Mentzer et al. (2023), arXiv:2309.15505;
- `LFQ`: look-up free quantisation, Yu et al. (2023), arXiv:2310.05737;
- `principal components`: no network; every component rounded to one step, which is chosen so that the bytes fit.

The codes of all test digits become bytes by an entropy coder (`pip install constriction`), are read from these again
and decoded. Prints, and writes as JSON lines: the bytes; the bits a digit; the entropy of the codes, column by column,
in bits a digit; the share of bytes that the entropy coder saves; the mean squared error. Rows that the output holds
already are not measured again.

With all of MNIST, a training of 8 epochs takes 40 seconds on one core.
"""

import argparse
import itertools
import json
import math
import zlib
from pathlib import Path

import keras
import numpy as np
from keras import ops

import torusae
from torusae import codes, datasets
from torusae.spaces import QuantizedTorus

UNITS = (512, 256)
LEARNING_RATE = 2e-3
SYSTEMS = ("torus", "torus, 8 bits", "torus, 8 bits, flow", "Gaussian", "FSQ", "LFQ", "principal components")
RATES = (8, 16, 32, 64)  # bits a digit
# What each system does at each rate: circles and bits of an angle; coordinates and their step; levels.
TORUS = {8: (4, 2), 16: (4, 4), 32: (8, 4), 64: (16, 4)}
MAX_RATIO = 0.1  # of the latent losses
GAUSSIAN = {rate: (rate // 2, 1.2) for rate in RATES}
LEVELS = {rate: [4] * (rate // 2) for rate in RATES}
ENTROPY_WEIGHT, COMMITMENT_WEIGHT, INVERSE_TEMPERATURE = 1e-3, 1e-2, 1.0  # of LFQ


def straight_through(values, quantised):
    """`quantised`, with the gradient of `values`."""
    return values + ops.stop_gradient(quantised - values)


class Rounding(keras.layers.Layer):
    """Coordinates rounded to multiples of a step. Codes count the steps from the least of 256."""

    def __init__(self, step: float):
        super().__init__()
        self.step, self.bits = step, 8

    def call(self, values):
        return straight_through(values, ops.round(values / self.step) * self.step)

    def codes(self, values):
        return np.clip(np.rint(values / self.step) + 128, 0, 255).astype("uint8")

    def values(self, found):
        return (found.astype("float32") - 128) * self.step


class FiniteScalar(keras.layers.Layer):
    """FSQ: each coordinate bounded by a hyperbolic tangent and rounded to a few levels."""

    def __init__(self, levels: list[int]):
        super().__init__()
        levels = np.array(levels, "float32")
        self.bits = math.ceil(math.log2(levels.max()))
        self.half = (levels - 1) * (1 + 1e-3) / 2
        self.offset = np.where(levels % 2 == 0, 0.5, 0.0).astype("float32")
        self.shift = np.arctanh(self.offset / self.half)  # so that 0 is rounded to the middle
        self.width = np.floor(levels / 2)

    def call(self, values):
        half, offset, shift, width = map(ops.convert_to_tensor, (self.half, self.offset, self.shift, self.width))
        bounded = ops.tanh(values + shift) * half - offset
        return straight_through(bounded, ops.round(bounded)) / width

    def codes(self, values):
        return np.rint(values * self.width + self.width).astype("uint8")

    def values(self, found):
        return (found.astype("float32") - self.width) / self.width


class LookupFree(keras.layers.Layer):
    """LFQ: the sign of each coordinate, with an entropy loss that makes signs certain and both alike often.

    The entropy of the code book is taken coordinate by coordinate: at 32 and 64 bits it can't be summed.
    """

    bits = 1

    def call(self, values, training=None):
        signs = ops.where(values > 0, 1.0, -1.0)
        if training:
            logits = 4 * INVERSE_TEMPERATURE * values  # of +1 against -1, from the squared distances to both
            likely = ops.sigmoid(logits)
            certain = ops.mean(ops.sum(ops.softplus(logits) - logits * likely, axis=-1))
            share = ops.mean(likely, axis=0)
            used = -ops.sum(share * ops.log(share + 1e-6) + (1 - share) * ops.log(1 - share + 1e-6))
            commitment = ops.mean((values - ops.stop_gradient(signs)) ** 2)
            self.add_loss(ENTROPY_WEIGHT * (certain - used) + COMMITMENT_WEIGHT * commitment)
        return straight_through(values, signs)

    def codes(self, values):
        return (values > 0).astype("uint8")

    def values(self, found):
        return 2 * found.astype("float32") - 1


class Angles:
    """Codes of the angles of points on a torus; with a flow, of the angles that it makes uniform."""

    def __init__(self, bits: int, flow: torusae.densities.TorusFlow | None = None):
        self.bits, self.flow = bits, flow

    def codes(self, values):
        angles = keras.ops.convert_to_numpy(torusae.angles.polar_angles(values))
        return codes.quantize_angles(angles if self.flow is None else self.flow.to_uniform(angles), self.bits)

    def values(self, found):
        angles = codes.dequantize(found, self.bits)
        angles = angles if self.flow is None else self.flow.from_uniform(angles)
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype("float32")


def bottleneck(system: str, rate: int):
    """The layers between encoder and decoder, the number of values that the decoder reads, and the quantiser."""
    if system.startswith("torus, 8 bits"):
        return [torusae.Latent(QuantizedTorus(rate // 8, 8, "noise"), max_ratio=MAX_RATIO)], rate // 4, Angles(8)
    if system == "torus":
        dim, bits = TORUS[rate]
        return [torusae.Latent(QuantizedTorus(dim, bits), max_ratio=MAX_RATIO)], 2 * dim, Angles(bits)
    if system == "Gaussian":
        dim, step = GAUSSIAN[rate]
        quantiser = Rounding(step)
        return [torusae.Latent(torusae.Gaussian(dim)), quantiser], dim, quantiser
    size, quantiser = (len(LEVELS[rate]), FiniteScalar(LEVELS[rate])) if system == "FSQ" else (rate, LookupFree())
    # Without the normalization all values begin in one place, and the decoder, which reads zeros, has no gradient.
    return [keras.layers.Dense(size), keras.layers.BatchNormalization(), quantiser], size, quantiser


# 256 times 2^(i / 8). Integers, so that every machine decodes with the same probabilities.
EIGHTHS = np.array([256, 279, 304, 332, 362, 395, 431, 470])


def compress(found: np.ndarray, bits: int) -> bytes:
    """Codes `(num, dim)` as bytes: a histogram of each column, and the output of a range coder.

    A column is coded by the frequencies of `2^j` equal ranges of codes, and evenly within a range. `j` is the number
    from 0 to `bits` that gives the fewest bytes, the histogram included. Bamler (2022), arXiv:2201.01741.
    """
    from constriction import stream

    encoder, histograms = stream.queue.RangeEncoder(), bytearray()
    for column in np.ascontiguousarray(found.T, "int32"):
        levels = histogram(np.bincount(column, minlength=1 << bits))
        range_bits = len(levels).bit_length() - 1 if len(levels) else 0
        histograms += bytes([range_bits, *levels.tolist()])
        if range_bits:
            model = stream.model.Categorical(frequencies(levels), perfect=False)
            encoder.encode(column >> (bits - range_bits), model)
        if range_bits < bits:
            rest = 1 << (bits - range_bits)
            encoder.encode(column % rest, stream.model.Uniform(rest))
    return zlib.compress(histograms, 9) + encoder.get_compressed().astype("<u4").tobytes()


def decompress(content: bytes, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Codes of a shape `(num, dim)` from what `compress` returned."""
    from constriction import stream

    inflater = zlib.decompressobj()
    histograms = inflater.decompress(content)
    decoder = stream.queue.RangeDecoder(np.frombuffer(inflater.unused_data, "<u4").astype("uint32"))
    found = np.zeros(shape, "int64")
    for column in found.T:
        range_bits, histograms = histograms[0], histograms[1:]
        if range_bits:
            levels, histograms = histograms[: 1 << range_bits], histograms[1 << range_bits :]
            model = stream.model.Categorical(frequencies(np.frombuffer(levels, "uint8")), perfect=False)
            column += decoder.decode(model, len(found)).astype("int64") << (bits - range_bits)
        if range_bits < bits:
            column += decoder.decode(stream.model.Uniform(1 << (bits - range_bits)), len(found))
    return found


def histogram(counts: np.ndarray) -> np.ndarray:
    """Levels of equal ranges of codes, a power of two of them: the number of ranges that gives the fewest bits.

    A level is one byte: `1 + 8 log2(count)`, rounded, and 0 for none. One range has no level.
    """
    bits = (len(counts) - 1).bit_length()
    best, fewest = np.empty(0, "uint8"), float(counts.sum()) * bits
    for range_bits in range(1, bits + 1):
        own = counts.reshape(1 << range_bits, -1).sum(axis=1)
        seen = own > 0
        levels = np.zeros(len(own), "uint8")
        levels[seen] = np.minimum(1 + np.rint(8 * np.log2(own[seen])), 255)
        size = 8 * min(len(own), len(zlib.compress(levels.tobytes(), 9)))
        size += float(own[seen] @ (bits - range_bits - np.log2(frequencies(levels)[seen])))
        if size < fewest:
            best, fewest = levels, size
    return best


def frequencies(levels: np.ndarray) -> np.ndarray:
    """The shares of ranges by their levels."""
    steps = np.maximum(levels.astype("int64") - 1, 0)
    weights = np.where(levels > 0, EIGHTHS[steps % 8] << (steps // 8), 0)
    return weights / weights.sum()


def measure(system: str, found: np.ndarray, bits: int, decode, x: np.ndarray) -> dict:
    """The numbers of codes of test digits, by way of their bytes."""
    content = compress(found, bits)
    decoded = decode(decompress(content, found.shape, bits))
    row = {"bytes": len(content), "bits": 8 * len(content) / len(x), "entropy": sum(map(column_entropy, found.T))}
    if system.startswith("torus"):
        row["saved"] = 1 - 8 * len(content) / (found.size * bits)
    return {**row, "MSE": float(np.mean((decoded.reshape(x.shape) - x) ** 2))}


def column_entropy(column: np.ndarray) -> float:
    """The entropy of the values of one column, bits."""
    share = np.unique(column, return_counts=True)[1] / len(column)
    return float(-share @ np.log2(share))


def trained(digits: datasets.Mnist, system: str, rate: int, seed: int, epochs: int, batch: int) -> dict:
    """The row of one training."""
    keras.utils.set_random_seed(seed)
    layers, size, quantiser = bottleneck(system, rate)
    inputs = keras.Input(digits.x_train.shape[1:])
    values = torusae.networks.dense_encoder(inputs.shape[1:], UNITS)(inputs)
    for layer in [keras.layers.BatchNormalization(), *layers]:
        values = layer(values)
    decoder = torusae.networks.dense_decoder(inputs.shape[1:], size, UNITS[::-1], "sigmoid")
    encoder, model = keras.Model(inputs, values), keras.Model(inputs, decoder(values))
    steps = epochs * math.ceil(len(digits.x_train) / batch)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 8, warmup_target=LEARNING_RATE, warmup_steps=steps // 8
    )
    model.compile(keras.optimizers.Adam(schedule), "mse")
    model.fit(digits.x_train, digits.x_train, batch_size=batch, epochs=epochs, verbose=0)
    if system.endswith("flow"):
        flow = torusae.densities.TorusFlow(seed=seed)
        flow.fit(encoder.predict(digits.x_train, batch_size=1000, verbose=0))
        quantiser = Angles(8, flow)
    found = quantiser.codes(encoder.predict(digits.x_test, batch_size=1000, verbose=0))

    def decode(found):
        return decoder.predict(quantiser.values(found), batch_size=1000, verbose=0)

    return measure(system, found, quantiser.bits, decode, digits.x_test)


def principal_components(digits: datasets.Mnist, rate: int) -> dict:
    """The row of as many components, rounded to one step, as fit into the bytes of a rate."""
    train, test = (x.reshape(len(x), -1).astype("float64") for x in (digits.x_train, digits.x_test))
    mean = train.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(train.T))
    coordinates = (test - mean) @ axes

    def quantised(step):
        kept = variances > step**2 / 4  # others are nearly always rounded to 0
        found = np.rint(coordinates[:, kept] / step).astype("int64")
        return kept, np.clip(found + 512, 0, 1023)

    low, high = 0.05, 20.0
    for _ in range(12):  # the least step whose bytes fit
        middle = math.sqrt(low * high)
        fits = 8 * len(compress(quantised(middle)[1], 10)) <= rate * len(test)
        low, high = (low, middle) if fits else (middle, high)
    kept, found = quantised(high)

    def decode(found):
        return np.clip((found.astype("float64") - 512) * high @ axes[:, kept].T + mean, 0, 1)

    return measure("principal components", found, 10, decode, digits.x_test)


def draw(rows: list[dict]):
    """The mean squared error against the bits a digit, means over the seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for index, system in enumerate(dict.fromkeys(row["system"] for row in rows)):
        rates = sorted({row["rate"] for row in rows if row["system"] == system})
        own = [[row for row in rows if (row["system"], row["rate"]) == (system, rate)] for rate in rates]
        bits, errors = ([np.mean([row[name] for row in each]) for each in own] for name in ("bits", "MSE"))
        axes.plot(bits, errors, marker="osD^vPX"[index % 7], label=system)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(RATES, [str(rate) for rate in RATES])
    axes.set_xlabel("bits a digit in the file")
    axes.set_ylabel("mean squared error of pixels in [0, 1]")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    axes.set_title("MNIST test digits, means over the seeds")
    return figure


def main(argv: list[str] | None = None) -> list[dict]:
    """Measures and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come with the package)")
    parser.add_argument("--systems", nargs="+", default=SYSTEMS, choices=SYSTEMS)
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, choices=RATES, help="bits a digit")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--output", type=Path, default=Path("out", "compression.jsonl"))
    parser.add_argument("--figure", type=Path, help="a file for the curve, such as compression.png")
    args = parser.parse_args(argv)
    digits = datasets.load_mnist(args.data) if args.data else datasets.load_mnist_subset()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    stored = args.output.read_text(encoding="utf-8").splitlines() if args.output.exists() else []
    rows = [json.loads(line) for line in stored]
    for seed, rate, system in itertools.product(args.seeds, args.rates, args.systems):
        settings = {"rate": rate, "seed": seed, "epochs": args.epochs, "batch": args.batch_size}
        if system == "principal components":
            settings = {"rate": rate, "seed": None, "epochs": None, "batch": None}
        if any(row.items() >= {"system": system, **settings}.items() for row in rows):
            continue
        if system == "principal components":
            row = principal_components(digits, rate)
        else:
            row = trained(digits, system, rate, seed, args.epochs, args.batch_size)
        rows.append({"system": system, **settings, **row})
        print(json.dumps(rows[-1]), flush=True)
        args.output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if args.figure:
        args.figure.parent.mkdir(parents=True, exist_ok=True)
        draw(rows).savefig(args.figure, dpi=150)
    return rows


if __name__ == "__main__":
    main()
