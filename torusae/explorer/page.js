// Controls

function makeAxes() {
  if (isStrip) return;
  for (const [axis, name] of [["across", "across"], ["up", "up"]]) {
    const label = make(byId("axes"), "label", {}, name);
    const select = make(label, "select", { id: axis, disabled: Boolean(content.atlas) });
    circles.forEach((_, i) => make(select, "option", { value: i }, circleName(i)));
    select.value = state[axis];
    select.onchange = () => chooseAxis(axis, Number(select.value));
  }
}

function chooseAxis(axis, circle) {
  const other = axis === "up" ? "across" : "up";
  if (state[other] === circle) {
    state[other] = state[axis];
    byId(other).value = state[other];
  }
  state.place.angles = state.place.angles.map((angle, i) =>
    i === state.across ? wrapped(state.centre[0]) : i === state.up ? wrapped(state.centre[1]) : angle);
  state[axis] = circle;
  state.centre = [state.place.angles[state.across], state.place.angles[state.up]];
  state.turning = -1;
  makeSliders();
  makeLegendNote();
  version++;
  newSheet();
}

function makeSliders() {
  const box = byId("sliders");
  box.replaceChildren();
  if (content.atlas) {
    const still = [...circles.map((_, i) => i).slice(2).map(circleName), ...numbers.map((_, i) => numberName(i))];
    if (still.length) make(box, "p", { className: "note" }, `Decoded in advance at ${still.join(" = ")} = 0.`);
    return;
  }
  circles.forEach((_, i) => {
    if (i === state.across || i === state.up) return;
    const row = makeSlider(box, circleName(i), -3.14, 3.14, state.place.angles, i, " rad");
    const turn = make(row, "button", { title: `Turn ${circleName(i)}`, onclick: () => turnBy(turn, i) }, "turn");
  });
  numbers.forEach(({ low, high }, i) => makeSlider(box, numberName(i), low, high, state.place.numbers, i, ""));
}

function makeSlider(box, name, low, high, values, i, unit) {
  const row = make(box, "div", { className: "slider" });
  make(row, "span", {}, name);
  const [min, max] = [Math.floor(100 * low) / 100, Math.ceil(100 * high) / 100]; // so that steps of 0.01 meet 0
  const input = make(row, "input", { type: "range", min, max, step: 0.01 });
  input.setAttribute("aria-label", name);
  const output = make(row, "output");
  const update = () => (output.textContent = signed(values[i], 2) + unit);
  input.value = values[i];
  input.oninput = () => {
    values[i] = Number(input.value);
    update();
    renewTiles();
  };
  row.follow = () => {
    input.value = values[i];
    update();
  };
  row.dataset.circle = unit ? i : "";
  update();
  return row;
}

function turnBy(button, circle) {
  state.turning = state.turning === circle ? -1 : circle;
  document.querySelectorAll(".slider button").forEach((each) => (each.textContent = "turn"));
  if (state.turning >= 0) button.textContent = "stop";
  redraw();
}

function makeLegend() {
  const { names, shares, unknown, low, high } = content.points || {};
  const box = byId("legend");
  if (names) {
    names.forEach((name, i) => {
      const button = setPressed(make(box, "button", { title: "Show or hide" }), true);
      make(button, "span", { className: "dot" }).style.background = classColour(i, unknown);
      button.append(name);
      button.onclick = () => {
        if (!state.hidden.delete(i)) state.hidden.add(i);
        setPressed(button, !state.hidden.has(i));
        redraw();
      };
    });
  } else if (shares) {
    make(box, "span", {}, amountText(0));
    make(box, "span", { className: "ramp" }).style.background = `linear-gradient(to right, ${RAMP.join(",")})`;
    make(box, "span", {}, amountText(1));
    if (unknown) {
      make(box, "span", { className: "dot" }).style.background = UNKNOWN;
      make(box, "span", {}, "no label");
    }
  }
  if (points) make(box, "small", { id: "legend-note" });
  makeLegendNote();
  byId("points-switch").hidden = !points;
  byId("ink-switch").hidden = !(sample.image && sample.shape[2] === 1);
}

