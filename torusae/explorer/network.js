// What needs no browser: numbers from base64, the decoder, and angles. Node runs this file in the tests.
"use strict";

const TURN = 2 * Math.PI;

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Numbers as Python packed them, {type, data}, as a Float32Array. */
function floatsOf(packed) {
  const view = new DataView(bytesOf(packed.data).buffer);
  const half = packed.type === "float16";
  const values = new Float32Array(view.byteLength / (half ? 2 : 4));
  for (let i = 0; i < values.length; i++) {
    values[i] = half ? halfValue(view.getUint16(2 * i, true)) : view.getFloat32(4 * i, true);
  }
  return values;
}

/** A finite float16 of its 16 bits: sign, 5 of the exponent, 10 of the fraction. */
function halfValue(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

const FUNCTIONS = {
  relu: (x) => (x > 0 ? x : 0),
  leaky_relu: (x, slope) => (x > 0 ? x : slope * x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  exponential: Math.exp,
};

// An operation takes an array of values and their shape, and returns {values, shape}.
// Images are (height, width, channels), the last axis fastest.

function dense(operation, weights, values, shape) {
  const kernel = weights[operation.kernel];
  const inputs = shape[shape.length - 1];
  const outputs = kernel.length / inputs;
  const rows = values.length / inputs;
  const result = new Float32Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    addProducts(result, row * outputs, outputs, values, row * inputs, inputs, kernel, 0);
  }
  addBias(result, weights[operation.bias], outputs);
  return { values: result, shape: [...shape.slice(0, -1), outputs] };
}

/** result[at ..] += values[from ..] times a kernel (inputs, outputs).
 *  Zeros, half of what a ReLU leaves, are left out. Two inputs at a time halve the writes: 3 in place of 5 ms a digit. */
function addProducts(result, at, outputs, values, from, inputs, kernel, first) {
  let waiting = 0;
  let other = -1; // where the weights of the input that waits begin
  for (let i = 0; i < inputs; i++) {
    const value = values[from + i];
    if (value === 0) continue;
    const weight = first + i * outputs;
    if (other < 0) {
      waiting = value;
      other = weight;
      continue;
    }
    for (let j = 0; j < outputs; j++) result[at + j] += waiting * kernel[other + j] + value * kernel[weight + j];
    other = -1;
  }
  if (other >= 0) for (let j = 0; j < outputs; j++) result[at + j] += waiting * kernel[other + j];
}

function addBias(result, bias, outputs) {
  if (!bias) return;
  for (let start = 0; start < result.length; start += outputs) {
    for (let j = 0; j < outputs; j++) result[start + j] += bias[j];
  }
}

/** Output size and the zeros before the input along one axis, as TensorFlow pads. */
function padding(size, kernel, stride, same) {
  if (!same) return [Math.floor((size - kernel) / stride) + 1, 0];
  const count = Math.ceil(size / stride);
  return [count, Math.max(0, (count - 1) * stride + kernel - size) >> 1];
}

function conv(operation, weights, values, [height, width, inputs], shapes) {
  const kernel = weights[operation.kernel];
  const [tall, wide, , outputs] = shapes[operation.kernel];
  const [down, right] = operation.strides;
  const same = operation.padding === "same";
  const [rows, top] = padding(height, tall, down, same);
  const [columns, left] = padding(width, wide, right, same);
  const result = new Float32Array(rows * columns * outputs);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = (row * columns + column) * outputs;
      for (let i = 0; i < tall; i++) {
        const y = row * down + i - top;
        if (y < 0 || y >= height) continue;
        for (let j = 0; j < wide; j++) {
          const x = column * right + j - left;
          if (x < 0 || x >= width) continue;
          const first = (i * wide + j) * inputs * outputs;
          addProducts(result, at, outputs, values, (y * width + x) * inputs, inputs, kernel, first);
        }
      }
    }
  }
  addBias(result, weights[operation.bias], outputs);
  return { values: result, shape: [rows, columns, outputs] };
}

/** An image whose pixel (row, column) is the pixel source(row, column) of another. */
function pixels(values, [, width, channels], rows, columns, source) {
  const result = new Float32Array(rows * columns * channels);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [y, x] = source(row, column);
      let from = (y * width + x) * channels;
      for (let k = 0; k < channels; k++) result[at++] = values[from++];
    }
  }
  return { values: result, shape: [rows, columns, channels] };
}

