"""`Head`: losses by hand from logits, missing labels, periods, weights, checks of labels, errors."""

import math

import keras
import numpy as np
import pytest
from shared.tensors import gradient, to_numpy, to_tensor

import torusae

NAN = float("nan")


def test_outputs_and_predictions_of_each_task(rng):
    inputs = rng.uniform(-1, 1, (5, 6)).astype("float32")
    for task, num_outputs, columns in (("classification", 4, 4), ("regression", 2, 2), ("circular_regression", 3, 6)):
        head = torusae.Head(task, num_outputs, units=(6,))
        outputs = head(inputs)
        assert tuple(outputs.shape) == (5, columns) == head.compute_output_shape((5, 6))
        assert to_numpy(head.predictions(outputs)).shape == (5, num_outputs)


def test_predictions_by_hand():
    logits = np.log([[1.0, 2.0, 5.0]])
    probabilities = torusae.Head("classification", 3).predictions(to_tensor(logits + 7))
    np.testing.assert_allclose(to_numpy(probabilities), [[0.125, 0.25, 0.625]], rtol=1e-5)
    numbers = to_tensor([[3.0, -4.0]])
    np.testing.assert_array_equal(to_numpy(torusae.Head("regression", 2).predictions(numbers)), [[3, -4]])
    points = to_tensor([[0.0, 3.0, -1.0, 2.0, -3.0, 0.0]])  # (0, 2), (3, -3), (-1, 0)
    for period in (None, 24.0, 360):
        head = torusae.Head("circular_regression", 3, period=period)
        expected = np.array([[0.25, -0.125, -0.5]]) * (period or 2 * np.pi)
        np.testing.assert_allclose(to_numpy(head.predictions(points)), expected, rtol=1e-6)


@pytest.mark.parametrize("period", [None, 1.0, 24.0, 360.0, 365.2425])
def test_predicted_angles_stay_in_the_half_open_range(period):
    head = torusae.Head("circular_regression", period=period)
    y = np.array([0.0, -0.0, 1e-7, -1e-7, 2e-7, -2e-7, 1e-6, -1e-6])
    points = np.stack([-np.ones_like(y), y], axis=1)
    angles = to_numpy(head.predictions(to_tensor(points)))
    half = np.float32((period or 2 * np.pi) / 2)
    assert (angles >= -half).all()
    assert (angles < half).all()


def cross_entropy(logits, label):
    """By hand, in float64."""
    logits = np.array(logits, "float64")
    return np.log(np.exp(logits).sum()) - logits[label]


LOGITS = [[2.0, 1.0, 0.0], [-1.0, 0.0, 3.0], [0.5, 1.0, 2.0]]
ENTROPIES = [cross_entropy(LOGITS[0], 0), cross_entropy(LOGITS[1], 2), cross_entropy(LOGITS[2], 0)]
OUTPUTS = [[0.0, 1.0], [2.0, 3.0], [1.0, 1.0]]
POINTS = [[np.cos(a), np.cos(b), np.sin(a), np.sin(b)] for a, b in OUTPUTS]
ONE = to_tensor([[1.0, 0.0], [0.0, 2.0]])  # two points, the angles 0 and a quarter

BY_HAND = [
    # task, labels, outputs, loss, scores of the labelled samples
    ("classification", [0, 2, 0], LOGITS, np.mean(ENTROPIES), [1, 1, 0]),
    ("classification", [[0], [-1], [2]], LOGITS, (ENTROPIES[0] + cross_entropy(LOGITS[2], 2)) / 2, [1, 1]),
    ("regression", [[0.0, 3.0], [2.0, 1.0], [1.0, 1.0]], OUTPUTS, (2 + 2 + 0) / 3, [1, 1, 0]),
    ("regression", [[0.0, 3.0], [NAN, 1.0], [3.0, 1.0]], OUTPUTS, (2 + 2) / 2, [1, 1]),
    ("circular_regression", [[np.pi, 1.0], [2.0, 3.0], [NAN, NAN]], POINTS, (1 + 0) / 2, [np.pi / 2, 0]),
    # A turn more changes nothing.
    ("circular_regression", [[0, 1 + 2 * np.pi], [2.0, 3 - 2 * np.pi], [1.0, 1.0]], POINTS, 0, [0, 0, 0]),
]


