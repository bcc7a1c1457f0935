"""Spheres, rotations, the interval and quotients against SciPy, closed forms and brute force."""

import functools
import itertools
import math
import re

import keras
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation, Slerp
from shared.tensors import compiled_on_jax, gradient, to_numpy, to_tensor

import torusae
from torusae.diagnostics import prior_statistics
from torusae.spaces import SO3, Interval, KleinBottle, MobiusBand, ProjectiveSpace, Sphere, parse

QUOTIENTS = [KleinBottle(), MobiusBand(), ProjectiveSpace(2)]
EACH_QUOTIENT = pytest.mark.parametrize("space", QUOTIENTS, ids=repr)


def points_of(space, num, seed=0):
    return to_numpy(space.sample(num, seed=seed))


@functools.lru_cache(maxsize=64)
def function_of(space, name):
    """A method of a space, on JAX compiled once for each shape."""
    return compiled_on_jax(getattr(space, name))


def distance(space, a, b):
    return to_numpy(function_of(space, "distance")(to_tensor(a), to_tensor(b)))


def decoder_input(space, point):
    return to_numpy(function_of(space, "decoder_input")(to_tensor(point)))


def lengths(space, paths):
    """Of each path, by the codes' chords: the formula of the distance has no part in it."""
    steps = np.array([decoder_input(space, path) for path in paths]).astype("float64")
    return np.linalg.norm(np.diff(steps, axis=1), axis=2).sum(axis=1)


# Spheres


@pytest.mark.parametrize("n", [1, 2, 8])
def test_angles_between_vectors_are_exact_everywhere(rng, n):
    a = np.eye(n + 1)[:1].repeat(8, axis=0)
    angles = np.array([0.0, 1e-4, 0.5, 1.5, 3.0, math.pi - 1e-4, math.pi - 1e-3, math.pi])
    b = np.cos(angles)[:, None] * a + np.sin(angles)[:, None] * np.eye(n + 1)[1]
    turn = scipy.stats.special_ortho_group(n + 1, seed=0).rvs()
    # float32 vectors are rounded by 1e-7; the arc cosine would make 3e-4 of it near 0 and π.
    np.testing.assert_allclose(distance(Sphere(n), a @ turn, 3 * b @ turn), angles, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 1e-3, 1.0, math.pi - 1e-3, math.pi])
def test_gradients_of_angles_are_finite_and_right(angle):
    a, b = np.array([[1.0, 0.0, 0.0]]), np.array([[math.cos(angle), math.sin(angle), 0.0]])
    _, slope = gradient(lambda a: keras.ops.sum(Sphere(2).distance(a, to_tensor(b))), a)
    # Towards b the distance falls at speed 1; at 0 and π it has a kink, where the middle of the slopes is 0.
    expected = 0.0 if angle in (0.0, math.pi) else -1.0
    np.testing.assert_allclose(slope, [[0.0, expected, 0.0]], atol=1e-3)
    rotation = Rotation.from_rotvec([0, 0, angle]).as_matrix().reshape(1, 9)
    _, slope = gradient(lambda a: keras.ops.sum(SO3().distance(a, to_tensor(rotation))), np.eye(3).reshape(1, 9))
    generator = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0]]).reshape(1, 9)
    np.testing.assert_allclose(np.sum(slope * generator), expected, atol=1e-3)
    assert np.isfinite(slope).all()


def test_turns_of_a_sphere_are_the_matrix_exponential(rng):
    x, angles = points_of(Sphere(4), 3), rng.uniform(-3, 3, (3, 10))
    for row, turned in enumerate(to_numpy(Sphere(4).act(to_tensor(x), to_tensor(angles)))):
        skew = np.zeros((5, 5))
        for angle, (i, j) in zip(angles[row], itertools.combinations(range(5), 2), strict=True):
            skew[j, i], skew[i, j] = angle, -angle
        np.testing.assert_allclose(turned, scipy.linalg.expm(skew) @ x[row], atol=5e-6)
    quarter = to_numpy(Sphere(2).act(to_tensor([[1.0, 0.0, 0.0]]), to_tensor([math.pi / 2, 0.0, 0.0])))
    np.testing.assert_allclose(quarter, [[0, 1, 0]], atol=1e-6)


