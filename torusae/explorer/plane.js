// The plane. Tile (a, b) is the sample at the angles (a, b) · 2π / tiles; it is the same after each turn.

const view = { width: 0, height: 0, scale: 1, tile: [1, 1] };
const sheet = document.createElement("canvas"); // all tiles of one turn
let sheetPen = null;
let drawn = new Int32Array(0); // by tile: the version that it shows, 0 for none
let version = 1;
const isStrip = state.up < 0;
const modulo = (value, size) => ((value % size) + size) % size;

function layOut() {
  const box = plane.getBoundingClientRect();
  view.scale = devicePixelRatio || 1;
  view.width = box.width - MARGIN.left;
  const ratio = sample.image ? Math.min(2, Math.max(0.5, sample.shape[0] / sample.shape[1])) : isStrip ? 1 : 0.75;
  const largest = content.atlas ? 64 : 140;
  const tile = Math.round(Math.min(largest, Math.max(box.width < 600 ? 36 : 44, view.width / state.tiles)));
  view.tile = [tile, Math.round(tile * ratio)];
  view.height = (isStrip ? view.tile[1] + 22 * laneCount() + 8 : box.height - MARGIN.bottom);
  if (isStrip) plane.style.height = view.height + MARGIN.bottom + "px";
  plane.width = Math.round(box.width * view.scale);
  plane.height = Math.round((view.height + MARGIN.bottom) * view.scale);
  newSheet();
}

function newSheet() {
  const [width, height] = sample.image
    ? [sample.shape[1], sample.shape[0]]
    : view.tile.map((size) => Math.round(size * view.scale));
  sheet.width = width * state.tiles;
  sheet.height = height * (isStrip ? 1 : state.tiles);
  sheetPen = sheet.getContext("2d");
  drawn = new Int32Array(state.tiles * (isStrip ? 1 : state.tiles));
  redraw();
}

/** The slice is another one: tiles are decoded again, and keep their old picture until then. */
function renewTiles() {
  version++;
  redraw();
}

const pixelsPerRadian = (axis) => (view.tile[axis] * state.tiles) / TURN;
const screenX = (angle) => MARGIN.left + view.width / 2 + (angle - state.centre[0]) * pixelsPerRadian(0);
const screenY = (angle) =>
  isStrip ? view.tile[1] / 2 : view.height / 2 - (angle - state.centre[1]) * pixelsPerRadian(1);
const angleAtX = (x) => state.centre[0] + (x - MARGIN.left - view.width / 2) / pixelsPerRadian(0);
const angleAtY = (y) => state.centre[1] - (y - view.height / 2) / pixelsPerRadian(1);

/** The tiles in view, as [a, b]. */
function visibleTiles() {
  const step = TURN / state.tiles;
  const first = Math.round(angleAtX(MARGIN.left) / step);
  const last = Math.round(angleAtX(MARGIN.left + view.width) / step);
  const [low, high] = isStrip ? [0, 0] : [Math.round(angleAtY(view.height) / step), Math.round(angleAtY(0) / step)];
  const tiles = [];
  for (let a = first; a <= last; a++) for (let b = low; b <= high; b++) tiles.push([a, b]);
  return tiles;
}

const tileIndex = (a, b) => modulo(a, state.tiles) + (isStrip ? 0 : modulo(b, state.tiles) * state.tiles);

function placeAt(x, y) {
  const angles = state.place.angles.slice();
  angles[state.across] = wrapped(x);
  if (!isStrip) angles[state.up] = wrapped(y);
  return { angles, radii: circles.map(() => 1), numbers: state.place.numbers.slice() };
}

/** Decodes the tile nearest to the middle that is not up to date; false if all are. */
function decodeNextTile() {
  const step = TURN / state.tiles;
  let best = null;
  let least = Infinity;
  for (const [a, b] of visibleTiles()) {
    if (drawn[tileIndex(a, b)] === version) continue;
    const far = (a * step - state.centre[0]) ** 2 + (isStrip ? 0 : (b * step - state.centre[1]) ** 2);
    if (far < least) [least, best] = [far, [a, b]];
  }
  if (!best) return false;
  const [a, b] = best;
  const width = sheet.width / state.tiles;
  const height = sheet.height / (isStrip ? 1 : state.tiles);
  const x = modulo(a, state.tiles) * width;
  const y = isStrip ? 0 : modulo(b, state.tiles) * height;
  drawSample(sheetPen, decode(placeAt(a * step, b * step)), x, y, width, height);
  sheetPen.fillStyle = "#dcdce0";
  if (!sample.image) sheetPen.fillRect(x, y, 1, height); // lines need a border between tiles
  drawn[tileIndex(a, b)] = version;
  return true;
}

