"""Supervision of coordinates: losses beside loops, the laws of differences, data in `fit`, files, every error."""

import keras
import numpy as np
import pytest
from shared.tensors import compiled_on_jax, exact_angles, gradient, to_numpy, to_tensor
from shared.tiny import Batches, digit_head, labels, samples, tiny_model

import torusae
from torusae import spaces
from torusae.autoencoder.adapter import Rows
from torusae.autoencoder.initialization import initialize, known_angles
from torusae.layers.head import known_means
from torusae.supervision import Action, Anchor, Relative, Supervision, rotate_images, shift_images, shift_series
from torusae.supervision._pairs import GivenPairs, GroupPairs
from torusae.supervision.base import Step, compare_points

pytestmark = pytest.mark.eager

TURN = 2 * np.pi


def circle_points(angles, radius=1.0):
    return np.concatenate([radius * np.cos(angles), radius * np.sin(angles)], axis=1).astype("float32")


def as_is(x):
    return x


def parts_of(supervised, space, *tensors, **others):
    """Losses, errors and mask of tensors, a point or pairs, as arrays."""

    def computed(*tensors):
        if isinstance(supervised, Relative):
            return supervised.losses_and_errors(tensors, Step(space, None, None, as_is))
        point, *values = tensors
        return supervised.losses_and_errors(*(values or [None]), Step(space, point, point, as_is, others.get("seed")))

    return [to_numpy(each) for each in compiled_on_jax(computed)(*map(to_tensor, tensors))]


def mean_of(*arguments):
    """The mean loss and error, as a model computes them."""
    loss, error, _ = map(float, known_means(*map(to_tensor, parts_of(*arguments))))
    return loss, error


def arc(a, b):
    """The size of the shortest arc, by trying turns."""
    return min(abs(a - b + turn * TURN) for turn in range(-4, 5))


def relative_pairs(num=7, dim=3):
    rng = np.random.default_rng(0)
    a, b = exact_angles(rng, num, dim), exact_angles(rng, num, dim)
    return a, b, rng.uniform(-30, 30, (num, 2)).astype("float32")


def test_relative_loss_is_that_of_a_loop():
    a, b, hours = relative_pairs()
    space = torusae.Torus(3)
    loss, error = mean_of(Relative((2, 0), period=24), space, circle_points(a), circle_points(b, 2.0), hours)
    differences = [
        [(hours[i, j] * TURN / 24, b[i, circle] - a[i, circle]) for j, circle in enumerate((2, 0))] for i in range(7)
    ]
    expected = np.mean([[1 - np.cos(want - has) for want, has in row] for row in differences])
    sizes = np.mean([[arc(want, has) * 24 / TURN for want, has in row] for row in differences])
    np.testing.assert_allclose([loss, error], [expected, sizes], rtol=1e-4)


def test_a_common_turn_changes_no_difference_and_every_anchor():
    a, b, hours = relative_pairs()
    space = torusae.Torus(3)
    relative, anchor = Relative(circle=1, period=24), Anchor(circle=1, period=24)

    def both(turn):
        sides = [circle_points(angles + turn) for angles in (a, b)]
        return mean_of(relative, space, *sides, hours[:, :1])[0], mean_of(anchor, space, sides[0], hours[:, 0])[0]

    (still, fixed), (turned, moved) = both(0.0), both(np.array([0.0, 1.0, 0.0]))
    assert turned == pytest.approx(still, abs=1e-5)  # of float32
    assert abs(moved - fixed) > 0.01


def test_anchor_loss_is_that_of_a_loop_over_known_values():
    angles = exact_angles(np.random.default_rng(0), 6, 2)
    degrees = np.array([10, np.nan, 370, -80, np.nan, 200], "float32")
    loss, error = mean_of(
        Anchor(circle=1, period=360), torusae.Torus(2), *map(to_tensor, (circle_points(angles), degrees))
    )
    known = [(np.deg2rad(degrees[i]), angles[i, 1]) for i in (0, 2, 3, 5)]
    assert loss == pytest.approx(np.mean([1 - np.cos(value - angle) for value, angle in known]), rel=1e-5)
    assert error == pytest.approx(np.mean([np.rad2deg(arc(value, angle)) for value, angle in known]), rel=1e-5)


