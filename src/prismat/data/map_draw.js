"use strict";
// Points as antialiased discs, blended into a buffer of pixels: no graphics card is needed for 100,000 of them.

const SUB = 4; // positions within a pixel, along each axis
const masks = new Map(), widths = new Map();

/** Coverage (0 to 256) of a disc in a square of pixels, for every position within a pixel. */
function maskOf(radius, opacity) {
  const key = `${radius.toFixed(2)}/${opacity}`;
  if (masks.has(key)) return masks.get(key);
  const half = Math.ceil(radius + 0.5), side = 2 * half + 1, all = [];
  for (let v = 0; v < SUB; v++) for (let u = 0; u < SUB; u++) {
    const cover = new Uint16Array(side * side);
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
      const d = Math.hypot(x - half - (u + 0.5) / SUB + 0.5, y - half - (v + 0.5) / SUB + 0.5);
      cover[y * side + x] = Math.round(256 * opacity * Math.min(1, Math.max(0, radius - d + 0.5)));
    }
    all.push(cover);
  }
  masks.set(key, { half, side, all });
  if (masks.size > 40) masks.delete(masks.keys().next().value);
  return masks.get(key);
}

/** Draws every `stride`-th point of `order` with its colour (0xBBGGRR) into 32-bit pixels. */
function splat(pixels, width, height, at, order, colours, radius, opacity, stride) {
  const { half, side, all } = maskOf(radius, opacity), { x: X, y: Y, scale, dx, dy } = at;
  for (let n = order.length - 1 - (order.length - 1) % stride; n >= 0; n -= stride) {
    const i = order[order.length - 1 - n], x = dx + X[i] * scale, y = dy + Y[i] * scale, cx = Math.floor(x), cy = Math.floor(y);
    if (cx < half || cy < half || cx >= width - half || cy >= height - half) continue;
    const cover = all[Math.floor((y - cy) * SUB) * SUB + Math.floor((x - cx) * SUB)];
    const colour = colours[i], rb = colour & 0xff00ff, g = colour & 0xff00;
    let row = (cy - half) * width + cx - half, m = 0;
    for (let v = 0; v < side; v++, row += width) for (let u = 0; u < side; u++) {
      const a = cover[m++];
      if (a === 0) continue;
      const p = pixels[row + u], b = 256 - a;
      pixels[row + u] = 0xff000000 | ((((p & 0xff00ff) * b + rb * a) >>> 8) & 0xff00ff)
        | ((((p & 0xff00) * b + g * a) >>> 8) & 0xff00);
    }
  }
}

const channels = hex => [1, 3, 5].map(k => parseInt(hex.slice(k, k + 2), 16));
const packed = ([r, g, b]) => (b << 16) | (g << 8) | r;

/** 256 packed colours between the stops of a scale. */
function ramp(stops) {
  const rgb = stops.map(channels), table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const t = i / 255 * (rgb.length - 1), k = Math.min(rgb.length - 2, Math.floor(t));
    table[i] = packed(rgb[k].map((c, j) => Math.round(c + (rgb[k + 1][j] - c) * (t - k))));
  }
  return table;
}

/** Names without overlap, the largest cluster first; each takes the first free place near its own. */
function placeNames(context, clusters, at, width, height, taken) {
  const placed = [], boxes = taken.slice();
  for (const cluster of clusters) {
    const [first, ...rest] = cluster.name.split(" · ");
    const small = rest.map(subscripts).join(" · "), big = subscripts(first);
    if (!widths.has(cluster.name)) {
      context.font = BIG;
      const w = context.measureText(big).width;
      context.font = SMALL;
      widths.set(cluster.name, Math.max(w, context.measureText(small).width));
    }
    const w = widths.get(cluster.name), h = small ? 34 : 20, [x0, y0] = at(cluster.x, cluster.y);
    if (x0 < -40 || y0 < -40 || x0 > width + 40 || y0 > height + 40) continue;
    for (const [dx, dy] of SHIFTS) {
      const x = x0 + dx * (w / 2 + 8), y = y0 + dy * (h / 2 + 6);
      const box = [x - w / 2 - 5, y - h / 2 - 3, x + w / 2 + 5, y + h / 2 + 3];
      if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
      if (boxes.some(b => b[0] < box[2] && box[0] < b[2] && b[1] < box[3] && box[1] < b[3])) continue;
      boxes.push(box);
      placed.push({ cluster, big, small, x, y, h });
      break;
    }
  }
  return placed;
}

const BIG = '600 15px "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, serif';
const SMALL = '11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const SHIFTS = [[0, 0], [0, -1], [0, 1], [0.7, 0], [-0.7, 0], [0.7, -1], [-0.7, -1], [0.7, 1], [-0.7, 1], [0, -2], [0, 2]];
const DIGITS = "₀₁₂₃₄₅₆₇₈₉";

/** A formula with its numbers as subscripts; other words as they are. */
function subscripts(text) {
  return text.split(" ").map(word => /^(\(?[A-Z][a-z]?[\d.]*\)?[\d.]*)+$/.test(word)
    ? word.replace(/([A-Za-z)])([\d.]+)/g, (_, a, n) => a + n.replace(/\d/g, d => DIGITS[d])) : word).join(" ");
}