@pytest.mark.parametrize(("task", "labels", "outputs", "loss", "scores"), BY_HAND)
def test_losses_by_hand(task, labels, outputs, loss, scores):
    head = torusae.Head(task, 3 if task == "classification" else 2)
    labels = to_tensor(labels, "int32" if task == "classification" else "float32")
    found = [float(to_numpy(each)) for each in head.loss_and_score(labels, to_tensor(outputs))]
    np.testing.assert_allclose(found, [loss, np.mean(scores), len(scores)], rtol=1e-5, atol=1e-6)  # float32


def test_a_confident_mistake_is_corrected():
    """From probabilities the loss would be 16.1, at which float32 clips them, and the gradient 0."""
    head = torusae.Head("classification", 2)
    value, slope = gradient(lambda x: head.loss_and_score(to_tensor([1]), x)[0], np.array([[60.0, -40.0]]))
    np.testing.assert_allclose(value, 100.0, rtol=1e-6)
    np.testing.assert_allclose(slope, [[1.0, -1.0]], rtol=1e-6)


@pytest.mark.parametrize(("period", "quarter"), [(None, np.pi / 2), (24, 6.0), (360.0, 90.0), (1, 0.25)])
def test_labels_have_the_unit_of_the_period(period, quarter):
    head = torusae.Head("circular_regression", period=period)
    for turns in (0, 1, -3):
        for label, errors in ((0.0, [0, 1]), (quarter, [1, 0]), (-quarter, [1, 2]), (2 * quarter, [2, 1])):
            labels = to_tensor(np.full((2, 1), label + 4 * quarter * turns))
            loss, score, _ = map(to_numpy, head.loss_and_score(labels, ONE))
            np.testing.assert_allclose(loss, np.mean(1 - np.cos(np.pi / 2 * np.array(errors))), atol=1e-6)
            # The error in units of the labels; a few float32 roundings of up to 12 quarters.
            np.testing.assert_allclose(score, quarter * np.mean(errors), atol=1e-5 * quarter)


def test_large_labels_keep_their_digits():
    hours = 24 * 20_000 + 6.0  # hours since 1970
    _, score, _ = torusae.Head("circular_regression", period=24).loss_and_score(to_tensor([[hours], [hours]]), ONE)
    assert float(score) == pytest.approx(3, abs=1e-5)


def test_sample_weights_multiply_the_losses():
    head = torusae.Head("classification", 3)
    labels = to_tensor([0, -1, 2])
    loss, accuracy, count = head.loss_and_score(labels, to_tensor(LOGITS), to_tensor([2.0, 100.0, 0.0]))
    # As in Keras: the sum of weighted losses over the number of samples, not over the sum of the weights.
    np.testing.assert_allclose(to_numpy(loss), 2 * ENTROPIES[0] / 2, rtol=1e-5)
    assert (float(accuracy), float(count)) == (1, 2)


MISSING = [("classification", -1, "int32"), ("regression", NAN, "float32"), ("circular_regression", NAN, "float32")]


@pytest.mark.parametrize(("task", "missing", "dtype"), MISSING)
def test_a_missing_label_has_no_part_in_loss_and_gradient(task, missing, dtype, rng):
    head = torusae.Head(task, 2, units=(4,))
    inputs = rng.uniform(-1, 1, (3, 2)).astype("float32")
    head(inputs)
    shape = (3,) if task == "classification" else (3, 2)
    labels = np.ones(shape, dtype)
    labels[1] = missing

    def loss(x):
        return head.loss_and_score(to_tensor(labels), head(x))[0]

    value, slope = gradient(loss, inputs)
    assert np.isfinite(value)
    assert (slope[1] == 0).all()
    assert np.abs(slope[[0, 2]]).max() > 0
    other = inputs.copy()
    other[1] += 1
    np.testing.assert_array_equal(gradient(loss, other)[0], value)


@pytest.mark.parametrize(("task", "missing", "dtype"), MISSING)
def test_all_labels_missing_is_a_loss_of_zero(task, missing, dtype, rng):
    head = torusae.Head(task, 2, units=(4,))
    labels = np.full((3,) if task == "classification" else (3, 2), missing, dtype)
    inputs = rng.uniform(-1, 1, (3, 2)).astype("float32")
    head(inputs)
    value, slope = gradient(lambda x: head.loss_and_score(to_tensor(labels), head(x))[0], inputs)
    assert value == 0
    np.testing.assert_array_equal(slope, 0)
    assert head.missing_label == ("-1" if task == "classification" else "NaN")


