"""The scikit-learn estimator: scikit-learn's own checks, pipelines, searches, files, and random states."""

import copy
import pickle
import random
import subprocess
import sys

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

import torusae
from torusae.sklearn import TorusEstimator

pytestmark = pytest.mark.eager

TINY = {"dim": 1, "epochs": 1, "batch_size": 32, "random_state": 0}

# The checks that train nothing or little: on JAX all of them compile for a minute.
QUICK_CHECKS = {
    "check_complex_data",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_sparse_array",
    "check_estimators_empty_data_messages",
    "check_fit1d",
    "check_fit2d_1sample",
    "check_get_params_invariance",
    "check_methods_subset_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_transformers_unfitted",
}
# Those that scikit-learn asks of its own transformers alone.
CHECKS_OF_OUTPUT = [
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_get_feature_names_out_error,
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
]


def table(num=60, columns=4):
    return np.random.default_rng(1).normal(size=(num, columns))


@pytest.fixture(scope="module")
def fitted():
    """An estimator that no test changes."""
    return TorusEstimator(**TINY | {"dim": 2}).fit(table())


def check_name(check):
    while hasattr(check, "func"):
        check = check.func
    return check.__name__


def test_quick_checks_of_sklearn_pass():
    seen = set()
    for estimator, check in estimator_checks.estimator_checks_generator(TorusEstimator(**TINY)):
        if check_name(check) in QUICK_CHECKS:
            check(estimator)
            seen.add(check_name(check))
    assert seen == QUICK_CHECKS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X (does not have|has) (valid )?feature names:UserWarning")
def test_check_of_output_passes():
    for check in CHECKS_OF_OUTPUT:
        check("TorusEstimator", TorusEstimator(**TINY))


@pytest.mark.eager(False)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks make their own
def test_every_check_of_sklearn_passes():
    results = estimator_checks.check_estimator(TorusEstimator(**TINY), on_skip=None)
    # Asks for an environment variable before SciPy is imported.
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {"check_array_api_input"}
    assert len(results) > 30


def test_angles_are_those_of_the_model(fitted):
    x = table(700)  # more than a batch of the encoder
    angles = fitted.transform(x)
    assert angles.shape == (700, 2)
    assert angles.dtype == np.float32
    np.testing.assert_allclose(angles, fitted.model_.angles(x.astype("float32"), verbose=0), atol=1e-5)
    assert angles.flags.writeable


def test_angles_of_a_row_do_not_depend_on_the_others(fitted):
    np.testing.assert_allclose(fitted.transform(table(600))[[3]], fitted.transform(table(600)[[3]]), atol=1e-6)


def test_inverse_transform_decodes_points_of_radius_one(fitted):
    angles = np.array([[0.0, np.pi / 2], [np.pi, 1.0]])
    points = np.array([[1, 0, 0, 1], [-1, np.cos(1.0), 0, np.sin(1.0)]])
    rows = fitted.inverse_transform(angles)
    np.testing.assert_allclose(rows, fitted.model_.decode(points, verbose=0), atol=1e-5)
    np.testing.assert_allclose(fitted.inverse_transform(angles + 2000 * np.pi), rows, atol=1e-4)
    np.testing.assert_array_equal(fitted.inverse_transform(angles.tolist()), rows)


def test_score_is_the_explained_share_of_the_variance(fitted):
    x = table().astype("float32")
    found = fitted.inverse_transform(fitted.transform(x))
    expected = 1 - np.sum((x - found) ** 2.0) / np.sum((x - x.mean(axis=0)) ** 2.0)
    np.testing.assert_allclose(fitted.score(x), expected, atol=1e-5)
    assert isinstance(fitted.score(x, y=np.zeros(60)), float)


def test_sample_returns_rows(fitted):
    rows = fitted.sample(5, random_state=3)
    assert rows.shape == (5, 4)
    np.testing.assert_array_equal(rows, fitted.sample(5, random_state=3))
    assert not np.array_equal(rows, fitted.sample(5, random_state=4))
    assert fitted.sample().shape == (1, 4)


def test_data_frames_in_and_out():
    frame = pd.DataFrame(table(), columns=list("abcd"), index=range(100, 160))
    estimator = TorusEstimator(**TINY | {"dim": 2}).set_output(transform="pandas")
    angles = estimator.fit_transform(frame)
    assert list(angles.columns) == ["torus0", "torus1"] == list(estimator.get_feature_names_out())
    assert list(angles.index) == list(frame.index)
    assert list(estimator.feature_names_in_) == list("abcd")
    assert estimator.n_features_in_ == 4
    assert estimator.inverse_transform(angles).shape == (60, 4)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(frame[list("dcba")])


