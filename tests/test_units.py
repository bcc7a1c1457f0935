"""Degrees and hours where radians are meant: one warning, which names the call and what mends it; none for radians."""

import keras
import numpy as np
import pytest
from shared.tables import autoencoder
from shared.tensors import to_tensor

import torusae
from torusae import densities, losses, metrics, plots, supervision
from torusae._internal import units

HOURS, DEGREES = np.arange(24.0), np.linspace(0.3, 359, 24)
TWO = np.stack([DEGREES, DEGREES[::-1]], axis=1)


def samples(column=HOURS):
    return np.random.default_rng(0).normal(size=(len(column), 6)).astype("float32")


def initialized(angles):
    model = keras.Sequential([keras.Input((6,)), torusae.TorusLatent(2), keras.layers.Dense(6)])
    torusae.initialize_at_circles(model, samples(), angles=angles, num_steps=1)


def trained(supervised, labels, **kwargs):
    model = autoencoder()
    model.compile("adam", "mse", supervision={"hour": supervised} if supervised else None)
    model.fit(samples(), {"hour": labels} if supervised else None, verbose=0, **kwargs)


def flow():
    fitted = densities.TorusFlow(epochs=1, seed=0).fit(torusae.Torus(2).sample(50, seed=0))
    return fitted.to_uniform(TWO)


DOORS = {
    "plot_angles": (lambda: plots.plot_angles(TWO), "angles"),
    "plot_angles, labels": (lambda: plots.plot_angles(np.zeros((24, 2)), HOURS, label_kind="angle"), "labels"),
    "plot_occupancy": (lambda: plots.plot_occupancy(TWO), "angles"),
    "plot_spring": (lambda: plots.plot_spring(HOURS), r"looks like degrees.*plot_spring\(angles, period=24\)"),
    "align": (lambda: torusae.align(np.zeros((24, 2)), TWO), "reference"),
    "angle_errors": (
        lambda: supervision.angle_errors(np.zeros((24, 2)), TWO),
        r"reference.*, period=360\) for degrees",
    ),
    "kuiper_statistic": (lambda: metrics.kuiper_statistic(to_tensor(TWO)), "angles"),
    "to_cartesian": (lambda: torusae.to_cartesian(np.ones(2), TWO), "angles"),
    "quantize_angles": (lambda: torusae.codes.quantize_angles(DEGREES), "angles"),
    "spring_loss": (lambda: torusae.spring_loss(TWO), "angles"),
    "diaphony_loss": (lambda: torusae.diaphony_loss(TWO), "angles"),
    "sliced_loss": (lambda: losses.sliced_loss(TWO, [[1, 1]]), "angles"),
    "angular_loss": (lambda: losses.angular_loss(TWO, TWO * 0), r"targets.*period=24\)"),
    "rotate_images": (lambda: supervision.rotate_images(np.zeros((24, 2, 2, 1), "float32"), DEGREES), "angles"),
    "TorusFlow.to_uniform": (flow, "angles"),
    "TorusAutoencoder.decode": (lambda: autoencoder().decode(angles=TWO, verbose=0), "angles"),
    "TorusAutoencoder.rotate": (lambda: autoencoder().rotate(samples(), {0: 90}, verbose=0), r"angles\[0\]"),
    "initialize_at_circles": (lambda: initialized(TWO), "angles"),
    "TorusAutoencoder.fit, circles": (lambda: trained(None, None, circles=TWO), "circles"),
    "TorusAutoencoder.fit": (lambda: trained(supervision.Anchor(), HOURS), r"y\['hour'\].*Anchor\(period=24\)"),
    "TorusAutoencoder.fit, Relative": (
        lambda: trained(supervision.Relative(), HOURS),
        r"y\['hour'\].*Relative\(period=24\)",
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_another_unit_is_one_warning_of_the_call(door):
    call, name = DOORS[door]
    with pytest.warns(UserWarning, match=f"{door.split(',')[0]}: .*{name}") as caught:
        call()
    # Others, of torch, and of circles that one epoch does not reach, are no matter here.
    (warning,) = (each for each in caught if "radians" in str(each.message))
    assert warning.filename == __file__  # the line that the user can change


def test_what_the_warning_advises_ends_it():
    for mended in (
        torusae.angles.to_radians(TWO, period=360),
        torusae.wrap_angles(TWO),
        torusae.angles.to_radians(HOURS[:, None], period=24),
    ):
        metrics.kuiper_statistic(mended)
        plots.plot_angles(mended)
    plots.plot_spring(HOURS, period=24)
    losses.angular_loss(TWO, TWO * 0, period=360)
    supervision.angle_errors(np.zeros((24, 2)), TWO, period=360)
    trained(supervision.Anchor(period=24), HOURS)
    trained(supervision.Relative(period=2 * np.pi), HOURS)
    assert np.isfinite(autoencoder().decode(angles=torusae.wrap_angles(TWO), verbose=0)).all()


def test_points_for_angles_are_a_warning(rng):
    points = np.asarray(torusae.Torus(2).sample(100, seed=0))
    for call in (plots.plot_angles, plots.plot_occupancy):
        with pytest.warns(UserWarning, match=f"{call.__name__}: .*points of 2 circles.*to_polar"):
            call(points)
    for angles in (torusae.to_polar(points)[1], np.concatenate([rng.normal([0.8, 0.6], 0.02, (100, 2))])):
        plots.plot_angles(angles)  # near one point of the ring of radius 1, too


def warned(values):
    return units._is_in_another_unit(np.asarray(values, "float64"))


def test_hours_minutes_degrees_and_days_are_told_from_radians(rng):
    uniform = rng.uniform
    for values in (
        *(uniform(0, period, 200) for period in (24, 60, 360, 365)),
        np.sort(uniform(0, 24, 200)),
        *(np.floor(uniform(0, period, 10)) for period in (24, 60, 360, 365)),
        np.arange(9, 17),
        uniform(9, 17, 50),
        uniform(-180, 180, 10),
        np.sort(uniform(-180, 180, 300)),
        uniform(80, 100, 10),
        uniform(80, 82, 10),
        uniform(-60, 60, 10),
        [0, 22.5, -45],
        [90],
    ):
        assert warned(values), values
    # Nothing says of these that they are no radians.
    for values in (np.arange(12), uniform(0, 10, 50), [13.7], []):
        assert not warned(values), values


def test_turns_that_are_counted_on_are_radians(rng):
    for trial in range(20):
        start, num = rng.uniform(-np.pi, np.pi), int(rng.integers(5, 500))
        walk = start + np.cumsum(rng.normal(size=num))
        line = start + np.linspace(0, rng.uniform(0, 300), num) * rng.choice([-1, 1])
        few = start + rng.uniform(0, rng.choice([2, 3, 5]) * 2 * np.pi, num)
        wide = rng.normal(size=num) * rng.uniform(1, 6)
        for values in (np.unwrap(walk), few, wide, rng.uniform(-9, 9, num), walk[num // 2 :]):
            assert not warned(values), (trial, values)
        assert not warned(line) or 0.95 * 24 <= np.ptp(line), (trial, line)
    assert not warned(2 * np.pi * rng.uniform(0, 10000, 100) / 24)  # of hours since a year began
    assert not warned([2e6 * np.pi + 1])
    assert not warned([1e300])
