/** The map's window: points below, names and marks above, moved by pointer, wheel, fingers and keys. */

import { el } from "./dom.js";
import { finder, painter } from "./map_points.js";

/**
 * @typedef {object} World
 * @property {Float32Array} xy
 * @property {Uint16Array} cluster
 * @property {number[]} bounds
 * @property {any[]} clusters
 */
/** @typedef {{hits: number[], here: any, current: number, hover: number, names: boolean}} Marks */

/** The page's colours, read once a frame. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["paper", "ink", "s1"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/**
 * @param {World} world
 * @param {{hover: (i: number, x: number, y: number) => void, choose: (i: number) => void, labels: () => {x: number, y: number, text: string, size: number}[]}} tell
 */
export function stage(world, tell) {
  const [points, above] = [el("canvas.points"), el("canvas.above", { tabindex: "0", role: "application",
    "aria-label": "Map of materials. Drag or arrow keys move, wheel or plus and minus zoom, 0 shows everything." })];
  const node = el("div.map-stage", points, above);
  const paint = painter(points, world.xy);
  const near = finder(world.xy, world.bounds);
  const [x0, y0, x1, y1] = world.bounds;
  const camera = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, scale: 1 };
  /** @type {Marks} */
  const marks = { hits: [], here: null, current: -1, hover: -1, names: true };
  const grain = Math.max(1.8, Math.min(5, 440 / Math.sqrt(world.xy.length / 2)));
  let ratio = 1;
  let least = 1;
  let tones = colours();
  let asked = 0;

  const width = () => above.width / ratio;
  const height = () => above.height / ratio;
  const toPixel = (/** @type {number} */ x, /** @type {number} */ y) => [width() / 2 + (x - camera.x) * camera.scale, height() / 2 - (y - camera.y) * camera.scale];
  const toMap = (/** @type {number} */ px, /** @type {number} */ py) => [camera.x + (px - width() / 2) / camera.scale, camera.y - (py - height() / 2) / camera.scale];
  const redraw = () => { asked ||= requestAnimationFrame(() => { asked = 0; draw(); }); };

  function whole() {
    least = Math.min(width() / (x1 - x0 || 1), height() / (y1 - y0 || 1)) * 0.94;
    Object.assign(camera, { x: (x0 + x1) / 2, y: (y0 + y1) / 2, scale: least });
    redraw();
  }

  function zoom(/** @type {number} */ factor, px = width() / 2, py = height() / 2) {
    const [x, y] = toMap(px, py);
    camera.scale = Math.max(least * 0.7, Math.min(least * 400, camera.scale * factor));
    const [nx, ny] = toMap(px, py);
    camera.x += x - nx;
    camera.y += y - ny;
    redraw();
  }

  function draw() {
    const size = Math.max(2, Math.min(10, grain * Math.sqrt(camera.scale / least)));
    paint.draw({ ...camera, scale: camera.scale * ratio }, size * ratio);
    const pen = above.getContext("2d");
    tones = colours();
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width(), height());
    rings(pen, size);
    if (marks.names) names(pen);
    if (marks.here) here(pen);
  }

  function rings(/** @type {CanvasRenderingContext2D} */ pen, /** @type {number} */ size) {
    const ring = (/** @type {number} */ i, /** @type {number} */ r, /** @type {string} */ tone, /** @type {number} */ w) => {
      const [x, y] = toPixel(world.xy[2 * i], world.xy[2 * i + 1]);
      pen.beginPath();
      pen.arc(x, y, r, 0, 7);
      pen.strokeStyle = tone;
      pen.lineWidth = w;
      pen.stroke();
    };
    for (const i of marks.hits) { ring(i, size / 2 + 3.4, tones.paper, 3.4); ring(i, size / 2 + 3.4, tones.ink, 1.5); }
    if (marks.hover >= 0) ring(marks.hover, size / 2 + 3, tones.ink, 1.5);
    if (marks.current >= 0) { ring(marks.current, size / 2 + 6, tones.paper, 5); ring(marks.current, size / 2 + 6, tones.s1, 2.6); }
  }

  function names(/** @type {CanvasRenderingContext2D} */ pen) {
    const taken = /** @type {number[][]} */ ([]);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    const small = width() < 600 ? 0.82 : 1;
    for (const { size, ...label } of tell.labels().map((l) => ({ ...l, size: l.size * small }))) {
      const [x, y] = toPixel(label.x, label.y);
      pen.font = `${size}px "Source Serif 4", Georgia, serif`;
      const half = pen.measureText(label.text).width / 2 + 6;
      const box = [x - half, y - size * 0.75, x + half, y + size * 0.75];
      if (box[0] < 2 || box[2] > width() - 2 || box[1] < 2 || box[3] > height() - 2) continue;
      if (taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1])) continue;
      taken.push(box);
      pen.strokeStyle = tones.paper;
      pen.lineWidth = 5;
      pen.globalAlpha = 0.88;
      pen.strokeText(label.text, x, y);
      pen.globalAlpha = 1;
      pen.fillStyle = tones.ink;
      pen.fillText(label.text, x, y);
    }
  }

  function here(/** @type {CanvasRenderingContext2D} */ pen) {
    const [x, y] = toPixel(marks.here.x, marks.here.y);
    for (const [tone, w] of [[tones.paper, 5], [tones.s1, 2]]) {
      pen.strokeStyle = String(tone);
      pen.lineWidth = Number(w);
      pen.beginPath();
      pen.arc(x, y, 9, 0, 7);
      for (const [a, b] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { pen.moveTo(x + 5 * a, y + 5 * b); pen.lineTo(x + 16 * a, y + 16 * b); }
      pen.stroke();
    }
    pen.font = '600 13px "Source Sans 3", sans-serif';
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.strokeStyle = tones.paper;
    pen.lineWidth = 4;
    pen.strokeText("you are here", x + 20, y);
    pen.fillStyle = tones.s1;
    pen.fillText("you are here", x + 20, y);
  }

  moves(above, { zoom, toMap, near, camera, redraw, whole, marks, tell, width, height });
  new ResizeObserver(([entry]) => {
    const first = least === 1 && camera.scale === 1;
    const { width: w, height: h } = entry.contentRect;
    if (w < 10 || h < 10) return;
    ratio = Math.min(2, devicePixelRatio || 1);
    for (const canvas of [points, above]) Object.assign(canvas, { width: Math.round(w * ratio), height: Math.round(h * ratio) });
    if (first) whole(); else draw();
  }).observe(node);

  return {
    node, redraw, whole, zoom,
    colours: (/** @type {Uint8Array} */ rgba) => { paint.colours(rgba); redraw(); },
    mark: (/** @type {Partial<Marks>} */ changes) => { Object.assign(marks, changes); redraw(); },
    visit: (/** @type {number} */ x, /** @type {number} */ y, factor = 6) => { Object.assign(camera, { x, y, scale: least * factor }); redraw(); },
  };
}

