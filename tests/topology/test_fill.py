"""Unknown cells of data: filled from components and neighbours."""

import numpy as np

from torusae.topology._fill import filled


def sensors(num, share, rng):
    """Twelve sensors, each near its own phase, with unknown cells; the complete table and the phase."""
    phase = rng.uniform(-np.pi, np.pi, (num, 1))
    table = np.exp(4 * (np.cos(phase - 2 * np.pi * np.arange(12) / 12) - 1)) + 0.05 * rng.normal(size=(num, 12))
    return np.where(rng.random(table.shape) < share, np.nan, table), table, phase


def test_what_is_known_stays_and_the_rest_is_nearer_than_means(rng, monkeypatch):
    x, table, _ = sensors(800, 0.3, rng)
    unknown = np.isnan(x)
    means = np.broadcast_to(np.nanmean(x, axis=0), x.shape)
    for most in (10_000, 400):  # the others are filled from 400 rows
        monkeypatch.setattr("torusae.topology._fill._MOST_ROWS", most)
        full = filled(x)
        np.testing.assert_array_equal(full[~unknown], x[~unknown])
        assert np.std((full - table)[unknown]) < 0.6 * np.std((means - table)[unknown])
    np.testing.assert_array_equal(filled(table), table)


def test_scale_place_shape_and_columns_without_a_number(rng):
    x = sensors(200, 0.2, rng)[0]
    full = filled(x)
    np.testing.assert_allclose(filled(1e200 * x), 1e200 * full, rtol=1e-6)
    np.testing.assert_allclose(filled(x + 1000) - 1000, full, atol=1e-6)
    np.testing.assert_array_equal(filled(x.reshape(200, 3, 4)), full.reshape(200, 3, 4))
    x[:, 5] = np.nan
    np.testing.assert_array_equal(filled(x)[:, 5], 0)
    assert filled(x.astype("float32")).dtype == np.float32
