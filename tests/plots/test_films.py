"""Films: pictures of the latent space during a training, and of a morph, in files that are whole."""

import keras
import numpy as np
import pytest
from PIL import Image
from shared.tiny import SHAPE, samples, tiny_model

import torusae
from torusae import plots

pytestmark = pytest.mark.eager


def frames_of(path):
    """The pictures of a GIF as arrays, and how long each stays, milliseconds."""
    with Image.open(path) as film:
        pictures, durations = [], []
        for number in range(film.n_frames):
            film.seek(number)
            pictures.append(np.asarray(film.convert("L"), "float64"))
            durations.append(film.info["duration"])
    return pictures, durations


class Interrupt(keras.callbacks.Callback):
    """What Ctrl-C does in the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.fixture
def seen(monkeypatch):
    """The angles and labels that were drawn."""
    drawn = []
    draw = plots.plot_angles

    def record(angles, labels=None, **options):
        drawn.append((keras.ops.convert_to_numpy(angles), labels))
        return draw(angles, labels, **options)

    monkeypatch.setattr("torusae.plots.films.plot_angles", record)
    return drawn


def test_a_training_is_filmed_before_it_and_after_every_second_epoch_and_the_last(plain, tmp_path, seen):
    x = samples(30)
    film = plots.Film(tmp_path / "a.gif", x, np.arange(30) % 3, every=2, frames_per_second=10)
    before = plain.angles(x, verbose=0)
    plain.fit(x, epochs=3, verbose=0, callbacks=[film])
    pictures, durations = frames_of(tmp_path / "a.gif")
    assert len(pictures) == len(seen) == 3
    assert len({picture.shape for picture in pictures}) == 1
    assert durations == [100, 100, 100]
    np.testing.assert_array_equal(seen[0][1], np.arange(30) % 3)
    # Angles of a batch of another size: float32 rounding, that a short point magnifies.
    np.testing.assert_allclose(seen[0][0], before, atol=1e-4)
    np.testing.assert_allclose(seen[2][0], plain.angles(x, verbose=0), atol=1e-4)
    assert np.abs(seen[2][0] - seen[0][0]).max() > 1e-3
    plain.fit(x, epochs=2, verbose=0, callbacks=[film])  # goes on
    assert len(frames_of(tmp_path / "a.gif")[0]) == 4


def test_an_interrupted_training_leaves_its_film_so_far_and_nothing_else(plain, tmp_path):
    film = plots.Film(tmp_path / "a.gif", samples(300), max_points=20)
    with pytest.raises(KeyboardInterrupt):
        plain.fit(samples(), epochs=3, verbose=0, callbacks=[film, Interrupt()])
    assert len(frames_of(tmp_path / "a.gif")[0]) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["a.gif"]


def test_a_file_is_replaced_only_on_request(plain, tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"Film: there is a file at .* overwrite=True"):
        plots.Film(path, samples())
    plain.fit(samples(), verbose=0, callbacks=[plots.Film(path, samples(), overwrite=True)])
    assert len(frames_of(path)[0]) == 2


def two_latent_layers():
    inputs = keras.Input(SHAPE)
    codes = [torusae.TorusLatent(1, name="phase")(inputs), torusae.Latent(torusae.Gaussian(2), name="size")(inputs)]
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Concatenate()(codes)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


def test_the_layer_to_film_has_a_name_and_its_space_draws_it(tmp_path):
    x, model = samples(), two_latent_layers()
    with pytest.raises(
        ValueError, match=r"Film: the model must have one latent layer.* Received: latent layers \['phase', 'size'\]"
    ):
        model.fit(x, x, verbose=0, callbacks=[plots.Film(tmp_path / "a.gif", x)])
    with pytest.raises(ValueError, match=r"`layer` must be one of .* Did you mean 'size'"):
        model.fit(x, x, verbose=0, callbacks=[plots.Film(tmp_path / "a.gif", x, layer="sizes")])
    with pytest.raises(ValueError, match=r"labels colour angles.*Received: Gaussian\(2\)"):
        model.fit(x, x, verbose=0, callbacks=[plots.Film(tmp_path / "a.gif", x, np.arange(20), layer="size")])
    assert not list(tmp_path.iterdir())
    model.fit(x, x, verbose=0, callbacks=[plots.Film(tmp_path / "a.gif", x, layer="size")])
    assert len(frames_of(tmp_path / "a.gif")[0]) == 2


def test_points_that_are_not_finite_have_no_picture(tmp_path):
    model = tiny_model()
    model.compile("adam", "mse")
    film = plots.Film(tmp_path / "a.gif", samples())
    film.set_model(model)
    film.on_train_begin()
    model.latent.projection.bias.assign([np.nan, 0.0])
    with pytest.warns(UserWarning, match="Film: the points are not finite after epoch 1"):
        film.on_epoch_end(0)
    film.on_train_end()
    assert len(frames_of(tmp_path / "a.gif")[0]) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "film.mp4"}, ValueError, "must end in .gif"),
        ({"path": 3}, TypeError, "`path` must be a path"),
        ({"path": "missing/film.gif"}, FileNotFoundError, "Make it first"),
        ({"x": [1.0]}, TypeError, "`x` must be an array .* Received: list"),
        ({"x": np.zeros((0, 4))}, ValueError, "at least one sample"),
        ({"labels": [1, 2]}, ValueError, r"`labels` must have shape \(20,\)"),
        ({"every": 0}, ValueError, "`every` must be at least 1"),
        ({"frames_per_second": -1}, ValueError, "`frames_per_second` must be finite and positive"),
    ],
)
def test_films_that_can_not_be_made(tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        plots.Film(**{"path": "film.gif", "x": samples(), **arguments})


def test_a_model_without_a_latent_layer(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match="Film: the model must have one latent layer"):
        plots.Film(tmp_path / "film.gif", samples()).set_model(model)


def test_a_long_film_is_written_where_it_has_grown_by_a_quarter_and_at_the_end(plain, tmp_path, monkeypatch):
    film, written = plots.Film(tmp_path / "a.gif", samples()), []
    finish = film._writer.finish
    monkeypatch.setattr(film._writer, "finish", lambda: (written.append(film._pictures), finish()))
    plain.fit(samples(), epochs=7, verbose=0, callbacks=[film])
    assert written == [1, 2, 3, 4, 5, 7, 8]
    assert len(frames_of(tmp_path / "a.gif")[0]) == 8


def test_a_morph_of_images_plays_there_and_back(tmp_path):
    morph = np.zeros((2, 4, 8, 8, 1), "float32")
    morph[:, 2] = 1.0
    path = plots.save_morph(tmp_path / "morph.gif", morph, [[0, 0], [0, -1]], seconds=2)
    pictures, durations = frames_of(path)
    # Steps 0 to 3 and back to 1. Pictures that are alike are one, which stays as long as both.
    assert sum(durations) == 6 * 500
    lit = max(pictures, key=np.mean)
    # The middle one of three columns is white in one step of three.
    assert len([picture for picture in pictures if picture.mean() > lit.mean() - 1]) == 2
    assert lit.mean() - pictures[0].mean() > 0.1 * 255


def test_a_morph_of_vectors_that_ends_at_its_end(tmp_path):
    morph = np.linspace(0, 1, 2 * 3 * 5).reshape(2, 3, 5)
    with pytest.raises(ValueError, match=r"save_morph: `path` must end in \.gif, or no viewer opens the file"):
        plots.save_morph(tmp_path / "morph.png", morph)
    _, durations = frames_of(plots.save_morph(tmp_path / "morph.gif", morph, seconds=3, back=False))
    assert durations == [1000, 1000, 1000]
    with pytest.raises(FileExistsError, match="save_morph: there is a file at"):
        plots.save_morph(tmp_path / "morph.gif", morph)


def test_a_step_of_a_film_is_drawn_between_start_and_end_in_the_range_of_all_steps():
    from matplotlib.figure import Figure

    from torusae.plots import morphs

    figure, samples = Figure(), np.arange(12.0).reshape(2, 3, 2)
    morphs.draw_morphs(figure, [(samples, ["path 0", "path 1"])], steps=[0, 1, 2])
    np.testing.assert_array_equal([line.get_ydata() for line in figure.axes[1].lines], samples[1])
    figure, samples = Figure(), np.zeros((1, 4, 8, 8, 1), "float32")
    samples[0, 1] = 2
    morphs.draw_morphs(figure, [(samples, ["k = (0)"])], steps=[0, 2, 3])
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["t = 0", "t = 0.667", "t = 1"]
    assert axes.get_xlabel() == "share t of the path (black to white: 0 to 2)"
