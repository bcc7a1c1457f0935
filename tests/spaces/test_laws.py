"""One list of laws that every space runs through, two spaces of the tests' own and products among them."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from shared.spaces import ProjectivePlane, Sphere
from shared.tensors import compiled_on_jax, to_numpy, to_tensor

import torusae
from torusae import Gaussian, Torus, spaces
from torusae.densities import densities_of
from torusae.diagnostics import diagnose_points, prior_statistics

SIX = [
    spaces.Sphere(2),
    spaces.SO3(),
    spaces.ProjectiveSpace(3),
    spaces.KleinBottle(),
    spaces.MobiusBand(),
    spaces.Interval(),
]
SPACES = {
    "torus 1": lambda: Torus(1),
    "torus 3": lambda: Torus(3),
    "quantized torus": lambda: spaces.QuantizedTorus(2, 4, "noise"),
    "gaussian": lambda: Gaussian(2),
    "variational": lambda: Gaussian(2, variational=True),
    **{repr(space): lambda space=space: space for space in SIX},
    "circle": lambda: spaces.Sphere(1),
    "sphere": Sphere,
    "plane": ProjectivePlane,
    "torus twice": lambda: Torus(1) * Torus(2),
    "sphere twice": lambda: Sphere() * Sphere(),
    "plane twice": lambda: ProjectivePlane() * ProjectivePlane(),
    "torus and gaussian": lambda: Torus(2) * Gaussian(1),
    "torus and sphere": lambda: Torus(1) * Sphere(),
    "six": lambda: math.prod(SIX[1:], start=SIX[0]),
    "three": lambda: Gaussian(1) * ProjectivePlane() * Torus(1),
}
# Whose models are trained. The others differ from these in the number of their coordinates alone, or are in "six".
TRAINED = ["torus 3", "variational", "sphere", "plane", "sphere twice", "plane twice"]
TRAINED += ["torus and sphere", "six"]
# Their symmetries do not take every point to every other, or are not told.
WITHOUT_ANALOGIES = {repr(space) for space in (*SIX[3:], Sphere(), ProjectivePlane())}
SHAPE = (6,)


def pytest_generate_tests(metafunc):
    if "space" in metafunc.fixturenames:
        names = TRAINED if "model" in metafunc.fixturenames else SPACES
        metafunc.parametrize("space", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def space(request):
    return SPACES[request.param]()


def distances(space):
    """The distance of rows as a NumPy array."""
    distance = compiled_on_jax(space.distance)
    return lambda a, b: to_numpy(distance(to_tensor(a), to_tensor(b)))


def samples(num):
    return np.random.default_rng(1).normal(size=(num, *SHAPE)).astype("float32")


@pytest.fixture(scope="module")
def model(space):
    """Trained for a step, with two heads."""
    keras.utils.set_random_seed(0)
    heads = {
        "digit": torusae.Head("classification", 3, units=(4,)),
        "hour": torusae.Head("circular_regression", period=24, units=(4,)),
    }
    encoder = torusae.networks.dense_encoder(SHAPE, units=(8,))
    decoder = torusae.networks.dense_decoder(SHAPE, space.decoder_input_size, units=(8,))
    model = torusae.TorusAutoencoder(encoder, decoder, torusae.Latent(space), heads)
    model.compile("adam", "mse")
    labels = {"digit": np.arange(128) % 3, "hour": np.linspace(0, 24, 128)}
    # As many samples for the validation: on JAX each shape costs a second for the statistics.
    model.history_of_fit = model.fit(
        samples(128), labels, batch_size=64, verbose=0, validation_data=samples(128)
    ).history
    return model


def points_of(space, num, seed=0):
    return space.sample(num, seed=seed)


# The space


def test_sizes(space):
    point = points_of(space, 5)
    assert point.shape == (5, space.point_size)
    assert space.decoder_input(point).shape == (5, space.decoder_input_size)
    assert space.head_input(point).shape == (5, space.head_input_size)
    raw = to_tensor(np.random.default_rng(0).normal(size=(5, space.raw_size)))
    assert space.point(raw).shape == (5, space.point_size)
    for name in ("raw", "point", *space.views):
        assert len(space.view(name, raw, space.point(raw)).shape) == 2


def test_unknown_names_list_the_known_ones(space):
    point = points_of(space, 2)
    with pytest.raises(ValueError, match=r"`view` must be one of \['raw', 'point'.*Received: view='elbow'"):
        space.view("elbow", point, point)
    with pytest.raises(ValueError, match=r"`losses` must be one of.*'none'.*Received: losses='elbow'"):
        torusae.Latent(space, losses="elbow")
    with pytest.raises(ValueError, match=r"`loss_weights` must be one of.*Received: loss_weights='elbow'"):
        torusae.Latent(space, loss_weights={"elbow": 1.0})


def test_one_seed_gives_the_same_points(space):
    np.testing.assert_array_equal(to_numpy(points_of(space, 9)), to_numpy(points_of(space, 9)))
    assert np.abs(to_numpy(points_of(space, 9, seed=1)) - to_numpy(points_of(space, 9))).max() > 0.1


def test_distance_is_a_metric(space):
    distance = distances(space)
    a, b, c = (points_of(space, 20, seed) for seed in range(3))
    ab, ba, bc, ac = (distance(*pair) for pair in [(a, b), (b, a), (b, c), (a, c)])
    np.testing.assert_allclose(ab, ba, atol=1e-5)
    assert (ac <= ab + bc + 1e-4).all()
    # The arc cosine turns a rounding of 1e-7 into 1e-3.
    np.testing.assert_allclose(distance(a, a), 0, atol=2e-3)
    assert (ab > 1e-2).all()


def test_a_symmetry_keeps_distances_and_zeros_move_nothing(space):
    distance = distances(space)
    a, b = (points_of(space, 20, seed) for seed in range(2))
    action = to_tensor(np.random.default_rng(0).uniform(-2, 2, space.action_size))
    moved = space.act(a, action)
    np.testing.assert_allclose(distance(moved, space.act(b, action)), distance(a, b), atol=2e-3)
    np.testing.assert_allclose(to_numpy(space.act(a, ops.zeros_like(action))), to_numpy(a), atol=1e-5)
    if space.action_size:  # an interval has no symmetries that could be small
        assert (distance(moved, a) > 1e-2).any()
    np.testing.assert_allclose(distance(space.act(moved, -action), a), 0, atol=2e-3)


def test_an_angle_turns_alone(space):
    point = points_of(space, 20)
    assert space.angle_actions.shape == (space.num_angles, space.action_size)
    for i, action in enumerate(space.angle_actions):
        turns = np.zeros(space.num_angles)
        turns[i] = 0.7
        moved = space.act(point, to_tensor(0.7 * action))
        change = np.exp(1j * (to_numpy(space.angles(moved)) - to_numpy(space.angles(point))))
        np.testing.assert_allclose(change, np.broadcast_to(np.exp(1j * turns), change.shape), atol=1e-5)


def test_the_symmetry_of_an_analogy_takes_a_to_b_and_keeps_distances(space):
    distance = distances(space)
    a, b, c, other = (points_of(space, 20, seed) for seed in range(4))
    if {repr(factor) for factor in getattr(space, "factors", [space])} & WITHOUT_ANALOGIES:
        with pytest.raises(ValueError, match="has no analogies: no symmetry"):
            space.analogy(a, b, c)
        return
    d = space.analogy(a, b, c)
    assert d.shape == c.shape
    for first, second in [
        (space.analogy(a, a, c), c),
        (space.analogy(a, b, a), b),
        (space.analogy(b, a, d), c),
    ]:
        np.testing.assert_allclose(distance(first, second), 0, atol=2e-3)
    np.testing.assert_allclose(distance(d, space.analogy(a, b, other)), distance(c, other), atol=2e-3)
    assert (distance(d, c) > 1e-2).any()


def test_every_angle_can_be_set(space):
    if not space.num_angles:
        with pytest.raises(ValueError, match="has no angles"):
            space.with_angles(points_of(space, 2), to_tensor(np.zeros((2, 1))))
        return
    points, angles = points_of(space, 20), np.random.default_rng(0).uniform(-3.1, 3.1, (20, space.num_angles))
    for count in {1, space.num_angles}:
        moved = to_numpy(space.angles(space.with_angles(points, to_tensor(angles[:, :count]))))
        turn = moved[:, :count] - angles[:, :count]
        np.testing.assert_allclose((turn + math.pi) % (2 * math.pi) - math.pi, 0, atol=2e-5)
        np.testing.assert_allclose(moved[:, count:], to_numpy(space.angles(points))[:, count:], atol=1e-5)


def test_paths_join_the_ends_the_shortest_first(space):
    distance = distances(space)
    start, end = (to_numpy(points_of(space, 1, seed))[0] for seed in range(2))
    start, end = to_tensor(start), to_tensor(end)
    windings = to_numpy(space.windings(start, end))
    assert windings.shape[1] == space.num_windings
    paths = space.paths(start, end, windings, num_steps=64)
    assert paths.shape == (len(windings), 64, space.point_size)
    steps = to_numpy(paths)
    ends = (np.repeat(to_numpy(each)[None], len(windings), 0) for each in (start, end))
    for place, target in zip((0, -1), ends, strict=True):
        np.testing.assert_allclose(distance(steps[:, place], target), 0, atol=2e-3)
    lengths = [distance(path[:-1], path[1:]).astype("float64").sum() for path in steps]
    shortest = float(distance(start[None], end[None])[0])
    np.testing.assert_allclose(lengths[0], shortest, rtol=1e-2)  # sums of arc cosines
    assert min(lengths) >= shortest - 1e-2


def test_statistics_of_the_prior_are_near_chance(space):
    for statistic in prior_statistics(space, to_numpy(points_of(space, 400)).astype("float64")).values():
        assert statistic.largest < 3 * statistic.chance
    spoiled = np.repeat(to_numpy(points_of(space, 1)), 400, axis=0).astype("float64")
    assert any(each.largest > 3 * each.chance for each in prior_statistics(space, spoiled).values())


def test_config(space):
    config = keras.saving.serialize_keras_object(space)
    again = keras.saving.deserialize_keras_object(config)
    assert repr(again) == repr(space)
    assert keras.saving.serialize_keras_object(again) == config


# The layer


def test_the_layer_is_the_map_and_the_space(space):
    layer = torusae.Latent(space)
    features = to_tensor(np.random.default_rng(0).normal(size=(7, 4)))
    code, point = layer(features, return_point=True)
    np.testing.assert_array_equal(to_numpy(layer(features)), to_numpy(code))
    np.testing.assert_allclose(to_numpy(space.decoder_input(point)), to_numpy(code), atol=1e-6)
    np.testing.assert_allclose(to_numpy(space.point(layer.projection(features))), to_numpy(point), atol=1e-6)


def test_terms_survive_a_round_trip(space):
    for preset in space.presets:
        layer = torusae.Latent(space, losses=preset)
        again = torusae.Latent.from_config(layer.get_config())
        assert [repr(term) for term in again.terms] == [repr(term) for term in layer.terms]


def test_equal_points_have_equal_codes():
    point = points_of(ProjectivePlane(), 5)
    np.testing.assert_array_equal(
        to_numpy(ProjectivePlane().decoder_input(point)), to_numpy(ProjectivePlane().decoder_input(-point))
    )


# The model


def test_history(space, model):
    names = {term.name for term in model.latent.terms} | set(prior_statistics(space, np.ones((4, space.point_size))))
    expected = {"loss", "reconstruction", "digit_loss", "digit_accuracy", "hour_loss", "hour_error"} | names
    history = set(model.history_of_fit)
    assert expected | {f"val_{name}" for name in ["loss", "reconstruction", *names]} <= history
    assert all(np.isfinite(values).all() for values in model.history_of_fit.values())


def test_encode_and_decode(space, model):
    x = samples(20)
    points = model.encode(x, verbose=0)
    assert points.shape == (20, space.point_size)
    outputs = model.predict(x, verbose=0)
    np.testing.assert_allclose(outputs["point"], points, atol=1e-6)
    np.testing.assert_allclose(model.decode(points, verbose=0), outputs["reconstruction"], atol=1e-5)
    assert outputs["digit"].shape == (20, 3)
    np.testing.assert_allclose(outputs["digit"].sum(axis=-1), 1, atol=1e-5)
    assert (np.abs(outputs["hour"]) <= 12).all()


def test_angles_where_there_are_any(space, model):
    if space.num_angles:
        angles = model.angles(samples(5), verbose=0)
        assert angles.shape == (5, space.num_angles)
        assert (angles >= -np.pi).all()
        assert (angles < np.pi).all()
    else:
        with pytest.raises(ValueError, match="must have angles"):
            model.angles(samples(5), verbose=0)


def test_sample_and_morph(space, model):
    assert model.sample(5, seed=0, verbose=0).shape == (5, *SHAPE)
    x = samples(2)
    morph = model.morph(x[0], x[1], num_steps=4, verbose=0)
    assert morph.shape[1:] == (4, *SHAPE)
    ends = model.reconstruct(x, verbose=0)
    np.testing.assert_allclose(morph[:, 0], np.repeat(ends[:1], len(morph), 0), atol=1e-3)
    np.testing.assert_allclose(morph[:, -1], np.repeat(ends[1:], len(morph), 0), atol=1e-3)


def test_diagnose(space, model):
    text = str(torusae.diagnose(model, samples(200), batch_size=32))
    assert text.startswith(f"200 points on {space!r}")
    assert "small batch" in text
    assert "nothing wrong" in str(diagnose_points(space, to_numpy(points_of(space, 2000)).astype("float64")))


def test_plot_of_the_diagnosis(space, model):
    figure = torusae.plots.plot_diagnosis(torusae.diagnose(model, samples(200)))
    assert len(figure.axes) >= 1
    figure.canvas.draw()


def test_density(space, model):
    for name in densities_of(space):
        model.fit_density(samples(150), name, seed=0, verbose=0)
        drawn = model.sample(6, seed=0, density="fitted", verbose=0)
        assert drawn.shape == (6, *SHAPE)
        assert np.isfinite(drawn).all()


def test_save_and_load(space, model, tmp_path):
    model.fit_density(samples(150), seed=0, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = samples(5)
    np.testing.assert_allclose(loaded.encode(x, verbose=0), model.encode(x, verbose=0), atol=1e-6)
    np.testing.assert_allclose(
        loaded.sample(4, seed=0, density="fitted", verbose=0),
        model.sample(4, seed=0, density="fitted", verbose=0),
        atol=1e-5,
    )
    assert [repr(term) for term in loaded.latent.terms] == [repr(term) for term in model.latent.terms]


# Products


@pytest.mark.parametrize("factor", [Torus(2), Gaussian(1), Sphere(), ProjectivePlane()], ids=repr)
def test_a_space_twice_keeps_its_terms_apart(factor):
    product = factor * factor
    family = type(factor).__name__.lower()
    own = [term.name for term in factor.terms(factor.presets[0])]
    assert [term.name for term in product.terms("default")] == [f"{family}_{i}.{name}" for i in (0, 1) for name in own]
    point = to_numpy(points_of(product, 50))
    halves = np.split(point, 2, axis=1)
    layer = torusae.Latent(product)
    values = layer.losses_of(to_tensor(point), to_tensor(point))
    for i, half in enumerate(halves):
        for term in factor.terms(factor.presets[0]):
            part = factor.view(term.reads, to_tensor(half), to_tensor(half))
            np.testing.assert_allclose(
                to_numpy(values[f"{family}_{i}.{term.name}"]), to_numpy(term.loss(part)), rtol=1e-5
            )


def test_too_many_paths_are_refused():
    product = Torus(9) * Torus(9)
    start, end = (points_of(product, 1, seed)[0] for seed in range(2))
    with pytest.raises(ValueError, match=r"262144 paths .*more than 65536.*Give `windings`"):
        product.windings(start, end)


# What a third party forgets


def test_a_space_that_forgets_a_part_is_told_which():
    class Line(torusae.Space):
        raw_size = 1

        def terms(self, preset):
            return []

        def get_config(self):
            return {}

    with pytest.raises(TypeError, match="Line: a Space must define `distance`, `paths`, `sample`"):
        Line()

    class Sized(Sphere):
        def __init__(self):
            pass

    Sized.point_size = 0
    with pytest.raises(ValueError, match=r"Sized: `point_size` must be at least 1. Received: point_size=0"):
        Sized()
    with pytest.raises(TypeError, match="only spaces can be multiplied"):
        Torus(1) * 3
