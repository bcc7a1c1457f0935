"""The examples: what they refuse, and, as a slow test, a whole small run and its redrawing."""

import importlib.util
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import torusae

EXAMPLES = Path(__file__).parents[1] / "examples"
FIGURES = ["angles", "history", "morphs", "occupancy", "radii", "reconstructions", "samples", "spring"]


def example(name):
    """An example as a module. Examples may import their neighbours, as when they are run as scripts."""
    folder = next(each for each in (EXAMPLES, EXAMPLES / "benchmarks") if (each / f"{name}.py").exists())
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(f"{name}_example", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def mnist():
    """examples/mnist.py as a module."""
    return example("mnist")


def test_results_are_not_overwritten(mnist, tmp_path):
    (tmp_path / "table.txt").write_text("an earlier run")
    with pytest.raises(SystemExit, match=r"already holds files.*--overwrite"):
        mnist.main(["--output", str(tmp_path)])
    assert mnist.output_folder(tmp_path, overwrite=True) == tmp_path
    assert (tmp_path / "table.txt").read_text() == "an earlier run"


def test_every_run_gets_a_folder_of_its_own(mnist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (mnist.output_folder(None, overwrite=False) for _ in range(2))
    assert first != second
    assert first.is_dir()


def test_a_missing_file_is_named(mnist, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        mnist.main(["--data", "nowhere.npz", "--output", str(tmp_path / "out")])


@pytest.mark.slow
def test_a_small_run_and_its_redrawing(mnist, tmp_path, capsys):
    small = ["--samples", "512", "--epochs", "2"]
    table = mnist.main([*small, "--output", str(tmp_path / "run")])
    assert str(tmp_path / "run") in capsys.readouterr().out.splitlines()[-1]
    assert sorted(path.stem for path in (tmp_path / "run").glob("*.png")) == FIGURES
    assert (tmp_path / "run" / "explorer.html").stat().st_size < 1e6
    written = json.loads((tmp_path / "run" / "table.json").read_text())
    assert written["table"] == table
    assert written["run"]["backend"] == keras.backend.backend()
    assert "the subset bundled with torusae" in written["run"]["data"]
    again = mnist.main(["--load", str(tmp_path / "run" / "model.keras"), "--output", str(tmp_path / "new")])
    # The loaded model computes the same sums, perhaps in other batches: float32 rounding.
    for name, value in table.items():
        assert again[name] == pytest.approx(value, rel=1e-3, abs=1e-3), name


@pytest.mark.slow
def test_pretrained_models_are_written_and_load(tmp_path, capsys):
    script = example("pretrained")
    small = ["--samples", "400", "--epochs", "1", "--models", "table1", "--output", str(tmp_path / "new")]
    results = script.main(small)
    assert set(results["table1"]) == {"reconstruction MSE", "kuiper", "scores"}
    file = tmp_path / "new" / "table1.keras"
    assert file.stat().st_size < 400_000
    model = keras.saving.load_model(file)
    assert not model.compiled
    weights = np.concatenate([each.ravel() for each in model.get_weights()])
    np.testing.assert_array_equal(weights, weights.astype("float16"))
    with pytest.raises(SystemExit, match=r"exists already.*--overwrite"):
        script.main(small)


def test_the_classifier_trains_and_writes_a_file_that_loads(tmp_path, capsys):
    script = example("digit_classifier")
    file = tmp_path / "new" / "classifier.keras"
    small = ["--samples", "256", "--epochs", "1", "--output", str(file)]
    results = script.main(small)
    assert f"Test accuracy {results['accuracy']:.4f}" in capsys.readouterr().out
    assert 0.1 < results["accuracy"] <= 1
    assert file.stat().st_size < 400_000
    assert not keras.saving.load_model(file).compiled
    with pytest.raises(SystemExit, match=r"exists already.*--overwrite"):
        script.main(small)


def test_the_stored_classifier_knows_digits_and_gives_the_same_outputs_everywhere():
    classifier = keras.saving.load_model(example("compare").CLASSIFIER)
    assert not classifier.compiled
    both = keras.Model(classifier.inputs, [classifier.get_layer("features").output, classifier.outputs[0]])
    digits = torusae.datasets.load_mnist_subset()
    images, labels = digits.x_test.reshape(-1, 28, 28, 1), digits.y_test
    features, probabilities = both.predict(images, batch_size=500, verbose=0)
    assert (probabilities.argmax(axis=1) == labels).mean() == 0.995
    # Written down by TensorFlow: the same float32 sums in another order.
    expected = [[-0.910946, 0.999615, -0.990309, 0.315844], [-0.821237, -0.990294, 0.849062, -0.609005]]
    np.testing.assert_allclose(features[:2, :4], expected, atol=1e-5)
    np.testing.assert_allclose(features.mean(axis=0)[:4], [-0.338693, -0.239558, -0.068598, -0.010598], atol=1e-5)
    hard = [76, 128, 181, 33, 139]  # digits that it is less sure of
    expected = [0.120086, 0.124598, 0.166459, 0.174783, 1.437132]
    np.testing.assert_allclose(-np.log(probabilities[hard, labels[hard]]), expected, rtol=1e-4)
    # No unit that is always the same: a Fréchet distance needs the covariance of the features.
    assert features.std(axis=0).min() > 0.1
    assert np.linalg.eigvalsh(np.cov(features.T)).min() > 0.01


def test_shifts_keep_digits_whole():
    script = example("digit_classifier")
    x = np.zeros((200, 28, 28, 1), "float32")
    x[:, 10, 20] = 1
    moved = script.shifted(x, np.random.default_rng(0))
    assert moved.shape == x.shape
    row, column = np.argwhere(moved[..., 0])[:, 1:].T
    assert sorted(set(row)) == [8, 9, 10, 11, 12]
    assert sorted(set(column)) == [18, 19, 20, 21, 22]


@pytest.mark.slow
def test_compare_goes_on_where_it_stopped_and_refuses_other_settings(tmp_path, capsys):
    compare = example("compare")
    options = ["--samples", "300", "--epochs", "1", "--systems", "torus, paper", "--output", str(tmp_path)]
    compare.main([*options, "--seeds", "0"])
    stored = (tmp_path / "runs.json").read_text()
    table = compare.main([*options, "--seeds", "0"])
    assert (tmp_path / "runs.json").read_text() == stored  # nothing was trained again
    assert table["torus, paper"]["MSE"][1] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"runs.json", "table.md", "table.json", "compare.png"}
    assert "| MSE |" in (tmp_path / "table.md").read_text()
    with pytest.raises(SystemExit, match="Name another --output"):
        compare.main([*options, "--batch-size", "64"])


def test_compare_names_the_systems_that_it_knows(capsys):
    with pytest.raises(SystemExit):
        example("compare").main(["--systems", "torus, papr"])
    assert "torus, paper" in capsys.readouterr().err


def test_compare_wants_a_digit_classifier(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.keras"):
        example("compare").main(["--classifier", "nowhere.keras", "--output", str(tmp_path)])


def test_recipes_compare_the_default_with_no_losses(tmp_path):
    recipes = example("recipes")
    file = tmp_path / "new" / "recipes.json"
    rows = recipes.main(["--recipes", "1", "--steps", "2", "--output", str(file)])
    assert json.loads(file.read_text())["rows"] == rows
    assert rows[0].keys() >= recipes.CHOICES.keys() | {"over none", "Kuiper", "radii"}
    assert 0.5 < rows[0]["over none"] < 2


@pytest.mark.slow
def test_batches_compares_the_default_with_no_losses(tmp_path):
    file = tmp_path / "new" / "batches.jsonl"
    rows = example("batches").main(["--batches", "2048", "--epochs", "1", "--output", str(file)])
    assert [row["model"] for row in rows] == ["default"] * 2 + ["none"] * 2 + ["paper"] * 2 + ["plain Keras"] * 2
    assert [json.loads(line) for line in file.read_text().splitlines()] == rows


@pytest.mark.slow
def test_the_tables_of_the_results_are_written(tmp_path):
    script = example("results")
    made = script.main(["--tables", "evenness", "--seeds", "0", "--epochs", "1", "--output", str(tmp_path)])
    title, *lines, last = (tmp_path / "evenness.md").read_text().splitlines()
    assert title == script.evenness.__doc__
    assert len([line for line in lines if line.startswith("|")]) == 2 + len(made["evenness"])
    assert made["evenness"][0]["over none"] == "1.00"
    assert last.startswith(f"{keras.backend.backend()} ")
    assert "seeds 0" in last


def test_recipes_are_drawn_by_their_seed_and_fit_their_data():
    recipes = example("recipes")
    first, second = ([recipes.draw_recipe(rng) for _ in range(50)] for rng in map(np.random.default_rng, (0, 0)))
    assert first == second
    tables = [recipe for recipe in first if recipe["data"] == "table"]
    assert 0 < len(tables) < 50
    assert all(recipe["network"] != "convolutions" for recipe in tables)
    assert all(recipe["loss"] != "binary_crossentropy" for recipe in tables)


@pytest.fixture
def moons():
    """examples/moons.py as a module."""
    return example("moons")


@pytest.fixture
def phases():
    """Phases of three moons with the tie (1, -3, 2) at half a turn, but for 0.1 radians."""
    rng = np.random.default_rng(0)
    slower = rng.uniform(-np.pi, np.pi, (2000, 2))
    first = np.pi + 3 * slower[:, 0] - 2 * slower[:, 1] + 0.1 * rng.standard_normal(2000)
    return np.column_stack([first, slower])


def test_the_moons_tie_is_the_strongest_of_all_small_vectors(moons, phases):
    vectors, means = moons.ties(phases)
    # (7³ - 1) / 2 lines through the origin, less those of vectors with the divisors 2 (13) and 3 (13).
    assert len(vectors) == len(np.unique(vectors, axis=0)) == 171 - 26
    assert vectors[0].tolist() == [1, -3, 2]
    # E exp(iσZ) = exp(-σ²/2), with an error of σ / sqrt(2000).
    assert means[0] == pytest.approx(-np.exp(-0.005), abs=0.01)
    assert abs(means[1]) < 4 * np.sqrt(np.log(171) / 2000)  # chance


@pytest.mark.parametrize(
    ("windings", "expected"), [([[2, 1], [0, 1], [-1, 1]], [1, -3, 2]), ([[2, 2], [1, 1], [3, 3]], [0] * 3)]
)
def test_three_windings_around_two_circles_have_a_tie(moons, windings, expected):
    tie = moons.tie_of_windings(np.array(windings))
    assert tie.tolist() == expected
    np.testing.assert_array_equal(tie @ windings, 0)


def test_a_moons_period_from_its_phases(moons):
    rng = np.random.default_rng(0)
    days = rng.uniform(0, 1000, 300)
    noisy = 2 * np.pi * days / 1.769 + 1 + 0.2 * rng.standard_normal(300)
    # The rate's standard error; the finest grid has smaller steps.
    error = 0.2 * np.sqrt(12 / 300) / 1000
    assert moons.period(noisy, days) == pytest.approx(1.769, rel=4 * error * 1.769 / (2 * np.pi))


def test_moons_clocks_from_dots_alone(moons):
    """Turned and mirrored torus angles, dots of known waves; then their sums, whichever dot is whose."""
    rng = np.random.default_rng(0)
    slower = rng.uniform(-np.pi, np.pi, (2000, 2))
    phases = np.column_stack([np.pi + 3 * slower[:, 0] - 2 * slower[:, 1], slower])
    days, radii = np.array([1.77, 3.55, 7.17]), np.array([5.9, 9.4, 15.0])
    dots = radii * np.cos(np.stack([phases, phases + 2 * np.pi * 0.25 / days], axis=1))
    # A basis: Europa is -φ₀, Ganymede -φ₀ - φ₁, Io -φ₀ + 2 φ₁, each but for a zero.
    angles = np.column_stack([0.4 - slower[:, 0], slower[:, 0] - slower[:, 1]])
    named = moons.clocks_of_named(angles, dots)
    unnamed = moons.clocks_of_unnamed(angles, dots[:, :, [2, 0, 1]])
    for clocks, tolerance in ((named, 1e-9), (unnamed, 0.2)):  # other waves leave 2 / sqrt(num) of their size
        assert [each.winding.tolist() for each in clocks] == [[-1, 2], [-1, 0], [-1, -1]]
        np.testing.assert_allclose([each.days for each in clocks], days, rtol=tolerance)
        np.testing.assert_allclose([each.radius for each in clocks], radii, rtol=tolerance)
        found = np.column_stack([each.phase(angles) for each in clocks])
        assert np.abs(np.angle(np.exp(1j * (found - phases)))).max() < 2 * tolerance


def test_the_moons_synodic_periods_are_those_of_the_almanac(moons):
    """Days, hours, minutes and seconds; the last digit is a second, 7e-6 of the shortest period."""
    almanac = [(1, 18, 28, 36), (3, 13, 17, 54), (7, 3, 59, 36)]
    days = [day + hour / 24 + minute / 1440 + second / 86400 for day, hour, minute, second in almanac]
    np.testing.assert_allclose(moons.SYNODIC, days, rtol=7e-6)


def test_the_moons_say_which_package_is_missing(moons, monkeypatch):
    monkeypatch.setitem(sys.modules, "ephem", None)
    with pytest.raises(SystemExit, match="pip install ephem"):
        moons.sky(np.zeros(1))


def test_planes_turn_with_their_direction_and_hues_with_the_channels():
    script = example("hue_and_rotation")
    angles = np.array([[0.4, 0.3], [0.4, 0.3 + np.pi / 2], [0.4 + 2 * np.pi / 3, 0.3]])
    first, turned, recoloured = script.pictures(angles, 20)
    assert first.shape == (20, 20, 3)
    assert first.max() > 0.8
    np.testing.assert_allclose(turned, np.rot90(first), atol=1e-5)
    np.testing.assert_allclose(recoloured, np.roll(first, 1, axis=-1), atol=1e-5)
    assert np.abs(turned - first).max() > 0.5  # no symmetry hides the turn


def test_the_four_ways_are_short_and_long_in_the_true_angles():
    script = example("hue_and_rotation")
    matrix, pair = np.array([[1, 1], [0, -1]]), np.array([[2.9, -1.0], [-2.8, 3.0]])

    class Model:
        def angles(self, x, verbose):
            return x

    alignment = torusae.topology.alignment.Alignment(matrix, np.array([0.3, -2.0]), np.ones(2))
    windings, arcs = script.four_windings(Model(), alignment, pair)
    np.testing.assert_allclose(np.diff(pair, axis=0) @ matrix.T + 2 * np.pi * windings @ matrix.T, arcs, atol=1e-9)
    # (true) hue and rotation: the short arcs, then each the other way around.
    true = alignment(pair)
    short = (true[1] - true[0] + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(arcs[0], short, atol=1e-9)
    np.testing.assert_allclose(np.abs(arcs[3]) + np.abs(arcs[0]), 2 * np.pi, atol=1e-9)
    np.testing.assert_allclose(arcs[1:3], [[arcs[0, 0], arcs[3, 1]], [arcs[3, 0], arcs[0, 1]]], atol=1e-9)


@pytest.mark.slow
def test_hue_and_rotation_writes_a_table_and_figures(tmp_path):
    table = example("hue_and_rotation").main(["--samples", "600", "--epochs", "1", "--output", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {"table.json", "ways.png", "edits.png"}
    assert 0 < table["share of the variance not reconstructed"] < 1.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "figures"),
    [("rotation", [], ["both", "relative", "self"]), ("shift", ["--seeds", "1"], ["shift-1"])],
)
def test_supervised_circles_follow_rotations_and_shifts(name, options, figures, tmp_path):
    rows = example(name).main(["--samples", "600", "--steps", "120", "--output", str(tmp_path), *options])
    assert sorted(path.stem for path in tmp_path.glob("*.png")) == figures
    assert [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()] == rows
    for row in rows:
        # Unrelated angles would have a median error of 90 degrees, or 7 pixels.
        assert np.all(np.array(row["turn"] if name == "rotation" else row["shift"]) < (60 if name == "rotation" else 5))


def test_quantisers_of_compression_round_to_their_levels_and_back(rng):
    script = example("compression")
    values = rng.normal(0, 3, (400, 3)).astype("float32")
    for quantiser, counts in [
        (script.FiniteScalar([8, 5, 2]), [8, 5, 2]),
        (script.LookupFree(), [2, 2, 2]),
        (script.Rounding(0.5), None),
    ]:
        read = keras.ops.convert_to_numpy(quantiser(values))
        found = quantiser.codes(read)
        assert found.max() < 1 << quantiser.bits
        np.testing.assert_allclose(quantiser.values(found), read, atol=1e-5)
        if counts:
            assert [len(np.unique(column)) for column in found.T] == counts
            assert np.abs(read).max() == pytest.approx(1)
        else:
            assert np.abs(read - values).max() <= 0.25 + 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("concentration", [0.0, 3.0])
def test_the_coder_of_compression_is_near_the_entropy_and_undone(concentration):
    script = example("compression")
    probabilities = np.exp(concentration * np.cos(2 * np.pi * np.arange(256) / 256))
    probabilities /= probabilities.sum()
    entropy = -probabilities @ np.log2(probabilities)
    codes = np.random.default_rng(0).choice(256, p=probabilities, size=(10_000, 4))
    content = script.compress(codes, 8)
    # Chance moves the information of 40,000 codes by less than 0.3 %.
    assert 0.995 < 8 * len(content) / (40_000 * entropy) < 1.01
    np.testing.assert_array_equal(script.decompress(content, codes.shape, 8), codes)


@pytest.mark.slow
def test_compression_goes_on_where_it_stopped_and_draws(tmp_path):
    script, file = example("compression"), tmp_path / "new" / "rows.jsonl"
    small = ["--rates", "8", "--seeds", "0", "--epochs", "1", "--output", str(file)]
    first = script.main([*small, "--systems", "torus", "LFQ"])
    rows = script.main([*small, "--figure", str(tmp_path / "new" / "curve.png")])
    assert rows[:2] == first
    assert [json.loads(line) for line in file.read_text().splitlines()] == rows
    assert {row["system"] for row in rows} == set(script.SYSTEMS)
    # One epoch of few digits: their mean picture alone leaves 0.067.
    assert all(row["entropy"] <= row["bits"] < 9 and row["MSE"] < 0.1 for row in rows)
    assert (tmp_path / "new" / "curve.png").stat().st_size > 10_000


def test_held_out_days_share_no_hour_with_the_windows_of_training():
    hours = example("hours")
    held_out = hours.held_out_hours(40 * 24, 3 * 24, fold=7)
    assert held_out.reshape(-1, 24)[:12].any(axis=1).nonzero()[0].tolist() == [6, 7, 8]  # the third block of five
    train, test = hours.windows(held_out, 48)
    assert all(not held_out[first : first + 48].any() for first in train)
    assert all(held_out[first : first + 48].all() for first in test)
    inside, outside = held_out.sum() // (3 * 24) * 25, 40 * 24 - 47
    assert len(test) == inside
    assert len(train) < outside - inside
    every = [hours.held_out_hours(960, 72, fold) for fold in range(5)]
    np.testing.assert_array_equal(np.sum(every, axis=0), 1)  # each hour is held out once


def test_windows_of_weather_become_a_mean_day_and_daily_means():
    weather = np.random.default_rng(0).normal(size=(100, 2))
    found = example("hours").mean_days(weather, 3)
    assert found.shape == (29, 2 * (24 + 3))
    days = weather[5 : 5 + 72, 1].reshape(3, 24)
    np.testing.assert_allclose(found[5, 24:48], days.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found[5, 51:], days.mean(axis=1), atol=1e-12)


def test_columns_of_the_time_have_its_periods():
    hours = example("hours")
    times = np.array([1.0, 24.0, 25.0, 8760.0])
    assert hours.cell_columns(times, 12).tolist() == [[0, 0], [23, 0], [0, 0], [23, 11]]
    splines = hours.spline_columns(np.array([3.0, 3.0 + 8760, 12.0]))
    np.testing.assert_allclose(splines[0], splines[1], atol=1e-5)  # 8760 hours are whole days too
    np.testing.assert_allclose(splines.sum(axis=1), 2, atol=1e-5)  # each set of splines adds up to 1
    assert splines.shape == (3, 16)
    assert not np.allclose(splines[0], splines[2], atol=0.1)


def test_the_score_of_angles_ignores_an_offset_and_sees_noise():
    hours = example("hours")
    times = np.arange(240.0)
    assert abs(hours.offset(2 * np.pi * times / 24 + 1.0, times, 24)) == pytest.approx(1)
    assert np.angle(hours.offset(2 * np.pi * times / 24 + 1.0, times, 24)) == pytest.approx(1)
    assert abs(hours.offset(-2 * np.pi * times / 24, times, 24)) == pytest.approx(0, abs=1e-12)  # the wrong direction