def test_the_gradient_of_an_angle_is_finite_at_the_origin():
    head = torusae.Head("circular_regression", period=24)
    for x in (np.zeros((2, 2)), np.full((2, 2), 1e-20)):
        value, slope = gradient(lambda x: head.loss_and_score(to_tensor([[3.0], [6.0]]), x)[0], x)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


HEADS = [
    torusae.Head("classification", 10, name="digit"),
    torusae.Head("regression", 2, weight=0.0, units=()),
    torusae.Head("circular_regression", weight=0.5, units=(3, 4, 5), dtype="float32"),
    torusae.Head("circular_regression", period=24),
]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.task)
def test_config_round_trip(head):
    config = keras.saving.serialize_keras_object(head)
    assert config["registered_name"] == "torusae>Head"
    copy = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(copy)["config"] == config["config"]
    for name in ("task", "num_outputs", "weight", "units", "period"):
        assert getattr(copy, name) == getattr(head, name)


def test_file_round_trip(tmp_path, rng):
    head = torusae.Head("circular_regression", units=(4,), period=24)
    model = keras.Sequential([keras.Input((2,)), head])
    x = rng.normal(size=(3, 2)).astype("float32")
    before = to_numpy(head.predictions(model(x)))
    model.save(tmp_path / "head.keras")
    loaded = keras.saving.load_model(tmp_path / "head.keras")
    np.testing.assert_allclose(to_numpy(loaded.layers[-1].predictions(loaded(x))), before, rtol=1e-6)


def test_outputs_are_float32_under_a_mixed_policy(rng):
    head = torusae.Head("classification", 3, units=(4,), dtype="mixed_bfloat16")
    assert keras.backend.standardize_dtype(head(rng.normal(size=(2, 4)).astype("float32")).dtype) == "float32"
    assert head.hidden[0].compute_dtype == "bfloat16"


def test_wrong_arguments():
    for arguments, error, message in [
        (("clasification", 3), ValueError, r"`task` must be one of .*'clasification'. Did you mean 'classification'\?"),
        (("angle",), ValueError, r"`task` must be one of .*'angle'. Did you mean 'circular_regression'\?"),
        (("classification",), ValueError, r"`num_outputs` must be at least 2. Received: num_outputs=1"),
        (("regression", 0), ValueError, r"`num_outputs` must be at least 1. Received: num_outputs=0"),
        (("regression", 1, -1.0), ValueError, r"`weight` must be finite and not negative. Received: weight=-1.0"),
        (("regression", 1, "1"), TypeError, r"`weight` must be a number. Received: weight='1'"),
        (("regression", 1, 1.0, (4, 0)), ValueError, r"`units\[1\]` must be at least 1. Received: units\[1\]=0"),
        (
            ("regression", 1, 1.0, (), 24),
            ValueError,
            r"`period` is for the task 'circular_regression' alone.*task='regression', period=24",
        ),
        (
            ("circular_regression", 1, 1.0, (), 0),
            ValueError,
            r"`period` must be finite and positive. Received: period=0.0",
        ),
        (("circular_regression", 1, 1.0, (), "24"), TypeError, r"`period` must be a number. Received: period='24'"),
    ]:
        with pytest.raises(error, match=f"Head: {message}"):
            torusae.Head(*arguments)


def test_inputs_of_another_rank():
    for shape in [(3,), (2, 3, 4)]:
        with pytest.raises(ValueError, match=r"Head: inputs must have shape \(batch, head_input_size\).*single sample"):
            torusae.Head("regression")(np.ones(shape, "float32"))


