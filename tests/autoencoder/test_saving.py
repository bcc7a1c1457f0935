"""Files: written on any backend, loaded on any other, trained on; weights alone; runs that are killed and resumed."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import zipfile

import keras
import make_models
import numpy as np
import pytest
from shared import tables
from shared.hosts import host_model
from shared.tensors import to_numpy, to_tensor

import torusae

pytestmark = pytest.mark.eager

OUTPUTS = ("reconstruction", "point", "third")


@pytest.mark.eager(False)
@pytest.mark.parametrize("writer", ["torch", "jax", "tensorflow"])
def test_a_file_of_any_backend_loads_and_trains_on(writer):
    """With three runs of the suite, all nine pairs. No custom objects: the names in the file are enough."""
    x, _ = make_models.data()
    model = keras.saving.load_model(make_models.MODELS / f"{writer}.keras")
    with np.load(make_models.MODELS / f"{writer}.npz") as file:
        noted = dict(file)
    outputs = model.predict(x, verbose=0)
    for name in OUTPUTS:
        # float32 products summed in another order: a few units in the last place of numbers near 1.
        np.testing.assert_allclose(outputs[name], noted[name], rtol=1e-5, atol=1e-6, err_msg=name)
    drawn = model.sample(5, seed=0, density="fitted", verbose=0)
    np.testing.assert_allclose(drawn, noted["drawn"], rtol=1e-5, atol=1e-5)
    # The optimizer goes on with its state and its schedule.
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert int(to_numpy(model.optimizer.iterations)) == 6
    assert {term.name: term.weight for term in model.latent.terms} == {"spring": 0.5, "quantile": 1.0}
    history = make_models.train(model).history
    assert {"mae", "third_accuracy"} < set(history)
    np.testing.assert_allclose(history["loss"], noted["later_loss"], rtol=1e-4)
    later = model.predict(x, verbose=0)
    for name in OUTPUTS:
        # Six steps of Adam at rate 0.01 magnify the rounding; a lost state would show as 1e-2.
        np.testing.assert_allclose(later[name], noted[f"later_{name}"], atol=1e-4, err_msg=name)
        assert np.abs(later[name] - outputs[name]).max() > 1e-3


def test_saving_does_not_disturb_training(tmp_path):
    """Bitwise: a model that is saved, loaded and trained on ends where the one that went on ends."""
    model = make_models.make_model()
    make_models.train(model)
    model.encode(make_models.data()[0], verbose=0)  # makes models out of the parts, which must not get into the file
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        make_models.train(each)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other), err_msg=one.path)


def test_what_a_file_holds(tmp_path):
    import h5py

    make_models.make_model().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
        names = set()
        with archive.open("model.weights.h5") as file, h5py.File(file) as weights:
            weights.visit(lambda name: names.add(name) if isinstance(weights[name], h5py.Dataset) else None)
    assert config["registered_name"] == "torusae>TorusAutoencoder"
    assert config["config"]["latent"]["registered_name"] == "torusae>TorusLatent"
    assert config["config"]["heads"]["third"]["registered_name"] == "torusae>Head"
    # What another backend can't read, or should choose for itself.
    assert config["compile_config"]["optimizer"]["module"] == "keras.optimizers"
    assert "jit_compile" not in config["compile_config"]
    # The frozen layout: older files are read by these paths.
    assert {name for name in names if not name.startswith("optimizer")} == {
        *(f"encoder/layers/dense/vars/{i}" for i in (0, 1)),
        *(f"decoder/layers/dense{n}/vars/{i}" for i in (0, 1) for n in ("", "_1")),
        *(f"latent/projection/vars/{i}" for i in (0, 1)),
        *(f"heads/head/hidden/dense/vars/{i}" for i in (0, 1)),
        *(f"heads/head/output_layer/vars/{i}" for i in (0, 1)),
    }


def test_heads_keep_their_weights_when_there_are_several(tmp_path, rng):
    x = rng.normal(size=(5, 3)).astype("float32")
    heads = {name: torusae.Head("regression", units=(4,)) for name in ("zeta", "alpha", "mu")}
    model = torusae.TorusAutoencoder.from_shape((3,), 1, heads)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert list(loaded.heads) == list(heads)
    one, other = model.predict(x, verbose=0), loaded.predict(x, verbose=0)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert not loaded.compiled


@keras.saving.register_keras_serializable(package="torusae_tests")
def absolute_error(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


@pytest.mark.parametrize(
    "loss",
    ["binary_crossentropy", absolute_error, keras.losses.MeanAbsoluteError(reduction="sum")],
    ids=["name", "function", "object"],
)
def test_the_reconstruction_loss_comes_back(tmp_path, rng, loss):
    x = rng.uniform(size=(8, 3)).astype("float32")
    model = torusae.TorusAutoencoder(
        torusae.networks.dense_encoder((3,), units=(8,)), torusae.networks.dense_decoder((3,), 2, units=(8,)), 1
    )
    model.compile("sgd", loss)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(x, verbose=0) == model.evaluate(x, verbose=0)


def test_weights_alone(tmp_path):
    x, _ = make_models.data()
    model, other = make_models.make_model(), make_models.make_model()
    make_models.train(model)
    make_models.train(other)  # Keras makes the optimizer's state in `fit`, and warns where a file has more of it
    model.save_weights(tmp_path / "model.weights.h5")
    assert np.abs(model.encode(x, verbose=0) - other.encode(x, verbose=0)).max() > 1e-3
    other.load_weights(tmp_path / "model.weights.h5")
    for one, two in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(two), err_msg=one.path)


@pytest.mark.parametrize("kind", ["functional", "sequential", "subclassed"])
def test_any_model_with_a_torus_round_trips(kind, tmp_path, rng):
    x = rng.uniform(size=(16, 5)).astype("float32")
    model = host_model(kind, torusae.TorusLatent(2, "paper", loss_weights={"spring": 0.5}))
    model.compile("adam", "mse")
    model.fit(x, x, batch_size=8, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    for each in (model, loaded):
        each.fit(x, x, batch_size=8, shuffle=False, verbose=0)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built:UserWarning")
def test_a_layer_that_is_not_built_can_be_saved(tmp_path):
    keras.Sequential([torusae.TorusLatent(2)]).save(tmp_path / "model.keras")
    assert not keras.saving.load_model(tmp_path / "model.keras").layers[0].built


@pytest.mark.parametrize("make", [tables.autoencoder, tables.plain_model], ids=["autoencoder", "plain"])
def test_weights_of_the_paper_load_into_other_losses(make, tmp_path):
    x = tables.samples(8)
    model = make(torusae.TorusLatent(2, "paper"))
    model.optimizer.build(model.trainable_variables)  # Keras saves and loads its state too
    model.save_weights(tmp_path / "model.weights.h5")
    for losses in ("uniform", "none", [torusae.losses.SlicedLoss()]):
        other = make(torusae.TorusLatent(2, losses))
        other.optimizer.build(other.trainable_variables)
        other.load_weights(tmp_path / "model.weights.h5")
        outputs = [keras.tree.flatten(each(to_tensor(x))) for each in (model, other)]
        for expected, found in zip(*outputs, strict=True):
            np.testing.assert_allclose(to_numpy(found), to_numpy(expected), atol=1e-6)


# Files that were cut off or altered


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The bytes of a file, and what it holds."""
    heads = {"digit": torusae.Head("classification", 2, units=(4,))}
    x, model = tables.samples(), tables.autoencoder(heads=heads, seed=0)
    model.fit(x, {"digit": np.arange(len(x)) % 2}, batch_size=64, verbose=0)
    model.fit_density(x, "mixture", seed=0, verbose=0)
    path = tmp_path_factory.mktemp("written") / "model.keras"
    model.save(path)
    return path.read_bytes(), held_by(model)


