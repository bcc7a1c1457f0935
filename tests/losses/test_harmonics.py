"""Moments of harmonics on spheres and rotations: loops over pairs, explicit harmonics, designs, and laws."""

import math
import re

import numpy as np
import pytest
import scipy.special
import scipy.stats
from scipy.spatial.transform import Rotation
from shared.tensors import compiled, gradient, to_numpy, to_tensor

import torusae
from torusae.losses import CharacterLoss, HarmonicLoss, character_loss, harmonic_loss


def directions(rng, num, n):
    x = rng.normal(size=(num, n + 1))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def rotations(seed, num):
    return Rotation.random(num, rng=np.random.default_rng(seed)).as_matrix().reshape(num, 9)


def normalized_gegenbauer(n, degree, cosines):
    """1 at a cosine of 1."""
    if n == 1:
        return np.cos(degree * np.arccos(cosines))
    a = (n - 1) / 2
    return scipy.special.eval_gegenbauer(degree, a, cosines) / scipy.special.eval_gegenbauer(degree, a, 1.0)


def loops(x, most, decay, even=False):
    """The formula in float64, with SciPy's polynomials."""
    n = x.shape[1] - 1
    cosines = np.clip(x @ x.T, -1, 1)
    total = weights = 0.0
    for degree in range(1, most + 1):
        if not even or degree % 2 == 0:
            # The number of harmonics by another formula than the library's.
            number = 2 if n == 1 else (2 * degree + n - 1) / (n - 1) * scipy.special.binom(degree + n - 2, degree)
            weights += degree**-decay * number
            total += degree**-decay * number * np.mean(normalized_gegenbauer(n, degree, cosines))
    return total / weights


@pytest.mark.parametrize(
    ("n", "degree", "even"), [(1, 4, False), (2, 4, False), (2, 12, False), (3, 4, True), (8, 2, False)]
)
def test_harmonics_match_loops_over_pairs(rng, n, degree, even):
    x = directions(rng, 6, n)
    value, slope = gradient(lambda x: harmonic_loss(x, degree, 1.5, even), x, compile=True)
    # The largest coefficient of the polynomial of degree 12 is 130.
    tolerance = 2e-5 if degree == 12 else 2e-6
    np.testing.assert_allclose(value, loops(x, degree, 1.5, even), atol=tolerance)
    # The gradient is that along the sphere: it has no part along the radius.
    np.testing.assert_allclose(np.sum(slope * x, axis=1), 0, atol=tolerance * 10)
    step = np.zeros_like(x)
    step[2] = np.roll(x[2], 1) - (np.roll(x[2], 1) @ x[2]) * x[2]

    def moved(size):
        y = x + size * step
        return loops(y / np.linalg.norm(y, axis=1, keepdims=True), degree, 1.5, even)

    np.testing.assert_allclose(np.sum(slope * step), (moved(1e-5) - moved(-1e-5)) / 2e-5, atol=tolerance * 20)


def test_harmonics_of_a_globe_are_the_known_functions(rng):
    """The addition theorem against SciPy's spherical harmonics."""
    x = directions(rng, 7, 2)
    theta, phi = np.arccos(x[:, 2]), np.arctan2(x[:, 1], x[:, 0])
    total = weights = 0.0
    for degree in range(1, 5):
        for m in range(-degree, degree + 1):
            moment = np.mean(scipy.special.sph_harm_y(degree, m, theta, phi)) * math.sqrt(4 * math.pi)
            total, weights = total + abs(moment) ** 2 / degree, weights + 1 / degree
    np.testing.assert_allclose(float(harmonic_loss(to_tensor(x))), total / weights, rtol=1e-5)


def test_harmonics_of_a_circle_are_the_diaphony(rng):
    a = rng.uniform(-3, 3, (9, 1))
    on_circle = harmonic_loss(to_tensor(np.concatenate([np.cos(a), np.sin(a)], axis=1)), 5, 0.5)
    np.testing.assert_allclose(float(on_circle), float(torusae.diaphony_loss(to_tensor(a), 5, 1, 0.5)), rtol=1e-5)


def test_designs_have_no_moments():
    """The octahedron averages polynomials of degree 3 as the sphere does, and not those of degree 4."""
    octahedron = to_tensor(np.concatenate([np.eye(3), -np.eye(3)]))
    assert abs(float(harmonic_loss(octahedron, 3))) < 1e-6
    assert float(harmonic_loss(octahedron, 4)) > 1e-2
    # Its 24 rotations do so for matrix elements up to l = 3: the octahedral group has an invariant at l = 4.
    group = to_tensor(Rotation.create_group("O").as_matrix().reshape(24, 9))
    assert abs(float(character_loss(group, 3))) < 1e-6
    assert float(character_loss(group, 4)) > 1e-2