function drawPlane() {
  pen.setTransform(view.scale, 0, 0, view.scale, 0, 0);
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, view.width + MARGIN.left, view.height + MARGIN.bottom);
  pen.save();
  pen.beginPath();
  pen.rect(MARGIN.left, 0, view.width, view.height);
  pen.clip();
  drawTiles();
  if (points && byId("show-points").checked) drawPoints();
  drawWays();
  state.picked.forEach((place, i) => drawMarker(place, "AB"[i]));
  if (document.activeElement === plane && plane.matches(":focus-visible")) drawCross();
  pen.restore();
  drawAxes();
}

function drawTiles() {
  const step = TURN / state.tiles;
  const width = sheet.width / state.tiles;
  const height = sheet.height / (isStrip ? 1 : state.tiles);
  pen.imageSmoothingEnabled = !sample.image;
  const snap = (value) => Math.round(value * view.scale) / view.scale; // no gaps between tiles
  for (const [a, b] of visibleTiles()) {
    if (!drawn[tileIndex(a, b)]) continue;
    const left = snap(screenX(a * step) - view.tile[0] / 2);
    const top = snap(screenY(b * step) - view.tile[1] / 2);
    const right = snap(screenX((a + 1) * step) - view.tile[0] / 2);
    const bottom = isStrip ? view.tile[1] : snap(screenY((b - 1) * step) - view.tile[1] / 2);
    const y = isStrip ? 0 : modulo(b, state.tiles) * height;
    pen.drawImage(sheet, modulo(a, state.tiles) * width, y, width, height, left, top, right - left, bottom - top);
  }
}

/** Ticks at multiples of π/2. */
function drawAxes() {
  const names = ["0", "π/2", "π", "−π/2"];
  pen.fillStyle = pen.strokeStyle = "#1c1c1e";
  pen.font = "12px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "top";
  pen.lineWidth = 1;
  const quarter = TURN / 4;
  const tick = (i) => names[modulo(i, 4)];
  for (let i = Math.ceil(angleAtX(MARGIN.left) / quarter); screenX(i * quarter) <= MARGIN.left + view.width; i++) {
    const x = screenX(i * quarter);
    pen.fillRect(x - 0.5, view.height, 1, 4);
    if (x > MARGIN.left + 8 && x < MARGIN.left + view.width - 76) pen.fillText(tick(i), x, view.height + 7);
  }
  pen.textAlign = "right";
  pen.fillText(`${circleName(state.across)} (rad)`, MARGIN.left + view.width, view.height + 7);
  if (isStrip) return;
  pen.textBaseline = "middle";
  for (let i = Math.ceil(angleAtY(view.height) / quarter); screenY(i * quarter) >= 0; i++) {
    const y = screenY(i * quarter);
    pen.fillRect(MARGIN.left - 4, y - 0.5, 4, 1);
    if (y > 44 && y < view.height - 6) pen.fillText(tick(i), MARGIN.left - 7, y);
  }
  pen.textBaseline = "top";
  pen.fillText(circleName(state.up), MARGIN.left - 7, 2);
  pen.fillText("(rad)", MARGIN.left - 7, 17);
}

function drawCross() {
  const [x, y] = [screenX(state.centre[0]), screenY(state.centre[1])];
  pen.fillStyle = ACCENT;
  pen.fillRect(x - 9, y - 1, 18, 2);
  pen.fillRect(x - 1, y - 9, 2, 18);
}

/** Calls draw(x, y) at every copy of a place in view. */
function atCopies(place, margin, draw) {
  const turnX = view.tile[0] * state.tiles;
  const turnY = view.tile[1] * state.tiles;
  const x = MARGIN.left - margin + modulo(screenX(place.angles[state.across]) - MARGIN.left + margin, turnX);
  const y = isStrip ? 0 : modulo(screenY(place.angles[state.up]) + margin, turnY) - margin;
  for (let left = x; left < MARGIN.left + view.width + margin; left += turnX) {
    if (isStrip) draw(left, view.tile[1] / 2);
    else for (let top = y; top < view.height + margin; top += turnY) draw(left, top);
  }
}

