"""Analogies, turned circles and circles taken out, beside closed forms of models whose decoder is linear."""

import keras
import numpy as np
import pytest
from shared.tensors import to_numpy, to_tensor

import torusae
from torusae import Gaussian, Torus, spaces
from torusae.autoencoder import use

QUIET = {"verbose": 0}


def model_of(space, activation=None):
    """A model whose encoder is the latent layer alone and whose decoder is one dense layer."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Identity()])
    last = keras.layers.Dense(4, activation, bias_initializer="normal")
    decoder = keras.Sequential([keras.Input((space.decoder_input_size,)), last])
    return torusae.TorusAutoencoder(encoder, decoder, torusae.Latent(space))


@pytest.fixture(scope="module")
def model():
    return model_of(Torus(2))


@pytest.fixture(scope="module")
def mixed():
    return model_of(Torus(1) * Gaussian(2) * spaces.Sphere(1))


def samples(num=7, seed=1):
    return np.random.default_rng(seed).normal(size=(num, 4)).astype("float32")


def complex_points(model, x):
    """Points of a torus as complex numbers, float64."""
    re, im = np.split(model.encode(x, **QUIET).astype("float64"), 2, axis=1)
    return re + 1j * im


def decoded(model, z):
    kernel, bias = (to_numpy(each) for each in model.decoder.get_weights())
    return np.concatenate([z.real, z.imag], axis=1) @ kernel + bias


def close(a, b):
    # Sums of some ten products of float32.
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


# Analogies


def test_an_analogy_on_a_torus_multiplies_complex_numbers(model):
    a, b, c = (samples(seed=seed) for seed in range(3))
    za, zb, zc = (complex_points(model, x) for x in (a, b, c))
    close(model.analogy(a, b, c, **QUIET), decoded(model, zc * zb / za))


def test_laws_of_analogies(model):
    a, b, c = (samples(seed=seed) for seed in range(3))
    close(model.analogy(a, a, c, **QUIET), model.reconstruct(c, **QUIET))
    close(model.analogy(a, b, a, **QUIET), model.reconstruct(b, **QUIET))
    points = [to_tensor(model.encode(x, **QUIET)) for x in (a, b, c)]
    d = model.latent.space.analogy(*points)
    close(to_numpy(model.latent.space.analogy(points[1], points[0], d)), to_numpy(points[2]))


def test_one_difference_serves_all_samples(model):
    a, b, c = (samples(seed=seed) for seed in range(3))
    many = model.analogy(a[:1], b[:1], c, **QUIET)
    close(many[3], model.analogy(a[:1], b[:1], c[3:4], **QUIET)[0])
    assert model.analogy(a, b, c[:1], **QUIET).shape == (7, 4)


def test_at_the_origin_of_the_first_sample_radii_stay():
    a, b, c = (np.array([each], "float32") for each in ([0.0, 0.0], [0.0, 5.0], [3.0, 0.0]))
    np.testing.assert_allclose(to_numpy(Torus(1).analogy(a, b, c)), [[0.0, 3.0]], atol=1e-6)


def test_analogies_of_other_spaces_in_closed_form():
    gaussian = Gaussian(2)
    a, b, c = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
    close(to_numpy(gaussian.analogy(a, b, c)), c + b - a)
    circle = spaces.Sphere(1)
    a, b, c = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (a, b, c))
    turned = [x[:, 0] + 1j * x[:, 1] for x in (a, b, c)]
    d = turned[2] * turned[1] / turned[0]
    close(to_numpy(circle.analogy(a, b, c)), np.stack([d.real, d.imag], axis=1))
    rotations = spaces.SO3()
    start, other = rotations.sample(4, seed=0), rotations.sample(4, seed=1)
    action = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    d = rotations.analogy(start, rotations.act(start, action), other)
    close(to_numpy(d), to_numpy(rotations.act(other, action)))


def test_points_of_an_analogy_are_checked():
    for space in [Torus(1), Gaussian(2), spaces.Sphere(1), Torus(1) * Gaussian(1)]:
        point = np.ones((3, space.point_size), "float32")
        name = type(space).__name__
        with pytest.raises(
            ValueError, match=rf"{name}.analogy: points must have the shape .*'c': \(2, {space.point_size}\)"
        ):
            space.analogy(point, point, point[:2])
        with pytest.raises(ValueError, match=rf"{name}.analogy: points must have the shape"):
            space.analogy(*[np.ones((3, 5), "float32")] * 3)
        with pytest.raises(ValueError, match=rf"{name}.analogy: `b` must have shape \(batch, {space.point_size}\)"):
            space.analogy(point, point[0], point)


def test_opposite_points_of_a_sphere_have_an_analogy():
    a = np.eye(3, dtype="float32")[:1]
    d = to_numpy(spaces.Sphere(2).analogy(a, -a, a))
    np.testing.assert_allclose(d, -a, atol=1e-6)


# Turned circles


def test_a_turned_circle_in_closed_form(model):
    x, angles = samples(), np.linspace(-9, 9, 7)
    z = complex_points(model, x)
    turned = z * np.exp(1j * np.stack([0 * angles, angles], axis=1))
    close(model.rotate(x, {1: angles}, **QUIET), decoded(model, turned))
    close(model.rotate(x, {0: 0.5, 1: angles}, **QUIET), decoded(model, turned * np.exp([0.5j, 0])))


@pytest.mark.parametrize("angles", [{}, {0: 2 * np.pi}, {1: -2 * np.pi}, {0: 200 * np.pi, 1: np.zeros(7)}])
def test_whole_turns_are_the_reconstruction(model, angles):
    close(model.rotate(samples(), angles, **QUIET), model.reconstruct(samples(), **QUIET))


def test_a_turn_and_back_is_the_reconstruction(mixed):
    x = samples()
    space = mixed.latent.space
    points = mixed.encode(x, **QUIET)
    there = to_numpy(space.act(to_tensor(points), to_tensor(0.8 * space.angle_actions[1])))
    back = to_numpy(space.act(to_tensor(there), to_tensor(-0.8 * space.angle_actions[1])))
    close(mixed.decode(there, **QUIET), mixed.rotate(x, {1: 0.8}, **QUIET))
    close(mixed.decode(back, **QUIET), mixed.reconstruct(x, **QUIET))
    # x and y of the torus, two numbers, and the circle: the rest stays.
    np.testing.assert_allclose(there[:, :4], points[:, :4], atol=1e-6)
    np.testing.assert_allclose(there[:, 4:] @ [1, 1j], points[:, 4:] @ [1, 1j] * np.exp(0.8j), atol=1e-5)


def test_a_whole_turn_of_a_band_turns_it_over():
    band = spaces.MobiusBand()
    model = model_of(band)
    x = samples()
    flipped = model.encode(x, **QUIET) * np.array([1, 1, -1], "float32")
    close(model.rotate(x, {0: 2 * np.pi}, **QUIET), model.decode(flipped, **QUIET))
    close(model.rotate(x, {0: 4 * np.pi}, **QUIET), model.reconstruct(x, **QUIET))


# Circles taken out


@pytest.mark.parametrize("circle", [0, 1])
def test_a_circle_that_a_linear_decoder_reads_is_subtracted(model, circle):
    x = samples()
    z = complex_points(model, x)
    waves = np.zeros_like(z)
    waves[:, circle] = z[:, circle]
    expected = x - (decoded(model, waves) - decoded(model, 0 * z))
    close(model.remove(x, circle, **QUIET), expected)


@pytest.mark.parametrize("space", [Torus(2), spaces.Sphere(1) * Torus(1), spaces.KleinBottle()], ids=repr)
def test_what_stays_does_not_depend_on_the_circle(space, monkeypatch):
    model = model_of(space, "tanh")
    x = samples()
    points = model.encode(x, **QUIET)
    means = []
    for angle in (0.0, 1.0):
        moved = to_numpy(space.act(to_tensor(points), to_tensor(angle * space.angle_actions[0])))
        monkeypatch.setattr(use, "predicted", lambda *_, moved=moved: {"point": moved})  # samples with these points
        means.append(model.remove(x, 0, **QUIET) - x + model.decode(moved, **QUIET))
    # The waves of 32 periods and more that a tanh makes.
    np.testing.assert_allclose(*means, atol=1e-3)
    assert np.abs(means[0] - model.decode(points, **QUIET)).max() > 1e-2


def test_blocks_of_rows_are_those_of_all_rows(model, monkeypatch):
    expected = model.remove(samples(), 1, **QUIET)
    monkeypatch.setattr(use, "_MOST_VALUES", 3 * 32 * 4)  # three rows at a time
    close(model.remove(samples(), 1, **QUIET), expected)


# Bad input


def test_bad_angles(model):
    for angles, error, message in [
        ({2: 0.1}, ValueError, r"rotate: there is no circle 2. Torus\(2\) has the angles 0 to 1"),
        ({-1: 0.1}, ValueError, r"no circle -1"),
        ({"hue": 0.1}, TypeError, r"circle must be an integer.*Received: 'hue'"),
        ({True: 0.1}, TypeError, r"circle must be an integer.*Received: True"),
        ([0.1, 0.2], TypeError, r"`angles` must be a dict.*\{0: 0.5\}"),
        ({0: np.zeros(3)}, ValueError, r"one angle or have shape \(7,\).*Received: shape=\(3,\)"),
        ({0: np.zeros((7, 1))}, ValueError, r"Received: shape=\(7, 1\)"),
        ({0: np.nan}, ValueError, r"angles\[0\]` must hold finite numbers"),
        ({0: "half"}, TypeError, r"`angles\[0\]` must be numbers. Received: dtype=<U4"),
    ]:
        with pytest.raises(error, match=message):
            model.rotate(samples(), angles)


def test_bad_samples(model):
    for call, error, message in [
        (lambda m, x: m.rotate(x[0], {0: 0.1}), ValueError, r"`x` must have shape \(batch, 4\).*x\[None\]"),
        (lambda m, x: m.rotate(iter([x]), {0: 0.1}), TypeError, r"`x` must be an array of samples"),
        (lambda m, x: m.remove(x, 2), ValueError, r"remove: there is no circle 2"),
        (lambda m, x: m.remove(x, 0.0), TypeError, r"remove: a circle must be an integer"),
        (lambda m, x: m.remove(np.nan * x, 0), ValueError, r"remove: `x` must hold finite"),
        (lambda m, x: m.analogy(x[:2], x[:3], x[:3]), ValueError, r"as many samples each, or one.*'a': 2, 'b': 3"),
        (lambda m, x: m.analogy(x, x[:, :3], x), ValueError, r"analogy: `b` must have shape"),
        (lambda m, x: m.analogy(x, x, tuple(x)), TypeError, r"`c` must be one array.*tuple"),
    ]:
        with pytest.raises(error, match=message):
            call(model, samples())


def test_spaces_without_circles_or_analogies_say_so(mixed):
    model = model_of(Gaussian(2))
    with pytest.raises(ValueError, match=r"no circle 0. Gaussian\(2\) has no angles"):
        model.remove(samples(), 0)
    model = model_of(Torus(1) * spaces.Interval())
    with pytest.raises(ValueError, match=r"Interval\(\) has no analogies"):
        model.analogy(samples(), samples(), samples(), **QUIET)
    with pytest.raises(ValueError, match=r"no circle 2. .* has the angles 0 to 1"):
        mixed.rotate(samples(), {2: 0.1})


def test_an_angle_that_no_symmetry_rotates_is_named():
    class Stiff(Torus):
        @property
        def angle_actions(self):
            return np.zeros((1, 1))

    with pytest.raises(ValueError, match=r"circle 0 can be rotated by no symmetry of the space.*Stiff\(1\)"):
        model_of(Stiff(1)).remove(samples(), 0)