def test_without_any_value_the_loss_is_zero_and_finite():
    losses, errors, mask = parts_of(Anchor(), torusae.Torus(1), circle_points(np.ones((3, 1))), np.full(3, np.nan))
    assert np.isfinite([losses, errors]).all()
    assert not mask.any()


def test_points_are_compared_by_angles_on_circles_and_distances_elsewhere():
    rng = np.random.default_rng(0)
    a, b = exact_angles(rng, 5, 2), exact_angles(rng, 5, 2)
    on_torus = compare_points(torusae.Torus(2), *map(to_tensor, (circle_points(a, 3.0), circle_points(b))))
    np.testing.assert_allclose(to_numpy(on_torus), (1 - np.cos(a - b)).sum(axis=1), atol=1e-5)
    u, v = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in rng.normal(size=(2, 5, 3)))
    on_sphere = compare_points(spaces.Sphere(2), to_tensor(u), to_tensor(v))
    np.testing.assert_allclose(to_numpy(on_sphere), 1 - (u * v).sum(axis=1), atol=1e-6)
    straight = compare_points(torusae.Gaussian(2), to_tensor(a), to_tensor(b))
    np.testing.assert_allclose(to_numpy(straight), ((a - b) ** 2).sum(axis=1) / 2, rtol=1e-5)


@pytest.mark.parametrize("circles", [0, (1, 0)])
def test_relative_gradient_is_that_of_finite_differences(circles):
    a, b, hours = relative_pairs(num=3, dim=2)
    points, space = np.concatenate([circle_points(a, 0.7), circle_points(b, 1.3)]), torusae.Torus(2)
    hours = hours[:, : np.size(circles)]

    def loss(points):
        step = Step(space, None, None, lambda x: points)
        return Relative(circles, 24).loss_and_error((points[:3], points[3:], hours), step)[0]

    _, slope = gradient(loss, points)

    def exact(points):
        angles = np.arctan2(points[:, 2:], points[:, :2])
        turned = angles[3:] - angles[:3]
        columns = np.atleast_1d(circles)
        return np.mean(1 - np.cos(turned[:, columns] - hours * TURN / 24))

    for index in np.ndindex(points.shape):
        step = np.zeros(points.shape)
        step[index] = 1e-6
        numeric = (exact(points + step) - exact(points - step)) / 2e-6
        assert slope[index] == pytest.approx(numeric, abs=2e-5)  # of float32


def turn_first(points, amounts):
    """An action on data that are points of two circles: turns the first."""
    return torusae.Torus(2).act(points, keras.ops.stack([amounts, keras.ops.zeros_like(amounts)], axis=1))


def turn_and_bend(points, amounts):
    """Turns the first circle by the amount and, wrongly, the second one by 0.5."""
    return torusae.Torus(2).act(points, keras.ops.stack([amounts, keras.ops.full_like(amounts, 0.5)], axis=1))


def stay(points, amounts):
    return points


@pytest.mark.parametrize(
    ("function", "others", "expected"),
    [(turn_first, 1.0, 0.0), (turn_and_bend, 0.0, 0.0), (turn_and_bend, 1.0, 1 - np.cos(0.5))],
)
def test_an_action_that_the_point_follows_costs_nothing(function, others, expected):
    action = Action(function, circle=0, others=others)
    action.check_space("test", torusae.Torus(2))
    points = circle_points(exact_angles(np.random.default_rng(0), 8, 2))
    losses, errors, mask = parts_of(action, torusae.Torus(2), points, seed=1)
    np.testing.assert_allclose(losses, np.full(8, expected), atol=1e-5)
    np.testing.assert_allclose(errors, np.zeros(8), atol=1e-5)
    assert mask.tolist() == [1] * 8