def test_great_circles_go_both_ways_round():
    start, end = np.array([1.0, 0, 0]), np.array([0.0, 0, 1])
    paths = to_numpy(Sphere(2).paths(to_tensor(start), to_tensor(end), [[0], [-1], [1]], 1001))
    np.testing.assert_allclose(lengths(Sphere(2), paths), np.array([0.5, 1.5, 2.5]) * math.pi, rtol=1e-4)
    np.testing.assert_allclose(paths[1, 500], [-math.sqrt(0.5), 0, -math.sqrt(0.5)], atol=1e-6)
    for other in (start, -start):  # any great circle
        paths = to_numpy(Sphere(2).paths(to_tensor(start), to_tensor(other), [[0], [-1]], 9))
        np.testing.assert_allclose(np.linalg.norm(paths, axis=2), 1, atol=1e-6)
        np.testing.assert_allclose(paths[:, -1], [other, other], atol=1e-6)


def test_a_sphere_is_sampled_evenly():
    height = points_of(Sphere(2), 4000)[:, 2]
    assert scipy.stats.kstest(height, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3  # Archimedes
    assert Sphere(1).num_angles == 1
    assert Sphere(2).num_angles == 0


def test_directions_have_a_finite_gradient_at_the_origin():
    for space, size in [(Sphere(2), 3), (SO3(), 6), (KleinBottle(), 5), (MobiusBand(), 4), (ProjectiveSpace(2), 6)]:
        value, slope = gradient(lambda raw: keras.ops.sum(space.decoder_input(space.point(raw))), np.zeros((2, size)))  # noqa: B023
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


# Rotations


def test_raw_values_become_rotations(rng):
    raw = rng.normal(size=(40, 6))
    raw[0], raw[1], raw[2], raw[3] = 0.0, [1, 0, 0, 2, 0, 0], [1, 2, 3, 0, 0, 0], [0, 0, 0, 1, 2, 3]
    raw[4, 3:] = raw[4, :3] * (1 + 1e-6)
    R = to_numpy(function_of(SO3(), "point")(to_tensor(raw))).reshape(-1, 3, 3).astype("float64")
    np.testing.assert_allclose(np.swapaxes(R, 1, 2) @ R, np.tile(np.eye(3), (40, 1, 1)), atol=2e-3)
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=2e-3)
    for row in range(5, 40):  # Gram and Schmidt by QR
        Q, upper = np.linalg.qr(raw[row].reshape(2, 3).T)
        np.testing.assert_allclose(R[row, :, :2], Q * np.sign(np.diag(upper)), atol=1e-5)


def test_rotations_are_those_of_scipy(rng):
    R = Rotation.random(20, rng=rng)
    vectors = np.concatenate(
        [rng.normal(size=(16, 3)), [[0, 0, 0], [0, 0, 1e-4], [math.pi - 1e-4, 0, 0], [0, math.pi, 0]]]
    )
    turned = Rotation.from_rotvec(vectors) * R
    rows, turned_rows = (each.as_matrix().reshape(-1, 9) for each in (R, turned))
    np.testing.assert_allclose(distance(SO3(), rows, turned_rows), (turned * R.inv()).magnitude(), atol=2e-6)
    np.testing.assert_allclose(to_numpy(SO3().act(to_tensor(rows), to_tensor(vectors))), turned_rows, atol=2e-6)
    ends = Rotation.concatenate([R[0], turned[0]])
    way = Slerp([0, 1], ends)(np.linspace(0, 1, 7)).as_matrix().reshape(7, 9)
    paths = to_numpy(SO3().paths(to_tensor(rows[0]), to_tensor(turned_rows[0]), [[0], [-1]], 7))
    np.testing.assert_allclose(paths[0], way, atol=2e-6)
    np.testing.assert_allclose(paths[:, -1], turned_rows[[0, 0]], atol=2e-6)
    # The other way around has the rest of a whole turn. A chord of matrices is √2 times the angle.
    fine = SO3().paths(to_tensor(rows[0]), to_tensor(turned_rows[0]), [[0], [-1]], 501)
    angle = np.linalg.norm(vectors[0])
    both = np.array([angle, 2 * math.pi - angle]) * math.sqrt(2)
    np.testing.assert_allclose(lengths(SO3(), to_numpy(fine)), both, rtol=1e-4)


