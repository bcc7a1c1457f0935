"""The trained models that come along: the same on every backend, and as good as is said of them."""

import importlib.resources

import make_models
import numpy as np
import pytest

import torusae
from torusae import datasets

# The mean squared error that each has at most, and the least score of a true angle: what `docs/pretrained.md` says,
# rounded for the worse.
NAMES = ("mnist", "table1", "table2", "table3")
STATED = {"mnist": (0.0212, None), "table1": (0.0114, 0.999), "table2": (0.0144, 0.997), "table3": (0.0192, 0.996)}


@pytest.fixture(scope="module", params=NAMES)
def loaded(request):
    """A model by its name, with samples that it was not trained on and their true angles."""
    return request.param, datasets.load_model(request.param), *make_models.held_out(request.param)


def test_a_loaded_model_has_the_same_angles_everywhere_and_the_stated_quality(loaded):
    name, model, x, truth = loaded
    points = model.encode(x, batch_size=500, verbose=0)
    angles = np.arctan2(*np.split(points.astype("float64"), 2, axis=1)[::-1])
    with np.load(make_models.MODELS / "pretrained.npz") as noted:
        # Written down on JAX: the same float32 sums in another order. Differences of 5e-7 were seen.
        away = np.angle(np.exp(1j * (angles[: len(noted[name])] - noted[name])))
        np.testing.assert_allclose(away, 0, atol=1e-5)
    error, score = STATED[name]
    assert ((model.decode(points, batch_size=500, verbose=0) - x) ** 2).mean() < error
    assert torusae.metrics.kuiper_statistic(angles).max() < 0.06
    assert not torusae.diagnose(model, x, circles=False).problems
    if score is not None:
        assert torusae.align(angles, truth).scores.min() > score


def test_a_loaded_model_has_a_flow_and_is_not_compiled(loaded):
    name, model, _, _ = loaded
    assert (model.name, model.compiled, model.was_trained) == (name, False, True)
    assert isinstance(model.density, torusae.densities.TorusFlow)
    assert model.latent.dim == {"mnist": 3}.get(name) or int(name[-1])


def test_the_models_are_small():
    files = importlib.resources.files("torusae").joinpath("datasets/files")
    assert sum(len(files.joinpath(f"{name}.keras").read_bytes()) for name in NAMES) < 2_700_000


def test_a_model_that_is_not_there():
    with pytest.raises(ValueError, match=r"load_model: `name` must be one of .* Did you mean 'table3'"):
        datasets.load_model("table_3")