def test_pipeline_goes_there_and_back():
    pipeline = make_pipeline(StandardScaler(), TorusEstimator(**TINY))
    x = 1000 + 50 * table()
    angles = pipeline.fit_transform(x)
    assert angles.shape == (60, 1)
    assert list(pipeline.get_feature_names_out()) == ["torus0"]
    rows = pipeline.inverse_transform(angles)
    assert abs(rows.mean() - 1000) < 50
    pipeline.set_params(torusestimator__dim=2).fit(x)
    assert pipeline.transform(x).shape == (60, 2)


@pytest.mark.eager(False)
@pytest.mark.slow
def test_grid_search_takes_the_better_score():
    x, _ = torusae.datasets.torus_table(120, dim=1, noise=0.05, seed=0)
    search = GridSearchCV(TorusEstimator(**TINY), {"epochs": [1, 40]}, cv=2, n_jobs=1).fit(x)
    assert search.best_params_ == {"epochs": 40}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.transform(x).shape == (120, 1)


@pytest.mark.eager(False)
def test_copies_are_equal_and_train_on(fitted):
    for copied in (
        copy.deepcopy,
        lambda value: pickle.loads(pickle.dumps(value)),
    ):
        other = copied(fitted)
        np.testing.assert_array_equal(other.transform(table()), fitted.transform(table()))
        assert other.score(table()) == fitted.score(table())
        assert other.history_ == fitted.history_
        other.model_.fit(table().astype("float32"), verbose=0)
        assert not np.array_equal(other.transform(table()), fitted.transform(table()))


LOAD = """
import joblib, sys
import numpy as np
from pathlib import Path
folder = Path(sys.argv[1])
np.save(folder / "angles.npy", joblib.load(folder / "pipeline.joblib").transform(np.load(folder / "table.npy")))
"""


@pytest.mark.slow
def test_a_file_loads_in_another_process(tmp_path):
    losses = [torusae.Term(torusae.SpringLoss(), weight=0.5)]
    pipeline = make_pipeline(StandardScaler(), TorusEstimator(**TINY, losses=losses)).fit(table())
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    np.save(tmp_path / "table.npy", table())
    subprocess.run([sys.executable, "-c", LOAD, str(tmp_path)], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "angles.npy"), pipeline.transform(table()), atol=1e-6)


def test_clone_has_the_arguments_and_no_model(fitted):
    losses = [torusae.Term(torusae.SpringLoss(), weight=0.5)]
    other = clone(TorusEstimator(**TINY, losses=losses, loss_weights={"spring": 2.0}))
    assert other.loss_weights == {"spring": 2.0}
    assert other.losses[0].weight == 0.5
    with pytest.raises(NotFittedError):
        clone(fitted).transform(table())


def test_a_random_state_or_else_numpys_decides():
    def angles(seed, numpys):
        np.random.seed(numpys)  # noqa: NPY002
        return TorusEstimator(**TINY | {"random_state": seed}).fit_transform(table())

    first = angles(5, 1)
    np.testing.assert_array_equal(angles(5, 2), first)
    without = angles(None, 1)
    np.testing.assert_array_equal(angles(None, 1), without)
    other = angles(None, 2)
    assert not np.allclose(first, without)
    assert not np.allclose(other, without)
    # Each in its thread, with the numbers of its own seed.
    fit = joblib.delayed(lambda: TorusEstimator(**TINY | {"random_state": 5}).fit_transform(table()))
    for found in joblib.Parallel(2, prefer="threads")([fit()] * 2):
        np.testing.assert_array_equal(found, first)


def draws():
    """The next numbers of every generator that a fit could move."""
    shuffled = keras.layers.Dense(3).kernel_initializer((2, 3))  # its seed is Python's
    values = [random.random(), np.random.random(), keras.ops.convert_to_numpy(keras.random.uniform((3,)))]  # noqa: NPY002
    if keras.backend.backend() == "torch":
        import torch

        values.append(torch.rand(3).numpy())
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        values.append(tf.random.uniform((3,)).numpy())
    return [*values, keras.ops.convert_to_numpy(shuffled)]


@pytest.mark.parametrize("fails", [False, True])
def test_global_random_states_are_left_alone(fails):
    keras.utils.set_random_seed(5)
    expected = draws()
    keras.utils.set_random_seed(5)
    if fails:
        with pytest.raises(ValueError, match="losses"):
            TorusEstimator(**TINY | {"losses": "unknown"}).fit(table())
    else:
        TorusEstimator(**TINY).fit(table())
    for found, value in zip(draws(), expected, strict=True):
        np.testing.assert_array_equal(found, value)


