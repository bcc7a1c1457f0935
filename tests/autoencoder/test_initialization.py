"""`init`: both networks trained to the circles of the data before the first `fit`."""

import sys

import keras
import numpy as np
import pytest

import torusae
from torusae.autoencoder import initialization
from torusae.autoencoder.adapter import Rows

NUM = 600


@pytest.fixture(scope="module")
def table():
    return torusae.datasets.torus_table(NUM, dim=1, columns=20, noise=0.1, seed=0)


def model_of(columns=20, dim=1, **arguments):
    keras.utils.set_random_seed(0)
    model = torusae.TorusAutoencoder.from_shape((columns,), dim, **arguments)
    model.compile("adam", "mse")
    return model


def sequential(columns=20):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((columns,)),
            keras.layers.Dense(64, activation="relu"),
            torusae.TorusLatent(1),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(columns),
        ]
    )
    model.compile("adam", "mse")
    return model


def weights_after_fit(model, x, **arguments):
    keras.utils.set_random_seed(1)
    model.fit(x, batch_size=100, verbose=0, **arguments)
    return model.get_weights()


def test_the_first_fit_starts_at_the_circles_and_says_so(table, capsys):
    x, angles = table
    model = model_of()
    history = model.fit(x, batch_size=100, epochs=2, verbose=2)
    said = capsys.readouterr().out
    assert (history.circles["agreement"] > 0.97).all()
    np.testing.assert_array_equal(np.abs(history.circles["windings"]), np.ones((2, 1, 1)))
    assert "initialization: looking for circles ... 1 circle in 600 rows" in said
    assert "Both networks were trained to their angles" in said
    assert torusae.align(model.angles(x, verbose=0), angles).scores > 0.97
    model.fit(x, batch_size=100, verbose=2)
    assert "initialization:" not in capsys.readouterr().out


def test_without_a_circle_training_is_that_without_a_start(rng, capsys):
    x = rng.normal(size=(NUM, 20)).astype("float32")
    model = model_of()
    assert not hasattr(model.fit(x, batch_size=100, verbose=2), "circles")
    assert "initialization: looking for circles ... no circle in 600 rows" in capsys.readouterr().out
    for first, second in zip(
        weights_after_fit(model_of(), x), weights_after_fit(model_of(init="random"), x), strict=True
    ):
        np.testing.assert_array_equal(first, second)