def test_rotations_are_sampled_by_haar_measure():
    R = points_of(SO3(), 3000)
    haar = scipy.stats.special_ortho_group(3, seed=1).rvs(3000).reshape(3000, 9)
    for column in range(9):
        assert scipy.stats.ks_2samp(R[:, column], haar[:, column]).pvalue > 1e-3
    angles = distance(SO3(), R, np.tile(np.eye(3).reshape(1, 9), (3000, 1)))
    assert scipy.stats.kstest(angles, lambda t: (t - np.sin(t)) / math.pi).pvalue > 1e-3


# The interval


def test_the_interval_is_bounded_and_its_loss_compares_quantiles(rng):
    raw = rng.normal(0, 5, (50, 1))
    point = to_numpy(Interval().point(to_tensor(raw)))
    np.testing.assert_allclose(point, np.tanh(raw), atol=1e-6)
    (term,) = Interval().terms("uniform")
    middles = (np.arange(50) + 0.5) / 25 - 1
    expected = np.mean((np.sort(point[:, 0]) - middles) ** 2)
    np.testing.assert_allclose(float(term.loss(to_tensor(point))), expected, rtol=1e-5)
    (statistic,) = prior_statistics(Interval(), point.astype("float64")).values()
    np.testing.assert_allclose(statistic.largest, scipy.stats.kstest(point[:, 0], scipy.stats.uniform(-1, 2).cdf)[0])
    again = torusae.Term.from_config(term.get_config())
    assert float(again.loss(to_tensor(point))) == float(term.loss(to_tensor(point)))


# Quotients


@EACH_QUOTIENT
def test_a_point_and_its_image_are_one(space):
    a, b = points_of(space, 30), points_of(space, 30, 1)
    image = to_numpy(space.image(to_tensor(a)))
    assert np.abs(image - a).max(axis=1).min() > 0.1
    np.testing.assert_allclose(decoder_input(space, image), decoder_input(space, a), atol=1e-6)
    np.testing.assert_allclose(distance(space, image, a), 0, atol=1e-6)
    np.testing.assert_allclose(distance(space, image, b), distance(space, a, b), atol=1e-5)
    assert np.linalg.norm(decoder_input(space, a) - decoder_input(space, b), axis=1).min() > 1e-2
    of_points, of_images = (next(iter(prior_statistics(space, each).values())).largest for each in (a, image))
    np.testing.assert_allclose(of_images, of_points, rtol=1e-4)


@EACH_QUOTIENT
def test_the_map_of_raw_values_is_onto_and_has_no_seam(space):
    """A code is its own raw value (but for the band's tanh): no cut is crossed on the way from raw values to codes."""
    point = points_of(space, 200)
    codes = decoder_input(space, point)
    raw = codes.copy()
    if isinstance(space, MobiusBand):
        raw[:, 2:] *= np.arctanh(point[:, 2:]) / point[:, 2:]
    np.testing.assert_allclose(decoder_input(space, function_of(space, "point")(to_tensor(raw))), codes, atol=2e-5)
    # Small steps of raw values make small steps of codes, on a closed way that no choice of images closes.
    start = to_tensor(point[0])
    paths = space.paths(start, space.image(start), [[0] * space.num_windings], 400)
    around = decoder_input(space, to_numpy(paths)[0])
    np.testing.assert_allclose(around[0], around[-1], atol=1e-5)
    steps = decoder_input(space, function_of(space, "point")(to_tensor(around + 0.1)))
    assert np.linalg.norm(np.diff(steps, axis=0), axis=1).max() < 0.1