function makeLegendNote() {
  if (!points || isStrip) return;
  const others = circles.map((_, i) => i).filter((i) => i !== state.across && i !== state.up).map(circleName);
  others.push(...numbers.map((_, i) => numberName(i)));
  const named = others.length > 3 ? "the other coordinates" : others.join(", ");
  byId("legend-note").textContent = others.length ? `faint: far from the plane in ${named}` : "";
}

// Frames: only while something moves or waits to be decoded

let isAsked = false;
let last = 0;

function redraw() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(frame);
}

function frame(now) {
  const elapsed = Math.min(50, now - last);
  last = now;
  isAsked = false;
  const isGliding = Math.hypot(...state.speed) > 0.02 && !plane.classList.contains("dragging");
  if (isGliding) {
    scrollBy(state.speed[0] * elapsed, state.speed[1] * elapsed);
    state.speed = state.speed.map((value) => value * 0.996 ** elapsed);
  }
  if (state.turning >= 0) {
    const { angles } = state.place;
    angles[state.turning] = wrapped(angles[state.turning] + elapsed * 0.0006);
    document.querySelectorAll(".slider").forEach((row) => row.dataset.circle === String(state.turning) && row.follow());
    version++;
  }
  const until = performance.now() + DECODING;
  let isWaiting = true;
  while (isWaiting && performance.now() < until) isWaiting = decodeNextTile() || decodeNextOfWays();
  moveWays(elapsed);
  drawPlane();
  if (isWaiting || isGliding || state.turning >= 0 || (state.ways && state.ways.playing)) redraw();
}

async function start() {
  if (content.atlas) {
    const atlas = await unpacked(content.atlas);
    if (atlas.shape) sample.shape = atlas.shape;
    decodeInput = atlasOf(content.atlas, atlas.values);
    state.tiles = content.atlas.steps;
  }
  if (content.points) {
    points = readPoints();
    thumbnails = await unpacked(content.thumbnails);
  }
  if (sample.image && sample.shape[2] === 1) {
    // Mostly low values, as ink on paper: drawn dark on white.
    const values = Array.from({ length: 6 }, (_, i) => decode(placeAt(i, 2 * i)));
    const mean = values.reduce((sum, each) => sum + each.reduce((a, b) => a + b, 0) / each.length, 0) / values.length;
    state.ink = mean - sample.low < 0.35 * (sample.high - sample.low);
    byId("ink").checked = state.ink;
  }
  const gesture = isStrip ? "Drag to scroll: a circle has no end." : "Drag to scroll: a torus has no edge.";
  byId("message").textContent = `${gesture} Click a place to see it, a second one for every way between them.`;
  document.querySelector("main").hidden = false;
  plane.classList.toggle("strip", isStrip);
  makeAxes();
  makeSliders();
  makeLegend();
  byId("show-points").onchange = redraw;
  byId("ink").onchange = () => {
    state.ink = byId("ink").checked;
    renewTiles();
    if (state.shown) show(state.shown, byId("place-name").textContent);
  };
  byId("fewer").onclick = () => zoom(-1);
  byId("more").onclick = () => zoom(1);
  byId("fewer").parentElement.hidden = Boolean(content.atlas);
  byId("play").onclick = togglePlay;
  byId("clear").onclick = clearPicked;
  byId("share").oninput = (event) => {
    if (state.ways.playing) togglePlay();
    state.ways.t = Number(event.target.value);
    redraw();
  };
  layOut();
  listen();
  show(placeAt(0, 0), "Decoded sample in the middle");
  redraw();
}

start().catch((error) => {
  byId("message").textContent = `This page could not start: ${error.message}. Try a current browser.`;
  throw error;
});
