"""Keras metrics of batches beside the metrics of all points."""

import numpy as np
import pytest
from shared.tensors import exact_angles, to_numpy, to_tensor

from torusae import metrics


def streamed(metric, angles, size=16):
    """The metric's result after the angles came in batches, as Keras gives them."""
    for start in range(0, len(angles), size):
        metric.update_state(to_tensor(angles[start : start + size]))
    return float(to_numpy(metric.result()))


def test_streamed_metrics_are_those_of_all_points(rng):
    angles = rng.vonmises(0.3, 0.5, (75, 2))
    # Each of the two points that set the statistic may lie up to one arc from its arc's edge.
    kuiper = metrics.kuiper_statistic(angles).max()
    assert kuiper - 2 / 256 <= streamed(metrics.KuiperStatistic(2, num_arcs=256), angles) <= kuiper + 1e-5
    moment = metrics.max_moment(angles, 2)
    assert streamed(metrics.LargestMoment(2, order=2), angles) == pytest.approx(moment, abs=1e-5)
    expected = metrics.cell_occupancy(angles, 4)["kl"]
    assert streamed(metrics.CellDivergence(2, cells=4), angles) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "metric", [metrics.KuiperStatistic(2, 8), metrics.LargestMoment(2, 1, None), metrics.CellDivergence(2, 3)]
)
def test_streamed_metrics_reset_serialize_and_name_bad_input(metric, rng):
    angles = exact_angles(rng, 20, 2)
    before = streamed(metric, angles)
    again = type(metric).from_config(metric.get_config())
    assert streamed(again, angles) == before
    metric.reset_state()
    assert float(to_numpy(metric.result())) == 0
    metric.update_state(None, to_tensor(angles))  # y_true and y_pred, as Keras calls it
    assert float(to_numpy(metric.result())) == pytest.approx(before, abs=1e-6)
    with pytest.raises(ValueError, match="must have 2 columns"):
        metric.update_state(to_tensor(angles[:, :1]))
    with pytest.raises(ValueError, match="takes no `sample_weight`"):
        metric.update_state(to_tensor(angles), sample_weight=np.ones(20))


def test_too_many_cells_to_stream():
    with pytest.raises(ValueError, match="`cells`=8 at dim 7 makes 2097152 cells"):
        metrics.CellDivergence(7)
