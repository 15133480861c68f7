/** The powder pattern: measured upwards, simulated downwards, what matches marked on both. */

import { el, icon, show, svg } from "./dom.js";
import { axis, curve, fitted, place, zoomable } from "./plot.js";
import { fixed, millerText, number } from "./typeset.js";
import { heat } from "./viewer.js";

/** Percent of the strongest point below which a measured peak without a partner is not held against a match. */
const STRONG = 5;
const MARGIN = { left: 10, right: 10, top: 14, bottom: 40 };

/** Å. @param {number} twoTheta degrees @param {number} wavelength Å */
const spacing = (twoTheta, wavelength) => wavelength / (2 * Math.sin((twoTheta * Math.PI) / 360));

/**
 * @param {object} what
 * @param {any} what.simulated two_theta, intensity (0 to 100), peaks, wavelength
 * @param {any} [what.match] answer of the match route
 */
export function pattern({ simulated, match = null }) {
  const wavelength = simulated.wavelength || 1.54184;
  const peaks = simulated.peaks || [];
  const whole = range(match);
  const state = { lo: whole[0], hi: whole[1], width: 0, shares: /** @type {any[] | null} */ (null), root: false };
  const board = svg("svg.plot", { tabindex: "0", role: "img", "aria-label": spoken(simulated, match) });
  const readout = el("p.readout", { "aria-live": "off" }, hint());
  const reset = el("button.quiet.small", { type: "button", title: "Whole range", "aria-label": "Whole range", hidden: true,
    onclick: () => view(...whole) }, icon("reset"));
  const root = el("button.quiet.small", { type: "button", "aria-pressed": "false", title: "Square root of the intensity: weak lines show",
    onclick: () => { state.root = !state.root; root.setAttribute("aria-pressed", String(state.root)); draw(); } }, "√ I");
  const node = el("div.pattern", el("div.plot-head", legend(match), el("span.gap"), root, reset), el("div.plot-box", board), readout);
  const height = match ? 290 : 230;
  /** @type {any} */
  let x;

  function view(/** @type {number} */ lo, /** @type {number} */ hi) {
    Object.assign(state, { lo, hi });
    reset.hidden = lo === whole[0] && hi === whole[1];
    draw();
  }

  function draw() {
    if (!state.width) return;
    x = { lo: state.lo, hi: state.hi, from: MARGIN.left, to: state.width - MARGIN.right };
    const base = match ? Math.round(MARGIN.top + (height - MARGIN.top - MARGIN.bottom) * 0.58) : height - MARGIN.bottom;
    /** @type {any} */
    const up = { lo: 0, hi: 106, from: base, to: MARGIN.top };
    /** @type {any} */
    const down = { lo: 0, hi: 106, from: base, to: match ? height - MARGIN.bottom - 6 : MARGIN.top };
    board.setAttribute("viewBox", `0 0 ${state.width} ${height}`);
    board.setAttribute("height", height);
    const floor = height - MARGIN.bottom;
    for (const scale of [up, down]) scale.bend = state.root ? Math.sqrt : null;
    show(board,
      match && svg("line.zero", { x1: x.from, x2: x.to, y1: base, y2: base }),
      match && svg("g", {}, match.matches.filter((/** @type {any} */ m) => inside(m.measured)).map((/** @type {any} */ m) => link(m, up, base))),
      svg("path.simulated", { d: area(curve(simulated.two_theta, simulated.intensity, x, down), x, base) }),
      state.shares && svg("g.sticks", {}, peaks.filter((/** @type {any} */ p) => inside(p.two_theta)).map((/** @type {any} */ p, /** @type {number} */ i) => stick(p, i, down))),
      match && svg("path.measured", { d: curve(match.measured.two_theta, match.measured.intensity, x, up) }),
      match && svg("g", {}, marks(match, up)),
      axis(x, floor, "2θ / °"),
      svg("g.cross"));
  }

  const inside = (/** @type {number} */ t) => t >= state.lo && t <= state.hi;

  function stick(/** @type {any} */ p, /** @type {number} */ i, /** @type {any} */ down) {
    const px = place(x, p.two_theta);
    const share = state.shares && shareAt(p.two_theta);
    const tone = share === null ? {} : { style: { stroke: heat(share), "stroke-width": 1.5 + 2.5 * Math.abs(share) } };
    return svg("line", { x1: px, x2: px, y1: down.from, y2: place(down, Math.max(p.intensity, 1.2)), ...tone });
  }

  function shareAt(/** @type {number} */ t) {
    const near = state.shares?.find((s) => Math.abs(s.x - t) < 0.15);
    return near ? near.value : 0;
  }

  function link(/** @type {any} */ m, /** @type {any} */ up, /** @type {number} */ base) {
    const px = place(x, m.measured);
    return svg("line.link", { x1: px, x2: px, y1: place(up, heightAt(match.measured, m.measured)), y2: base });
  }

  function marks(/** @type {any} */ m, /** @type {any} */ up) {
    const dot = (/** @type {string} */ name) => (/** @type {number} */ t) => inside(t) &&
      svg(`circle.${name}`, { cx: place(x, t), cy: place(up, heightAt(m.measured, t)) - 5, r: 2.6 });
    return [m.matches.map((/** @type {any} */ p) => dot("matched")(p.measured)), strong(m).map(dot("unmatched"))];
  }

  function hover(/** @type {number | null} */ t) {
    const cross = board.querySelector(".cross");
    if (t === null || !x) { show(readout, hint()); cross?.replaceChildren(); return; }
    const close = (12 * (state.hi - state.lo)) / state.width;
    const peak = nearest(peaks, t, close);
    const at = peak ? peak.two_theta : t;
    show(cross, svg("line", { x1: place(x, at), x2: place(x, at), y1: MARGIN.top, y2: height - MARGIN.bottom }));
    const said = [["2θ", `${fixed(at, 2)}°`], ["d", `${fixed(spacing(at, wavelength), 3)} Å`]];
    if (peak) said.push(["I", number(peak.intensity, 3)]);
    if (peak?.hkl?.length) said.push(["hkl", peak.hkl.slice(0, 4).map(millerText).join(", ") + (peak.hkl.length > 4 ? " …" : "")]);
    if (peak?.multiplicity) said.push(["multiplicity", number(peak.multiplicity)]);
    show(readout, said.map(([k, v]) => el("span", el("i", k), " ", v)));
  }

  zoomable(board, () => x, whole, view, hover);
  fitted(node, (width) => { state.width = width; draw(); });
  return {
    node,
    /** Sticks coloured by what they add to a match. @param {{x: number, value: number}[] | null} shares −1 to 1 */
    attribute: (shares) => { state.shares = shares; draw(); },
    redraw: draw,
  };
}

