// The place that was picked

function pick(place) {
  if (state.picked.length === 2) clearPicked();
  state.picked.push(place);
  show(place, `Decoded sample at ${"AB"[state.picked.length - 1]}`);
  if (state.picked.length === 2) startWays();
  redraw();
}

function clearPicked() {
  state.picked = [];
  state.ways = null;
  byId("ways-part").hidden = true;
  redraw();
}

function show(place, name) {
  state.shown = place;
  byId("place-name").textContent = name;
  drawLarge(decode(place));
  const angles = place.angles.map((angle, i) => `${circleName(i)} = ${signed(wrapped(angle), 2)}`);
  const others = place.numbers.map((number, i) => `${numberName(i)} = ${signed(number, 2)}`);
  byId("where").textContent = [`${angles.join(", ")} rad`, ...others].join(", ");
  showNearest(place);
}

function drawLarge(values) {
  const canvas = byId("large");
  const limit = innerWidth <= 760 ? innerWidth * 0.46 : 210;
  const ratio = sample.image ? sample.shape[0] / sample.shape[1] : 0.6;
  const width = Math.min(canvas.parentElement.clientWidth, limit / ratio);
  canvas.style.width = width + "px";
  drawSample(fitted(canvas, width), values, 0, 0, canvas.width, canvas.height);
}

function showNearest(place) {
  if (!thumbnails) return;
  const near = points
    .slice(0, content.thumbnails.count)
    .map((point, i) => ({ point, i, far: distance(place, point.place) }))
    .sort((a, b) => a.far - b.far)
    .slice(0, 6);
  byId("nearest-part").hidden = false;
  byId("nearest-unit").textContent = `of ${content.thumbnails.count}; distance${numbers.length ? "" : " in rad"}`;
  byId("nearest").replaceChildren();
  for (const { point, i, far } of near) {
    const button = make(byId("nearest"), "button", { title: "Go to this sample", onclick: () => goTo(point) });
    const canvas = make(button, "canvas");
    const context = fitted(canvas, 52);
    drawSample(context, thumbnails.values(i), 0, 0, canvas.width, canvas.height, thumbnails.shape);
    if (point.label) make(button, "div", {}, point.label);
    make(button, "small", {}, far.toFixed(2));
  }
}

/** Moves the slice and the plane to a sample, and picks it. */
function goTo({ place }) {
  state.place.angles = place.angles.slice();
  state.place.numbers = place.numbers.slice();
  state.turning = -1;
  makeSliders();
  renewTiles();
  setCentre(place.angles[state.across], isStrip ? 0 : place.angles[state.up]);
  pick(place);
}

// Ways between two places

function startWays() {
  const [start, end] = state.picked;
  const rows = twoWayWindings(start.angles, end.angles);
  const all = 2 ** circles.length;
  byId("ways-part").hidden = false;
  byId("ways-note").textContent = rows.length < all ? `${rows.length} of ${all}, the shortest` : "";
  const names = circles.map((_, i) => circleName(i)).join(", ");
  byId("winding-note").textContent = `In brackets the extra turns k around ${names}; below, the length of the way.`;
  byId("ways").replaceChildren();
  const ways = rows.map((winding, i) => {
    const name = `(${winding.map((k) => signed(k, 0)).join(", ")})`;
    const far = signed(pathLength(start, end, winding), 1) + (numbers.length ? "" : " rad");
    const long = winding.flatMap((k, circle) => (k === rows[0][circle] ? [] : [circleName(circle)]));
    const title = long.length ? `${long.join(", ")} the long way round` : "the shortest way";
    const button = make(byId("ways"), "button", { title, onclick: () => chooseWay(i) });
    setPressed(button, false);
    const canvas = make(button, "canvas");
    make(button, "div", {}, name);
    make(button, "div", {}, far);
    return { winding, button, canvas, context: fitted(canvas, 78), samples: new Array(STEPS), place: null };
  });
  state.ways = { list: ways, t: 0, forward: 1, playing: !isCalm, chosen: -1 };
  byId("play").textContent = isCalm ? "play" : "pause";
}

function chooseWay(i) {
  const { ways } = state;
  ways.chosen = ways.chosen === i ? -1 : i;
  ways.list.forEach(({ button }, j) => setPressed(button, j === ways.chosen));
  redraw();
}

