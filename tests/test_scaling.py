"""Level and scale of samples, taken out and put back: against loops, at extremes, in groups, in files."""

import json

import numpy as np
import pytest
from keras import ops

from torusae._internal import scaling
from torusae._internal.scaling import Scaling

GROUPS = np.array(["a"] * 5 + ["b"] * 15)


def table(rng):
    return rng.normal(size=(20, 4)) * [1, 1e6, 1e-150, 1] + [0, 1e9, 0, -3]


def test_a_table_has_the_moments_of_its_columns_and_other_samples_one_of_all_values(rng, monkeypatch):
    monkeypatch.setattr(scaling, "_BLOCK", 24)  # several blocks
    x = table(rng)
    found = Scaling.of(x)
    np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.scale, x.std(axis=0), rtol=1e-9)
    x = x.reshape(20, 2, 2)[..., :1]
    found = Scaling.of(x)
    np.testing.assert_allclose([found.mean, found.scale], [x.mean(), x.std()])


def test_extreme_and_constant_columns_and_unknown_values(rng):
    x = np.column_stack([[1e308, -1e308] * 10, [0.1] * 20, np.arange(20.0), [np.nan] * 20])
    x[3:, 2] = np.nan
    found = Scaling.of(x)
    np.testing.assert_allclose(found.mean, [0, 0.1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found.scale, [1e308, 1, np.sqrt(2 / 3), 1])
    assert not found.apply(x)[:, 1].any()


def test_what_is_taken_out_is_put_back_at_far_levels(rng):
    x = table(rng)
    z = Scaling.of(x).apply(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(Scaling.of(x).undo(z), x, rtol=1e-5, atol=1e-160)


def test_each_group_loses_its_own_moments(rng):
    x = table(rng)
    x[:5, 3] = 7
    found = Scaling.of(x, GROUPS)
    group = found.index(GROUPS)
    z = found.apply(x, group)
    for name in "ab":
        part = x[name == GROUPS]
        scale = np.where(part.std(axis=0) > 0, part.std(axis=0), found.scale)
        np.testing.assert_allclose(z[name == GROUPS], (part - part.mean(axis=0)) / scale, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.undo(z, group), x, rtol=1e-5, atol=1e-160)
    within = [(x[name == GROUPS] - x[name == GROUPS].mean(axis=0)) ** 2 for name in "ab"]
    np.testing.assert_allclose(found.scale[[0, 1, 3]], np.sqrt(np.concatenate(within).mean(axis=0))[[0, 1, 3]])
    images = rng.normal(size=(20, 2, 2, 1))
    of_images = Scaling.of(images, GROUPS)
    expected = (images[7] - images[5:].mean()) / images[5:].std()
    np.testing.assert_allclose(of_images.apply(images, of_images.index(GROUPS))[7], expected, rtol=1e-5)


def test_new_groups_are_estimated_and_old_ones_stay(rng):
    x = table(rng)
    found = Scaling.of(x[:5], GROUPS[:5])
    more = found.with_groups_of(x, GROUPS)
    assert more.groups == ("a", "b")
    np.testing.assert_array_equal(more.group_mean[0], found.group_mean[0])
    np.testing.assert_allclose(more.group_mean[1], x[5:].mean(axis=0))
    assert found.with_groups_of(x[:5], GROUPS[:5]) is found


def test_a_config_holds_all_and_tensors_are_as_arrays(rng):
    x = rng.normal(size=(20, 3)) + 5
    found = Scaling.of(x, GROUPS, ("p", "q", "r"))
    again = Scaling.from_config(json.loads(json.dumps(found.get_config())))
    assert (again.columns, again.groups) == (("p", "q", "r"), ("a", "b"))
    for name in ("mean", "scale", "group_mean", "group_scale"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    tensor = found.apply(ops.convert_to_tensor(x.astype("float32")))
    np.testing.assert_allclose(ops.convert_to_numpy(tensor), found.apply(x), atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(found.undo(tensor)), x, atol=1e-5)


WRONG = [
    (np.zeros(19), ValueError, "shape \\(20,\\)"),
    (np.array([1.5] * 20), TypeError, "all integers or all strings"),
    (np.array([None] + [1] * 19, object), ValueError, "None in row 0"),
    (np.array([np.nan] + [1.0] * 19), ValueError, "nan in row 0"),
    (["a"] * 19 + ["b"], ValueError, "one row of 'b'"),
]


@pytest.mark.parametrize(("groups", "error", "words"), WRONG)
def test_wrong_groups_are_named(groups, error, words, rng):
    with pytest.raises(error, match=f"find: .*{words}"):
        scaling.taken_out("find", rng.normal(size=(20, 2)), groups)


def test_integers_that_came_as_floats_are_integers():
    assert scaling.checked_groups("find", np.array([1.0, 2.0]), 2).tolist() == [1, 2]
