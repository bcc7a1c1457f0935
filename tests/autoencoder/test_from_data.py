"""`from_data`: a model that speaks the units of its data, starts at circles that were found, and knows groups."""

import sys
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

import torusae
from torusae.autoencoder import initialization
from torusae.supervision import Action
from torusae.supervision.base import Step

QUIET = {"verbose": 0}
SCALE, LEVEL = np.array([2.0, 300.0, 0.01, 1.0]), np.array([0.0, 1e7, 5.0, -3.0])
NAMES = ["speed", "pressure", "load", "heat"]


def units(num=60, seed=0):
    """A table whose columns have other units each."""
    return np.random.default_rng(seed).normal(size=(num, 4)) * SCALE + LEVEL


def groups_of(num=60):
    return np.array(["Ann", "Ben", "Eve"])[np.arange(num) % 3]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = torusae.TorusAutoencoder.from_data(pd.DataFrame(units(), columns=NAMES), dim="T1 x R1", verbose=0)
    model.compile("adam", "mse")
    return model


@pytest.fixture(scope="module")
def grouped():
    keras.utils.set_random_seed(0)
    model = torusae.TorusAutoencoder.from_data(units(), dim=1, groups=groups_of(), verbose=0)
    model.compile("adam", "mse")
    return model


def plain_twin(model):
    """The same networks without a scaling: what the model does with standardized samples."""
    return torusae.TorusAutoencoder(model.encoder, model.decoder, model.latent)