def test_a_point_that_does_not_follow_has_the_amount_as_its_error():
    action = Action(stay, circle=0, period=360, limit=100, step=90)
    action.check_space("test", torusae.Torus(1))
    points = circle_points(np.zeros((300, 1)))
    losses, errors, _ = parts_of(action, torusae.Torus(1), points, seed=1)
    assert sorted(set(errors.round(3))) == [0, 90]
    np.testing.assert_allclose(losses, 1 - np.cos(np.deg2rad(errors)), atol=1e-5)


@pytest.mark.parametrize(
    ("space", "circle", "expected"),
    [
        (torusae.Torus(2), (1, 0), [[0, 1], [1, 0]]),
        (torusae.Gaussian(2) * torusae.Torus(1), (0,), [[0, 0, 1]]),
        (spaces.Sphere(2) * torusae.Torus(1), (0,), [[0, 0, 0, 1]]),
        (spaces.KleinBottle(), (0,), [[0.5]]),
        (spaces.MobiusBand(), (0,), [[0.5]]),
    ],
)
def test_the_action_that_turns_a_circle_is_found(space, circle, expected):
    action = Action(stay, circle)
    action.check_space("test", space)
    np.testing.assert_allclose(action.turns, expected)


def test_relative_and_action_of_whole_points_on_rotations():
    space, rng = spaces.SO3(), np.random.default_rng(0)
    vectors = rng.uniform(-1, 1, (5, 3)).astype("float32")
    points = to_numpy(space.sample(5, seed=0))
    moved = to_numpy(compiled_on_jax(space.act)(to_tensor(points), to_tensor(vectors)))
    losses, errors, _ = parts_of(Relative(circle=None), space, points, moved, vectors)
    np.testing.assert_allclose(losses, np.zeros(5), atol=1e-5)
    np.testing.assert_allclose(errors, np.zeros(5), atol=5e-3)  # arccos near 1 in float32
    action = Action(space.act, circle=None, limit=2.0)
    action.check_space("test", space)
    losses, _, _ = parts_of(action, space, points, seed=1)
    np.testing.assert_allclose(losses, np.zeros(5), atol=1e-5)


def test_given_pairs_come_once_before_any_comes_again():
    numbers = np.arange(5.0)
    source = GivenPairs(numbers, numbers, numbers)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([source.draw(num, rng, None)[2] for num in (3, 4, 3)])
    assert sorted(drawn[:5]) == sorted(drawn[5:]) == list(range(5))
    assert source.draw(4, rng, 3)[0].tolist() == [3, 4, 0, 1]


def test_partners_are_other_known_members_of_the_group(rng):
    groups = np.array([0, 1, 0, -1, 1, 2, 0, 1])
    values = np.array([1.0, 2.0, 4.0, 8.0, np.nan, 16.0, 32.0, 64.0])[:, None]
    source = GroupPairs(np.arange(8), groups, values)
    a, b, differences = source.draw(500, np.random.default_rng(0), None)
    known = {(0, 2), (0, 6), (2, 6), (1, 7)}
    assert {tuple(sorted(pair)) for pair in zip(a.tolist(), b.tolist(), strict=True)} == known
    np.testing.assert_allclose(differences, values[b] - values[a])
    # In order there is no randomness: draws of any size, and rows in another order, give the same pairs.
    whole = np.stack(source.draw(8, rng, 0)[:2])
    parts = np.concatenate([np.stack(source.draw(2, rng, start)[:2]) for start in range(0, 8, 2)], axis=1)
    turned = GroupPairs(np.arange(8)[::-1], groups[::-1], values[::-1]).draw(8, rng, 0)
    assert whole.tolist() == parts.tolist() == np.stack(turned[:2]).tolist()


SUPERVISION = {
    "hour": Relative(circle=0, period=24, weight=0.5),
    "true": Anchor(circle=0, period=24),
    "turn": Action(shift_series, circle=0, period=4, weight=0.1),
}


def supervised_model(supervision=None, heads=None):
    model = tiny_model(heads)
    model.compile("adam", "mse", supervision=SUPERVISION if supervision is None else supervision)
    return model


def some_hours(num=20):
    return np.where(np.arange(num) % 3 == 0, np.arange(num) % 24, np.nan)


