"""Synthetic data: its statistics, its seeds, and its true angles."""

import keras
import numpy as np
import pytest

from torusae import datasets


@pytest.mark.parametrize("make", [datasets.torus_table, datasets.hue_images], ids=lambda make: make.__name__)
def test_seeds(make):
    first, angles = make(20, seed=3)
    again, angles_again = make(20, seed=3)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(angles, angles_again)
    assert not np.array_equal(angles, make(20, seed=4)[1])
    assert not np.array_equal(make(20)[1], make(20)[1])
    generator = np.random.default_rng(3)
    from_generator = make(20, seed=generator)[1]
    np.testing.assert_array_equal(from_generator, angles)
    assert not np.array_equal(make(20, seed=generator)[1], from_generator)  # a generator moves on
    for array in (first, angles):
        assert array.dtype == np.float32
    assert np.abs(angles).max() < np.pi


def test_the_same_seed_gives_the_same_data_everywhere():
    # Printed by this function with NumPy 2.4: a change here changes the data of everyone who wrote a seed down.
    table, angles = datasets.torus_table(2, dim=2, columns=2, seed=0)
    np.testing.assert_allclose(angles, [[1.1133606, -1.6148618], [0.7022327, -0.4831780]], atol=1e-5)
    np.testing.assert_allclose(table, [[-0.3240244, -0.1371833], [0.7633613, -0.6911686]], atol=1e-5)


@pytest.mark.parametrize(("dim", "noise"), [(1, 0.0), (2, 0.5), (3, 0.0), (5, 0.05)])
def test_table_is_standardised(dim, noise):
    table, angles = datasets.torus_table(20000, dim, columns=12, noise=noise, seed=1)
    assert table.shape == (20000, 12)
    assert angles.shape == (20000, dim)
    # Four standard errors of a mean of 20000, and of a variance of about that relative size.
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(table.var(axis=0), 1, atol=0.05)


def test_table_rows_do_not_depend_on_how_many_there_are():
    small, large = (datasets.torus_table(num, noise=0.1, seed=2) for num in (10, 100))
    np.testing.assert_array_equal(small[1], large[1][:10])
    np.testing.assert_allclose(small[0], large[0][:10], atol=1e-5)


def test_table_is_a_smooth_function_of_the_angles():
    """A least-squares fit on the sines and cosines of the documented waves leaves nothing, and with noise its share."""
    for noise in (0.0, 0.5):
        table, angles = datasets.torus_table(2000, dim=2, columns=6, noise=noise, seed=0)
        waves = np.array([[1, 0], [0, 1], [2, 0], [0, 2], [1, 1], [1, -1]])
        features = np.concatenate([np.cos(angles @ waves.T), np.sin(angles @ waves.T)], axis=1)
        rest = table - features @ np.linalg.lstsq(features, table, rcond=None)[0]
        np.testing.assert_allclose(rest.var(axis=0), noise**2 / (1 + noise**2), atol=0.03 if noise else 1e-6)


def test_table_columns_depend_on_every_circle():
    table, angles = datasets.torus_table(5000, dim=3, columns=50, seed=0)
    for circle in range(3):
        wave = np.exp(1j * angles[:, circle])
        assert np.abs(table.T @ wave / len(wave)).max() > 0.3


def test_hue_images_show_hue_and_direction():
    images, angles = datasets.hue_images(500, size=16, seed=0)
    assert images.min() >= 0
    assert images.max() <= 1
    channels = np.moveaxis(images, 1, -1) if keras.config.image_data_format() == "channels_first" else images
    axis = (np.arange(16) + 0.5) / 8 - 1
    weight = channels.sum(axis=-1)
    x = (weight * axis[None, None, :]).sum(axis=(1, 2))
    y = (weight * -axis[None, :, None]).sum(axis=(1, 2))
    difference = (np.arctan2(y, x) - angles[:, 1] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(difference).max() < 0.05  # the centre of mass lies on the hand, up to the pixels' size
    colour = channels.sum(axis=(1, 2))
    hue = np.angle(colour @ np.exp(2j * np.pi / 3 * np.arange(3)))
    difference = (hue - angles[:, 0] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(difference).max() < 1e-3


def test_synthetic_errors():
    for call, error, match in [
        (lambda: datasets.torus_table(0), ValueError, "torus_table: `num_samples` must be at least 1"),
        (lambda: datasets.torus_table(5, dim=0), ValueError, "`dim` must be at least 1"),
        (
            lambda: datasets.torus_table(5, columns=1.5),
            TypeError,
            "`columns` must be an integer. Received: columns=1.5",
        ),
        (lambda: datasets.torus_table(5, noise=-1), ValueError, "`noise` must be finite and not negative"),
        (lambda: datasets.torus_table(5, seed=-1), ValueError, "`seed` must be at least 0"),
        (lambda: datasets.torus_table(5, seed="a"), TypeError, "`seed` must be an integer. Received: seed='a'"),
        (lambda: datasets.hue_images(5, size=7), ValueError, "hue_images: `size` must be at least 8. Received: size=7"),
        (lambda: datasets.hue_images(2.0), TypeError, "hue_images: `num_samples` must be an integer"),
    ]:
        with pytest.raises(error, match=match):
            call()