const OPERATIONS = {
  dense,
  conv,
  up({ size: [tall, wide] }, weights, values, shape) {
    const source = (row, column) => [Math.floor(row / tall), Math.floor(column / wide)];
    return pixels(values, shape, shape[0] * tall, shape[1] * wide, source);
  },
  crop({ sizes: [top, bottom, left, right] }, weights, values, shape) {
    const source = (row, column) => [row + top, column + left];
    return pixels(values, shape, shape[0] - top - bottom, shape[1] - left - right, source);
  },
  affine({ scale, shift }, weights, values, shape) {
    const channels = shape[shape.length - 1];
    const result = values.map((value, i) => value * weights[scale][i % channels] + weights[shift][i % channels]);
    return { values: result, shape };
  },
  activation({ name, slope }, weights, values, shape) {
    const apply = FUNCTIONS[name];
    const result = new Float32Array(values.length);
    for (let i = 0; i < values.length; i++) result[i] = apply(values[i], slope);
    return { values: result, shape };
  },
  reshape: (operation, weights, values) => ({ values, shape: operation.shape }),
  permute({ axes }, weights, values, shape) {
    const steps = [shape[1] * shape[2], shape[2], 1];
    const [a, b, c] = axes.map((axis) => shape[axis]);
    const [stepA, stepB, stepC] = axes.map((axis) => steps[axis]);
    const result = new Float32Array(values.length);
    for (let i = 0, at = 0; i < a; i++) {
      for (let j = 0; j < b; j++) {
        for (let k = 0; k < c; k++) result[at++] = values[i * stepA + j * stepB + k * stepC];
      }
    }
    return { values: result, shape: [a, b, c] };
  },
};

/** The decoder of a description: a function from a decoder input to the values of a sample. */
function decoderOf({ operations, shapes, arrays }) {
  const joined = floatsOf(arrays);
  let start = 0;
  const weights = shapes.map((shape) => {
    const size = shape.reduce((product, length) => product * length, 1);
    start += size;
    return joined.slice(start - size, start);
  });
  return (input) => {
    let state = { values: Float32Array.from(input), shape: [input.length] };
    for (const operation of operations) {
      state = OPERATIONS[operation.op](operation, weights, state.values, state.shape, shapes);
    }
    return state.values;
  };
}

// Angles. Radians; a place is {angles, radii, numbers}.

/** An angle in [-π, π). */
function wrapped(angle) {
  return angle - TURN * Math.floor((angle + Math.PI) / TURN);
}

/** Each circle the short or the long way, the shortest path first: `torusae.two_way_windings`.
 *  Only the `most` circles whose long way adds least take it. */
function twoWayWindings(start, end, most = 4) {
  const arcs = end.map((angle, i) => angle - start[i]);
  const short = arcs.map((arc) => (arc > Math.PI ? -1 : arc < -Math.PI ? 1 : 0));
  const long = arcs.map((arc, i) => short[i] + (arc + TURN * short[i] < 0 ? 1 : -1));
  const length = arcs.map((arc, i) => Math.abs(arc + TURN * short[i]));
  const order = arcs.map((_, i) => i).sort((i, j) => length[j] - length[i] || i - j);
  const chosen = order.slice(0, most).sort((i, j) => i - j);
  const rows = [];
  for (let bits = 0; bits < 2 ** chosen.length; bits++) {
    const row = short.slice();
    chosen.forEach((circle, i) => {
      if ((bits >> (chosen.length - 1 - i)) & 1) row[circle] = long[circle];
    });
    rows.push(row);
  }
  return rows;
}

/** The place at share t of a path, `torusae.morph_paths`: R = (1 - t) R1 + t R2, Φ = (1 - t) Φ1 + t (Φ2 + 2πk). */
function placeOnPath(start, end, winding, t) {
  const between = (a, b) => (1 - t) * a + t * b;
  return {
    angles: start.angles.map((angle, i) => between(angle, end.angles[i] + TURN * winding[i])),
    radii: start.radii.map((radius, i) => between(radius, end.radii[i])),
    numbers: start.numbers.map((number, i) => between(number, end.numbers[i])),
  };
}

/** The length of a path, in radians where there are circles only. */
function pathLength(start, end, winding) {
  const steps = start.angles.map((angle, i) => end.angles[i] + TURN * winding[i] - angle);
  return Math.hypot(...steps, ...start.numbers.map((number, i) => end.numbers[i] - number));
}

/** The geodesic distance of two places, `Space.distance`. */
function distance(a, b) {
  const steps = a.angles.map((angle, i) => wrapped(b.angles[i] - angle));
  return Math.hypot(...steps, ...a.numbers.map((number, i) => b.numbers[i] - number));
}

if (typeof module !== "undefined") {
  module.exports = { floatsOf, decoderOf, wrapped, twoWayWindings, placeOnPath, pathLength, distance };
}