def test_labels_of_another_shape_or_type():
    for head, labels, error, message in [
        (
            torusae.Head("classification", 3),
            np.eye(3, dtype="int32"),
            ValueError,
            r"shape \(batch,\).*\(3, 3\).*argmax",
        ),
        (
            torusae.Head("classification", 3),
            np.zeros(3, "float32"),
            TypeError,
            r"must be integers. Received: dtype=.*float32",
        ),
        (torusae.Head("regression", 2), np.zeros(3, "float32"), ValueError, r"\(batch, 2\). Received: shape=\(3,\)"),
        (
            torusae.Head("circular_regression", 2),
            np.zeros((3, 3), "float32"),
            ValueError,
            r"\(batch, 2\). Received: shape=\(3, 3\)",
        ),
    ]:
        outputs = np.zeros((3, head.output_layer.units), "float32")
        with pytest.raises(error, match=message):
            head.loss_and_score(to_tensor(labels), to_tensor(outputs))


LABELS = [
    (
        ("classification", 3),
        np.zeros(2, "int32"),
        r"integer classes of shape \(3,\), -1 where.*shape=\(2,\)",
    ),
    (("regression",), np.float32(1), r"numbers of shape \(3,\).*NaN where missing. Received: shape=\(\)"),
    (
        ("classification", 3),
        np.eye(3, dtype="int64"),
        r"integer classes of shape \(3,\).*Received: shape=\(3, 3\).*argmax",
    ),
    (("classification", 3), np.zeros(3), r"integer classes of shape \(3,\).*Received: .*dtype=float64.*astype"),
    (("classification", 3), np.array([0, 1, 3]), r"classes 0 to 2, or -1 where missing. Received: values from 0 to 3"),
    (
        ("classification", 3),
        np.array([0, 1, -2]),
        r"classes 0 to 2, or -1 where missing. Received: values from -2 to 1",
    ),
    (
        ("regression", 2),
        np.zeros(3),
        r"numbers of shape \(3, 2\).*Received: shape=\(3,\)",
    ),
    (("circular_regression",), np.array(["a", "b", "c"]), r"numbers of shape \(3,\).*Received: .*dtype=<U1"),
    (
        ("circular_regression",),
        np.array([0, np.inf, NAN]),
        r"finite, or NaN where missing. Received: infinity in row 1",
    ),
]


def test_wrong_labels_of_a_data_set():
    for arguments, labels, message in LABELS:
        with pytest.raises(ValueError, match=rf"Owner.fit: y\['a'\] must .*{message}"):
            torusae.Head(*arguments).check_labels(labels, 3, "Owner.fit", "y['a']")


@pytest.mark.parametrize(
    ("head", "labels"),
    [
        (torusae.Head("classification", 3), np.array([0, 1, 2], "uint8")),
        (torusae.Head("classification", 3), np.array([[0], [-1], [2]])),
        (torusae.Head("regression", 2), np.array([[1, NAN], [1e9, 0], [NAN, NAN]])),
        (torusae.Head("circular_regression"), np.full(3, NAN)),
        (torusae.Head("circular_regression"), np.array([0.0, 4 * np.pi, 0.1])),
        (torusae.Head("circular_regression", period=24), np.array([0, 23, 100])),
        (torusae.Head("circular_regression", period=2 * math.pi), np.array([0, 23, 100])),
        (torusae.Head("circular_regression"), to_tensor([0.0, 1.0, NAN])),
    ],
    ids=str,
)
def test_right_labels_of_a_data_set(head, labels):
    head.check_labels(labels, 3, "Owner.fit", "y['a']")


def test_hours_and_degrees_without_a_period_are_a_warning():
    for labels in [[0, 13, 23], [0, 90.0, NAN], [-180.0, 0, 10]]:
        with pytest.warns(
            UserWarning, match=r"y\['a'\] must be radians.*looks like degrees.*period=360\).*period=24\)"
        ):
            torusae.Head("circular_regression").check_labels(np.array(labels), 3, "Owner.fit", "y['a']")


def test_the_heads_part_of_the_gradient_is_that_of_the_logits():
    logits = np.random.default_rng(0).normal(size=(20, 3)).astype("float32") * 30
    labels = np.arange(20) % 3
    head = torusae.Head("classification", 3)
    _, slope = gradient(lambda values: head.loss_and_score(to_tensor(labels), values)[0], logits)
    exact = np.exp(logits.astype("float64") - logits.max(1, keepdims=True))
    exact = (exact / exact.sum(1, keepdims=True) - np.eye(3)[labels]) / 20
    np.testing.assert_allclose(slope, exact, atol=1e-6)