def test_arguments_are_checked_in_fit():
    for name, value, error in (
        ("dim", 0, ValueError),
        ("epochs", 0, ValueError),
        ("epochs", 1.5, TypeError),
        ("batch_size", -1, ValueError),
        ("learning_rate", 0.0, ValueError),
        ("init", "everywhere", ValueError),
    ):
        estimator = TorusEstimator(**TINY | {name: value})
        with pytest.raises(error, match=name):
            estimator.fit(table())


def test_values_that_are_no_float32_are_named(fitted):
    for value in (np.nan, np.inf, 1e300):
        x = table()
        x[3, 1] = value
        for method in (TorusEstimator(**TINY).fit, fitted.transform, fitted.score):
            with pytest.raises(ValueError, match="Input X contains"):
                method(x)


def test_angles_of_another_number_of_circles_are_named(fitted):
    with pytest.raises(ValueError, match=r"shape \(num, 2\). Received: X.shape=\(5, 3\)"):
        fitted.inverse_transform(np.zeros((5, 3)))


def test_one_row_and_one_column():
    estimator = TorusEstimator(**TINY).fit(table(1, 1))
    angles = estimator.transform(table(5, 1))
    assert np.isfinite(angles).all()
    assert estimator.inverse_transform(angles).shape == (5, 1)


def test_auto_finds_circles_and_scales_columns_and_groups(rng):
    table, truth = torusae.datasets.torus_table(240, dim=1, columns=6, seed=0)
    groups = np.array(["a", "b"])[rng.integers(0, 2, 240)]
    x = 1e6 + table * [1, 10, 100, 1, 1, 1] + np.where(groups == "a", 40, 0)[:, None]
    estimator = TorusEstimator("auto", epochs=10, batch_size=60, random_state=0)
    angles = estimator.fit_transform(x, groups=groups)
    assert estimator.model_.scaling.groups == ("a", "b")
    assert torusae.align(angles, truth).scores > 0.9
    assert estimator.score(x, groups=groups) > 0.5
    rows = estimator.inverse_transform(angles) - estimator.model_.scaling.mean
    np.testing.assert_allclose(rows.std(axis=0), [1, 10, 100, 1, 1, 1], rtol=0.5)
    new = groups == "a"
    found = estimator.transform(3 * x[new] + 9, ["c"] * new.sum(), offset="estimate")
    np.testing.assert_allclose(np.cos(found), np.cos(angles[new]), atol=1e-3)
    with pytest.raises(ValueError, match="`groups` must be given"):
        estimator.transform(x)


def test_unknown_cells(fitted):
    x = table()
    x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    estimator = make_pipeline(StandardScaler(), TorusEstimator(**TINY, missing="ignore")).fit(x)[-1]
    assert estimator.__sklearn_tags__().input_tags.allow_nan
    assert not fitted.__sklearn_tags__().input_tags.allow_nan
    angles = estimator.transform(x)
    masked = np.ma.masked_array(table(), np.isnan(x))
    frame = pd.DataFrame(x).astype("Float64")
    for other in (masked, frame):
        np.testing.assert_allclose(np.cos(estimator.transform(other)), np.cos(angles), atol=1e-5)
    errors = np.nansum((x.astype("float32") - estimator.inverse_transform(angles)) ** 2.0)
    np.testing.assert_allclose(estimator.score(x), 1 - errors / np.nansum((x - np.nanmean(x, axis=0)) ** 2), atol=1e-5)
    with pytest.raises(ValueError, match=r"contains NaN.*TorusEstimator\(missing='ignore'\)"):
        fitted.transform(x)
    with pytest.raises(ValueError, match=r"masked array"):
        fitted.transform(masked)
    with pytest.raises(ValueError, match="infinity"):
        estimator.transform(np.where(np.isnan(x), np.inf, x))


def test_the_log_likelihood_has_the_noise_of_other_rows_and_scores_a_search():
    x = torusae.datasets.torus_table(80, dim=1, columns=4, noise=0.3, seed=0)[0]
    estimator = TorusEstimator(**TINY).fit(x[:40])
    found = estimator.log_likelihood(x[40:])
    assert estimator.model_.noise is None
    one, other = x[40::2], x[41::2]
    halves = []
    for fitted_to, scored in ((one, other), (other, one)):
        estimator.model_.fit_noise(fitted_to, verbose=0)
        halves.append(estimator.log_likelihood(scored))
    assert found == pytest.approx(np.mean(halves), rel=1e-6)
    search = GridSearchCV(TorusEstimator(**TINY), {"epochs": [1]}, scoring=TorusEstimator.log_likelihood, cv=2)
    assert np.isfinite(search.fit(x).best_score_)
