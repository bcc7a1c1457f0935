"""One list of laws that every space runs through, two spaces of the tests' own and products among them."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from shared.spaces import FlatCylinder, LensSpace, SquaredMean
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
    repr(space): space
    for space in (
        *(Torus(1), Torus(3), spaces.QuantizedTorus(2, 4, "noise"), Gaussian(2), Gaussian(2, variational=True)),
        *SIX,
        *(spaces.Sphere(1), LensSpace(), FlatCylinder()),
        *(Torus(1) * Torus(2), LensSpace() * LensSpace(), Torus(2) * Gaussian(1), FlatCylinder() * LensSpace()),
        math.prod(SIX[1:], start=SIX[0]),
        Gaussian(1) * LensSpace() * Torus(1),
    )
}
SHAPE = (6,)


def trained():
    """Names of few spaces that hold each kind of factor once at least: their models are trained."""
    names, seen = [], set()
    for name, space in sorted(SPACES.items(), key=lambda item: -len(getattr(item[1], "factors", []))):
        kinds = {(type(factor), factor.is_stochastic) for factor in getattr(space, "factors", [space])}
        if kinds - seen:
            names.append(name)
            seen |= kinds
    return names


def pytest_generate_tests(metafunc):
    if "space" in metafunc.fixturenames:
        names = trained() if "model" in metafunc.fixturenames else SPACES
        metafunc.parametrize("space", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def space(request):
    return SPACES[request.param]


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


def test_the_decoder_reads_a_point_without_a_seam(space):
    """Along paths its input moves in small steps; it tells points apart, and is the same at the ends of a path."""
    a, b = (points_of(space, 20, seed) for seed in range(2))
    read = compiled_on_jax(space.decoder_input)
    assert (np.linalg.norm(to_numpy(read(a)) - to_numpy(read(b)), axis=1) > 1e-3).all()
    for start, end in zip(a[:3], b[:3], strict=True):
        for path in space.paths(start, end, space.windings(start, end)[:32], num_steps=129):
            values = to_numpy(read(path))
            steps = np.linalg.norm(np.diff(values, axis=0), axis=1)
            assert steps.max() < 0.1 * steps.sum()
            np.testing.assert_allclose(values[[0, -1]], to_numpy(read(ops.stack([start, end]))), atol=2e-3)


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


def test_a_step_moves_no_farther_than_it_is_long(space):
    distance = distances(space)
    point, step = points_of(space, 20), np.random.default_rng(0).normal(size=(20, space.step_size))
    np.testing.assert_allclose(to_numpy(space.move(point, to_tensor(0 * step))), to_numpy(point), atol=1e-5)
    for size in (1.0, 0.1):
        moved = distance(space.move(point, to_tensor(size * step)), point)
        assert (moved > 1e-2 * size).any()
        assert (moved < size * np.linalg.norm(step, axis=1) + 1e-3).all()


def test_a_random_walk_keeps_the_prior(space):
    """Metropolis et al. (1953): moves, accepted by their density, leave its draws as they are distributed."""
    num, rng = 4000, np.random.default_rng(0)

    def walk(point, step, chance):
        other = space.move(point, step)
        accepted = chance < ops.exp(space.log_prob(other) - space.log_prob(point))
        return ops.where(accepted[:, None], other, point)

    walk, point = compiled_on_jax(walk), points_of(space, num)
    assert space.log_prob(point).shape == (num,)
    for _ in range(12):
        point = walk(point, to_tensor(rng.normal(0, 0.4, (num, space.step_size))), to_tensor(rng.uniform(size=num)))
    drawn, walked = (
        to_numpy(space.decoder_input(each)).astype("float64") for each in (points_of(space, num, 1), point)
    )
    for power in (1, 2):
        a, b = drawn**power, walked**power
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / num) + 1e-6
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 5 * error).all()


def test_an_angle_turns_alone(space):
    point = points_of(space, 20)
    assert isinstance(space.angle_actions, np.ndarray), "the contract asks for a NumPy array"
    assert space.angle_actions.shape == (space.num_angles, space.action_size)
    if not space.num_angles:
        with pytest.raises(ValueError, match="has no angles"):
            space.angles(point)
        return
    angles = to_numpy(space.angles(point))
    assert angles.shape == (20, space.num_angles)
    assert ((-math.pi <= angles) & (angles < math.pi)).all()
    for i, action in enumerate(space.angle_actions):
        turns = np.zeros(space.num_angles)
        turns[i] = 0.7
        change = np.exp(1j * (to_numpy(space.angles(space.act(point, to_tensor(0.7 * action)))) - angles))
        np.testing.assert_allclose(change, np.broadcast_to(np.exp(1j * turns), change.shape), atol=1e-5)


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


def test_the_symmetry_of_an_analogy_takes_a_to_b_and_keeps_distances(space):
    distance = distances(space)
    a, b, c, other = (points_of(space, 20, seed) for seed in range(4))
    try:
        d = space.analogy(a, b, c)
    except (NotImplementedError, ValueError):  # as the contract allows
        return
    assert d.shape == c.shape
    for first, second in [
        (space.analogy(a, a, c), c),
        (space.analogy(a, b, a), b),
        (space.analogy(b, a, d), c),
    ]:
        np.testing.assert_allclose(distance(first, second), 0, atol=2e-3)
    np.testing.assert_allclose(distance(d, space.analogy(a, b, other)), distance(c, other), atol=2e-3)
    assert (distance(d, c) > 1e-2).any()


def test_paths_join_the_ends_at_even_speed_the_shortest_first(space):
    distance = distances(space)
    start, end = (points_of(space, 1, seed)[0] for seed in range(2))
    windings = to_numpy(space.windings(start, end))
    assert windings.shape[1] == space.num_windings
    assert windings.dtype.kind == "i"
    paths = space.paths(start, end, windings, num_steps=65)
    assert paths.shape == (len(windings), 65, space.point_size)
    steps = to_numpy(paths)
    ends = (np.repeat(to_numpy(each)[None], len(windings), 0) for each in (start, end))
    for place, target in zip((0, -1), ends, strict=True):
        np.testing.assert_allclose(distance(steps[:, place], target), 0, atol=2e-3)
    ways = np.cumsum([distance(path[:-1], path[1:]).astype("float64") for path in steps], axis=1)
    lengths, shortest = ways[:, -1], float(distance(start[None], end[None])[0])
    np.testing.assert_allclose(lengths[0], shortest, rtol=1e-2)  # sums of rounded steps
    assert min(lengths) >= shortest - 1e-2
    np.testing.assert_allclose(ways[:, [15, 31, 47]], lengths[:, None] * [0.25, 0.5, 0.75], rtol=2e-2)


def test_shortest_goes_a_share_of_the_distance(space):
    distance = distances(space)
    start, end = (points_of(space, 5, seed) for seed in range(2))
    t = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    there, whole = space.shortest(start, end, to_tensor(t)), distance(start, end)
    np.testing.assert_allclose(distance(start, there), t * whole, atol=2e-3)
    np.testing.assert_allclose(distance(there, end), (1 - t) * whole, atol=2e-3)


def test_the_losses_are_smaller_where_points_follow_the_prior(space):
    points = points_of(space, 200)
    for term in space.terms(space.presets[0]):
        if term.reads != "raw":  # of a posterior, whose raw values are no points
            loss = compiled_on_jax(lambda each, term=term: term.loss(space.view(term.reads, each, each)))
            assert float(loss(points)) < float(loss(ops.repeat(points[:1], 200, 0)))


def test_statistics_of_the_prior_are_near_chance(space):
    for statistic in prior_statistics(space, to_numpy(points_of(space, 400)).astype("float64")).values():
        assert statistic.largest < 3 * statistic.chance
    spoiled = np.repeat(to_numpy(points_of(space, 1)), 400, axis=0).astype("float64")
    assert any(each.largest > 3 * each.chance for each in prior_statistics(space, spoiled).values())


def test_config_and_text(space):
    config = keras.saving.serialize_keras_object(space)
    assert keras.saving.serialize_keras_object(keras.saving.deserialize_keras_object(config)) == config
    assert keras.saving.serialize_keras_object(spaces.parse(repr(space))) == config


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
    *_, name = densities_of(space)  # the one that is fitted at once
    model.fit_density(samples(150), name, seed=0, verbose=0)
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


@pytest.mark.parametrize("factor", [Torus(2), Gaussian(1), LensSpace(), FlatCylinder()], ids=repr)
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


# What a third party gets wrong


def test_a_space_that_forgets_a_member_is_told_which():
    class Line(torusae.Space):
        raw_size = 1

        def terms(self, preset):
            return []

    with pytest.raises(TypeError, match=r"abstract class Line .*distance.*log_prob.*paths.*sample"):
        Line()
    for point_size, error in {None: TypeError, 0: ValueError}.items():
        sized = type("Sized", (FlatCylinder,), {"point_size": point_size})
        with pytest.raises(error, match=f"Sized: `point_size` must be .* Received: point_size={point_size}"):
            sized()
    with pytest.raises(TypeError, match="only spaces can be multiplied"):
        Torus(1) * 3


def test_an_error_of_a_space_comes_through():
    class Strict(FlatCylinder):
        def angles(self, point):
            raise ValueError("my own")

    with pytest.raises(ValueError, match="my own"):
        (Strict() * Torus(1)).angles(np.ones((1, 5), "float32"))


def broken(law, **members):
    """A space in which some members of a cylinder, or of another space, are replaced, and the law that it breaks."""
    base = members.pop("base", FlatCylinder)
    return pytest.param(type("Broken", (base,), members)(), law, id=", ".join(members))


class Reversed(SquaredMean):
    def call(self, values):
        return -super().call(values)


def slow_start(self, start, end, windings, num_steps=12):
    path = FlatCylinder.paths(self, start, end, windings, 64 * (num_steps - 1) + 1)
    return ops.take(path, (64 * (num_steps - 1) * np.linspace(0, 1, num_steps) ** 2).astype("int32"), axis=1)


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        broken(test_the_decoder_reads_a_point_without_a_seam, decoder_input=lambda self, point: ops.zeros_like(point)),
        broken(
            test_the_decoder_reads_a_point_without_a_seam,
            decoder_input=lambda self, point: ops.concatenate([self.angles(point), point[:, 1:]], axis=-1),
        ),
        broken(
            test_the_decoder_reads_a_point_without_a_seam, base=LensSpace, decoder_input=lambda self, point: point * 1.0
        ),
        broken(test_shortest_goes_a_share_of_the_distance, shortest=lambda self, start, end, t: start),
        broken(test_paths_join_the_ends_at_even_speed_the_shortest_first, paths=slow_start),
        broken(
            test_paths_join_the_ends_at_even_speed_the_shortest_first,
            windings=lambda self, start, end: ops.flip(FlatCylinder.windings(self, start, end), axis=0),
        ),
        broken(
            test_a_random_walk_keeps_the_prior,
            sample=lambda self, num_samples, seed=None: self.point(
                keras.random.normal((num_samples, 3), stddev=1.3, seed=seed)
            ),
        ),
        broken(
            test_a_random_walk_keeps_the_prior,
            sample=lambda self, num_samples, seed=None: self.point(
                keras.random.normal((num_samples, 3), seed=seed) + to_tensor([0.3, 0.0, 0.0])
            ),
        ),
        broken(test_a_random_walk_keeps_the_prior, log_prob=lambda self, point: -(point[:, 2] ** 2)),
        broken(test_a_random_walk_keeps_the_prior, move=lambda self, point, step: self.act(point, ops.abs(step))),
        broken(test_a_step_moves_no_farther_than_it_is_long, move=lambda self, point, step: point),
        broken(test_distance_is_a_metric, distance=lambda self, a, b: FlatCylinder.distance(self, a, b) ** 2),
        broken(
            test_a_symmetry_keeps_distances_and_zeros_move_nothing,
            act=lambda self, point, action: FlatCylinder.act(self, point, action * point[:, 2:]),
        ),
        broken(test_an_angle_turns_alone, num_angles=0),
        broken(test_every_angle_can_be_set, with_angles=lambda self, point, angles: point),
        broken(
            test_the_losses_are_smaller_where_points_follow_the_prior,
            terms=lambda self, preset: [torusae.Term(Reversed(), reads="height")],
        ),
    ],
)
def test_a_broken_space_breaks_a_law(fault, law):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        law(fault)
