"""What an explorer page holds, read back in Python, and its decoder as plain NumPy."""

import base64
import json
import re

import numpy as np

FUNCTIONS = {
    "relu": lambda x: np.where(x > 0, x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(0, x),
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "exponential": np.exp,
}


def content_of(path):
    """The data of a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.DOTALL)[1])


def numbers_of(packed):
    """Numbers as the page holds them."""
    return np.frombuffer(base64.b64decode(packed["data"]), packed["type"]).astype("float64")


def arrays_of(network):
    """The arrays of a page's decoder."""
    joined = numbers_of(network["arrays"])
    ends = np.cumsum([int(np.prod(shape)) for shape in network["shapes"]])
    return [part.reshape(shape) for part, shape in zip(np.split(joined, ends[:-1]), network["shapes"], strict=True)]


def convolve(x, kernel, strides, padding):
    """Loops over the taps of a kernel, as TensorFlow pads: one more zero after than before."""
    tall, wide = kernel.shape[:2]
    sizes, pads = [], []
    for size, tap, stride in zip(x.shape, (tall, wide), strides, strict=False):
        count = -(-size // stride) if padding == "same" else (size - tap) // stride + 1
        missing = max(0, (count - 1) * stride + tap - size) if padding == "same" else 0
        sizes.append(count)
        pads.append((missing // 2, missing - missing // 2))
    x = np.pad(x, [*pads, (0, 0)])
    out = np.zeros((*sizes, kernel.shape[3]))
    for i in range(tall):
        for j in range(wide):
            rows = slice(i, i + (sizes[0] - 1) * strides[0] + 1, strides[0])
            columns = slice(j, j + (sizes[1] - 1) * strides[1] + 1, strides[1])
            out += x[rows, columns] @ kernel[i, j]
    return out


def evaluate(operations, arrays, decoder_input):
    """The sample of one decoder input by the operations of a page, in float64."""
    x = np.asarray(decoder_input, "float64")

    def of(number):
        return 0.0 if number < 0 else arrays[number]

    for operation in operations:
        kind = operation["op"]
        if kind == "dense":
            x = x @ of(operation["kernel"]) + of(operation["bias"])
        elif kind == "conv":
            x = convolve(x, of(operation["kernel"]), operation["strides"], operation["padding"])
            x = x + of(operation["bias"])
        elif kind == "up":
            x = x.repeat(operation["size"][0], axis=0).repeat(operation["size"][1], axis=1)
        elif kind == "crop":
            top, bottom, left, right = operation["sizes"]
            x = x[top : x.shape[0] - bottom, left : x.shape[1] - right]
        elif kind == "affine":
            x = x * of(operation["scale"]) + of(operation["shift"])
        elif kind == "activation" and operation["name"] == "leaky_relu":
            x = np.where(x > 0, x, operation["slope"] * x)
        elif kind == "activation":
            x = FUNCTIONS[operation["name"]](x)
        elif kind == "reshape":
            x = x.reshape(operation["shape"])
        elif kind == "permute":
            x = x.transpose(operation["axes"])
        else:
            raise ValueError(kind)
    return x