def test_distances_are_those_of_all_lifts(rng):
    """Brute force on the plane and the strip that cover the bottle and the band."""
    a, b = (rng.uniform(-math.pi, math.pi, (40, 2)) for _ in range(2))
    t, s = (rng.uniform(-1, 1, 40) for _ in range(2))

    def on_torus(angles):
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)

    turns = range(-3, 4)
    bottle = [
        min(
            math.hypot(b[i, 0] + math.pi * k - a[i, 0], (-1) ** k * b[i, 1] + 2 * math.pi * m - a[i, 1])
            for k in turns
            for m in turns
        )
        for i in range(40)
    ]
    np.testing.assert_allclose(distance(KleinBottle(), on_torus(a), on_torus(b)), bottle, atol=3e-6)
    on_band = [np.stack([np.cos(x[:, 0]), np.sin(x[:, 0]), y], axis=1) for x, y in ((a, t), (b, s))]
    band = [min(math.hypot(b[i, 0] + math.pi * k - a[i, 0], (-1) ** k * s[i] - t[i]) for k in turns) for i in range(40)]
    np.testing.assert_allclose(distance(MobiusBand(), *on_band), band, atol=3e-6)
    x, y = points_of(ProjectiveSpace(3), 40), points_of(ProjectiveSpace(3), 40, 1)
    np.testing.assert_allclose(
        distance(ProjectiveSpace(3), x, y), np.arccos(np.abs(np.sum(x.astype("float64") * y, axis=1))), atol=2e-6
    )


def test_paths_of_quotients_lead_to_both_images():
    space = ProjectiveSpace(2)
    start, end = points_of(space, 1)[0], points_of(space, 1, 1)[0]
    windings = space.windings(to_tensor(start), to_tensor(end))
    # Around the line through both, which closes after half a turn. A chord of codes is √2 times the angle.
    found = lengths(space, to_numpy(space.paths(to_tensor(start), to_tensor(end), windings, 501)))
    near = float(distance(space, start[None], end[None])[0])
    np.testing.assert_allclose(found, np.array([near, math.pi - near]) * math.sqrt(2), rtol=1e-4)
    for space, count in [(KleinBottle(), 4), (MobiusBand(), 2)]:
        start, end = points_of(space, 1)[0], points_of(space, 1, 1)[0]
        windings = to_numpy(space.windings(to_tensor(start), to_tensor(end)))
        assert len(windings) == count
        assert sorted(set(windings[:, 0])) == [0, 1]
        paths = to_numpy(space.paths(to_tensor(start), to_tensor(end), windings, 301))
        along = [distance(space, path[:-1], path[1:]).astype("float64").sum() for path in paths]
        assert len(np.unique(np.round(along, 3))) == count
        ends = np.repeat(decoder_input(space, end[None]), count, axis=0)
        np.testing.assert_allclose(decoder_input(space, paths[:, -1]), ends, atol=1e-5)
        np.testing.assert_allclose(min(along), along[0])
        # The two ways along a close a circle of half a turn.
        if count == 2:
            a = [abs(np.unwrap(np.arctan2(path[:, 1], path[:, 0]))[[0, -1]] @ [-1, 1]) for path in paths]
            assert sum(a) == pytest.approx(math.pi, abs=1e-5)


def test_an_angle_of_a_quotient_is_set_the_shortest_way():
    angles = np.random.default_rng(0).uniform(-math.pi, math.pi, (6, 1)).astype("float32")
    for space in (KleinBottle(), MobiusBand()):
        points = points_of(space, 6)
        moved = to_numpy(space.with_angles(to_tensor(points), to_tensor(angles)))
        turns = np.angle(np.exp(1j * (angles - to_numpy(space.angles(to_tensor(points))))))[:, 0]
        np.testing.assert_allclose(distance(space, points, moved), abs(turns) / 2, atol=2e-5)
        # Both points that stand for one are moved to the same place.
        image = to_numpy(space.with_angles(space.image(to_tensor(points)), to_tensor(angles)))
        np.testing.assert_allclose(decoder_input(space, image), decoder_input(space, moved), atol=1e-5)


@EACH_QUOTIENT
def test_shortest_is_the_first_of_the_paths(space):
    start, end = points_of(space, 6), points_of(space, 6, 1)
    shares = np.array([0.0, 0.25, 0.5, 0.5, 0.875, 1.0])
    quick = space.shortest(to_tensor(start), to_tensor(end), to_tensor(shares))
    slow = torusae.Space.shortest(space, to_tensor(start), to_tensor(end), to_tensor(shares))
    np.testing.assert_allclose(decoder_input(space, quick), decoder_input(space, slow), atol=1e-5)