function togglePlay() {
  if (!state.ways) return;
  state.ways.playing = !state.ways.playing;
  byId("play").textContent = state.ways.playing ? "pause" : "play";
  redraw();
}

// Pictures of a way, coarse first: every 8th, then every 4th, and so on.
const ORDER = [8, 4, 2, 1].flatMap((step) =>
  Array.from({ length: (STEPS - 1) / step + 1 }, (_, i) => i * step).filter((i) => step === 8 || i % (2 * step)));

function decodeNextOfWays() {
  if (!state.ways) return false;
  const [start, end] = state.picked;
  for (const step of ORDER) {
    for (const way of state.ways.list) {
      if (way.samples[step]) continue;
      way.samples[step] = decode(placeOnPath(start, end, way.winding, step / (STEPS - 1)));
      return true;
    }
  }
  return false;
}

/** The decoded picture of a way that is nearest to share t. */
function nearestOf(way, t) {
  const wanted = Math.round(t * (STEPS - 1));
  for (let far = 0; far < STEPS; far++) {
    const found = way.samples[wanted - far] || way.samples[wanted + far];
    if (found) return found;
  }
  return null;
}

function moveWays(elapsed) {
  const { ways } = state;
  if (!ways) return;
  if (ways.playing) {
    ways.t += (ways.forward * elapsed) / 1000 / SECONDS;
    if (ways.t > 1 || ways.t < 0) {
      ways.forward = ways.t > 1 ? -1 : 1;
      ways.t = Math.min(1, Math.max(0, ways.t));
    }
    byId("share").value = ways.t;
  }
  ways.list.forEach((way, i) => {
    const values = nearestOf(way, ways.t);
    if (!values) return;
    drawSample(way.context, values, 0, 0, way.canvas.width, way.canvas.height);
    if (i === ways.chosen) drawLarge(values);
  });
  if (ways.chosen >= 0) byId("place-name").textContent = `On the way from A to B, share ${ways.t.toFixed(2)}`;
}

/** The ways as lines from every copy of A in reach: a way that leaves on one side comes in again on the other. */
function drawWays() {
  const { ways } = state;
  if (!ways) return;
  const [start, end] = state.picked;
  const turn = [view.tile[0] * state.tiles, isStrip ? Infinity : view.tile[1] * state.tiles];
  const size = [MARGIN.left + view.width, view.height];
  const at = (way, t) => {
    const { angles } = placeOnPath(start, end, way.winding, t);
    return [screenX(angles[state.across]), isStrip ? view.tile[1] / 2 : screenY(angles[state.up])];
  };
  // By how much a way is shifted to be in view: all whole turns at which its box meets the plane.
  const shifts = (way, axis) => {
    const [low, high] = [at(way, 0)[axis], at(way, 1)[axis]].sort((a, b) => a - b);
    if (turn[axis] === Infinity) return [0];
    const first = Math.ceil(-high / turn[axis]);
    const count = Math.floor((size[axis] - low) / turn[axis]) - first + 1;
    return Array.from({ length: Math.max(0, count) }, (_, i) => (first + i) * turn[axis]);
  };
  const atShifts = (way, draw) => {
    for (const dx of shifts(way, 0)) for (const dy of shifts(way, 1)) draw(dx, dy);
  };
  const line = (way, width, colour) => {
    const [[x, y], [toX, toY]] = [at(way, 0), at(way, 1)];
    pen.lineWidth = width;
    pen.strokeStyle = colour;
    pen.beginPath();
    atShifts(way, (dx, dy) => {
      pen.moveTo(x + dx, y + dy);
      pen.lineTo(toX + dx, toY + dy);
    });
    pen.stroke();
  };
  const chosen = ways.list[ways.chosen];
  for (const way of ways.list) line(way, 5, "rgba(255, 255, 255, 0.9)");
  for (const way of ways.list) line(way, 2, chosen && way !== chosen ? "#9a9aa0" : ACCENT);
  if (chosen) line(chosen, 4, ACCENT);
  for (const way of chosen ? [chosen] : ways.list) {
    const [x, y] = at(way, ways.t);
    atShifts(way, (dx, dy) => {
      pen.beginPath();
      pen.arc(x + dx, y + dy, 6, 0, TURN);
      pen.fillStyle = "#fff";
      pen.fill();
      pen.lineWidth = 3;
      pen.strokeStyle = ACCENT;
      pen.stroke();
    });
  }
}
