"""The explorer's page in a browser and its network in node: no errors, Keras' pictures, no seam, ways, touch, speed.

Run by `nox -s explore`: needs node, and Chromium of the system or of playwright.
"""

import json
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from shared.explorer_pages import arrays_of, content_of, evaluate
from shared.tensors import to_numpy

import torusae
from torusae.explorer import writing

pytestmark = pytest.mark.explore

NETWORK = Path(writing.__file__).with_name("network.js")
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
MINUS = "\N{MINUS SIGN}"
PIXELS = "new Uint32Array(pen.getImageData(0, 0, plane.width, plane.height).data.buffer)"


def in_node(script, *values):
    """What a script returns in node, with the names of `network.js` and `values` as `input`."""
    code = (
        f"const network = require({json.dumps(str(NETWORK))});"
        f"const input = JSON.parse(require('fs').readFileSync(0));"
        f"console.log(JSON.stringify((() => {{ {script} }})()));"
    )
    done = subprocess.run(["node", "-e", code], input=json.dumps(values), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def digits():
    """The paper's networks on three circles, trained for a moment, and digits."""
    keras.utils.set_random_seed(0)
    data = torusae.datasets.load_mnist_subset()
    model = torusae.TorusAutoencoder.from_shape((28, 28, 1), 3, init="random")
    model.compile("adam", "mse")
    model.fit(data.x_train[:2560], batch_size=128, verbose=0)
    return model, data.x_train[:2560], data.y_train[:2560]


@pytest.fixture(scope="module")
def page_file(digits, tmp_path_factory):
    return torusae.explore(digits[0], tmp_path_factory.mktemp("page") / "digits.html", *digits[1:])


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        system = shutil.which("chromium") or shutil.which("google-chrome")
        chromium = playwright.chromium.launch(executable_path=system, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """A function that opens a file in a window of a size; at the end, there must have been no error.

    Chromium's advice on `willReadFrequently` is for the tests, which read the canvas.
    """
    troubles, contexts = [], []

    def opened(path, size=WIDE, **options):
        context = browser.new_context(viewport=size, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: "willReadFrequently" in message.text or troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(path.as_uri())
        settle(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles


def settle(page):
    """Waits until all tiles in view are decoded."""
    page.wait_for_function("visibleTiles().every(([a, b]) => drawn[tileIndex(a, b)] === version)")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def place_on_plane(page, across, up):
    """Position in the window, at shares of the plane."""
    box = page.locator("#plane").bounding_box()
    return box["x"] + 42 + across * (box["width"] - 42), box["y"] + up * (box["height"] - 26)


def picture(page):
    """The pixels of the plane without its axes, as an array of 32-bit colours."""
    width, height = page.evaluate("[plane.width, plane.height]")
    pixels = np.array(page.evaluate(f"Array.from({PIXELS})"), "uint32").reshape(height, width)
    return pixels[: height - 26, 42:]


# Node: the same numbers as in Python


def test_the_network_in_node(rng):
    layers = keras.layers
    decoder = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(24, activation="leaky_relu"),
            layers.Reshape((2, 3, 4)),
            layers.Conv2D(5, 3, padding="same", data_format="channels_first", activation="elu"),
            layers.BatchNormalization(axis=1, scale=False),
            layers.UpSampling2D((2, 1), data_format="channels_first"),
            layers.Flatten(data_format="channels_first"),
            layers.Reshape((6, 4, 5)),
            layers.Conv2D(4, (2, 3), strides=(2, 1), padding="same", activation="silu"),
            layers.Conv2D(3, 2, padding="valid", use_bias=False, activation="softplus"),
            layers.Cropping2D(((1, 0), (0, 1))),
            layers.Conv2D(3, 1, activation="tanh"),
            layers.Flatten(),
            layers.Dense(3, activation="exponential"),
            layers.ReLU(),
            layers.Dense(3, activation="sigmoid"),
        ]
    )
    for weight in decoder.weights:
        weight.assign(rng.uniform(0.5 if "variance" in weight.path else -0.5, 1.0, weight.shape))
    model = torusae.TorusAutoencoder(torusae.networks.dense_encoder((3,), (4,)), decoder, 2)
    network = writing._network(model, writing.Samples("test", (3,)))
    inputs = rng.normal(size=(5, 4)).astype("float32")
    script = "const decode = network.decoderOf(input[0]); return input[1].map((row) => Array.from(decode(row)));"
    found = in_node(script, network, inputs.tolist())
    arrays = arrays_of(network)
    expected = [evaluate(network["operations"], arrays, row) for row in inputs]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)  # sums in float32 against float64


def test_half_numbers_in_node(rng):
    values = np.concatenate([rng.normal(size=200) * 10.0 ** rng.integers(-8, 4, 200), [0.0, 65504.0, -6e-8]])
    packed = writing.floats(values)
    assert packed["type"] == "float16"
    found = in_node("return Array.from(network.floatsOf(input[0]));", packed)
    np.testing.assert_array_equal(found, values.astype("float16").astype("float64"))
    large = writing.floats(np.array([1e6, 1.0]))
    np.testing.assert_array_equal(in_node("return Array.from(network.floatsOf(input[0]));", large), [1e6, 1.0])


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_windings_and_paths_in_node(dim, rng):
    for _ in range(20):
        angles = rng.uniform(-np.pi, np.pi, (2, dim)).astype("float32")
        radii = rng.uniform(0.5, 1.5, (2, dim)).astype("float32")
        start, end = (to_numpy(torusae.to_cartesian(*(part[i] for part in (radii, angles)))) for i in (0, 1))
        expected = to_numpy(torusae.two_way_windings(start, end))
        places = [{"angles": angles[i].tolist(), "radii": radii[i].tolist(), "numbers": []} for i in (0, 1)]
        script = """
          const [start, end] = input;
          const windings = network.twoWayWindings(start.angles, end.angles);
          const shares = [0, 0.25, 0.5, 0.75, 1];
          return [windings, windings.map((k) => shares.map((t) => network.placeOnPath(start, end, k, t))),
            network.distance(start, end), network.pathLength(start, end, windings[0])];
        """
        found, paths, distance, length = in_node(script, *places)
        np.testing.assert_array_equal(found, expected)
        inputs = to_numpy(torusae.morph_paths(start, end, expected, 5))
        for path, steps in zip(paths, inputs, strict=True):
            for place, row in zip(path, steps, strict=True):
                x = np.array(place["radii"]) * np.cos(place["angles"])
                y = np.array(place["radii"]) * np.sin(place["angles"])
                np.testing.assert_allclose(np.concatenate([x, y]), row, atol=1e-5)
        between = to_numpy(torusae.Torus(dim).distance(start[None], end[None]))[0]
        np.testing.assert_allclose([distance, length], between, rtol=1e-5)


def test_many_circles_have_the_sixteen_shortest_ways(rng):
    start, end = rng.uniform(-np.pi, np.pi, (2, 7))
    rows = in_node("return network.twoWayWindings(input[0], input[1]);", start.tolist(), end.tolist())

    def length(k):
        return np.linalg.norm(end + 2 * np.pi * np.array(k) - start)

    point = [np.concatenate([np.cos(angles), np.sin(angles)]).astype("float32") for angles in (start, end)]
    every = to_numpy(torusae.two_way_windings(*point)).tolist()
    assert rows[0] == every[0]
    assert len({tuple(row) for row in rows}) == 16
    assert all(row in every for row in rows)
    # Those of one circle the long way are the four shortest of their kind.
    single = sorted(length(k) for k in every if np.count_nonzero(np.array(k) != every[0]) == 1)[:4]
    assert np.allclose(sorted(length(k) for k in rows if np.count_nonzero(np.array(k) != every[0]) == 1), single)


# The browser


def test_the_file_is_small(page_file):
    assert page_file.stat().st_size < 1e6


def test_the_page_draws_what_keras_decodes(digits, page_file, open_page, rng):
    page = open_page(page_file)
    angles = rng.uniform(-np.pi, np.pi, (20, 3))
    inputs = np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
    place = "{angles, radii: [1, 1, 1], numbers: []}"
    found = page.evaluate(f"(all) => all.map((angles) => Array.from(decode({place})))", angles.tolist())
    expected = digits[0].decode(inputs, verbose=0).reshape(20, -1)
    assert np.abs(np.array(found) - expected).max() < 1e-5  # sums in float32 in another order


def test_the_plane_shows_the_decoded_tiles(digits, page_file, open_page):
    page = open_page(page_file)
    page.uncheck("#show-points")
    settle(page)
    ink, count = page.evaluate("[state.ink, state.tiles]")
    for a, b in ((0, 0), (3, -2), (-5, 4)):
        tile = "sheetPen.getImageData(modulo(a, state.tiles) * 28, modulo(b, state.tiles) * 28, 28, 28).data"
        shown = np.array(page.evaluate(f"([a, b]) => Array.from({tile})", [a, b])).reshape(28, 28, 4)[..., 0] / 255
        angles = 2 * np.pi * np.array([a, b, 0]) / count
        row = np.concatenate([np.cos(angles), np.sin(angles)])[None].astype("float32")
        expected = digits[0].decode(row, verbose=0)[0, :, :, 0]
        assert np.abs(shown - (1 - expected if ink else expected)).max() < 0.5 / 255 + 1e-5


@pytest.mark.parametrize("axis", [0, 1])
def test_scrolling_by_a_turn_changes_nothing(axis, page_file, open_page):
    page = open_page(page_file)
    before = picture(page)
    for part in range(1, 9):
        page.evaluate(f"setCentre({1 - axis} * {part} * TURN / 8, {axis} * {part} * TURN / 8)")
        settle(page)
        if part == 4:
            assert (picture(page) != before).mean() > 0.2
    # Text and circles are antialiased at places that differ in the last digits.
    assert (picture(page) != before).mean() < 1e-3


def test_there_is_no_seam(page_file, open_page):
    page = open_page(page_file)
    page.uncheck("#show-points")
    pictures = []
    for side, pixels in ((1, -2), (1, 2), (-1, 2)):
        centre = f"{side} * Math.PI + {pixels} / pixelsPerRadian"
        page.evaluate(f"setCentre({centre}(0), {centre}(1))")
        settle(page)
        pictures.append(picture(page))
    assert (pictures[1] == pictures[2]).mean() > 0.999  # the same place, a turn away
    # Four pixels further, across the seam: the picture is shifted by four pixels and is otherwise the same.
    moved = np.roll(pictures[0], (4, -4), (0, 1))[10:-10, 10:-10]
    assert (moved == pictures[1][10:-10, 10:-10]).mean() > 0.999
    assert (pictures[0] == pictures[1]).mean() < 0.8


def test_a_drag_scrolls_and_a_click_picks(page_file, open_page):
    page = open_page(page_file)
    x, y = place_on_plane(page, 0.5, 0.5)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 100, y + 40, steps=5)
    page.wait_for_timeout(200)
    page.mouse.up()
    centre, scale = page.evaluate("[state.centre, [0, 1].map(pixelsPerRadian)]")
    np.testing.assert_allclose(centre, [100 / scale[0], 40 / scale[1]], atol=0.01)
    assert page.evaluate("state.picked.length") == 0
    page.mouse.click(x, y)
    picked = page.evaluate("state.picked[0].angles")
    np.testing.assert_allclose(picked, [*centre, 0], atol=2 / min(scale))


