"""`missing="ignore"`: unknown cells are NaN, the loss leaves them out, the encoder reads means in their place."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops
from shared.tensors import gradient, on_jax, to_numpy
from shared.tiny import Batches, digit_head, labels, samples, tiny_decoder, tiny_encoder

import torusae
from torusae._internal.replicas import Replicas, _SeveralReplicas
from torusae.supervision import Action, Relative, shift_series

SOME = np.random.default_rng(3).random((20, 4)) < 0.3


def incomplete():
    """Samples of which some cells are unknown, of one row all."""
    x = samples()
    x[SOME] = np.nan
    x[7] = np.nan
    return x


def model_of(missing="ignore", heads=None, **arguments):
    keras.utils.set_random_seed(0)
    latent = torusae.TorusLatent(1, "paper")
    model = torusae.TorusAutoencoder(tiny_encoder(), tiny_decoder(), latent, heads, missing=missing)
    model.compile("sgd", "mse", **arguments)
    return model


@pytest.fixture(scope="module")
def trained():
    """A model that no test changes."""
    model = model_of(weighted_metrics=["mae"])
    model.fit(incomplete(), batch_size=8, verbose=0)
    return model


def mean_error(x, found, power=2, weights=None):
    """The mean error over the known cells, in a loop."""
    total, count = 0.0, 0.0
    for row, (cells, values) in enumerate(zip(x, found, strict=True)):
        weight = 1.0 if weights is None else weights[row]
        for cell, value in zip(cells, values, strict=True):
            if not np.isnan(cell):
                total += weight * abs(float(cell) - float(value)) ** power
                count += weight
    return total / count


def test_complete_data_give_the_same_bits():
    x, weights, found = samples(64), np.linspace(0, 2, 64).astype("float32"), []
    for word in (None, "ignore"):
        model = model_of(word)
        history = model.fit(x, batch_size=16, epochs=2, sample_weight=weights, verbose=0).history
        found.append([*history["loss"], *model.encoder.get_weights(), *model.decoder.get_weights()])
    for with_word, without in zip(*found, strict=True):
        # On JAX XLA rounds the sums of another program in another order.
        np.testing.assert_allclose(with_word, without, rtol=0, atol=1e-6 if on_jax() else 0)


def test_the_loss_is_the_mean_over_the_known_cells(trained):
    x = incomplete()
    found = trained.predict(x, verbose=0)["reconstruction"]
    results = trained.evaluate(x, batch_size=8, verbose=0, return_dict=True)
    np.testing.assert_allclose(results["reconstruction"], mean_error(x, found), rtol=1e-5)
    np.testing.assert_allclose(results["loss"], mean_error(x, found), rtol=1e-5)
    np.testing.assert_allclose(results["mae"], mean_error(x, found, 1), rtol=1e-5)
    weights = np.arange(20).astype("float32")
    results = trained.evaluate(x, sample_weight=weights, batch_size=20, verbose=0, return_dict=True)
    np.testing.assert_allclose(results["mae"], mean_error(x, found, 1, weights), rtol=1e-5)
    # Keras divides a weighted sum by the number of rows, not by their weights.
    expected = mean_error(x, found, 2, weights) * weights.mean()
    np.testing.assert_allclose(results["reconstruction"], expected, rtol=1e-5)


def test_unknown_cells_have_no_gradient(trained):
    x, output = incomplete(), samples() / 2

    def loss(values):
        outputs = {"reconstruction": values, "point": ops.zeros((20, 2))}
        rows = trained.adapter.rows("test", ops.convert_to_tensor(x), None)
        return trained.objective(rows, outputs, None, trained.fill, Replicas())[0]

    value, found = gradient(loss, output)
    np.testing.assert_allclose(value, mean_error(x, output), rtol=1e-5)
    np.testing.assert_array_equal(found == 0, np.isnan(x))
    expected = 2 * (output - np.nan_to_num(x)) / np.sum(~np.isnan(x))
    np.testing.assert_allclose(found, np.where(np.isnan(x), 0, expected), rtol=1e-4, atol=1e-8)


def test_the_encoder_reads_the_means_of_the_training(trained):
    x = incomplete()
    means = np.nanmean(x, axis=0)
    filled = np.where(np.isnan(x), means, x).astype("float32")
    np.testing.assert_allclose(trained.encode(x, verbose=0), trained.encode(filled, verbose=0), atol=1e-6)
    column = samples()
    column[:, 2] = np.nan
    filled = np.where(np.isnan(column), means, column).astype("float32")
    np.testing.assert_allclose(trained.angles(column, verbose=0), trained.angles(filled, verbose=0), atol=1e-5)


def test_the_word_and_the_means_are_saved(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.missing == "ignore"
    np.testing.assert_array_equal(loaded.angles(incomplete(), verbose=0), trained.angles(incomplete(), verbose=0))


def test_containers_of_unknown_cells(trained):
    x = incomplete()
    masked = np.ma.masked_array(samples(), mask=np.isnan(x))
    frame = pd.DataFrame(x, columns=list("abcd"))
    for data in (masked, frame, x.tolist(), frame.astype("Float64")):
        np.testing.assert_allclose(trained.encode(data, verbose=0), trained.encode(x, verbose=0), atol=1e-6)
    counts = pd.DataFrame({name: pd.array([1, None, 3], "Int64") for name in "abcd"})
    integers = np.ma.masked_array([[1] * 4, [9] * 4, [3] * 4], mask=[[False] * 4, [True] * 4, [False] * 4])
    expected = trained.encode(np.array([[1] * 4, [np.nan] * 4, [3] * 4], "float32"), verbose=0)
    for data in (counts, integers):
        np.testing.assert_allclose(trained.encode(data, verbose=0), expected, atol=1e-6)


def test_heads_and_pairs_beside_unknown_cells():
    x, hours = incomplete()[:16], np.linspace(0, 6, 16)
    model = model_of(heads={"digit": digit_head()}, supervision={"hour": Relative()})
    y, weights = {"digit": labels(16), "hour": hours}, np.ones(16)
    history = model.fit(x, y, batch_size=8, validation_data=(x[:8],), sample_weight=weights, verbose=0).history
    assert all(np.isfinite(values).all() for values in [*history.values(), *model.get_weights()])
    pairs = model.adapter.check("fit", x, {**y, "hour": (x[:8], x[8:], hours[:8])}).pairs["hour"]
    np.testing.assert_array_equal(pairs.arrays[1], x[8:])


def test_streams_and_actions_on_unknown_cells():
    model = model_of(supervision={"turn": Action(shift_series, period=4)})
    history = model.fit(Batches([(incomplete()[:8],)] * 2), verbose=0).history
    assert all(np.isfinite(values).all() for values in [*history.values(), *model.get_weights()])


def test_every_use_of_a_model_takes_unknown_cells(trained):
    x = incomplete()
    for found in (trained.morph(x[0], x[1], verbose=0), trained.reconstruct(x, verbose=0)):
        assert np.isfinite(found).all()
    np.testing.assert_array_equal(np.isnan(trained.remove(x, 0, verbose=0)), np.isnan(x))
    assert np.isfinite(torusae.diagnose(trained, np.tile(x, (5, 1)), circles=False).points).all()


def test_errors():
    x = incomplete()
    with pytest.raises(ValueError, match=r"`x` must hold finite.* nan at .*make the model with missing='ignore'"):
        model_of(None).fit(x, verbose=0)
    with pytest.raises(ValueError, match=r"the column 'a'.*make the model with missing='ignore'"):
        model_of(None).fit(pd.DataFrame(x, columns=list("abcd")), verbose=0)
    with pytest.raises(ValueError, match=r"masked array.*missing='ignore' takes masked samples"):
        model_of(None).fit(np.ma.masked_array(x), verbose=0)
    with pytest.raises(ValueError, match=r"`x` must hold finite.* inf at position \(0, 0\), 20 such"):
        model_of().fit(np.where(np.arange(4) == 0, np.inf, x), verbose=0)
    with pytest.raises(ValueError, match=r"`missing` must be one of \['ignore'\]. Received: missing='drop'"):
        model_of("drop")
    with pytest.raises(ValueError, match="Give them as weighted_metrics"):
        model_of(metrics=["mae"])


def test_data_as_they_are_with_unknown_cells():
    x = 50 + 10 * incomplete()
    model = torusae.TorusAutoencoder.from_data(x, dim=1, missing="ignore", init="random", verbose=0)
    model.compile("sgd", "mse")
    model.fit(x, batch_size=20, verbose=0)
    np.testing.assert_allclose(model.fill.of_array(np.full((1, 4), np.nan)), 0, atol=1e-6)
    filled = np.where(np.isnan(x), np.nanmean(x, axis=0), x).astype("float32")
    np.testing.assert_allclose(model.encode(x, verbose=0), model.encode(filled, verbose=0), atol=1e-5)
    np.testing.assert_allclose(
        model.encoder_model.predict(x, verbose=0)["point"], model.encode(x, verbose=0), atol=1e-5
    )
    with pytest.raises(ValueError, match=r"from_data: `x` must hold finite.*missing='ignore'"):
        torusae.TorusAutoencoder.from_data(x, dim=1)


class HalfOfBatch(_SeveralReplicas):
    """A replica whose only partner has so many known cells."""

    size = 2

    def __init__(self, others):
        self.others = others

    def sum(self, value):
        return value + self.others


def test_the_loss_of_several_replicas_is_that_of_all_their_cells(trained):
    x, output = incomplete(), samples() / 2

    def found(half, together):
        rows = trained.adapter.rows("test", ops.convert_to_tensor(x[half]), None)
        outputs = {"reconstruction": ops.convert_to_tensor(output[half]), "point": ops.zeros((len(x[half]), 2))}
        total, _, counts = trained.objective(rows, outputs, None, trained.fill, together)
        return to_numpy(total), to_numpy(counts[0])

    halves = slice(0, 14), slice(14, 20)
    counts = [found(half, Replicas())[1] for half in halves]
    totals = [found(half, HalfOfBatch(float(other)))[0] for half, other in zip(halves, counts[::-1], strict=True)]
    np.testing.assert_allclose(np.mean(totals), mean_error(x, output), rtol=1e-5)