def test_all_that_a_model_takes_and_gives_is_in_the_units_of_the_data(model):
    x = units(20, seed=1)
    mean, scale = units().mean(axis=0), units().std(axis=0)
    plain, z = plain_twin(model), ((x - mean) / scale).astype("float32")
    points = plain.encode(z, **QUIET)
    np.testing.assert_allclose(model.encode(x, **QUIET), points, atol=1e-5)
    np.testing.assert_allclose(model.angles(x, **QUIET), plain.angles(z, **QUIET), atol=1e-4)
    pairs = [
        (model.decode(points, **QUIET), plain.decode(points, **QUIET)),
        (model.reconstruct(x, **QUIET), plain.reconstruct(z, **QUIET)),
        (model.predict(x, **QUIET)["reconstruction"], plain.predict(z, **QUIET)["reconstruction"]),
        (model.sample(5, seed=0, **QUIET), plain.sample(5, seed=0, **QUIET)),
        (model.rotate(x, {0: 1.0}, **QUIET), plain.rotate(z, {0: 1.0}, **QUIET)),
        (model.remove(x, 0, **QUIET), plain.remove(z, 0, **QUIET)),
        (model.analogy(x, x[::-1], x, **QUIET), plain.analogy(z, z[::-1].copy(), z, **QUIET)),
        (model.morph(x[0], x[1], **QUIET)[0], plain.morph(z[0], z[1], **QUIET)[0]),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(found, mean + scale * expected, rtol=0, atol=1e-5 * scale.max())
        np.testing.assert_allclose((found - mean) / scale, expected, atol=1e-4)


def test_plain_models_for_export_speak_the_units_too(model):
    x = units(20, seed=1)
    x[:, 1] -= 1e7 - 1e3  # as far as float32 reaches
    model = torusae.TorusAutoencoder.from_data(x, dim=1, verbose=0)
    encoded = model.encoder_model.predict(x.astype("float32"), verbose=0)
    np.testing.assert_allclose(encoded["point"], model.encode(x, **QUIET), atol=1e-3)
    decoded = model.decoder_model.predict(encoded["point"], verbose=0)
    np.testing.assert_allclose(decoded, model.reconstruct(x, **QUIET), rtol=1e-4, atol=1e-2)


def test_the_loss_is_that_of_standardized_samples(model):
    x = units(20, seed=1)
    errors = (model.reconstruct(x, **QUIET) - x) / units().std(axis=0)
    np.testing.assert_allclose(model.evaluate(x, return_dict=True, **QUIET)["loss"], (errors**2).mean(), rtol=1e-4)
    target = units(20, seed=2)
    errors = (model.reconstruct(x, **QUIET) - target) / units().std(axis=0)
    loss = model.evaluate(x, {"reconstruction": target}, return_dict=True, **QUIET)["loss"]
    np.testing.assert_allclose(loss, (errors**2).mean(), rtol=1e-4)


def test_names_of_columns_are_kept_and_others_refused_also_in_training(model):
    frame = pd.DataFrame(units(), columns=NAMES)
    np.testing.assert_allclose(model.encode(frame, **QUIET), model.encode(units(), **QUIET), atol=1e-6)
    for method in (model.encode, model.fit):
        with pytest.raises(ValueError, match=r"must have the columns of the training.*'speed', 'pressure'"):
            method(frame[NAMES[::-1]], **QUIET)


def test_integers_and_lists_are_numbers(rng):
    x = rng.integers(0, 100, (30, 3))
    model = torusae.TorusAutoencoder.from_data(x, dim=1, verbose=0)
    np.testing.assert_allclose(model.encode(x.tolist(), **QUIET), model.encode(x.astype("float64"), **QUIET))
    assert np.isfinite(model.reconstruct(x, **QUIET)).all()


def test_a_file_keeps_scaling_names_and_groups(model, grouped, tmp_path):
    x, groups = units(20, seed=1), groups_of(20)
    for each, more in ((model, {}), (grouped, {"groups": groups})):
        each.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
        np.testing.assert_array_equal(loaded.reconstruct(x, **more, **QUIET), each.reconstruct(x, **more, **QUIET))
        assert loaded.adapter.columns == each.adapter.columns
    assert loaded.scaling.groups == ("Ann", "Ben", "Eve")


def test_levels_and_scales_of_groups_change_nothing_but_what_is_given_back(grouped):
    factor = np.where(groups_of() == "Ben", 5.0, 1.0)[:, None]
    shift = np.where(groups_of() == "Eve", 40.0, 0.0)[:, None]
    x = (units() - LEVEL) * factor + shift
    other = torusae.TorusAutoencoder(grouped.encoder, grouped.decoder, grouped.latent)
    other.adapter.scaling = torusae.TorusAutoencoder.from_data(x, 1, groups_of(), verbose=0).scaling
    more = {"groups": groups_of(), **QUIET}
    np.testing.assert_allclose(other.angles(x, **more), grouped.angles(units(), **more), atol=1e-3)
    expected = (grouped.reconstruct(units(), **more) - LEVEL) * factor + shift
    np.testing.assert_allclose(other.reconstruct(x, **more), expected, rtol=1e-3, atol=0.05)


def test_a_new_group_is_an_error_or_estimated(grouped):
    x = 100 * units(20, seed=1) + 7
    for method in (grouped.angles, grouped.encode, grouped.reconstruct, grouped.predict, grouped.evaluate):
        with pytest.raises(
            ValueError, match=r"must be those of the training: 'Ann', 'Ben', 'Eve'\. Received: 'Zoe', in 20"
        ):
            method(x, groups=["Zoe"] * 20, verbose=0)
    found = grouped.encode(x, groups=["Zoe"] * 20, offset="estimate", **QUIET)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(found, plain_twin(grouped).encode(z.astype("float32"), **QUIET), atol=1e-4)
    np.testing.assert_array_equal(grouped.encode(x, offset="estimate", **QUIET), found)
    assert grouped.scaling.groups == ("Ann", "Ben", "Eve")


def test_wrong_groups_are_named(model, grouped):
    x = units()
    wrong = [
        (grouped, {}, "must be given"),
        (grouped, {"groups": groups_of(5)}, r"shape \(60,\)"),
        (grouped, {"groups": ["Zoe", *groups_of(59)], "offset": "estimate"}, "one row of 'Zoe'"),
        (grouped, {"offset": "guess"}, "must be one of"),
        (model, {"groups": groups_of()}, "made without"),
    ]
    for each, more, words in wrong:
        with pytest.raises(ValueError, match=f"TorusAutoencoder.angles: .*{words}"):
            each.angles(x, **more)
    with pytest.raises(ValueError, match=r"TorusAutoencoder.from_data: .*one row of 'Ann'"):
        torusae.TorusAutoencoder.from_data(x, 1, ["Ann"] + ["Ben"] * 59, verbose=0)
    with pytest.raises(TypeError, match="must be an array or a data frame"):
        model.predict(iter([x]))


def test_small_groups_and_columns_that_are_constant_in_one_are_one_warning():
    x = units()
    x[groups_of() == "Ann", 2] = 4
    groups = np.where(np.arange(60) < 5, "few", groups_of())
    with pytest.warns(UserWarning, match="1 of `groups` have fewer than 10 rows, such as 'few'; 1 column") as caught:
        torusae.TorusAutoencoder.from_data(x, 1, groups, verbose=0)
    assert len(caught) == 1


def test_the_first_training_takes_groups():
    model = torusae.TorusAutoencoder.from_shape((4,), dim=1)
    model.compile("adam", "mse")
    model.encoder_model  # noqa: B018, made for samples without scaling
    model.fit(units(), groups=groups_of(), batch_size=60, validation_split=0.2, **QUIET)
    assert model.scaling.groups == ("Ann", "Ben", "Eve")
    assert np.isfinite(model.encoder_model.predict(units().astype("float32"), verbose=0)["point"]).all()
    model = torusae.TorusAutoencoder.from_shape((4,), dim=1)
    model.compile("adam", "mse")
    model.fit(units().astype("float32"), batch_size=60, **QUIET)
    with pytest.raises(ValueError, match="first training"):
        model.fit(units(), groups=groups_of(), **QUIET)


def test_fit_starts_at_the_circles_that_were_found(monkeypatch, capsys):
    table, truth = torusae.datasets.torus_table(240, dim=1, columns=6, seed=0)
    x = 50 + 9 * table
    model = torusae.TorusAutoencoder.from_data(x)
    said = capsys.readouterr().out
    assert said.count("\n") == 3
    assert said == "240 rows of 6 columns; level and scale of each column are taken out.\n" + f"{model.suggestion}\n"
    assert model.space == model.suggestion.space
    monkeypatch.setattr(initialization, "find_circles", None)  # a second search would fail
    given = []
    monkeypatch.setattr(initialization, "_at_angles", lambda *arguments: given.append(arguments[-1]))
    model.compile("adam", "mse")
    some = np.random.default_rng(0).permutation(240)[:200]
    model.fit(x[some], batch_size=100, **QUIET)
    np.testing.assert_array_equal(given[0], model.suggestion.angles[some])
    assert torusae.align(given[0], truth[some]).scores > 0.98


def test_an_encoder_reads_what_stands_out_of_noise(rng, tmp_path):
    angles = rng.uniform(-np.pi, np.pi, (300, 1))
    axes = np.linalg.qr(rng.normal(size=(30, 2)))[0].T
    x = 9 * np.concatenate([np.cos(angles), np.sin(angles)], axis=1) @ axes + rng.normal(size=(300, 30))
    x = x.reshape(300, 5, 6)
    model = torusae.TorusAutoencoder.from_data(x, dim=1, verbose=0)
    z, read = model.scaling.apply(x), model.encoder.get_layer("components")
    assert not read.trainable
    assert 2 <= read.units <= 6
    rows = z.reshape(300, 30).astype("float64")
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    expected = (rows - rows.mean(axis=0)) @ vectors[:, : -1 - read.units : -1] / np.sqrt(values[-1])
    found = ops.convert_to_numpy(read(ops.convert_to_tensor(z.reshape(300, 30))))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)
    others = rng.normal(size=(300, 30 - read.units)) @ vectors[:, : -read.units].T
    moved = model.encoder.predict((rows + 5 * others).reshape(z.shape).astype("float32"), verbose=0)
    np.testing.assert_allclose(moved, model.encoder.predict(z, verbose=0), atol=1e-3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.encode(x, **QUIET), model.encode(x, **QUIET), atol=1e-6)
    few = torusae.TorusAutoencoder.from_data(x[:, 0], dim=1, verbose=0)  # columns that can't tell what noise is
    assert "components" not in [layer.name for layer in few.encoder.layers]


