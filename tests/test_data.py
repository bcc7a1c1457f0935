"""Random samples of rows, of arrays and of streams."""

import itertools

import keras
import numpy as np
import pytest
import scipy.stats

from torusae import data


class Numbered(keras.utils.PyDataset):
    """Batches of 7 rows that hold their own numbers, 100 in all."""

    def __len__(self):
        return 15

    def __getitem__(self, index):
        rows = np.arange(7 * index, min(7 * index + 7, 100))
        return rows[:, None].astype("float32"), {"number": rows}


def numbered_stream(kind):
    batches = [Numbered()[i] for i in range(15)]
    if kind == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_generator(
            lambda: batches,
            output_signature=(tf.TensorSpec([None, 1], "float32"), {"number": tf.TensorSpec([None], "int64")}),
        )
    if kind == "torch":
        import torch

        return torch.utils.data.DataLoader(batches, batch_size=None)
    return {"generator": (batch for batch in batches), "PyDataset": Numbered()}[kind]


KINDS = ["generator", "PyDataset", *({"torch", "tensorflow"} & {keras.backend.backend()})]


def test_rows_of_a_stream_stay_together_and_in_order():
    for kind in KINDS:
        x, y = data.sample_rows(numbered_stream(kind), 30, seed=0)
        assert type(x) is np.ndarray
        assert x.shape == (30, 1)
        assert (np.diff(y["number"]) > 0).all()
        np.testing.assert_array_equal(x[:, 0], y["number"])
        again, _ = data.sample_rows(numbered_stream(kind), 30, seed=0)
        np.testing.assert_array_equal(x, again)
        everything, _ = data.sample_rows(numbered_stream(kind), 500)
        np.testing.assert_array_equal(everything[:, 0], np.arange(100))


def test_every_row_of_a_stream_has_the_same_chance():
    counts = np.zeros(20)
    for seed in range(2000):
        batches = (np.arange(i, min(i + 6, 20)) for i in range(0, 20, 6))
        counts[data.sample_rows(batches, 5, seed=seed)] += 1
    # Each row is drawn with probability 1/4; the chi-square of 19 free counts, drawn without replacement.
    statistic = ((counts - 500) ** 2 / (500 * 0.75)).sum() * 19 / 20
    assert statistic < scipy.stats.chi2.ppf(0.999, 19)


def test_of_a_memory_mapped_file_only_the_rows_drawn_are_read(tmp_path):
    x = np.arange(60, dtype="float32").reshape(30, 2)
    np.save(tmp_path / "x.npy", x)
    rows, labels = data.sample_rows((np.load(tmp_path / "x.npy", mmap_mode="r"), np.arange(30)), 10, seed=1)
    assert not isinstance(rows, np.memmap)
    np.testing.assert_array_equal(rows, x[labels])
    assert (np.diff(labels) > 0).all()
    assert data.sample_rows(x, 100).shape == (30, 2)


def test_a_stream_without_an_end_needs_steps():
    endless = (np.full(3, i) for i in itertools.count())
    assert data.sample_rows(endless, 100, steps=4).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]

    class Endless(Numbered):
        @property
        def num_batches(self):
            return None

    with pytest.raises(ValueError, match=r"never ends.*Give the number of batches"):
        data.sample_rows(Endless(), 5)


def test_streams_that_can_not_be_sampled():
    for make, error, message in [
        (lambda: [[1.0, 2.0]], TypeError, "arrays or a stream of batches. Received: list"),
        (lambda: 3, TypeError, "Received: int"),
        (lambda: iter([]), ValueError, "has no rows"),
        (lambda: iter([np.zeros((2, 3)), np.zeros((2, 4))]), ValueError, r"shapes \(2, 4\) in batch 2"),
        (lambda: iter([np.zeros(2), (np.zeros(2), np.zeros(2))]), ValueError, "in batch 2"),
        (lambda: iter([(np.zeros(2), np.zeros(3))]), ValueError, "batch 1 must be arrays with one row a sample"),
        (lambda: (np.zeros(2), np.zeros(3)), ValueError, "`data` must be arrays with one row a sample"),
        (lambda: np.float32(3), ValueError, r"shapes \[\(\)\]"),
    ]:
        with pytest.raises(error, match=message):
            data.sample_rows(make(), 5)


def test_windows_of_a_series_are_its_pieces_and_their_middles(rng):
    series = rng.normal(size=(40, 3))
    times = np.cumsum(rng.uniform(1, 1.2, 40))
    rows, middles = data.windows(series, 7, step=4, times=times)
    starts = range(0, 34, 4)
    np.testing.assert_array_equal(rows, [series[start : start + 7].ravel() for start in starts])
    np.testing.assert_allclose(middles, [(times[start] + times[start + 6]) / 2 for start in starts])


@pytest.mark.parametrize(("remove", "degree"), [("mean", 0), ("line", 1)])
def test_windows_without_level_or_line(rng, remove, degree):
    series = rng.normal(size=(30, 2)).cumsum(axis=0)
    rows, _ = data.windows(series, 9, remove=remove)
    for start, row in enumerate(rows.reshape(-1, 9, 2)):
        piece = series[start : start + 9]
        fitted = np.stack([np.polyval(np.polyfit(np.arange(9), column, degree), np.arange(9)) for column in piece.T], 1)
        np.testing.assert_allclose(row, piece - fitted, atol=1e-10)


def test_windows_with_nan_or_across_a_gap_are_left_out():
    series = np.arange(20.0)
    series[6] = np.nan
    times = np.arange("2000-01-01T00", "2000-01-01T20", dtype="datetime64[h]")
    times[12:] += np.timedelta64(5, "h")
    rows, middles = data.windows(series, 3, times=times)
    assert rows[:, 1].tolist() == [1, 2, 3, 4, 8, 9, 10, 13, 14, 15, 16, 17, 18]
    np.testing.assert_array_equal(middles, times[rows[:, 1].astype(int)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 11}, "at most the length of the series. Received: length=11, 10 rows"),
        ({"length": 1}, "`length` must be"),
        ({"length": 3, "times": np.arange(9)}, r"`times` must have shape \(10,\)"),
        ({"length": 3, "times": [0, 1, 2, 2, 4, 5, 6, 7, 8, 9]}, "Received: 2 in row 2, then 2"),
        ({"length": 3, "times": [0, 1, 2, 3, np.nan, 5, 6, 7, 8, 9]}, "`times` must increase"),
        ({"length": 3, "series": np.zeros((10, 2, 2))}, r"\(time, columns\)"),
        ({"length": 3, "series": np.tile([0, np.nan], 5)}, "every window holds NaN or spans a gap"),
        ({"length": 3, "remove": "median"}, "remove"),
    ],
)
def test_windows_say_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.windows(**({"series": np.arange(10.0)} | arguments))


def test_windows_take_numbers_and_times_alone():
    with pytest.raises(TypeError, match="numbers or `datetime64`"):
        data.windows(np.arange(10.0), 3, times=[f"{hour}:00" for hour in range(10)])
    with pytest.raises(TypeError, match="must be numbers"):
        data.windows(["a"] * 10, 3)
