"""`docs/export.md`: the table that says which format of Keras' own `export` works where."""

import itertools
import re
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from shared.tensors import keras_is_before
from shared.tiny import samples

import torusae
from torusae import datasets

BACKEND = keras.backend.backend()
DOCUMENT = Path(__file__).parents[2] / "docs" / "export.md"
# The formats that Keras knows, and what the name of their file ends in. A SavedModel is a folder.
FORMATS = {"tf_saved_model": "", "onnx": ".onnx", "openvino": ".xml", "litert": ".tflite", "torch": ".pt2"}


def export(model, path, format):
    """Keras' export with the options that the page shows."""
    options = {}
    if (format, BACKEND) == ("torch", "torch"):
        import torch

        options = {"dynamic_shapes": {0: torch.export.Dim("batch")}}
    elif (format, BACKEND) == ("litert", "tensorflow"):
        import tensorflow as tf

        options = {"target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}}
    elif (format, BACKEND) == ("openvino", "torch"):
        model = keras.Model(model.inputs, tuple(model.outputs))
    model.export(str(path), format=format, verbose=False, **options)


@pytest.mark.skipif(BACKEND != "torch" or keras_is_before(3, 15), reason="the format of torch, from Keras 3.15 on")
def test_a_program_of_torch_takes_any_batch(plain, tmp_path):
    import torch

    export(plain.encoder_model, tmp_path / "encoder.pt2", "torch")
    program = torch.export.load(tmp_path / "encoder.pt2").module()
    for num in (1, 5):
        x = samples(num)
        angles = program(torch.as_tensor(x))["angles"].detach().numpy()
        np.testing.assert_allclose(angles, plain.angles(x, verbose=0), atol=1e-5)


def run_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    (entry,) = session.get_inputs()
    return lambda x: session.run(None, {entry.name: x})


def run_saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda x, _loaded=loaded: _loaded.serve(tf.constant(x))


def run_openvino(path):
    import openvino

    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda x: list(compiled(x).values())


def run_litert(path):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # TensorFlow brings the same
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter

    interpreter = Interpreter(str(path))

    def serve(x):
        (entry,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(entry["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], x)
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]

    return serve


def run_torch(path):
    import torch

    program = torch.export.load(path).module()
    return lambda x: keras.tree.map_structure(lambda y: y.detach().numpy(), program(torch.as_tensor(x)))


RUNTIMES = {
    "tf_saved_model": run_saved_model,
    "onnx": run_onnx,
    "openvino": run_openvino,
    "litert": run_litert,
    "torch": run_torch,
}


NETWORKS = ("dense", "convolutions")


def plain_models(network):
    """Encoder and decoder of a trained table, or of convolutions: the model, its name, its inputs and outputs."""
    if network == "dense":
        x, model = datasets.torus_table(7, 2, noise=0.1, seed=0)[0], datasets.load_model("table2")
    else:
        x, model = datasets.load_mnist_subset().x_test[:7], torusae.TorusAutoencoder.from_shape((28, 28, 1), dim=3)
    points = model.encode(x, verbose=0)
    yield model.encoder_model, "encoder", x, [points, model.angles(x, verbose=0)]
    yield model.decoder_model, "decoder", points, [model.decode(points, verbose=0)]


def agrees(outputs, expected):
    """Outputs are the expected ones within 1e-5, in any order; their shapes differ."""
    outputs = {array.shape: array for array in map(np.asarray, keras.tree.flatten(outputs))}
    for reference in expected:
        difference = np.abs(outputs[reference.shape] - reference)
        if len(expected) == 2 and reference is expected[1]:  # angles
            difference = np.minimum(difference, 2 * np.pi - difference)
        assert difference.max() < 1e-5


def outcome(format, network, folder):
    """What the table says of a format on this backend: `works`, `works, one sample at a time`, or an error."""
    said = "works"
    for model, name, x, expected in plain_models(network):
        path = folder / f"{name}{FORMATS[format]}"
        try:
            export(model, path, format)
        except Exception as error:  # exporters raise many types
            return f"{type(error).__name__}: {error}"
        serve = RUNTIMES[format](path)
        try:
            outputs = serve(x)
            # Of arrays: shapes of TensorFlow's tensors do not sort.
            shapes = [np.asarray(each).shape for each in keras.tree.flatten(outputs)]
            if sorted(shapes) != sorted(reference.shape for reference in expected):
                raise ValueError(f"The runtime returned arrays of shapes {shapes}.")
        except Exception:  # runtimes have errors of their own for a batch of another size
            said = "works, one sample at a time"
            try:
                rows = [serve(row[None]) for row in x]
            except Exception as error:
                return str(error)
            for row, each in enumerate(rows):
                agrees(each, [reference[row : row + 1] for reference in expected])
        else:
            agrees(outputs, expected)
    return said


def documented(format, network):
    """The cell of the table, and the sentence of its note if it has one."""
    text = DOCUMENT.read_text(encoding="utf-8")
    columns = re.search(r"^\| format .*$", text, re.M)[0].split("|")
    row = re.search(rf"^\| `{format}` \| {network} .*$", text, re.M)[0].split("|")
    cell = row[[column.strip() for column in columns].index(BACKEND)].strip()
    note = re.fullmatch(r"no \[(\d)\]", cell)
    return cell, re.search(rf"^\[{note[1]}\]: .*?`(.*?)`", text, re.M)[1] if note else None


@pytest.mark.export
@pytest.mark.filterwarnings("ignore")  # of the exporters and of the runtimes
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("format", FORMATS)
def test_the_table_of_formats_is_true(format, network, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = outcome(format, network, tmp_path)
    cell, error = documented(format, network)
    if error is None:
        assert found == cell
    else:
        assert error in found


def test_the_table_has_every_format_and_backend():
    for format, network in itertools.product(FORMATS, NETWORKS):
        cell, error = documented(format, network)
        assert cell in ("works", "works, one sample at a time") or error