def test_images_between_0_and_1_bytes_and_others(rng):
    images = rng.uniform(size=(12, 8, 8, 1))
    cases = [(images, None), (np.rint(255 * images).astype("uint8"), (0.0, 255.0)), (9 * images - 4, "moments")]
    for x, scaling in cases:
        model = torusae.TorusAutoencoder.from_data(x, dim=1, verbose=0)
        found = model.scaling and (float(model.scaling.mean), float(model.scaling.scale))
        assert found == (scaling if scaling != "moments" else (pytest.approx(x.mean()), pytest.approx(x.std())))
        assert (model.adapter.output_range is None) == (scaling == "moments")
        model.compile("adam", "mse")
        model.fit(x if x.dtype.kind == "u" else x.astype("float32"), batch_size=12, **QUIET)
        assert model.reconstruct(x.astype("float32"), **QUIET).shape == x.shape


def test_an_action_is_one_on_the_data_in_their_units(model):
    seen = []

    def function(x, amounts):
        seen.append(ops.convert_to_numpy(x))
        return x + ops.convert_to_tensor(SCALE.astype("float32"))

    x = units(20, seed=1) - [0, 1e7, 0, 0]
    model = torusae.TorusAutoencoder.from_data(x, dim=1, verbose=0)
    z = ops.convert_to_tensor(model.scaling.apply(x))
    encoded = []
    point = ops.convert_to_tensor(model.encode(x, **QUIET))
    step = Step(
        model.space, z, point, lambda z: encoded.append(z) or point, keras.random.SeedGenerator(0), model.scaling
    )
    action = Action(function)
    action.check_space("compile", model.space)
    action.losses_and_errors(None, step)
    np.testing.assert_allclose(seen[0], x, rtol=1e-4, atol=1e-3)
    expected = model.scaling.apply(x + SCALE)
    np.testing.assert_allclose(ops.convert_to_numpy(encoded[0]), expected, atol=1e-3)