def targets(num=20):
    x = samples()
    return {"hour": (x[:5], x[5:10], np.arange(5.0)), "true": some_hours(num)}


LOGGED = {f"{name}_{part}" for name in SUPERVISION for part in ("loss", "error")}


@pytest.mark.eager(False)
def test_fit_mixes_all_kinds_with_heads_and_files_keep_them(tmp_path):
    model = supervised_model(heads={"digit": digit_head()})
    y = {**targets(), "digit": labels()}
    history = model.fit(samples(), y, batch_size=10, verbose=0).history
    assert set(history) >= LOGGED
    assert all(np.isfinite(values).all() for values in history.values())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert repr(loaded.supervision) == repr(model.supervision)
    assert set(loaded.fit(samples(), y, batch_size=10, verbose=0).history) >= LOGGED


def test_the_loss_is_the_sum_of_its_parts():
    model = supervised_model({name: SUPERVISION[name] for name in ("hour", "true")})
    x, y = samples(), targets()
    found = model.evaluate(x, y, batch_size=20, verbose=0, return_dict=True)
    angles = model.angles(x, verbose=0)[:, 0]
    turns = (angles[5:10] - angles[:5]) - np.arange(5) * TURN / 24
    known = ~np.isnan(y["true"])
    away = angles[known] - y["true"][known] * TURN / 24
    # Twenty samples: each of the five pairs is seen four times.
    assert found["hour_loss"] == pytest.approx(np.mean(1 - np.cos(turns)), rel=1e-4)
    assert found["true_loss"] == pytest.approx(np.mean(1 - np.cos(away)), rel=1e-4)
    expected = found["reconstruction"] * (1 + 0.5 * found["hour_loss"] + found["true_loss"])
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    without = model.evaluate(x, batch_size=20, verbose=0, return_dict=True)
    assert set(without) == {"loss", "reconstruction"}


def test_a_stream_brings_its_own_pairs():
    model = supervised_model({name: SUPERVISION[name] for name in ("hour", "turn")})
    x = samples()
    batch = (x, {"hour": (x[:3], x[3:6], np.array([1.0, np.nan, 3.0], "float32"))})
    history = model.fit(Batches([batch, batch]), verbose=0).history
    assert np.isfinite([history[name][0] for name in ("hour_loss", "turn_loss", "loss")]).all()


def test_values_become_pairs_on_both_sides_of_a_split():
    model = supervised_model({"hour": SUPERVISION["hour"]})
    history = model.fit(samples(), {"hour": some_hours()}, batch_size=10, verbose=0, validation_split=0.5).history
    assert {"hour_loss", "val_hour_error"} <= set(history)


def test_a_model_without_supervision_is_as_before():
    model = tiny_model()
    model.compile("adam", "mse")
    assert "supervision" not in model.get_compile_config()
    assert model.means.names == ["loss", "reconstruction"]
    assert model.supervision_seed is None
    names = {variable.path for variable in model.metrics_variables}
    model.compile("adam", "mse", supervision={"true": Anchor()})
    model.compile("adam", "mse")
    assert model.means.names == ["loss", "reconstruction"]
    assert {variable.path for variable in model.metrics_variables} >= names


def test_wrong_arguments_are_named():
    for make, error, message in [
        (lambda: Relative(circle=-1), ValueError, "`circle` must be at least 0"),
        (lambda: Relative(circle=(0, 0)), ValueError, "different circles"),
        (lambda: Anchor(period=0), ValueError, "`period` must be finite and positive"),
        (lambda: Anchor(weight=-1), ValueError, "`weight`"),
        (lambda: Action("rotate"), TypeError, "`function` must be a function"),
        (lambda: Action(stay, others=2), ValueError, "between 0 and 1"),
        (lambda: Action(stay, limit=0), ValueError, "`limit`"),
        (lambda: supervised_model([Relative()]), TypeError, "must be a dict"),
        (lambda: supervised_model({"hour": 24}), TypeError, "must be a Relative"),
        (lambda: supervised_model({"reconstruction": Anchor()}), ValueError, "another name"),
        (lambda: supervised_model({"digit": Anchor()}, {"digit": digit_head()}), ValueError, "another name"),
        (
            lambda: supervised_model({"hour": Relative(circle=1)}),
            ValueError,
            r"circle=1, and Torus\(1\) has the angles",
        ),
        (lambda: supervised_model({"hour": Action(stay, circle=3)}), ValueError, "must name an angle"),
        (lambda: Relative(circle=None).check_space("compile", spaces.Interval()), ValueError, "symmetries"),
        (lambda: Anchor().check_space("compile", torusae.Gaussian(2)), ValueError, "has no angles"),
    ]:
        with pytest.raises(error, match=message):
            make()


