/** What every plot here shares: scales, ticks, bare axes, a range that can be zoomed. */

import { svg } from "./dom.js";
import { number } from "./typeset.js";

/** @typedef {{lo: number, hi: number, from: number, to: number, bend?: ((x: number) => number) | null}} Span values lo to hi on pixels from to to */

/** @param {Span} s @param {number} x */
export function place(s, x) {
  if (s.bend) return s.from + (s.bend(Math.max(0, x - s.lo)) / s.bend(s.hi - s.lo || 1)) * (s.to - s.from);
  return s.from + ((x - s.lo) / (s.hi - s.lo || 1)) * (s.to - s.from);
}

/** @param {Span} s @param {number} pixel */
export const value = (s, pixel) => s.lo + ((pixel - s.from) / (s.to - s.from || 1)) * (s.hi - s.lo);

/** Round numbers between two values. @param {number} lo @param {number} hi @param {number} count */
export function ticks(lo, hi, count) {
  const rough = (hi - lo) / Math.max(1, count);
  if (!(rough > 0)) return [lo];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough - 1e-12) || power;
  const found = [];
  for (let x = Math.ceil(lo / step - 1e-9) * step; x <= hi + step * 1e-6; x += step) found.push(Number(x.toPrecision(10)));
  return found;
}

/**
 * The horizontal axis: a line, small ticks, numbers, a label at its end.
 * @param {Span} x @param {number} y @param {string} label
 */
export function axis(x, y, label) {
  const marks = ticks(x.lo, x.hi, Math.min(9, (x.to - x.from) / 55));
  return svg("g.axis", {},
    svg("line", { x1: x.from, x2: x.to, y1: y, y2: y }),
    marks.map((m) => svg("line", { x1: place(x, m), x2: place(x, m), y1: y, y2: y + 4 })),
    marks.map((m) => svg("text", { x: place(x, m), y: y + 17, "text-anchor": "middle" }, number(m, 6))),
    svg("text.label", { x: x.to, y: y + 33, "text-anchor": "end" }, label));
}

/**
 * A line through many points, at most the least and the greatest of every pixel.
 * @param {number[]} xs ascending @param {number[]} ys @param {Span} x @param {Span} y
 */
export function curve(xs, ys, x, y) {
  const columns = /** @type {Map<number, number[]>} */ (new Map());
  const path = [];
  const dense = xs.length > 4 * (x.to - x.from);
  for (let i = 0; i < xs.length; i++) {
    if (xs[i + 1] < x.lo || xs[i - 1] > x.hi) continue;
    const px = place(x, xs[i]);
    if (!dense) { path.push(`${px.toFixed(1)} ${place(y, ys[i]).toFixed(1)}`); continue; }
    const column = Math.round(px);
    const ends = columns.get(column);
    if (!ends) columns.set(column, [ys[i], ys[i]]);
    else { ends[0] = Math.min(ends[0], ys[i]); ends[1] = Math.max(ends[1], ys[i]); }
  }
  for (const [column, [low, high]] of columns) {
    path.push(`${column} ${place(y, low).toFixed(1)}`);
    if (high > low) path.push(`${column} ${place(y, high).toFixed(1)}`);
  }
  return path.length ? `M${path.join("L")}` : "";
}

/**
 * Lets a range be chosen with the pointer (drag; double click brings all back) and the keyboard
 * (arrows, plus, minus, 0).
 * @param {any} node the svg
 * @param {() => Span} span of the present view
 * @param {[number, number]} whole
 * @param {(lo: number, hi: number) => void} change
 * @param {(x: number | null) => void} hover
 */
export function zoomable(node, span, whole, change, hover) {
  let start = /** @type {number | null} */ (null);
  const brush = svg("rect.brush", { y: 0, height: "100%", width: 0 });
  const at = (/** @type {PointerEvent} */ e) => {
    const box = node.getBoundingClientRect();
    const s = span();
    return Math.max(s.from, Math.min(s.to, e.clientX - box.left));
  };
  const fit = (/** @type {number} */ lo, /** @type {number} */ hi) => {
    const least = (whole[1] - whole[0]) / 400;
    if (hi - lo < least) return;
    change(Math.max(whole[0], lo), Math.min(whole[1], hi));
  };
  node.addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => {
    if (e.button !== 0) return;
    start = at(e);
    node.setPointerCapture(e.pointerId);
  });
  node.addEventListener("pointermove", (/** @type {PointerEvent} */ e) => {
    const now = at(e);
    hover(value(span(), now));
    if (start === null || Math.abs(now - start) < 3) return;
    brush.setAttribute("x", Math.min(start, now));
    brush.setAttribute("width", Math.abs(now - start));
    node.append(brush);
  });
  node.addEventListener("pointerup", (/** @type {PointerEvent} */ e) => {
    const [from, to] = [start, at(e)];
    start = null;
    brush.remove();
    if (from !== null && Math.abs(to - from) > 6) fit(...ordered(value(span(), from), value(span(), to)));
  });
  node.addEventListener("pointercancel", () => { start = null; brush.remove(); });
  node.addEventListener("pointerleave", () => hover(null));
  node.addEventListener("dblclick", () => change(...whole));
  node.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => {
    const { lo, hi } = span();
    const size = hi - lo;
    if (e.key === "0") change(...whole);
    else if (e.key === "+" || e.key === "=") fit(lo + size / 4, hi - size / 4);
    else if (e.key === "-") fit(lo - size / 2, hi + size / 2);
    else if (e.key === "ArrowRight" && hi < whole[1]) fit(lo + Math.min(size / 5, whole[1] - hi), hi + Math.min(size / 5, whole[1] - hi));
    else if (e.key === "ArrowLeft" && lo > whole[0]) fit(lo - Math.min(size / 5, lo - whole[0]), hi - Math.min(size / 5, lo - whole[0]));
    else return;
    e.preventDefault();
    e.stopPropagation();
  });
}

/** @param {number} a @param {number} b @returns {[number, number]} */
const ordered = (a, b) => (a < b ? [a, b] : [b, a]);

/**
 * Draws again whenever the box gets another width.
 * @param {Element} box @param {(width: number) => void} draw
 */
export function fitted(box, draw) {
  let last = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width > 40 && width !== last) draw((last = width));
  }).observe(box);
}