def test_nearest_samples(digits, page_file, open_page):
    page = open_page(page_file)
    page.mouse.click(*place_on_plane(page, 0.3, 0.4))
    place, shown = page.evaluate(
        "[state.picked[0].angles, points.slice(0, thumbnails ? 400 : 0).map((p) => p.place.angles)]"
    )
    apart = np.angle(np.exp(1j * (np.array(shown) - place)))
    nearest = np.sort(np.linalg.norm(apart, axis=1))[:6]
    told = page.locator("#nearest small").all_inner_texts()
    np.testing.assert_allclose([float(text) for text in told], nearest, atol=0.006)
    page.locator("#nearest button").first.click()
    row = int(np.argmin(np.linalg.norm(apart, axis=1)))
    np.testing.assert_allclose(page.evaluate("state.picked[1].angles"), shown[row])
    np.testing.assert_allclose(page.evaluate("state.place.angles[2]"), shown[row][2])


def test_two_clicks_play_every_way(digits, page_file, open_page):
    page = open_page(page_file)
    page.mouse.click(*place_on_plane(page, 0.2, 0.3))
    page.evaluate("state.place.angles[2] = 2.5; renewTiles()")
    page.mouse.click(*place_on_plane(page, 0.7, 0.8))
    page.wait_for_function("state.ways.list.every((way) => way.samples.filter(Boolean).length === STEPS)")
    start, end = np.array(page.evaluate("state.picked.map((place) => place.angles)"))
    inputs = [np.concatenate([np.cos(angles), np.sin(angles)]).astype("float32") for angles in (start, end)]
    windings = to_numpy(torusae.two_way_windings(*inputs))
    names = page.locator("#ways button div:nth-of-type(1)").all_inner_texts()
    assert names == [f"({', '.join(str(k).replace('-', MINUS) for k in row)})" for row in windings]
    paths = to_numpy(torusae.morph_paths(*inputs, windings, 33)).reshape(-1, 6)
    expected = digits[0].decode(paths, verbose=0).reshape(8, 33, -1)
    found = page.evaluate("state.ways.list.map((way) => [0, 7, 16, 32].map((step) => Array.from(way.samples[step])))")
    assert np.abs(np.array(found) - expected[:, [0, 7, 16, 32]]).max() < 1e-5
    first = page.evaluate("state.ways.t")
    page.wait_for_timeout(400)
    assert page.evaluate("state.ways.t") != first
    page.locator("#play").click()
    still = page.evaluate("state.ways.t")
    page.wait_for_timeout(100)
    assert page.evaluate("state.ways.t") == still
    page.locator("#ways button").nth(3).click()
    assert page.evaluate("state.ways.chosen") == 3
    page.keyboard.press("Escape")
    assert page.evaluate("[state.picked.length, state.ways]") == [0, None]