def test_columns_that_say_nothing_are_one_warning_and_text_an_error():
    frame = pd.DataFrame(units(), columns=NAMES).assign(id=np.arange(60), site=4.0)
    with pytest.warns(UserWarning, match=r"'site' are constant.*; the column\(s\) 'id' count the rows") as caught:
        torusae.TorusAutoencoder.from_data(frame, dim=1, verbose=0)
    assert len(caught) == 1
    with pytest.raises(TypeError, match=r"TorusAutoencoder.from_data: .*column 'name' of"):
        torusae.TorusAutoencoder.from_data(frame.assign(name="a"), dim=1)
    with pytest.raises(ValueError, match=r"TorusAutoencoder.from_data: .*column 'heat', 1 such"):
        torusae.TorusAutoencoder.from_data(frame.assign(heat=[np.nan] + [1.0] * 59), dim=1)
    with pytest.raises(ValueError, match=r"TorusAutoencoder.from_data: `x` must vary"):
        torusae.TorusAutoencoder.from_data(np.ones((60, 3)), dim=1)
    with pytest.raises(ValueError, match=r"at least 60 row.*name a space, such as dim=1"):
        torusae.TorusAutoencoder.from_data(units()[:59])


def test_data_without_a_circle_are_said_to_support_no_angle(monkeypatch, capsys):
    x = np.random.default_rng(0).normal(size=(120, 3))
    with pytest.warns(UserWarning, match=r"TorusAutoencoder.from_data: No circle was found: nothing shows that"):
        model = torusae.TorusAutoencoder.from_data(x, verbose=0)
    assert repr(model.space) == "Torus(1)"
    assert capsys.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "ripser", None)
    with pytest.raises(ImportError, match=r"from_data, dim=None: needs ripser\. Install it with"):
        torusae.TorusAutoencoder.from_data(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torusae.TorusAutoencoder.from_data(x, dim=1)
    assert capsys.readouterr().out.splitlines()[1] == "1: as it was asked for."


def test_diagnose_and_explore_take_the_units(grouped, model, tmp_path):
    x, groups = units(120, seed=1), groups_of(120)
    said = torusae.diagnose(grouped, x, groups=groups)
    assert said.points.shape == (120, 2)
    with pytest.raises(ValueError, match="`groups` must be given"):
        torusae.diagnose(grouped, x)
    with pytest.warns(UserWarning, match="not trained"):
        page = torusae.explore(model, tmp_path / "page.html", x[:20]).read_text(encoding="utf-8")
    assert '"op": "affine"' in page
