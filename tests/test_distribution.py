"""Several devices: virtual ones of the CPU, or processes on torch, against one."""

import subprocess
import sys
from pathlib import Path

import distributed_run
import keras
import numpy as np
import pytest
from shared import tensors

import torusae
from torusae import distribution
from torusae._internal import replicas
from torusae._internal.batches import PaddedBatches, without_padding

SCRIPT = Path(distributed_run.__file__)


def on_one_device():
    x, y = distributed_run.data()
    return distributed_run.fit(x, y)


@pytest.mark.parametrize(
    "num_devices", [2] if keras.backend.backend() == "torch" else [2, pytest.param(4, marks=pytest.mark.slow)]
)
def test_training_on_several_devices_is_that_on_one(num_devices, tmp_path):
    path = tmp_path / "run.npz"
    command = [sys.executable, SCRIPT, str(num_devices), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert path.exists(), done.stderr[-3000:]
    one, several = on_one_device(), dict(np.load(path))
    assert one["losses"][-1] < 0.9 * one["losses"][0]
    assert [name for name in one if name not in several] in ([], ["evaluated", "points"])  # torch: a loop by hand
    for name, values in several.items():
        # float32 sums in another order. A loss of each replica's own rows would differ in the second digit.
        np.testing.assert_allclose(values, one[name], atol=1e-5, err_msg=name)


def test_with_one_replica_values_are_unchanged(rng):
    values = tensors.to_tensor(rng.normal(size=(4, 2)))
    assert distribution.num_replicas() == 1
    assert replicas.num_parts() == 1
    assert distribution.gather(values) is values
    one = replicas.current()
    for same in (one.loss_of_all(values), one.scaled(values), one.unscaled(values)):
        assert same is values


def test_gather_is_an_argument_that_a_file_keeps():
    layer = torusae.TorusLatent(2, gather=False)
    assert torusae.TorusLatent.from_config(layer.get_config()).gather is False
    assert torusae.TorusLatent(2).gather is True


def test_padded_batches_hold_every_row_once_and_the_number_of_samples():
    x, y = np.arange(11.0)[:, None], np.arange(11)
    batches = PaddedBatches((x, y), batch_size=4, num_parts=3, shuffle=True)
    assert len(batches) == 3
    seen = [without_padding(batches[i]) for i in range(3)]
    assert [len(rows) for rows, _ in seen] == [4, 4, 3]
    assert sorted(np.concatenate([labels for _, labels in seen])) == list(range(11))
    for rows, labels in seen:
        np.testing.assert_array_equal(rows[:, 0], labels)
    for i in range(3):
        data, labels = batches[i]
        assert {len(array) % 3 for array in (*data.values(), labels)} == {0}


def test_other_batches_are_unchanged():
    for data in (np.ones(3), (np.ones(3), None), ({"a": np.ones(3)}, None), [], ()):
        assert without_padding(data) is data


def test_an_epoch_has_another_order():
    batches = PaddedBatches((np.arange(50),), 50, 2, shuffle=True)
    first = without_padding(batches[0])[0]
    batches.on_epoch_begin()
    assert not np.array_equal(without_padding(batches[0])[0], first)


def test_too_many_devices_are_named():
    if keras.backend.backend() == "torch":
        with pytest.raises(RuntimeError, match="torchrun"), distribution.data_parallel(2):
            pass
        return
    with pytest.raises(ValueError, match=r"at most 1, the devices found: .*[0-9]"), distribution.data_parallel(3):
        pass
    with pytest.raises(TypeError, match="num_devices"), distribution.data_parallel("two"):
        pass
