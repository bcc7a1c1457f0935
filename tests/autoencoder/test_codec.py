"""A trained `TorusAutoencoder` in use: predict, encode, decode, sample, morph, its halves."""

import keras
import numpy as np
import pytest
from shared.tensors import to_numpy, to_tensor
from shared.tiny import digit_head, labels, samples, tiny_model

import torusae

pytestmark = pytest.mark.eager


def test_predict_returns_every_output(trained):
    outputs = trained.predict(samples(), verbose=0)
    assert {name: value.shape for name, value in outputs.items()} == {
        "reconstruction": (20, 4),
        "point": (20, 2),
        "digit": (20, 3),
    }


def test_encode_and_decode_are_the_two_halves_of_predict(trained):
    x = samples()
    outputs = trained.predict(x, verbose=0)
    points = trained.encode(x, batch_size=7, verbose=0)
    # Batches of another size may be multiplied in another order.
    np.testing.assert_allclose(points, outputs["point"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trained.decode(points, verbose=0), outputs["reconstruction"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(trained.reconstruct(x, verbose=0), outputs["reconstruction"], rtol=1e-5, atol=1e-5)


def test_encode_follows_further_training(plain):
    x = samples()
    before = plain.encode(x, verbose=0)
    plain.fit(x, batch_size=20, verbose=0)
    after = plain.encode(x, verbose=0)
    assert np.abs(after - before).max() > 1e-5
    np.testing.assert_allclose(after, plain.predict(x, verbose=0)["point"], rtol=1e-5, atol=1e-6)


def test_no_loss_is_computed_in_predict(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a loss is computed in predict")

    model = tiny_model({"digit": digit_head()})
    model.compile("sgd", "mse")
    monkeypatch.setattr(torusae.SpringLoss, "call", refuse)
    monkeypatch.setattr(torusae.QuantileLoss, "call", refuse)
    model.evaluate(samples(), verbose=0)  # terms belong to training
    monkeypatch.setattr(torusae.Head, "loss_and_score", refuse)
    model.predict(samples(), verbose=0)
    model.encode(samples(), verbose=0)
    with pytest.raises(AssertionError, match="a loss is computed"):
        model.evaluate(samples(), {"digit": labels()}, verbose=0)


def test_sampling_follows_the_seed(trained):
    first, again, other = (trained.sample(5, seed=seed, verbose=0) for seed in (1, 1, 2))
    assert first.shape == (5, 4)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4
    # Not a constant: the decoder reads what was drawn.
    assert np.abs(first - first[:1]).max() > 1e-4


def test_a_morph_begins_and_ends_with_the_reconstructions(trained):
    start, end = samples()[:2]
    paths = trained.morph(start, end, num_steps=5, verbose=0)
    assert paths.shape == (2, 5, 4)
    ends = trained.reconstruct(samples()[:2], verbose=0)
    for path in paths:
        np.testing.assert_allclose(path[[0, -1]], ends, rtol=1e-5, atol=1e-5)  # batches of another size
    points = trained.encode(samples()[:2], verbose=0)
    shortest = to_numpy(torusae.shortest_winding(*points))
    np.testing.assert_allclose(trained.morph(start, end, [shortest], 5, verbose=0)[0], paths[0], rtol=1e-5, atol=1e-5)


def test_angles_are_those_of_the_points(trained):
    points = trained.encode(samples(), verbose=0)
    angles = trained.angles(samples(), batch_size=7, verbose=0)
    assert angles.shape == (20, 1)
    # atan2 of a short point magnifies rounding.
    np.testing.assert_allclose(angles, np.arctan2(points[:, 1:], points[:, :1]), rtol=1e-4, atol=1e-5)


def test_the_halves_are_plain_keras_models(trained):
    outputs = trained.predict(samples(), verbose=0)
    encoded = trained.encoder_model.predict(samples(), verbose=0)
    assert set(encoded) == {"point", "angles"}
    np.testing.assert_allclose(encoded["point"], outputs["point"], rtol=1e-5, atol=1e-6)
    decoded = trained.decoder_model.predict(encoded["point"], verbose=0)
    np.testing.assert_allclose(decoded, outputs["reconstruction"], rtol=1e-5, atol=1e-5)
    assert trained.encoder_model is trained.encoder_model


def test_the_halves_follow_a_layer_that_is_replaced():
    model, other = tiny_model(), tiny_model()
    before = model.decode(np.ones((1, 2)), verbose=0)
    model.decoder = other.decoder
    after = model.decode(np.ones((1, 2)), verbose=0)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, other.decode(np.ones((1, 2)), verbose=0), rtol=1e-6)


def test_a_plain_call_returns_the_raw_outputs_of_heads_too(trained):
    outputs = trained(to_tensor(samples()))
    assert set(outputs) == {"reconstruction", "point", "digit", "digit_outputs"}
    logits = to_numpy(outputs["digit_outputs"]).astype("float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(to_numpy(outputs["digit"]), expected, rtol=1e-5)


def test_bad_points(trained):
    for points, message in [
        (np.ones((2, 3)), r"decode: `points` must have shape \(num, 2\). Received: points.shape=\(2, 3\)"),
        (np.ones(2), r"decode: `points` must have shape \(num, 2\). Received: points.shape=\(2,\)"),
        (np.full((2, 2), np.nan), r"decode: `points` must hold finite numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            trained.decode(points, verbose=0)


def test_morph_takes_one_sample_at_each_end(trained):
    with pytest.raises(ValueError, match=r"`start` must be one sample of shape \(4,\).*\(1, 4\). Use start\[0\]"):
        trained.morph(samples()[:1], samples()[1], verbose=0)
    with pytest.raises(ValueError, match=r"morph: `end` must be one sample of shape \(4,\).*\(3,\)"):
        trained.morph(samples()[0], np.ones(3, "float32"), verbose=0)


@pytest.mark.parametrize("model_first", [True, False])
def test_layers_that_a_plain_model_shares_encode_in_an_autoencoder(model_first):
    encoder, decoder = torusae.autoencoder_networks((4,), decoder_input_size=4)
    latent = torusae.TorusLatent(2)
    inputs = keras.Input((4,))
    if model_first:
        model = torusae.TorusAutoencoder(encoder, decoder, latent)
    plain = keras.Model(inputs, decoder(latent(encoder(inputs))))
    if not model_first:
        model = torusae.TorusAutoencoder(encoder, decoder, latent)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(model.reconstruct(x, verbose=0), plain.predict(x, verbose=0), atol=1e-6)


def test_angles_are_decoded_at_radius_one(trained):
    angles = np.linspace(-3, 9, 5)[:, None]  # beyond a turn too
    on_circle = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(
        trained.decode(angles=angles, verbose=0), trained.decode(on_circle, verbose=0), atol=1e-6
    )
    with pytest.raises(ValueError, match=r"`angles` must have shape \(num, 1\).*angles.shape=\(5,\)"):
        trained.decode(angles=angles[:, 0])
    with pytest.raises(ValueError, match=r"Received: points.shape=\(5, 1\).*or decode\(angles=...\)"):
        trained.decode(angles)


def test_points_with_other_angles_keep_their_other_coordinates():
    model = torusae.TorusAutoencoder.from_shape((4,), "T1 x R2")
    points, angles = model.encode(samples(), verbose=0), np.linspace(0, 1, 20)[:, None]
    expected = points.copy()
    expected[:, 0], expected[:, 1] = np.cos(angles[:, 0]), np.sin(angles[:, 0])
    found = model.decode(points, angles=angles, verbose=0)
    np.testing.assert_allclose(found, model.decode(expected, verbose=0), atol=1e-5)
    with pytest.raises(ValueError, match=r"as many rows.*3 and 20"):
        model.decode(points[:3], angles=angles)


def test_ends_of_a_morph_may_differ_in_dtype(trained):
    x = samples(2)
    half = keras.ops.cast(to_tensor(x[1]), "bfloat16")
    found = trained.morph(x[0].astype("float16"), half, verbose=0)
    np.testing.assert_allclose(found, trained.morph(*x, verbose=0), atol=0.05)  # bfloat16 keeps 8 bits


def test_the_halves_are_saved_as_any_model(trained, tmp_path):
    points = trained.encode(samples(), verbose=0)
    for half, x in ((trained.encoder_model, samples()), (trained.decoder_model, points)):
        half.save(tmp_path / "half.keras")
        loaded = keras.saving.load_model(tmp_path / "half.keras")
        outputs = [keras.tree.flatten(each.predict(x, verbose=0)) for each in (half, loaded)]
        for expected, found in zip(*outputs, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)