X = samples()
WRONG = [
    (Relative(), {}, "must hold data for the supervision 'hour'"),
    (Relative(), {"hours": np.zeros(20)}, "Did you mean 'hour'"),
    (Relative(), {"hour": (X[:2], X[2:4], [1.0, np.nan])}, "every pair .* must have a difference.*row 1"),
    (Relative(), {"hour": (X[:2], X[2:4])}, "groups of samples as integers"),
    (Relative(), {"hour": (X[:2],)}, "must be pairs"),
    (Relative(), {"hour": (X[:2], X[2:5], [1.0, 2.0])}, r"x_b.shape=\(3, 4\)"),
    (Relative(), {"hour": (X[:2, :3], X[2:4], [1.0, 2.0])}, r"x_a.shape=\(2, 3\)"),
    (Relative(), {"hour": (X[:2], X[2:4], [1.0, 2.0, 3.0])}, r"shape \(2,\), one for each pair"),
    (Relative(), {"hour": (X[:2], X[2:4], [[1.0, 2.0]] * 2)}, r"shape \(2,\), one for each pair"),
    (Relative(), {"hour": (X[:2], X[2:4], [1.0, np.inf])}, "infinity in row 1"),
    (Relative(), {"hour": (X[:2] * np.nan, X[2:4], [1.0, 2.0])}, "finite numbers only"),
    (Relative(), {"hour": np.full(20, np.nan)}, "two known values"),
    (Relative(), {"hour": (np.arange(20), np.zeros(20))}, "two known values"),
    (Relative(), {"hour": np.zeros(19)}, r"shape \(20,\), one for each sample"),
    (Anchor(), {"hour": np.zeros((20, 2))}, r"shape \(20,\), one for each sample"),
    (Anchor(), {"hour": np.array(["noon"] * 20)}, "must be numbers"),
    (Action(stay), {"hour": np.zeros(20)}, "takes no data"),
    (Action(lambda x, amounts: x[:, :3]), None, r"must not change the shape.*\(.*3\)"),
]


@pytest.mark.parametrize(("supervised", "y", "message"), WRONG)
def test_wrong_data_are_named(supervised, y, message):
    model = tiny_model()
    model.compile("adam", "mse", supervision={"hour": supervised})
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(samples(), y, verbose=0)


def test_several_turns_are_radians_where_the_period_says_so():
    Relative(period=TURN).prepared("fit", "y['hour']", np.linspace(0, 100, 20), samples(), torusae.Torus(1))


def test_a_missing_member_is_named():
    class Mine(Supervision):
        """A kind without a member."""

    model = supervised_model({"mine": Mine()})
    with pytest.raises(NotImplementedError, match=r"Mine: a Supervision with data must define `prepared\(owner, name"):
        model.fit(samples(), {"mine": some_hours()}, verbose=0)
    with pytest.raises(
        NotImplementedError, match=r"Mine: a Supervision must define `losses_and_errors\(values, step\)"
    ):
        Mine().loss_and_error(some_hours(), None)


def test_a_stream_without_pairs_is_an_error():
    relative, space = Relative(), torusae.Torus(1)
    with pytest.raises(ValueError, match=r"must bring pairs.*arrays only"):
        supervised_model({"hour": relative}).fit(Batches([(X, {"hour": np.zeros(20)})]), verbose=0)
    step = Step(space, None, None, lambda x: x[:, :2])
    with pytest.raises(ValueError, match=r"must have shape \(batch, 1\)"):
        relative.loss_and_error(tuple(map(to_tensor, (X[:2], X[2:4], X[:2]))), step)