def test_what_leaves_the_start_alone_without_a_word(table, monkeypatch, tmp_path, capsys):
    x = table[0]
    monkeypatch.setattr(initialization, "find_circles", lambda *_: pytest.fail("circles were looked for"))

    def initialize(model, x, targets, verbose, callbacks):
        initialization.initialize(model, Rows(x, targets), None, verbose, callbacks)

    model = model_of()
    initialize(model, x[:300], {}, 1, None)  # few rows
    initialize(model, iter([(x,)]), {}, 1, None)
    initialize(model_of(init="random"), x, {}, 1, None)
    initialize(model_of(dim=torusae.Gaussian(2)), x, {}, 1, None)
    (tmp_path / "backup").mkdir()
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    assert not initialization._resumes([backup])
    (tmp_path / "backup" / "latest.weights.h5").touch()
    initialize(model, x, {}, 1, [backup])
    model.fit(x, epochs=1, initial_epoch=1, verbose=2)
    model.fit(x, verbose=0)  # trained before
    model = torusae.TorusAutoencoder.from_shape((20,), dim=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.init == "auto"
    loaded.compile("adam", "mse")
    loaded.fit(x, verbose=0)
    model.encoder.trainable = False
    initialize(model, x, {}, 1, None)
    assert capsys.readouterr().out == ""


def test_the_missing_extra_is_one_line_or_an_error(table, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ripser", None)
    initialization.initialize(model_of(), Rows(table[0], {"reconstruction": table[0]}), None, 1, None)
    assert capsys.readouterr().out.count("pip install ripser scikit-learn") == 1
    with pytest.raises(ImportError, match="pip install ripser scikit-learn"):
        model_of(init="circles").fit(table[0], verbose=0)


def test_circles_can_be_asked_for(table):
    with pytest.raises(ValueError, match="space with angles"):
        model_of(dim=torusae.Gaussian(2), init="circles")
    with pytest.raises(ValueError, match="must be one of"):
        model_of(init="circle")
    with pytest.raises(ValueError, match="needs an array"):
        model_of(init="circles").fit(iter([(table[0][:100],)]), steps_per_epoch=1, shuffle=False, verbose=0)
    copy = torusae.TorusAutoencoder.from_config(model_of(init="circles").get_config())
    assert copy.init == "circles"


def test_samples_held_out_by_a_split_are_not_used(table, monkeypatch):
    seen = []

    def spy(x):
        seen.append(len(x))
        return torusae.find_circles(x)

    monkeypatch.setattr(initialization, "find_circles", spy)
    x = np.concatenate([table[0], table[0][:100] + 5])
    monkeypatch.setattr(initialization, "initialize_at_circles", lambda _, x, *__: seen.append(len(x)))
    model_of().fit(x, batch_size=100, validation_split=1 / 7, verbose=0)
    assert seen == [600, 600]


def test_fit_takes_the_circles_that_were_found(table, monkeypatch, capsys):
    x, angles = table
    circles = torusae.find_circles(x)
    monkeypatch.setattr(initialization, "find_circles", lambda *_: pytest.fail("circles were looked for"))
    model = model_of()
    model.fit(x, batch_size=100, epochs=2, verbose=2, circles=circles)
    assert "given angles" in capsys.readouterr().out
    assert torusae.align(model.angles(x, verbose=0), angles).scores > 0.95
    seen = []
    monkeypatch.setattr(initialization, "initialize_at_circles", lambda *given: seen.append(given[3]))
    for given in (circles, circles.angles):  # of all rows, or of those that a split leaves for the training
        model.fit(x, batch_size=100, validation_split=0.1, verbose=0, circles=given)
    for found in seen:
        np.testing.assert_array_equal(found, circles.angles[:540])


def test_a_plain_model_starts_in_one_call(table):
    x, angles = table
    model = sequential()
    found = torusae.initialize_at_circles(model, x)
    assert found.shape == (NUM, 1)
    read = keras.Model(model.inputs[0], model.layers[1].output)
    assert torusae.align(torusae.to_polar(read(x))[1], angles).scores > 0.95
    assert model.optimizer.iterations == 0
    before = float(model.evaluate(x, x, verbose=0))
    assert before < 0.5 * x.var()  # the decoder knows the angles too
    model.fit(x, x, batch_size=100, epochs=3, verbose=0)
    assert torusae.align(torusae.to_polar(read(x))[1], angles).scores > 0.95


def test_known_angles_and_angles_to_spare():
    x, angles = torusae.datasets.torus_table(NUM, dim=2, columns=20, seed=1)
    space = torusae.Gaussian(1) * torusae.Torus(2)
    model = model_of(dim=space)
    torusae.initialize_at_circles(model, x, angles=angles[:, :1], num_steps=300)
    found = model.angles(x, verbose=0)
    assert torusae.align(found[:, :1], angles[:, :1]).scores > 0.9
    point = model.encode(x, verbose=0)
    moved = np.asarray(keras.ops.convert_to_numpy(space.with_angles(point, angles[:, :1])))
    np.testing.assert_array_equal(moved[:, [0, 2, 4]], point[:, [0, 2, 4]])
    np.testing.assert_allclose(moved[:, 1], np.cos(angles[:, 0]), atol=1e-6)
    np.testing.assert_allclose(moved[:, 3], np.sin(angles[:, 0]), atol=1e-6)


def test_angles_that_are_not_known(table):
    x, angles = table
    model = model_of(dim=2)
    partly = np.stack([np.where(np.arange(NUM) < 100, angles[:, 0], np.nan), angles[:, 0] + 1], axis=1)
    torusae.initialize_at_circles(model, x, angles=partly[:, ::-1], num_steps=300)
    found = model.angles(x, verbose=0)
    assert np.abs(np.exp(1j * (found[:, 0] - angles[:, 0])).mean()) > 0.9
    assert np.cos(found[:100] - partly[:100, ::-1]).mean() > 0.9
    with pytest.raises(ValueError, match="NaN in all 600 rows"):
        torusae.initialize_at_circles(model, x, angles=np.full((NUM, 1), np.nan))
    with pytest.raises(ValueError, match=r"`angles`.*finite"):
        torusae.initialize_at_circles(model, x, angles=np.where(partly > 0, np.inf, partly))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_start_of_a_klein_bottle_goes_once_around_its_angle(seed):
    # Without the start, no seed of six had the right windings. The start sets the angle alone.
    space, rng = torusae.spaces.KleinBottle(), np.random.default_rng(seed)
    matrix = rng.normal(size=(5, 30))

    def data(a, b):
        points = np.stack([np.cos(a), np.cos(b), np.sin(a), np.sin(b)], axis=1).astype("float32")
        return np.tanh(keras.ops.convert_to_numpy(space.decoder_input(points)) @ matrix).astype("float32")

    keras.utils.set_random_seed(seed)
    model = torusae.TorusAutoencoder.from_shape((30,), space)
    model.compile("adam", "mse")
    model.fit(data(*rng.uniform(-np.pi, np.pi, (2, 1500))), batch_size=128, epochs=40, verbose=0)
    turn = np.linspace(0, 2 * np.pi, 1000)
    along_a = model.angles(data(turn / 2, 0 * turn), verbose=0)[:, 0]
    assert abs(round((np.unwrap(along_a)[-1] - along_a[0]) / (2 * np.pi))) == 1


def test_models_that_cannot_start_are_named(table):
    x = table[0]
    with pytest.raises(ValueError, match="one latent layer"):
        torusae.initialize_at_circles(keras.Sequential([keras.Input((20,)), keras.layers.Dense(2)]), x)
    with pytest.raises(ValueError, match="space with angles"):
        torusae.initialize_at_circles(model_of(dim=torusae.Gaussian(2)), x)
    with pytest.raises(ValueError, match="must have shape \\(600, num_circles\\)"):
        torusae.initialize_at_circles(sequential(), x, angles=np.zeros((5, 1)))

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.own = torusae.TorusLatent(1)

        def call(self, x):
            return self.own(x)

    with pytest.raises(TypeError, match="Sequential or Functional"):
        torusae.initialize_at_circles(Subclassed(), x)
