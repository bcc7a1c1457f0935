"""Files: densities of one's own, files that were cut off or altered, and trainings that were killed."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from shared.tables import SHAPE, assert_same, autoencoder, samples
from shared.tensors import to_numpy

import torusae

# 10. Densities and files


class OwnDensity:
    """A density that Keras does not know."""

    def fit(self, points):
        self.points = np.array(points)

    def sample(self, num_samples, seed=None):
        return np.random.default_rng(seed).choice(self.points, num_samples)


def test_a_model_with_a_density_of_ones_own_is_saved_without_it_and_says_so(tmp_path):
    x, model = samples(), autoencoder()
    model.fit(x, batch_size=64, verbose=0)
    model.fit_density(x, OwnDensity(), verbose=0)
    with pytest.warns(UserWarning, match="is not saved with the model.*register_keras_serializable"):
        model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.density is None
    np.testing.assert_allclose(loaded.encode(x, verbose=0), model.encode(x, verbose=0), atol=1e-6)
    with pytest.raises(ValueError, match="needs a fitted density"):
        loaded.sample(2, density="fitted", verbose=0)
    with pytest.warns(UserWarning, match="is not saved"):
        model.save_weights(tmp_path / "model.weights.h5")


@keras.saving.register_keras_serializable(package="torusae_tests")
class RegisteredDensity(OwnDensity):
    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()

    def state(self):
        return {"points": self.points}

    def set_state(self, state):
        self.points = state["points"]


def test_a_registered_density_of_ones_own_comes_back(tmp_path):
    x, model = samples(), autoencoder()
    model.fit(x, batch_size=64, verbose=0)
    model.fit_density(x, RegisteredDensity(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.sample(4, seed=0, density="fitted", verbose=0),
        model.sample(4, seed=0, density="fitted", verbose=0),
        atol=1e-6,
    )


def test_a_fitted_density_stands_in_the_weights_and_not_in_the_config(tmp_path):
    model = autoencoder()
    sizes = []
    for name in ("without", "with"):
        if name == "with":
            points = torusae.Torus(2).sample(6000, seed=0)
            model.density = torusae.densities.TorusNeighborDensity(max_points=5000).fit(points)
        model.save(tmp_path / f"{name}.keras")
        with zipfile.ZipFile(tmp_path / f"{name}.keras") as file:
            sizes.append((len(file.read("config.json")), (tmp_path / f"{name}.keras").stat().st_size))
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] - sizes[0][1] < 5000 * 4 * 4 + 20_000  # 5000 points of 4 numbers, 4 bytes each
    clone = keras.models.clone_model(model)
    assert clone.density is None


# Files that were cut off or altered


@pytest.fixture
def saved(tmp_path):
    x, model = samples(), autoencoder(heads={"digit": torusae.Head("classification", 2, units=(4,))}, seed=0)
    model.fit(x, {"digit": np.arange(len(x)) % 2}, batch_size=64, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    return path, path.read_bytes(), [to_numpy(variable) for variable in model.trainable_variables]


def refused_or_equal(path, weights):
    """Whether a file is refused with an error that names a reason; a file that loads must hold the same weights."""
    try:
        model = keras.saving.load_model(path)
    except Exception as error:
        if not str(error):
            raise
        return True
    assert_same([to_numpy(variable) for variable in model.trainable_variables], weights)
    return False


def test_a_file_that_was_cut_off_is_refused(saved):
    path, content, weights = saved
    for length in np.linspace(0, len(content) - 1, 40).astype(int):
        path.write_bytes(content[:length])
        assert refused_or_equal(path, weights), length


@pytest.mark.filterwarnings("ignore")
def test_an_altered_file_is_refused_or_loads_the_same_weights(saved):
    """The checksums of a zip file find it."""
    path, content, weights = saved
    generator = random.Random(0)
    refused = 0
    for _ in range(60):
        changed = bytearray(content)
        changed[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(changed)
        refused += refused_or_equal(path, weights)
    assert refused > 40


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


# Trainings that were killed

EPOCHS = 120


def train_with_backup(directory, report=None):
    """Resumes a training, or begins it; the order of the data is that of the epoch."""
    keras.utils.set_random_seed(0)
    x = samples(256)
    model = autoencoder()

    class Report(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if report:
                print(epoch, flush=True)  # noqa: T201

    callbacks = [Report(), keras.callbacks.BackupAndRestore(directory, double_checkpoint=True)]
    history = model.fit(x, batch_size=32, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks)
    return model, history


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_a_backup_whose_epoch_was_written_in_part_is_resumed(first, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.callbacks.BackupAndRestore, "on_train_end", lambda self, logs=None: None)
    x, backup = samples(), tmp_path / "backup"

    def fit(epochs):
        callback = keras.callbacks.BackupAndRestore(str(backup), double_checkpoint=True)
        return autoencoder().fit(x, batch_size=64, epochs=epochs, verbose=0, callbacks=[callback]).epoch

    fit(1 if first else 3)
    (backup / "training_metadata.json").write_text("")
    # The epoch before it is that of the copy: one epoch is trained twice.
    assert fit(4) == ([0, 1, 2, 3] if first else [2, 3])


@pytest.mark.slow
def test_a_training_killed_at_ten_random_moments_resumes_each_time(tmp_path):
    directory = str(tmp_path / "backup")
    code = f"import test_promises_files; test_promises_files.train_with_backup({directory!r}, report=True)"
    root = pathlib.Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root.parent)])}
    generator = random.Random(0)
    done, kills = -1, 0
    while kills < 10:
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        first = process.stdout.readline()
        assert first, "the resumed training has failed"
        epoch = int(first)
        assert epoch >= done  # no epoch is lost but the last, whose backup may not have been written
        done = epoch
        try:
            process.wait(generator.uniform(0, 0.2))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
        done = max([done, *map(int, rest)])
        kills += process.returncode == -signal.SIGKILL
    resumed, history = train_with_backup(directory)
    assert history.epoch[-1] == EPOCHS - 1
    assert len(history.epoch) < EPOCHS
    _, whole = train_with_backup(str(tmp_path / "other"))
    # Keras writes weights and epoch in two files: a kill in between repeats an epoch, so the weights are not the same.
    np.testing.assert_allclose(history.history["loss"][-1], whole.history["loss"][-1], rtol=0.05)
    assert all(np.all(np.isfinite(to_numpy(variable))) for variable in resumed.variables)


def test_the_shape_of_samples_is_that_of_the_file(saved):
    path, _, _ = saved
    assert keras.saving.load_model(path).sample_shape == SHAPE