def test_the_keyboard(page_file, open_page):
    page = open_page(page_file)
    page.locator("#plane").focus()
    step = page.evaluate("0.5 * view.tile[0] / pixelsPerRadian(0)")
    for key, expected in (("ArrowRight", [step, 0]), ("ArrowUp", [step, step]), ("ArrowLeft", [0, step])):
        page.keyboard.press(key)
        np.testing.assert_allclose(page.evaluate("state.centre"), expected, atol=1e-3)
    tiles = page.evaluate("state.tiles")
    page.keyboard.press("-")
    assert page.evaluate("state.tiles") > tiles
    page.keyboard.press("+")
    assert page.evaluate("state.tiles") == tiles
    page.keyboard.press("Enter")
    np.testing.assert_allclose(page.evaluate("state.picked[0].angles"), [0, step, 0], atol=1e-3)


def test_touch_on_a_phone(page_file, open_page):
    page = open_page(page_file, NARROW, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing sticks out
    page.touchscreen.tap(*place_on_plane(page, 0.3, 0.3))
    page.touchscreen.tap(*place_on_plane(page, 0.7, 0.6))
    assert page.locator("#ways button").count() == 8
    tiles = page.evaluate("state.tiles")
    x, y = place_on_plane(page, 0.5, 0.5)
    touch = page.context.new_cdp_session(page)
    for kind, gap in (("touchStart", 30), ("touchMove", 40), ("touchMove", 60), ("touchEnd", None)):
        fingers = [] if gap is None else [{"x": x - gap, "y": y, "id": 0}, {"x": x + gap, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    assert page.evaluate("state.tiles") < tiles
    assert page.evaluate("state.picked.length") == 2  # a pinch picks nothing


def test_another_pair_of_circles(digits, page_file, open_page):
    page = open_page(page_file)
    page.evaluate("setCentre(0.5, -1)")
    page.select_option("#across", "2")
    settle(page)
    assert page.evaluate("[state.across, state.up, state.centre]") == [2, 1, [0, -1]]
    np.testing.assert_allclose(page.evaluate("placeAt(2, 1).angles"), [0.5, 1, 2])
    page.select_option("#up", "2")
    assert page.evaluate("[state.across, state.up]") == [1, 2]
    page.locator("#sliders button").click()
    page.wait_for_timeout(300)
    assert page.evaluate("state.place.angles[0]") > 0.51


def test_the_speed(page_file, open_page):
    """Scrolls over a plane of 9 by 9 tiles and more while φ₂ turns, so that all tiles are always decoded again."""
    page = open_page(page_file)
    assert page.evaluate("visibleTiles().length") >= 81
    page.evaluate("state.turning = 2")
    frames = page.evaluate(
        """new Promise((done) => {
          const times = [];
          const count = (now) => {
            times.push(now);
            scrollBy(3, 2);
            if (times.length < 61) requestAnimationFrame(count);
            else done(times);
          };
          requestAnimationFrame(count);
        })"""
    )
    median = float(np.median(np.diff(frames)))
    decoding = page.evaluate(
        """(() => {
          const start = performance.now();
          for (let i = 0; i < 30; i++) decode(placeAt(i, i));
          return (performance.now() - start) / 30;
        })()"""
    )
    print(f"median frame {median:.1f} ms, a picture {decoding:.1f} ms")  # noqa: T201
    assert median < 34  # 30 frames a second


# Other samples and spaces


def trained(model):
    model.was_trained = True
    return model


def test_a_strip_of_vectors(open_page, tmp_path, rng):
    model = trained(torusae.TorusAutoencoder.from_shape((8,), 1))
    x = rng.normal(size=(60, 8)).astype("float32")
    page = open_page(torusae.explore(model, tmp_path / "strip.html", x, np.arange(60) % 3))
    page.mouse.click(*place_on_plane(page, 0.2, 0.2))
    page.mouse.click(*place_on_plane(page, 0.8, 0.2))
    assert page.locator("#ways button").count() == 2
    assert page.evaluate("visibleTiles().every(([a, b]) => b === 0)")


def test_a_product_with_numbers(open_page, tmp_path, rng):
    model = trained(torusae.TorusAutoencoder.from_shape((20,), torusae.Torus(2) * torusae.Gaussian(2)))
    x = rng.normal(size=(60, 20)).astype("float32")
    page = open_page(torusae.explore(model, tmp_path / "product.html", x, rng.normal(size=60)))
    page.locator("#sliders input").nth(1).fill("1.5")
    settle(page)
    found = page.evaluate("Array.from(decode(placeAt(1, 2)))")
    angles = np.array([1.0, 2.0])
    row = np.concatenate([np.cos(angles), np.sin(angles), [0, 1.5]])[None].astype("float32")
    np.testing.assert_allclose(found, model.decode(row, verbose=0)[0], atol=1e-5)  # few weights stay in float32


class Wave(keras.layers.Layer):
    def call(self, x):
        return keras.ops.sin(x)


def test_samples_decoded_in_advance(open_page, tmp_path):
    shape = (8, 6, 3)
    decoder = keras.Sequential([keras.Input((6,)), torusae.networks.conv_decoder(shape, 6, (3,)), Wave()])
    model = trained(torusae.TorusAutoencoder(torusae.networks.dense_encoder(shape, (4,)), decoder, 3))
    with pytest.warns(UserWarning, match="Wave"):
        path = torusae.explore(model, tmp_path / "atlas.html")
    page = open_page(path)
    low, high = (content_of(path)["sample"][name] for name in ("low", "high"))
    for a, b in ((0, 0), (5, 20)):
        angles = 2 * np.pi * np.array([a, b, 0]) / 24
        row = np.concatenate([np.cos(angles), np.sin(angles)])[None].astype("float32")
        found = page.evaluate("([x, y]) => Array.from(decode(placeAt(x, y)))", angles[:2].tolist())
        expected = model.decode(row, verbose=0).ravel()
        np.testing.assert_allclose(found, expected, atol=0.51 * (high - low) / 255)
    page.mouse.click(*place_on_plane(page, 0.2, 0.2))
    page.mouse.click(*place_on_plane(page, 0.8, 0.6))
    assert page.locator("#ways button").count() == 8


def test_without_javascript(page_file, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert "needs JavaScript" in page.locator("#message").inner_text()
    context.close()