@pytest.mark.parametrize("space", [*QUOTIENTS, Sphere(2), SO3()], ids=repr)
def test_chance_is_the_mean_over_the_prior(space):
    (term,) = space.terms("uniform")
    squares, num = [], 20
    for seed in range(60):
        (statistic,) = prior_statistics(space, points_of(space, num, seed)).values()
        squares.append(statistic.largest**2)
    # Four standard errors.
    error = 4 * np.std(squares) / math.sqrt(len(squares))
    assert np.mean(squares) == pytest.approx(statistic.chance**2, abs=error)
    # The statistic is the root of the term, by another way of computing.
    point = to_tensor(points_of(space, num, seed))
    np.testing.assert_allclose(squares[-1], float(term.loss(space.view(term.reads, point, point))), atol=1e-6)
    assert error < 0.4 * statistic.chance**2
    assert term.weight > 0


@pytest.mark.parametrize("lower", [[0.3, -0.2], [0.1, 0.1]], ids=["apart", "equal"])
def test_the_largest_axis_has_the_derivative_of_perturbation_theory(lower):
    """By finite differences of NumPy's eigenvectors, where smaller eigenvalues are equal too."""
    turn = scipy.stats.special_ortho_group(3, seed=0).rvs()
    A = turn @ np.diag([1.0, *lower]) @ turn.T
    rows, columns = np.triu_indices(3)
    factors = np.where(rows == columns, 1, math.sqrt(2))
    raw = (A[rows, columns] * factors)[None]
    weights = np.random.default_rng(0).normal(size=6)

    def expected(raw):
        matrix = np.zeros((3, 3))
        matrix[rows, columns] = matrix[columns, rows] = raw[0] / factors
        axis = np.linalg.eigh(matrix)[1][:, -1]
        return weights @ (np.outer(axis, axis)[rows, columns] * factors)

    space = ProjectiveSpace(2)
    value, slope = gradient(
        lambda raw: keras.ops.sum(space.decoder_input(space.point(raw)) * to_tensor(weights)), raw, compile=True
    )
    np.testing.assert_allclose(value, expected(raw), atol=1e-5)
    steps = [(expected(raw + 1e-5 * e) - expected(raw - 1e-5 * e)) / 2e-5 for e in np.eye(6)]
    np.testing.assert_allclose(slope[0], steps, atol=2e-5)


def test_a_training_that_diverged_has_nan_points():
    raw = np.ones((3, 6))
    raw[1, 2], raw[2, 0] = np.nan, np.inf
    point = to_numpy(ProjectiveSpace(2).point(to_tensor(raw)))
    assert np.isfinite(point[0]).all()
    assert not np.isfinite(point[1:]).all(axis=1).any()


# Texts, figures, errors


def test_texts_name_spaces():
    assert repr(parse("QuantizedTorus(2, bits=4) * Gaussian(1)")) == "QuantizedTorus(2, bits=4) * Gaussian(1)"
    with pytest.raises(ValueError, match="`dim` must be at least 1"):
        parse("Torus(0)")
    assert repr(parse("T2 x R4 x S2")) == "Torus(2) * Gaussian(4) * Sphere(2)"
    assert repr(parse(" SO3*K × M x I ")) == "SO3() * KleinBottle() * MobiusBand() * Interval()"
    assert repr(parse("RP2")) == "ProjectiveSpace(2)"
    assert repr(parse("S1xT1")) == "Sphere(1) * Torus(1)"
    assert repr(torusae.Latent("T2 x R4").space) == "Torus(2) * Gaussian(4)"
    assert repr(torusae.TorusAutoencoder.from_shape((3,), "S2").latent.space) == "Sphere(2)"


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("t2 x r4", "T2 x R4"),
        ("T2 x Q4", "T2 x R4"),
        ("torus(3)", "T3"),
        ("Torus(__import__)", "T2"),
        ("S", "S2"),
        ("K2", "K"),
        ("SO(3) x T1", "SO3 x T1"),
        ("klein bottle", "K"),
        ("sphere2", "S2"),
        ("RP0", "RP2"),
        ("", "T2"),
        ("2", "T2"),
    ],
)
def test_a_text_without_a_space_gets_the_nearest_one(text, nearest):
    with pytest.raises(ValueError, match=re.escape(f"in text={text!r}. Did you mean {nearest!r}?")):
        parse(text)
    parse(nearest)


def test_a_number_as_a_text_is_a_torus():
    with pytest.raises(ValueError, match=r"Received: '3' .*Did you mean 'T3'\? .*an integer, dim=3\."):
        torusae.TorusAutoencoder.from_shape((4,), dim="3")


