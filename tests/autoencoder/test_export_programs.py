"""Exported, quantized, summarized and drawn: models as plain Keras models. `nox -s export` runs the marked tests."""

import warnings

import keras
import numpy as np
import pytest
from shared.tables import autoencoder, plain_model, samples
from shared.tensors import keras_is_before

import torusae

BACKEND = keras.backend.backend()
NOT_FOR_INFERENCE = ("sin", "cos", "topk", "sort", "assign", "random", "scatter", "custom")


def polar_model():
    inputs = keras.Input((4,))
    return keras.Model(inputs, list(torusae.Polar()(inputs)))


def codes(num=7):
    """Points of two circles, some of them on the axes and at the origin."""
    rows = np.random.default_rng(0).normal(size=(num, 4))
    rows[:4] = [[0, 0, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [-1, -1, 1e-20, 0]]
    return rows.astype("float32")


def image_model():
    return torusae.TorusAutoencoder.from_shape((8, 8, 1), dim=2)


def heads():
    return {
        "digit": torusae.Head("classification", 3),
        "hour": torusae.Head("circular_regression", period=24),
        "size": torusae.Head("regression"),
    }


def whole(model):
    """A sample model as a plain Functional model, called once: Keras exports no other to ONNX."""
    inputs = keras.Input(model.sample_shape)
    whole = keras.Model(inputs, model(inputs))
    whole(inputs)
    return whole


MODELS = {
    "autoencoder": (lambda: whole(autoencoder()), lambda: samples(7)),
    "heads": (lambda: whole(autoencoder(heads=heads())), lambda: samples(7)),
    "encoding model": (lambda: autoencoder().encoder_model, lambda: samples(7)),
    "decoding model": (lambda: autoencoder().decoder_model, codes),
    "polar": (polar_model, codes),
    "sequential": (plain_model, lambda: samples(7)),
    "images": (
        lambda: whole(image_model()),
        lambda: np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32"),
    ),
    "variational": (
        lambda: whole(autoencoder(torusae.Latent(torusae.Gaussian(2, variational=True)))),
        lambda: samples(7),
    ),
    "product": (lambda: whole(autoencoder(torusae.Latent("T1 x R2"))), lambda: samples(7)),
}


@pytest.fixture(params=MODELS)
def named(request):
    make, inputs = MODELS[request.param]
    model, x = make(), inputs()
    return request.param, model, x, model.predict(x, verbose=0)


def assert_close(outputs, expected, rtol=1e-5, atol=1e-5):
    outputs, expected = keras.tree.flatten(outputs), keras.tree.flatten(expected)
    assert len(outputs) == len(expected)
    for output, reference in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(np.asarray(output), reference, rtol=rtol, atol=atol)


def assert_for_inference(operations, name):
    """No trigonometry, sorting, random numbers or state: those belong to the losses. A head reads cos φ and sin φ."""
    unwanted = [part for part in NOT_FOR_INFERENCE if not (name == "heads" and part in ("sin", "cos"))]
    lowered = {operation.lower().replace("_", "") for operation in operations}
    found = {operation for operation in lowered for part in unwanted if part in operation}
    assert not found, sorted(lowered)


def rows_of(arrays, count):
    return keras.tree.map_structure(lambda array: array[:count], arrays)


def as_torch_program(model, folder):
    import torch

    if keras_is_before(3, 15):
        pytest.skip("Keras writes the format of torch from 3.15 on")

    path = str(folder / "model.pt2")
    model.export(path, format="torch", verbose=False, dynamic_shapes={0: torch.export.Dim("batch")})
    program = torch.export.load(path)
    operations = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    return lambda x: program.module()(torch.as_tensor(x)), operations


def as_jax_program(model, folder):
    """What Keras hands to any exporter on JAX: a function of the values of the variables and of a batch of any size."""
    import jax

    state = [
        [variable.value for variable in kind] for kind in (model.trainable_variables, model.non_trainable_variables)
    ]

    def serve(values):
        return model.stateless_call(*state, values, training=False)[0]

    (batch,) = jax.export.symbolic_shape("batch")
    shape = (batch, *model.input_shape[1:])
    program = jax.export.export(jax.jit(serve))(jax.ShapeDtypeStruct(shape, "float32"))
    operations = set()

    def collect(jaxpr):
        for equation in jaxpr.eqns:
            operations.add(equation.primitive.name)
            for value in equation.params.values():
                inner = getattr(value, "jaxpr", value)
                if hasattr(inner, "eqns"):
                    collect(inner)

    collect(jax.make_jaxpr(serve)(np.zeros((3, *shape[1:]), "float32")).jaxpr)
    return program.call, operations - {"custom_jvp_call"}  # of relu


def as_saved_model(model, folder):
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jax2tf is deprecated, and Keras uses it
        model.export(str(folder / "model"), verbose=False)
    loaded = tf.saved_model.load(str(folder / "model"))
    graph = loaded.signatures["serving_default"].graph.as_graph_def()
    nodes = list(graph.node) + [node for function in graph.library.function for node in function.node_def]

    def serve(x):
        before = [value.numpy() for value in loaded.variables]
        outputs = loaded.serve(tf.constant(x))
        for value, old in zip(loaded.variables, before, strict=True):
            np.testing.assert_array_equal(value.numpy(), old)
        return outputs

    operations = {node.op for node in nodes}
    # On JAX, Keras assigns its own value to every variable that is not trained.
    return serve, operations - {"AssignVariableOp"} if BACKEND == "jax" else operations


def as_onnx(model, folder):
    import onnx
    import onnxruntime

    path = str(folder / "model.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporters
        model.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    (entry,) = session.get_inputs()
    operations = {node.op_type for node in onnx.load(path).graph.node}
    return lambda x: session.run(None, {entry.name: x}), operations


def assert_exported(named, export, folder):
    name, model, x, expected = named
    serve, operations = export(model, folder)
    for rows in (len(x), 2):
        assert_close(serve(x[:rows]), rows_of(expected, rows))
    assert_for_inference(operations, name)


def test_an_exported_model_is_the_model_and_holds_no_loss(named, tmp_path):
    """The format of each backend's own, with a free batch size."""
    export = {"torch": as_torch_program, "jax": as_jax_program, "tensorflow": as_saved_model}[BACKEND]
    assert_exported(named, export, tmp_path)


@pytest.mark.export
def test_a_model_exported_elsewhere_is_the_model(named, tmp_path):
    """ONNX; on JAX a SavedModel of TensorFlow, since onnxruntime refuses the pooling of jax2onnx."""
    assert_exported(named, as_saved_model if BACKEND == "jax" else as_onnx, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_quantized_halves_work_and_are_saved(tmp_path):
    x = samples()
    model = autoencoder(heads=heads())
    labels = {"digit": np.arange(len(x)) % 3, "hour": x[:, 0], "size": x[:, 1]}
    model.fit(x, labels, batch_size=64, epochs=5, verbose=0)
    points = model.encode(x, verbose=0)
    decoded = model.decode(points, verbose=0)
    model.encoder_model.quantize("int8")
    model.decoder_model.quantize("int8")
    assert model.latent.projection.quantization_mode == "int8"
    scale = np.abs(points).max(), np.abs(decoded).max()
    assert 0 < np.abs(model.encode(x, verbose=0) - points).max() < 0.1 * scale[0]
    assert 0 < np.abs(model.decode(points, verbose=0) - decoded).max() < 0.1 * scale[1]
    for head in model.heads.values():
        head.output_layer.quantize("int8")
    model.compile("sgd", "mse")  # the state of the old optimizer is of other variables
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.latent.projection.quantization_mode == "int8"
    assert_close(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