def test_hours_of_many_years_keep_their_digits():
    hours = 24.0 * 365 * 60 + np.array([0.01, 5.03])
    for given in ((X[:1], X[1:2], [hours[1] - hours[0] + 24 * 365 * 60]), np.append(hours, np.full(18, np.nan))):
        source = Relative(period=24).prepared("fit", "y['hour']", given, X, torusae.Torus(1))
        _, _, differences = source.draw(1, np.random.default_rng(0), 0)
        assert abs(differences.item()) in (pytest.approx(5.02, abs=1e-5), pytest.approx(24 - 5.02, abs=1e-5))


def test_found_circles_do_not_overrule_supervision(capsys):
    x, _ = circle_table(600)
    model = torusae.TorusAutoencoder.from_shape((30,), dim=1)
    model.compile("adam", "mse", supervision={"hour": Relative(period=24)})
    weights = model.get_weights()
    pairs = (x[:10], x[10:20], np.full(10, 5.0))
    for given in (pairs, (np.zeros(600, int), np.zeros(600))):
        initialize(model, Rows(x, {"reconstruction": x, "hour": given}), None, 1, None)
    assert not capsys.readouterr().out
    assert all((a == b).all() for a, b in zip(model.get_weights(), weights, strict=True))


@pytest.mark.eager(False)
@pytest.mark.parametrize("kind", [Relative, pytest.param(Anchor, marks=pytest.mark.slow)])
def test_the_first_fit_starts_at_known_values(kind, capsys):
    x, hours = circle_table(600)
    few = np.where(np.arange(600) < 40, hours, np.nan)
    keras.utils.set_random_seed(0)
    model = torusae.TorusAutoencoder.from_shape((30,), dim=torusae.Gaussian(1) * torusae.Torus(2))
    model.compile("adam", "mse", supervision={"hour": kind(circle=1, period=24)})
    model.fit(x, {"hour": few}, batch_size=100, verbose=2)
    assert (
        "initialization: training both networks to the known angles of 40 samples ... done" in capsys.readouterr().out
    )
    errors = torusae.supervision.angle_errors(model.angles(x, verbose=0)[:, 1:], hours[:, None], 24)
    assert errors.plain < 15


def test_anchors_overrule_differences_at_the_start():
    model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
    other = Anchor(circle=(1, 0), period=360, weight=0)
    model.compile(supervision={"true": Anchor(1, 24), "hour": Relative(1, 24), "day": Relative(0), "other": other})
    targets = {"true": np.array([6, np.nan, 30]), "hour": np.array([1.0, 2.0, 3.0]), "other": np.ones((3, 2))}
    found = known_angles(model.supervision, model.space, 3, targets)
    np.testing.assert_allclose(found, [[np.nan, TURN / 4], [np.nan] * 2, [np.nan, TURN / 4]])
    assert known_angles(model.supervision, model.space, 3, {}) is None


def test_validation_split_refuses_pairs():
    model = supervised_model({"hour": SUPERVISION["hour"]})
    with pytest.raises(ValueError, match=r"can't divide pairs.*validation_data"):
        model.fit(X, {"hour": targets()["hour"]}, validation_split=0.5, verbose=0)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(4, 6, 6, 2)).astype("float32")


def test_quarter_turns_are_those_of_numpy(images):
    turns = np.arange(4)
    turned = to_numpy(compiled_on_jax(rotate_images)(to_tensor(images), to_tensor(turns * TURN / 4)))
    for image, found, turn in zip(images, turned, turns, strict=True):
        np.testing.assert_allclose(found, np.rot90(image, turn), atol=1e-5)