@pytest.mark.parametrize(
    ("space", "labels"),
    [
        (Sphere(2), ("longitude (rad)", "height")),
        (Sphere(1), ("φ₀ (rad)", "density (1/rad)")),
        (Sphere(5), ("longitude (rad)", "height")),
        (ProjectiveSpace(2), ("longitude (rad)", "height")),
        (SO3(), ("longitude (rad)", "height")),
        (KleinBottle(), ("a (rad)", "b (rad)")),
        (MobiusBand(), ("a (rad)", "t")),
        (Interval(), ("t", "density")),
    ],
    ids=repr,
)
def test_a_picture_of_points(space, labels):
    axes = Figure().add_subplot()
    torusae.plots.draw_points(space, axes, points_of(space, 300).astype("float64"))
    axes.figure.canvas.draw()
    assert (axes.get_xlabel(), axes.get_ylabel()) == labels
    if axes.collections:
        drawn = np.asarray(axes.collections[0].get_offsets())
        assert len(drawn) == 300
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        assert (drawn[:, 0] >= left).all() and (drawn[:, 0] <= right).all()  # noqa: PT018
        assert (drawn[:, 1] >= low).all() and (drawn[:, 1] <= high).all()  # noqa: PT018
        # Maps of equal areas, but for the sphere of five dimensions: half of the points on each side of the middle.
        middle = (low + high) / 2
        assert abs(np.mean(drawn[:, 1] > middle) - 0.5) < 0.15


def test_errors():
    for call, error, message in [
        (lambda: Sphere(0), ValueError, "Sphere: `n` must be at least 1. Received: n=0"),
        (lambda: ProjectiveSpace(2.0), TypeError, "ProjectiveSpace: `n` must be an integer"),
        (lambda: Sphere(2).terms("even"), ValueError, "Sphere: `preset` must be one of"),
        (lambda: KleinBottle().terms("even"), ValueError, "KleinBottle: `preset` must be one of"),
        (lambda: Sphere(2).sample(0), ValueError, "Sphere.sample: `num_samples` must be at least 1"),
        (lambda: SO3().sample(0), ValueError, "SO3.sample: `num_samples` must be at least 1"),
        (lambda: Interval().sample(0), ValueError, "Interval.sample: `num_samples` must be at least 1"),
        *(
            (
                lambda space=space: space.act(space.sample(2), np.zeros(9)),
                ValueError,
                f".act: `action` must have shape ({space.action_size},) or (batch, {space.action_size}). Received",
            )
            for space in (Sphere(2), SO3(), torusae.Torus(2), torusae.Gaussian(3), MobiusBand() * Interval())
        ),
        (
            lambda: Sphere(2).paths(to_tensor(np.eye(3)[0]), to_tensor(np.eye(3)[1]), [[0.5]]),
            ValueError,
            "Sphere.paths: `windings` must be integers of shape (num_paths, 1)",
        ),
        (
            lambda: KleinBottle().paths(*[to_tensor(np.ones(4))] * 2, [[2, 0, 0]]),
            ValueError,
            "KleinBottle.paths: the first column of `windings` must be the number of an image, 0 or 1. Received: [2]",
        ),
        (
            lambda: Sphere(2).point(to_tensor(np.zeros(3))),
            ValueError,
            "Sphere.point: `raw` must have shape (batch, n + 1)",
        ),
        (lambda: parse(3), TypeError, "parse: `text` must be a string"),
        (lambda: torusae.Latent(3), TypeError, "Latent: `space` must be a torusae Space"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            call()


def test_points_and_actions_may_be_numpy_arrays():
    product = torusae.Torus(2) * torusae.Gaussian(2) * Sphere(2)
    quantized = torusae.spaces.QuantizedTorus(2, bits=4)
    for space in (product, quantized, Interval(), SO3(), ProjectiveSpace(2), KleinBottle(), MobiusBand()):
        point = to_numpy(space.sample(5, seed=0))
        for method, size in (("act", space.action_size), ("move", space.step_size)):
            change = np.full((5, size), 0.3, "float32")
            expected = to_numpy(getattr(space, method)(to_tensor(point), to_tensor(change)))
            for given in (change, to_tensor(change)):
                np.testing.assert_array_equal(to_numpy(getattr(space, method)(point, given)), expected)