function drawMarker(place, name) {
  pen.font = "600 13px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  atCopies(place, 12, (x, y) => {
    pen.beginPath();
    pen.arc(x, y, 11, 0, TURN);
    pen.fillStyle = ACCENT;
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = "#fff";
    pen.stroke();
    pen.fillStyle = "#fff";
    pen.fillText(name, x, y + 0.5);
  });
}

// Points of the data. Those far from the slice, in the circles and numbers that are not axes, are faint.

let points = null;
let thumbnails = null;
let closenessOf = 0; // the version that it was computed for

function readPoints() {
  const { count, decoderInputs, classes, names, shares, unknown } = content.points;
  const values = floatsOf(decoderInputs);
  const index = classes && bytesOf(classes);
  const amounts = shares && bytesOf(shares);
  const colour = (i) => (index ? classColour(index[i], unknown) : amounts ? amountColour(amounts[i]) : ACCENT);
  return Array.from({ length: count }, (_, i) => ({
    place: placeOf(values, i),
    colour: colour(i),
    group: index ? index[i] : 0,
    label: names ? names[index[i]] : amounts ? (amounts[i] === 255 ? "no label" : amountText(amounts[i] / 254)) : "",
  }));
}

function classColour(index, unknown) {
  if (unknown) return index ? COLOURS[index - 1] : UNKNOWN;
  return COLOURS[index];
}

const amountColour = (amount) => (amount === 255 ? UNKNOWN : rampColour(amount / 254));

function rampColour(share) {
  const at = Math.min(share * (RAMP.length - 1), RAMP.length - 1 - 1e-9);
  const [low, high] = [RAMP[Math.floor(at)], RAMP[Math.floor(at) + 1]];
  const part = (start) => {
    const [a, b] = [low, high].map((text) => parseInt(text.slice(start, start + 2), 16));
    return Math.round(a + (at % 1) * (b - a));
  };
  return `rgb(${part(1)}, ${part(3)}, ${part(5)})`;
}

const amountText = (share) => {
  const { low, high } = content.points;
  return signed(low + share * (high - low), high - low > 20 ? 0 : 2);
};

const laneCount = () => (content.points ? (content.points.names || [""]).length : 0);

/** Sets how close each point is to the slice, 0 to 1. Of many circles all points are far: the nearest 15 % stay. */
function setCloseness() {
  if (closenessOf === version) return;
  closenessOf = version;
  const squares = points.map(({ place }) => {
    let sum = 0;
    place.angles.forEach((angle, i) => {
      if (i !== state.across && i !== state.up) sum += wrapped(angle - state.place.angles[i]) ** 2;
    });
    place.numbers.forEach((number, i) => (sum += (number - state.place.numbers[i]) ** 2));
    return sum;
  });
  const reach = Math.max(0.7, Float64Array.from(squares).sort()[Math.floor(0.15 * squares.length)]);
  points.forEach((point, i) => (point.closeness = Math.exp(-squares[i] / reach)));
}

function drawPoints() {
  setCloseness();
  const radius = view.width < 500 ? 2.6 : 3.2;
  for (const point of points) {
    if (state.hidden.has(point.group)) continue;
    const strength = isStrip ? 0.75 : point.closeness;
    if (strength < 0.06) continue;
    pen.globalAlpha = Math.min(1, 0.12 + strength);
    pen.fillStyle = point.colour;
    atCopies(point.place, radius, (x, y) => {
      pen.beginPath();
      pen.arc(x, isStrip ? view.tile[1] + 8 + 22 * point.group + laneShift(point) : y, radius, 0, TURN);
      pen.fill();
      if (strength > 0.4 && !isStrip) {
        pen.lineWidth = 1;
        pen.strokeStyle = "#fff";
        pen.stroke();
      }
    });
  }
  pen.globalAlpha = 1;
}

/** A height in the lane of a strip, so that points do not hide each other; the same in every frame. */
const laneShift = (point) => 3 + modulo(point.place.radii[0] * 4813, 1) * 14;
