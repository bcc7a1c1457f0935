"""What `diagnose` finds in codes that are ill in one known way, and that it finds nothing in healthy ones."""

import math
import types

import keras
import numpy as np
import pytest
from shared.tables import autoencoder
from shared.tensors import to_numpy

import torusae
from torusae.diagnostics import problems

NUM = 2000


def healthy(dim=3, num=NUM, seed=0):
    """Angles and radii of the prior, as arrays."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-math.pi, math.pi, (num, dim)), rng.normal(1, 0.1, (num, dim))


def codes(angles, radii):
    return np.concatenate([radii * np.cos(angles), radii * np.sin(angles)], axis=1).astype("float32")


@pytest.mark.parametrize("dim", [1, 3, 8])
def test_nothing_is_wrong_with_the_prior(dim):
    false_alarms = sum(len(torusae.diagnose(codes(*healthy(dim, 500, seed))).problems) for seed in range(40))
    # Each of some dim² thresholds is passed about once in 1e4 times, 40 times over.
    assert false_alarms <= 1


def dead(angles, radii):
    angles[:, 1] = 0.5 + 0.1 * angles[:, 1]


def gap(angles, radii):
    angles[:, 2] = angles[:, 2] * 0.9


def uneven(angles, radii):
    angles[:, 0] += 0.5 * np.sin(angles[:, 0])


def tied(angles, radii):
    angles[:, 2] = 1 - angles[:, 0] + 0.3 * radii[:, 1]


def tied_in_double_speed(angles, radii):
    angles[:, 2] = 2 * angles[:, 0] + 0.3 * radii[:, 1]


def drifted(angles, radii):
    radii[:, 0] *= 1.5


def collapsed(angles, radii):
    radii[:, 1] = 1 + 0.1 * (radii[:, 1] - 1)


def near_origin(angles, radii):
    radii[:100, 2] = 0.05


@pytest.mark.parametrize(
    ("illness", "name", "circles"),
    [
        (dead, "dead circle", (1,)),
        (gap, "gap", (2,)),
        (uneven, "uneven circle", (0,)),
        (tied, "tied circles", (0, 2)),
        (tied_in_double_speed, "tied circles", (0, 2)),
        (drifted, "drifted radii", (0,)),
        (collapsed, "collapsed radii", (1,)),
        (near_origin, "points near the origin", (2,)),
    ],
)
def test_each_illness_is_named_with_its_circles(illness, name, circles):
    angles, radii = healthy()
    illness(angles, radii)
    diagnosis = torusae.diagnose(codes(angles, radii))
    found = [problem for problem in diagnosis.problems if problem.name == name]
    assert found, str(diagnosis)
    assert found[0].where == circles
    assert all(set(problem.where) <= set(circles) for problem in diagnosis.problems)
    assert found[0].message in str(diagnosis)
    assert found[0].advice in str(diagnosis)


def test_the_direction_of_a_tie_is_named():
    angles, radii = healthy()
    tied_in_double_speed(angles, radii)
    assert "along k = (2, 0, -1)" in str(torusae.diagnose(codes(angles, radii)))


def test_a_small_batch_is_a_problem_of_its_own():
    good = codes(*healthy())
    assert [problem.name for problem in torusae.diagnose(good, batch_size=16).problems] == ["small batch"]
    assert not torusae.diagnose(good, batch_size=64).problems


def test_a_model_and_its_codes_have_one_diagnosis():
    x = np.random.default_rng(0).normal(size=(150, 5)).astype("float32")
    model = torusae.TorusAutoencoder.from_shape((5,), 2)
    of_model, of_points = (torusae.diagnose(*each) for each in ((model, x), (model.encode(x, verbose=0),)))
    assert [problem.message for problem in of_model.problems] == [problem.message for problem in of_points.problems]
    assert of_model.problems
    model = torusae.TorusAutoencoder.from_shape((5,), torusae.Gaussian(2) * torusae.Torus(2))
    found = [f"{problem.name}: {problem.message}" for problem in torusae.diagnose(model, x).problems]
    alone = torusae.diagnose(model.encode(x, verbose=0)[:, 2:]).problems
    of_torus = [f"torus: {problem.name}: {problem.message}" for problem in alone]
    assert of_torus
    assert [line for line in found if line.startswith("torus: ")] == of_torus
    assert all(line.startswith(("torus: ", "gaussian: ")) for line in found)


def test_advice_is_something_that_the_model_does_not_do_yet():
    def of(name, dim=2, measured=1.4, **model):
        space = torusae.Torus(dim) if isinstance(dim, int) else dim
        if "losses" in model:
            model["latent"] = torusae.Latent(space, model.pop("losses"))
        problem = torusae.diagnostics.Problem(name, tuple(range(2)), measured, 0.0, "")
        return problems.advised(problem, space, types.SimpleNamespace(**model)).advice

    sees_all = "losses='uniform', which see all circles at once"
    for advice, expected in [
        (of("tied circles"), f"Train with {sees_all}; if they were, longer, or with fewer circles."),
        (of("tied circles", losses="paper"), f"Train a new model with {sees_all}."),
        (of("tied circles", losses="none"), "Train a new model with losses='uniform'."),
        (
            of("tied circles", losses="uniform"),
            "Train longer, or with loss_weights={'diaphony': 10.0}, or with fewer circles: the data may tie them.",
        ),
        (of("uneven circle", losses="paper"), "Train longer, or with loss_weights={'spring': 1.0}."),
        (of("wide radii", losses="uniform"), "Train longer, or with loss_weights={'quantile': 2.0}."),
        (of("wide radii"), "Train longer, or with a larger weight of the radii' losses."),
        (of("wide radii", losses=[torusae.SpringLoss()]), "Train a new model with losses='uniform'."),
        (of("gap", losses="uniform"), "Train longer, or with loss_weights={'diaphony': 10.0}."),
        (of("gap", losses="uniform", heads={"digit": 1}).partition("}, ")[2], "or with lower weights of the heads."),
        (of("dead circle", 1, losses="uniform"), "Train a new model with loss_weights={'diaphony': 2.0}."),
        (
            of("torus: drifted radii", torusae.Torus(1) * torusae.Gaussian(1), losses=None),
            "Train longer, or with loss_weights={'torus.quantile': 2.0}.",
        ),
        (of("unfilled dimensions"), 'Sample from fit_density(x, "neighbors"), or use about 1 circle.'),
        (of("unfilled dimensions", density=1), "Use about 1 circle."),
        (of("a problem of my own"), ""),
    ]:
        assert advice == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:TorusAutoencoder.fit. the angles agree")
def test_advice_works_when_it_is_followed():
    x, _ = torusae.datasets.torus_table(600, dim=1, columns=8, noise=0.1, seed=2)

    def trained(**arguments):
        keras.utils.set_random_seed(0)
        model = torusae.TorusAutoencoder.from_shape((8,), 1, **arguments)
        model.compile("adam", "mse")
        model.fit(x, batch_size=100, epochs=12, verbose=0)
        return torusae.diagnose(model, x, circles=False)

    ill = trained(losses="none")
    assert "drifted radii" in {problem.name for problem in ill.problems}
    assert "Train a new model with losses='uniform'." in str(ill)
    assert "drifted radii" not in {problem.name for problem in trained(losses="uniform").problems}


def test_a_flow_of_other_points_and_one_that_is_fitted_too_shortly():
    points = codes(np.random.default_rng(0).vonmises(0, 30, (1000, 1)) * [1, 1], np.ones((1000, 2)))
    model = types.SimpleNamespace(
        encode=lambda x, **_: points, latent=types.SimpleNamespace(space=torusae.Torus(2)), density=None
    )
    for flow, name, advice in (
        (
            torusae.densities.TorusFlow(epochs=3, seed=0).fit(codes(*healthy(2, 1000))),
            "stale map",
            'fit_density(x, "flow")',
        ),
        (torusae.densities.TorusFlow(2, 2, epochs=1, seed=0).fit(points), "uneven map", "TorusFlow(epochs=2)"),
    ):
        model.density = flow
        found = {problem.name: problem for problem in torusae.diagnose(model, points, circles=False).problems}
        assert advice in found[name].advice


def test_diagnose_takes_tensors():
    assert not torusae.diagnose(torusae.Torus(2).sample(500, seed=1)).problems
    assert to_numpy(torusae.Torus(2).sample(500, seed=1)).shape == (500, 4)


def test_bad_input():
    for call, message in [
        (lambda: torusae.diagnose(np.ones((20, 4), "float32")), "at least 100 points. Received: 20"),
        (lambda: torusae.diagnose(np.ones((200, 4), "float32"), np.ones((200, 4))), "`x` is not used with points"),
        (lambda: torusae.diagnose(np.ones((200, 4)), autoencoder()), r"the model as `x`. Call diagnose\(model, x\)"),
        (lambda: torusae.diagnose(np.full((200, 4), np.nan, "float32")), r"nan at position \(0, 0\), 800 such"),
        (lambda: torusae.diagnose(np.ones((200, 3), "float32")), "must be even"),
        (lambda: torusae.diagnose(torusae.TorusAutoencoder.from_shape((5,), 1)), "`x` is missing"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_the_figure_shows_what_was_found():
    angles, radii = healthy()
    tied(angles, radii)
    figure = torusae.plots.plot_diagnosis(torusae.diagnose(codes(angles, radii)))
    assert "tied circles" in figure.get_suptitle()
    assert [axes.get_xlabel() for axes in figure.axes] == ["φ₀ (rad)", "coordinate"]
    assert figure.axes[1].get_ylabel() == "kuiper"


def test_a_torus_that_the_data_do_not_fill_is_told_from_one_they_fill():
    """Every circle and every pair is uniform, but the six angles are functions of three."""
    angles = healthy(3, 4000)[0]
    pairs = np.stack([angles[:, 0] + angles[:, 1] + angles[:, 2], angles @ [1, -1, 2], angles @ [2, 1, -1]], axis=1)
    codes_of_three = codes(np.concatenate([angles, pairs], axis=1), healthy(6, 4000)[1])
    (problem,) = torusae.diagnose(codes_of_three).problems
    assert problem.name == "unfilled dimensions"
    assert abs(problem.measured - 3) < 0.3  # four deviations of 3 / sqrt(4000), and the curvature of nothing
    assert "about 3 circles" in problem.advice or "about 2 circles" in problem.advice
    full = torusae.diagnose(codes(*healthy(6, 4000)))
    assert full.problems == ()
    assert abs(full.details["dimension"] - 6) < 4 * 6 / math.sqrt(4000)