/** @param {string} line @param {any} x @param {number} base */
const area = (line, x, base) => (line ? `${line}L${line.slice(line.lastIndexOf("L") + 1).split(" ")[0]} ${base}L${line.slice(1).split(" ")[0]} ${base}Z` : "");

/** @param {{two_theta: number}[]} peaks @param {number} t @param {number} reach */
function nearest(peaks, t, reach) {
  const close = /** @type {any[]} */ (peaks).filter((p) => Math.abs(p.two_theta - t) < reach);
  return close.sort((p, q) => Math.abs(p.two_theta - t) - Math.abs(q.two_theta - t) || q.intensity - p.intensity)[0];
}

/** @param {{two_theta: number[], intensity: number[]}} curve @param {number} t greatest value near an angle */
function heightAt(curve, t) {
  let found = 0;
  for (let i = 0; i < curve.two_theta.length; i++) {
    if (Math.abs(curve.two_theta[i] - t) < 0.08) found = Math.max(found, curve.intensity[i]);
  }
  return Math.min(found, 100);
}

/** @param {any} match @returns {[number, number]} */
function range(match) {
  const angles = match ? match.measured.two_theta : [5, 90];
  return [Math.floor(angles[0]), Math.ceil(angles[angles.length - 1])];
}

/** Measured peaks that no simulated line explains, without what may be noise or is a twin. @param {any} match */
const strong = (match) => match.unmatched_measured.filter((/** @type {any} */ p) =>
  heightAt(match.measured, p.two_theta) >= STRONG && !isTwin(p, match)).map((/** @type {any} */ p) => p.two_theta);

const K_ALPHA_SPLIT = (1.54439 - 1.54056) / 1.54184;

/** Whether a peak is the Kα₂ companion of a matched one: copper's doublet opens as tan θ. @param {any} peak @param {any} match */
function isTwin(peak, match) {
  if (Math.abs((match.simulated.wavelength || 1.54184) - 1.5415) > 0.002) return false;
  return match.matches.some((/** @type {any} */ m) => {
    const apart = (360 / Math.PI) * Math.tan((m.measured * Math.PI) / 360) * K_ALPHA_SPLIT;
    const lower = heightAt(match.measured, peak.two_theta) < 0.8 * heightAt(match.measured, m.measured);
    return lower && Math.abs(peak.two_theta - m.measured - apart) < 0.06;
  });
}

const hint = () => el("span.muted", "Drag to zoom, double click for the whole range; + − 0 and arrows on the keyboard.");

/** @param {any} match */
function legend(match) {
  if (!match) return el("ul.legend", el("li", el("i.line.simulated"), "simulated"));
  const n = match.matches.length;
  const share = match.matched_share?.measured;
  const rest = strong(match).length;
  return el("ul.legend",
    el("li", el("i.line.ink"), "measured"), el("li", el("i.line.simulated"), "simulated"),
    el("li", el("i.dot.good"), `${n} matched`), rest > 0 && el("li", { title: "Measured peaks without a simulated line; Kα₂ companions of matched peaks are left out" }, el("i.dot.bad"), `${rest} unmatched above ${STRONG} %`),
    share !== undefined && el("li.muted", `${number(Math.round(100 * share))} % of the measured intensity matched`));
}

/** @param {any} simulated @param {any} match */
function spoken(simulated, match) {
  const strongest = [...(simulated.peaks || [])].sort((p, q) => q.intensity - p.intensity).slice(0, 3);
  const said = `Powder pattern; strongest lines at ${strongest.map((p) => fixed(p.two_theta, 2)).join(", ")} degrees.`;
  return match ? `${said} ${match.matches.length} measured peaks are matched, ${strong(match).length} above ${STRONG} percent are not.` : said;
}

/** A pattern the size of a word. @param {{two_theta: number[], intensity: number[]}} xrd */
export function sparkline({ two_theta: t, intensity }) {
  const top = intensity.reduce((m, y) => Math.max(m, y), 0) || 1;
  const low = intensity.reduce((m, y) => Math.min(m, y), top);
  const x = { lo: t[0], hi: t[t.length - 1], from: 0, to: 64 };
  const y = { lo: low, hi: top, from: 17, to: 2 };
  return svg("svg.spark", { viewBox: "0 0 64 18", "aria-hidden": "true" }, svg("path", { d: curve(t, intensity, x, y) }));
}