def test_characters_match_loops_over_pairs():
    R = rotations(0, 6)
    angles = [
        (Rotation.from_matrix(p.reshape(3, 3)).inv() * Rotation.from_matrix(q.reshape(3, 3))).magnitude()
        for p in R
        for q in R
    ]

    total = weights = 0.0
    for degree in (1, 2, 3):
        characters = [1 + 2 * sum(math.cos(m * angle) for m in range(1, degree + 1)) for angle in angles]
        total += (2 * degree + 1) / degree * np.mean(characters)
        weights += (2 * degree + 1) ** 2 / degree
    value = compiled(lambda R: character_loss(R, 3))(to_tensor(R))
    np.testing.assert_allclose(float(value), total / weights, atol=2e-6)
    quaternions = Rotation.from_matrix(R.reshape(-1, 3, 3)).as_quat()
    np.testing.assert_allclose(float(harmonic_loss(to_tensor(quaternions), 6, even=True)), float(value), atol=2e-6)


def test_the_gradient_of_characters_is_that_of_turns():
    R = rotations(0, 5)
    _, slope = gradient(lambda R: character_loss(R, 2), R, compile=True)
    slope = slope.reshape(-1, 3, 3)
    for axis in np.eye(3):

        def turned(size, axis=axis):
            moved = R.reshape(-1, 3, 3).copy()
            moved[1] = Rotation.from_rotvec(size * axis).as_matrix() @ moved[1]
            return loops(Rotation.from_matrix(moved).as_quat(), 4, 1.0, even=True)

        generator = np.cross(axis, R[1].reshape(3, 3), axisb=0, axisc=0)
        np.testing.assert_allclose(np.sum(slope[1] * generator), (turned(1e-5) - turned(-1e-5)) / 2e-5, atol=2e-5)
    # Along the rotations alone: Rᵀ times the slope is skew.
    skew = np.einsum("nji,njk->nik", R.reshape(-1, 3, 3), slope)
    np.testing.assert_allclose(skew, -np.swapaxes(skew, 1, 2), atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "draw"),
    [
        (HarmonicLoss(), lambda rng: directions(rng, 12, 2)),
        (HarmonicLoss(2, even=True), lambda rng: directions(rng, 12, 3)),
        (CharacterLoss(), lambda rng: scipy.stats.special_ortho_group(3, seed=rng).rvs(12).reshape(12, 9)),
    ],
    ids=["harmonics", "even", "characters"],
)
def test_expectation_is_the_mean_over_uniform_points(rng, loss, draw):
    found = [float(loss(to_tensor(draw(rng)))) for _ in range(200)]
    assert np.mean(found) == pytest.approx(1 / 12, abs=4 * np.std(found) / math.sqrt(200))
    one_place = np.repeat(draw(rng)[:1], 5, axis=0)
    assert float(loss(to_tensor(one_place))) == pytest.approx(1, abs=1e-5)
    again = type(loss).from_config(loss.get_config())
    assert float(again(to_tensor(one_place[:2]))) == float(loss(to_tensor(one_place[:2])))


def test_turns_change_nothing(rng):
    x, R = directions(rng, 8, 3), rotations(1, 8)
    turn = scipy.stats.special_ortho_group(4, seed=0).rvs()
    np.testing.assert_allclose(float(harmonic_loss(to_tensor(x @ turn))), float(harmonic_loss(to_tensor(x))), atol=1e-6)
    np.testing.assert_allclose(
        float(harmonic_loss(to_tensor(x * rng.choice([-1, 1], (8, 1))), even=True)),
        float(harmonic_loss(to_tensor(x), even=True)),
        atol=1e-6,
    )
    both = rotations(2, 1).reshape(3, 3) @ R.reshape(-1, 3, 3) @ rotations(3, 1).reshape(3, 3)
    np.testing.assert_allclose(
        float(character_loss(to_tensor(both.reshape(8, 9)))), float(character_loss(to_tensor(R))), atol=1e-6
    )


def test_errors():
    for call, message in [
        (lambda: harmonic_loss(np.ones((3, 1), "float32")), "`points` must have 2 or more columns"),
        (lambda: harmonic_loss(np.ones((3, 3), "float32"), 13), "`degree` must be at most 12. Received: degree=13"),
        (lambda: harmonic_loss(np.ones((3, 3), "float32"), 1, even=True), "`degree` must be at least 2"),
        (lambda: HarmonicLoss(decay=-1.0), "HarmonicLoss: `decay` must be finite and not negative"),
        (lambda: character_loss(np.ones((3, 6), "float32")), "must have shape (batch, 9), matrices row by row"),
        (lambda: CharacterLoss(7), "CharacterLoss: `degree` must be at most 6"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            call()


def test_values_are_host_numbers_of_float32(rng):
    value = to_numpy(harmonic_loss(to_tensor(directions(rng, 4, 2))))
    assert value.shape == ()
    assert value.dtype == np.float32