@pytest.fixture
def saved(written, tmp_path):
    """A file that a test may change."""
    content, held = written
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    return path, content, held


def held_by(model):
    """The weights and the density."""
    return [*map(to_numpy, model.trainable_variables), *model.density.state().values()]


def refused_or_equal(path, weights):
    """Whether a file is refused with an error that names a reason; a file that loads must hold the same weights."""
    try:
        model = keras.saving.load_model(path)
    except Exception as error:
        if not str(error):
            raise
        return True
    tables.assert_same(held_by(model), weights)
    return False


MANY = pytest.param(400, marks=pytest.mark.slow)


@pytest.mark.parametrize("count", [12, MANY])
def test_a_file_that_was_cut_off_is_refused(saved, count):
    path, content, weights = saved
    for length in np.linspace(0, len(content) - 1, count).astype(int):
        path.write_bytes(content[:length])
        assert refused_or_equal(path, weights), length


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [24, MANY])
def test_an_altered_file_is_refused_or_loads_the_same_weights(saved, count):
    """The checksums of a zip file find it."""
    path, content, weights = saved
    generator = random.Random(0)
    refused = 0
    for _ in range(count):
        changed = bytearray(content)
        changed[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(changed)
        refused += refused_or_equal(path, weights)
    assert refused > 0.7 * count


@pytest.mark.filterwarnings("ignore")
def test_altered_weights_are_refused_where_python_compares_no_checksum(saved, monkeypatch):
    """As Python 3.13 reads a file once its reader has moved: both ways of Keras to the weights in a `.keras` file."""
    path, content, _ = saved
    seek = zipfile.ZipExtFile.seek

    def moved(self, *arguments):
        self._expected_crc = None
        return seek(self, *arguments)

    monkeypatch.setattr(zipfile.ZipExtFile, "seek", moved)
    model = keras.saving.load_model(path)
    place = content.index(to_numpy(model.latent.projection.kernel).tobytes())
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    for load in (keras.saving.load_model, model.load_weights):
        with pytest.raises(ValueError, match=r"TorusAutoencoder: model\.weights\.h5 in .*model\.keras is damaged"):
            load(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_altered_bytes_of_a_density_leave_the_angles_or_are_named(saved, count):
    """`.weights.h5` has no checksum: what is altered there is found where it can't be meant."""
    import h5py

    path, _, _ = saved
    model, x = keras.saving.load_model(path), tables.samples()
    angles, path = model.angles(x, verbose=0), path.with_name("model.weights.h5")
    model.save_weights(path)
    content, generator = path.read_bytes(), random.Random(0)
    with h5py.File(path) as file:
        arrays = [file["vars"][name] for name in file["vars"]]
        places = [array.id.get_offset() + i for array in arrays for i in range(array.nbytes)]
    named = 0
    for _ in range(count):
        changed = bytearray(content)
        changed[generator.choice(places)] ^= 1 << generator.randrange(8)
        path.write_bytes(changed)
        try:
            model.load_weights(path)
        except ValueError as error:
            assert "TorusAutoencoder: the file's density must be one of this model" in str(error)  # noqa: PT017
            named += 1
        np.testing.assert_array_equal(model.angles(x, verbose=0), angles)
    assert named


@pytest.mark.parametrize(
    ("part", "edit"),
    [
        ("latent", lambda config: config["latent"]["config"].update(dim=0)),
        ("heads", lambda config: config["heads"]["digit"]["config"].update(task="clases")),
        ("losses", lambda config: config["latent"]["config"]["losses"][0]["config"].update(weight=-1)),
        ("losses", lambda config: config["latent"]["config"]["losses"][0]["config"].update(reads="angels")),
    ],
)
def test_an_edited_config_is_refused_with_the_librarys_own_error(saved, part, edit):
    path, _, _ = saved
    with zipfile.ZipFile(path) as file:
        files = {name: file.read(name) for name in file.namelist()}
    config = json.loads(files["config.json"])
    edit(config["config"])
    files["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    with pytest.raises((ValueError, TypeError), match=r"(Torus|Head|Term|Latent).*[Rr]eceived"):
        keras.saving.load_model(path)


# Runs that are killed


def train_with_backup(directory, killed=False, **options):
    """Four epochs of three steps; with `killed` the process ends in the middle of the third, as in a power cut."""
    keras.utils.set_random_seed(0)
    model = make_models.make_model()
    x, y = make_models.data()
    callbacks = [keras.callbacks.BackupAndRestore(directory, **options)]
    if killed:

        class Kill(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                self.epoch = epoch

            def on_train_batch_end(self, batch, logs=None):
                if (self.epoch, batch) == (2, 1):
                    os.kill(os.getpid(), signal.SIGKILL)

        callbacks.append(Kill())
    # Not shuffled: a resumed run draws other numbers than the one that went on.
    history = model.fit(x, {"third": y}, batch_size=8, epochs=4, shuffle=False, verbose=0, callbacks=callbacks)
    return model, history


def assert_same_weights(model, other):
    for one, two in zip(model.trainable_variables, other.trainable_variables, strict=True):
        # The same steps on the same machine; a library may still sum in another order in another process.
        np.testing.assert_allclose(to_numpy(one), to_numpy(two), rtol=1e-5, atol=1e-6, err_msg=one.path)


@pytest.mark.slow
def test_a_killed_run_resumes_and_ends_where_it_would_have(tmp_path):
    directory = str(tmp_path / "backup")
    code = f"import test_saving; test_saving.train_with_backup({directory!r}, killed=True)"
    folder = pathlib.Path(__file__).parent
    path = os.pathsep.join(str(each) for each in (folder, folder.parent, folder.parents[1]))
    killed = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert killed.returncode == -signal.SIGKILL
    resumed, history = train_with_backup(directory)
    assert history.epoch == [2, 3]
    whole, history = train_with_backup(str(tmp_path / "other"))
    assert history.epoch == [0, 1, 2, 3]
    assert_same_weights(resumed, whole)


@pytest.mark.slow
def test_a_run_killed_while_it_wrote_resumes_from_the_backup_before(tmp_path):
    directory = tmp_path / "backup"
    whole, _ = train_with_backup(str(directory), double_checkpoint=True, delete_checkpoint=False)
    weights = directory / "latest.weights.h5"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    resumed, history = train_with_backup(str(directory), double_checkpoint=True)
    assert history.epoch == [3]
    assert_same_weights(resumed, whole)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_a_backup_whose_epoch_was_written_in_part_is_resumed(first, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.callbacks.BackupAndRestore, "on_train_end", lambda self, logs=None: None)
    x, backup = tables.samples(), tmp_path / "backup"

    def fit(epochs):
        callback = keras.callbacks.BackupAndRestore(str(backup), double_checkpoint=True)
        return tables.autoencoder().fit(x, batch_size=64, epochs=epochs, verbose=0, callbacks=[callback]).epoch

    fit(1 if first else 3)
    (backup / "training_metadata.json").write_text("")
    # The epoch before it is that of the copy: one epoch is trained twice.
    assert fit(4) == ([0, 1, 2, 3] if first else [2, 3])