def test_rotation_is_bilinear(images):
    """Beside a loop over pixels."""
    angles = np.array([0.3, -1.2, 2.0, 4.0], "float32")
    turned = to_numpy(compiled_on_jax(rotate_images)(to_tensor(images), to_tensor(angles)))
    for image, found, angle in zip(images, turned, angles, strict=True):
        padded = np.pad(image, ((9, 9), (9, 9), (0, 0)))
        for row, column in np.ndindex(6, 6):
            # The direction to this pixel, columns to the right and rows upwards, turned back.
            place = (column - 2.5 + 1j * (2.5 - row)) * np.exp(-1j * float(angle))
            r, c = 2.5 - place.imag + 9, place.real + 2.5 + 9
            r0, c0 = int(r), int(c)
            top = (1 - (c - c0)) * padded[r0, c0] + (c - c0) * padded[r0, c0 + 1]
            bottom = (1 - (c - c0)) * padded[r0 + 1, c0] + (c - c0) * padded[r0 + 1, c0 + 1]
            np.testing.assert_allclose(found[row, column], (1 - (r - r0)) * top + (r - r0) * bottom, atol=2e-5)


def test_whole_shifts_are_those_of_numpy_and_parts_lie_between(images):
    shifts = np.array([[0, 0], [2, -1], [7, 3], [-3, 6]], "float32")
    shift = compiled_on_jax(shift_images)
    moved = to_numpy(shift(to_tensor(images), to_tensor(shifts)))
    for image, found, pixels in zip(images, moved, shifts.astype(int), strict=True):
        np.testing.assert_allclose(found, np.roll(image, pixels, axis=(0, 1)), atol=1e-6)
    half = to_numpy(shift(to_tensor(images), to_tensor(shifts + np.array([0, 0.25]))))
    np.testing.assert_allclose(half, 0.75 * moved + 0.25 * np.roll(moved, 1, axis=2), atol=1e-5)
    series = images[:, :, :, 0]
    found = to_numpy(shift_series(series, to_tensor(shifts[:, 0])))
    np.testing.assert_allclose(
        found, [np.roll(each, int(shift), 0) for each, shift in zip(series, shifts[:, 0], strict=True)], atol=1e-6
    )


def test_images_need_four_axes():
    with pytest.raises(ValueError, match="four axes"):
        rotate_images(np.zeros((2, 4, 4), "float32"), np.zeros(2))


def test_errors_with_and_without_align():
    hours = np.random.default_rng(0).uniform(0, 24, (400, 2))
    off = np.deg2rad([30.0, -40.0])
    errors = torusae.supervision.angle_errors((hours * TURN / 24 + off)[:, ::-1], hours[:, ::-1], period=24)
    np.testing.assert_allclose(errors.plain, [40, 30], atol=1e-3)
    np.testing.assert_allclose(errors.aligned, [0, 0], atol=1e-3)
    assert str(errors).splitlines()[1] == "angle 1: 30.0° without align, 0.0° after align"


def circle_table(num, seed=0):
    """Samples around a bent circle with noise, and their hours."""
    rng = np.random.default_rng(seed)
    hours = rng.uniform(0, 24, num)
    waves = np.stack([np.cos(hours * TURN / 24), np.sin(hours * TURN / 24)], axis=1)
    table = np.tanh(waves @ np.random.default_rng(99).normal(size=(2, 30))) + 0.1 * rng.normal(size=(num, 30))
    return table.astype("float32"), hours


@pytest.mark.eager(False)
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_differences_and_anchors_of_few_samples_give_the_hours_of_all(seed):
    x, hours = circle_table(2000)
    few = np.where(np.arange(2000) % 20 == 0, hours, np.nan)  # 5 %
    for supervision, y in (
        ({"hour": Relative(period=24)}, {"hour": few}),
        ({"true": Anchor(period=24)}, {"true": few}),
    ):
        keras.utils.set_random_seed(seed)
        model = torusae.TorusAutoencoder.from_shape((30,), dim=1)
        model.compile("adam", "mse", supervision=supervision)
        model.fit(x, y, batch_size=128, epochs=20, verbose=0)
        held_out, truth = circle_table(500, seed=1)
        errors = torusae.supervision.angle_errors(model.angles(held_out, verbose=0), truth[:, None], 24)
        assert errors.alignment.matrix.tolist() == [[1]]
        assert errors.aligned < 5  # measured: 1.8 to 2.5 degrees
        assert "true" not in supervision or errors.plain < 5