/** @param {any} above @param {any} s */
function moves(above, s) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let moved = 0;
  const at = (/** @type {PointerEvent | WheelEvent} */ e) => {
    const box = above.getBoundingClientRect();
    return { x: e.clientX - box.left, y: e.clientY - box.top };
  };
  const pointAt = (/** @type {{x: number, y: number}} */ p) => s.near(...s.toMap(p.x, p.y), 10 / s.camera.scale);
  above.addEventListener("wheel", (/** @type {WheelEvent} */ e) => {
    e.preventDefault();
    const p = at(e);
    s.zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0018)), p.x, p.y);
  }, { passive: false });
  above.addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => {
    down.set(e.pointerId, at(e));
    moved = down.size > 1 ? 99 : 0;
    above.setPointerCapture(e.pointerId);
  });
  above.addEventListener("pointermove", (/** @type {PointerEvent} */ e) => {
    const p = at(e);
    const was = down.get(e.pointerId);
    if (!was) { const i = pointAt(p); s.marks.hover = i; s.tell.hover(i, p.x, p.y); return s.redraw(); }
    const other = [...down].find(([id]) => id !== e.pointerId)?.[1];
    if (other) {
      const apart = (/** @type {any} */ q) => Math.hypot(q.x - other.x, q.y - other.y) || 1;
      s.zoom(apart(p) / apart(was), (p.x + other.x) / 2, (p.y + other.y) / 2);
    } else {
      moved += Math.abs(p.x - was.x) + Math.abs(p.y - was.y);
      s.camera.x -= (p.x - was.x) / s.camera.scale;
      s.camera.y += (p.y - was.y) / s.camera.scale;
    }
    down.set(e.pointerId, p);
    s.tell.hover(-1, 0, 0);
    return s.redraw();
  });
  const up = (/** @type {PointerEvent} */ e) => {
    if (down.delete(e.pointerId) && e.type === "pointerup" && moved < 5) {
      const i = pointAt(at(e));
      if (i >= 0) s.tell.choose(i);
    }
  };
  above.addEventListener("pointerup", up);
  above.addEventListener("pointercancel", up);
  above.addEventListener("pointerleave", () => { s.marks.hover = -1; s.tell.hover(-1, 0, 0); s.redraw(); });
  above.addEventListener("dblclick", (/** @type {any} */ e) => { const p = at(e); s.zoom(2, p.x, p.y); });
  above.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => {
    const step = 60 / s.camera.scale;
    const to = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[e.key];
    if (to) { s.camera.x += to[0]; s.camera.y += to[1]; s.redraw(); }
    else if (e.key === "+" || e.key === "=") s.zoom(1.4);
    else if (e.key === "-") s.zoom(1 / 1.4);
    else if (e.key === "0") s.whole();
    else return;
    e.preventDefault();
    e.stopPropagation();
  });
}
