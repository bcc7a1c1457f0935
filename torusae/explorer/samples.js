// What the page shows and how it stands; samples from places of the space, and their pictures.

const content = JSON.parse(document.getElementById("content").textContent);
const { circles, numbers, sample } = content;
const byId = (id) => document.getElementById(id);
const plane = byId("plane");
const pen = plane.getContext("2d");
const ACCENT = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
const COLOURS = ("#1f77b4 #ff7f0e #2ca02c #d62728 #9467bd #8c564b #e377c2 #7f7f7f #bcbd22 #17becf " +
  "#aec7e8 #ffbb78 #98df8a #ff9896 #c5b0d5 #c49c94 #f7b6d2 #c7c7c7 #dbdb8d #9edae5").split(" ");
const UNKNOWN = "#9a9aa0";
const RAMP = content.points && content.points.cyclic // twilight, a fifth darker; else viridis
  ? ("#b5adb5 #8f9fa5 #63819b #4e5e95 #4b3684 #3e1358 #26102b #461139 #722340 #8e4542 #9e6d57 #a99689 #b5adb5").split(" ")
  : ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"];
const ZOOMS = [6, 8, 12, 16, 24, 32, 48];
const DECODING = 11; // milliseconds of a frame
const STEPS = 33; // pictures of a way
const SECONDS = 3.2; // from A to B
const MARGIN = { left: 42, bottom: 26 };
const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;

const state = {
  across: 0,
  up: circles.length > 1 ? 1 : -1, // -1: a strip
  centre: [0, 0], // radians, unbounded
  tiles: circles.length < 2 ? 8 : innerWidth < 760 ? 12 : 16, // around a circle
  place: { angles: circles.map(() => 0), radii: circles.map(() => 1), numbers: numbers.map(() => 0) }, // the slice
  picked: [],
  shown: null, // the place whose sample is large
  ways: null,
  turning: -1, // the circle that turns by itself
  speed: [0, 0], // of scrolling on, pixels per millisecond
  hidden: new Set(),
  ink: false,
};

// Names and numbers

const subscript = (number) => String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
const circleName = (circle) => "φ" + subscript(circle);
const numberName = (number) => "z" + subscript(number);
const signed = (value, digits) => value.toFixed(digits).replace("-", "−").replace(/^−(0\.?0*)$/, "$1");

function make(parent, tag, properties = {}, text = "") {
  const element = Object.assign(document.createElement(tag), properties);
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}

function setPressed(button, isPressed) {
  button.setAttribute("aria-pressed", isPressed);
  return button;
}

// Decoding: a place is {angles, radii, numbers}

let decodeInput = content.network ? decoderOf(content.network) : null;

function decoderInputOf(place) {
  const input = new Float32Array(content.decoderInputSize);
  circles.forEach(([x, y], i) => {
    input[x] = place.radii[i] * Math.cos(place.angles[i]);
    input[y] = place.radii[i] * Math.sin(place.angles[i]);
  });
  numbers.forEach(({ column }, i) => (input[column] = place.numbers[i]));
  return input;
}

function placeOf(inputs, row) {
  const at = row * content.decoderInputSize;
  return {
    angles: circles.map(([x, y]) => Math.atan2(inputs[at + y], inputs[at + x])),
    radii: circles.map(([x, y]) => Math.hypot(inputs[at + x], inputs[at + y])),
    numbers: numbers.map(({ column }) => inputs[at + column]),
  };
}

const decode = (place) => decodeInput(decoderInputOf(place));

/** A decoder that looks samples up among those decoded in advance. */
function atlasOf(atlas, tileValues) {
  return (input) => {
    const indices = circles.slice(0, atlas.circles).map(([x, y]) => {
      const turn = Math.atan2(input[y], input[x]) / TURN;
      return ((Math.round(turn * atlas.steps) % atlas.steps) + atlas.steps) % atlas.steps;
    });
    // The first circle varies along the columns, the second along the rows.
    return tileValues(indices.length > 1 ? indices[1] * atlas.steps + indices[0] : indices[0]);
  };
}

/** A function from the number of a packed sample to its values, and one that draws it. */
async function unpacked(packed) {
  if (packed.values) {
    const values = floatsOf(packed.values);
    const size = values.length / packed.count;
    return { values: (i) => values.subarray(i * size, (i + 1) * size) };
  }
  const image = new Image();
  image.src = packed.url;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { width, height, columns } = packed;
  const channels = sample.shape[2];
  return {
    shape: [height, width, channels],
    values(i) {
      const { data } = context.getImageData((i % columns) * width, Math.floor(i / columns) * height, width, height);
      const scale = (sample.high - sample.low) / 255;
      const values = new Float32Array(width * height * channels);
      for (let k = 0; k < values.length; k++) {
        const byte = channels === 3 ? Math.floor(k / 3) * 4 + (k % 3) : 4 * k;
        values[k] = sample.low + scale * data[byte];
      }
      return values;
    },
  };
}

// Drawing a sample

const scratch = document.createElement("canvas");
const scratchPen = scratch.getContext("2d");

function drawSample(context, values, x, y, width, height, shape = sample.shape) {
  if (sample.image) drawImageOf(context, values, x, y, width, height, shape);
  else drawVector(context, values, x, y, width, height);
}

function drawImageOf(context, values, x, y, width, height, [rows, columns, channels]) {
  scratch.width = columns;
  scratch.height = rows;
  const picture = scratchPen.createImageData(columns, rows);
  const scale = 255 / (sample.high - sample.low);
  for (let i = 0, at = 0; i < rows * columns; i++) {
    for (let k = 0; k < 3; k++) {
      const byte = scale * (values[channels === 3 ? 3 * i + k : i] - sample.low);
      picture.data[at++] = state.ink ? 255 - byte : byte; // out of range: clamped by the array
    }
    picture.data[at++] = 255;
  }
  scratchPen.putImageData(picture, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(scratch, x, y, width, height);
}

/** Bars up to twelve columns, a line above, with a thin line at zero. */
function drawVector(context, values, x, y, width, height) {
  const pad = Math.max(2, height * 0.05);
  const share = (value) => Math.min(1, Math.max(0, (value - sample.low) / (sample.high - sample.low)));
  const place = (value) => y + height - pad - share(value) * (height - 2 * pad);
  const zero = place(0);
  context.fillStyle = "#fff";
  context.fillRect(x, y, width, height);
  context.fillStyle = "#dcdce0";
  context.fillRect(x, zero, width, 1);
  const left = x + width * 0.08;
  const inner = width * 0.84;
  if (values.length <= 12) {
    const step = inner / values.length;
    context.fillStyle = "#3a3a40";
    values.forEach((value, i) => {
      const top = place(value);
      context.fillRect(left + (i + 0.15) * step, Math.min(top, zero), step * 0.7, Math.max(1, Math.abs(top - zero)));
    });
    return;
  }
  context.beginPath();
  values.forEach((value, i) => context.lineTo(left + (i * inner) / (values.length - 1), place(value)));
  context.strokeStyle = "#3a3a40";
  context.lineWidth = Math.max(1, Math.sqrt(height) / 7);
  context.stroke();
}

/** Sets the size of a canvas for its place on the screen; height / width is that of a sample. */
function fitted(canvas, width) {
  const ratio = sample.image ? sample.shape[0] / sample.shape[1] : 0.6;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(width * ratio * scale);
  return canvas.getContext("2d");
}
