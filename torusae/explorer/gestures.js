// Scrolling, zooming, picking

function setCentre(x, y) {
  state.centre = [x, isStrip ? 0 : y];
  // Floats of a centre far away lose digits; whole turns change nothing.
  if (Math.abs(x) > 1e4 || Math.abs(y) > 1e4) state.centre = state.centre.map(wrapped);
  redraw();
}

function scrollBy(dx, dy) {
  setCentre(state.centre[0] - dx / pixelsPerRadian(0), state.centre[1] + dy / pixelsPerRadian(1));
}

function zoom(change) {
  if (content.atlas) return;
  const at = ZOOMS.indexOf(state.tiles) + change;
  if (at < 0 || at >= ZOOMS.length) return;
  state.tiles = ZOOMS[at];
  layOut();
}

function listen() {
  const pressed = new Map(); // pointers by id
  let moved = 0;
  let spread = 0;
  let time = 0;
  let pinched = 0;
  const middle = () => {
    const all = [...pressed.values()];
    return [0, 1].map((axis) => all.reduce((sum, at) => sum + at[axis], 0) / all.length);
  };
  const gap = () => {
    const [a, b] = [...pressed.values()];
    return b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0;
  };
  plane.addEventListener("pointerdown", (event) => {
    plane.setPointerCapture(event.pointerId);
    pressed.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (pressed.size === 1) moved = 0;
    else moved = Infinity; // no pick at the end of a pinch
    spread = gap();
    state.speed = [0, 0];
    plane.classList.add("dragging");
  });
  plane.addEventListener("pointermove", (event) => {
    if (!pressed.has(event.pointerId)) return;
    const before = middle();
    pressed.set(event.pointerId, [event.offsetX, event.offsetY]);
    const [dx, dy] = middle().map((value, axis) => value - before[axis]);
    moved += Math.hypot(dx, dy);
    if (moved < 6) return;
    scrollBy(dx, dy);
    const elapsed = Math.max(1, event.timeStamp - time);
    time = event.timeStamp;
    state.speed = [dx, dy].map((step, axis) => 0.6 * state.speed[axis] + 0.4 * (step / elapsed));
    if (pressed.size === 2 && spread) {
      const ratio = gap() / spread;
      if (ratio > 1.35 || ratio < 0.74) {
        zoom(ratio > 1 ? -1 : 1);
        spread = gap();
      }
    }
  });
  const release = (event) => {
    if (!pressed.delete(event.pointerId)) return;
    spread = gap();
    if (pressed.size) return;
    plane.classList.remove("dragging");
    if (isCalm || moved < 6 || event.timeStamp - time > 60) state.speed = [0, 0];
    if (event.type === "pointerup" && moved < 6 && event.offsetX > MARGIN.left && event.offsetY < view.height) {
      pick(placeAt(angleAtX(event.offsetX), isStrip ? 0 : angleAtY(event.offsetY)));
    }
    redraw();
  };
  plane.addEventListener("pointerup", release);
  plane.addEventListener("pointercancel", release);
  plane.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) {
      pinched += event.deltaY; // a notch of a wheel is 100, a pinch on a touchpad many small steps
      if (Math.abs(pinched) > 60) {
        zoom(Math.sign(pinched));
        pinched = 0;
      }
    } else if (isStrip) scrollBy(-event.deltaX - event.deltaY, 0);
    else scrollBy(event.shiftKey ? -event.deltaY : -event.deltaX, event.shiftKey ? 0 : -event.deltaY);
  }, { passive: false });
  const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  plane.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (step) scrollBy(step[0] * view.tile[0] * 0.5, step[1] * view.tile[1] * 0.5);
    else if (event.key === "+" || event.key === "=") zoom(-1);
    else if (event.key === "-") zoom(1);
    else if (event.key === "Enter") pick(placeAt(...state.centre));
    else if (event.key === " ") togglePlay();
    else return;
    event.preventDefault();
  });
  addEventListener("keydown", (event) => event.key === "Escape" && clearPicked());
  plane.addEventListener("focus", redraw);
  plane.addEventListener("blur", redraw);
  let size = "";
  new ResizeObserver(([{ contentRect }]) => {
    const now = isStrip ? `${contentRect.width}` : `${contentRect.width} ${contentRect.height}`; // a strip sets its height
    if (now !== size) layOut();
    size = now;
  }).observe(plane);
}
