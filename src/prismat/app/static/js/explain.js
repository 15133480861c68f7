/** Why a material matches: atoms, peaks, words and energies by what they add, with the check of each. */

import * as api from "./api.js";
import { el, show, svg } from "./dom.js";
import { place } from "./plot.js";
import { get } from "./state.js";
import { fixed, number, words } from "./typeset.js";
import { heat } from "./viewer.js";

/** @param {any} part largest share of a part */
const top = (part) => Math.max(1e-12, ...part.items.map((/** @type {any} */ i) => Math.abs(i.value)));

/** @param {any} m the material @param {any} box where it is told @param {any} parts the viewer and the plots */
export function explaining(m, box, parts) {
  const button = /** @type {any} */ (document.querySelector("#explain"));
  button?.addEventListener("click", async () => {
    button.disabled = true;
    show(box, el("section.why", el("h3", "Why it matches"), el("p.waiting", "Taking parts away and measuring what changes …")));
    try {
      const { xrd, ...query } = get().query;
      const told = await api.explain(xrd ? { ...query, xrd } : query, m.id);
      show(box, whole(told));
      paint(told, parts);
    } catch (problem) {
      show(box, el("section.why", el("h3", "Why it matches"), el("p.empty", /** @type {any} */ (problem).message), el("p.muted", /** @type {any} */ (problem).remedy)));
    }
    button.disabled = false;
  });
}

/** Colours the structure and the plots. @param {any} told @param {any} parts */
function paint(told, parts) {
  const of = (/** @type {string} */ window, /** @type {string} */ unit, /** @type {string} */ side) => told.parts.find((/** @type {any} */ p) => p.window === window && p.unit === unit && p.side === side);
  const shares = (/** @type {any} */ part) => part.items.map((/** @type {any} */ i) => ({ x: i.x, low: i.low, high: i.high, value: i.value / top(part) }));
  const atoms = of("structure", "atom", "material");
  if (atoms && parts.viewer) parts.viewer.attribute(new Map(atoms.items.map((/** @type {any} */ i) => [i.site, i.value / top(atoms)])));
  const peaks = of("xrd", "peak", "material") || of("xrd", "peak", "query");
  if (peaks && parts.pattern) parts.pattern.attribute(shares(peaks));
  const states = told.parts.find((/** @type {any} */ p) => p.unit === "energy" && p.side === "material");
  if (states && parts.dos) parts.dos.attribute(shares(states));
}

/** @param {any} told */
function whole(told) {
  const sides = { query: "What you asked", material: "What was found" };
  return el("section.why", el("h3", "Why it matches"),
    el("p.scale", el("span.swatch", { style: { background: heat(1) } }), "holds the match up", el("span.swatch", { style: { background: heat(-1) } }), "works against it"),
    el("div.why-grid", told.parts.map((/** @type {any} */ p) => el("article.why-part",
      el("h4", `${sides[/** @type {"query" | "material"} */ (p.side)] || p.side}: ${p.unit === "bond" ? "bonds" : p.unit === "atom" ? "atoms" : words(p.window)}`, el("small", p.method)), drawn(p), verdict(p.check)))),
    told.notes?.length > 0 && el("details", el("summary", "Notes"), told.notes.map((/** @type {string} */ n) => el("p", n))));
}

/** @param {any} part */
function drawn(part) {
  if (part.unit === "word" && part.data?.text) return text(part);
  if (part.unit === "peak" && part.data?.two_theta) return lines(part);
  return bars(part);
}

/** Letters by code point, as the server counts them; words on a ground of their share. @param {any} part */
function text(part) {
  const letters = [...part.data.text];
  const most = top(part);
  const found = [];
  let at = 0;
  for (const item of [...part.items].sort((a, b) => a.start - b.start)) {
    if (item.start === null || item.start < at) continue;
    found.push(letters.slice(at, item.start).join(""));
    const share = item.value / most;
    found.push(el("mark", { style: { "--tone": heat(Math.sign(share) || 1), "--share": `${Math.round(Math.abs(share) * 62)}%` }, title: `${item.label}: ${fixed(item.value, 3)}` },
      letters.slice(item.start, item.end).join("")));
    at = item.end;
  }
  found.push(letters.slice(at).join(""));
  return el("p.marked", found);
}

/** The pattern of one side, its peaks in colour. @param {any} part */
function lines(part) {
  const { two_theta: t, intensity } = part.data;
  const x = { lo: t[0], hi: t[t.length - 1], from: 0, to: 320 };
  const y = { lo: 0, hi: Math.max(...intensity, 1), from: 66, to: 4 };
  const most = top(part);
  const stride = Math.max(1, Math.floor(t.length / 1200));
  const path = t.map((/** @type {number} */ a, /** @type {number} */ i) => (i % stride ? "" : `${place(x, a).toFixed(1)} ${place(y, intensity[i]).toFixed(1)}`)).filter(Boolean).join("L");
  return svg("svg.mini", { viewBox: "0 0 320 72", role: "img", "aria-label": "Peaks by what they add" },
    part.items.map((/** @type {any} */ i) => svg("rect", { x: place(x, i.low ?? i.x - 0.3), width: Math.max(1.5, place(x, i.high ?? i.x + 0.3) - place(x, i.low ?? i.x - 0.3)),
      y: 2, height: 64, style: { fill: heat(Math.sign(i.value) || 1), opacity: 0.75 * Math.abs(i.value / most) } }, svg("title", `${i.label}: ${fixed(i.value, 3)}`))),
    svg("path.measured", { d: `M${path}` }));
}

/** The largest shares as bars from a middle line. @param {any} part */
function bars(part) {
  const seen = new Map();
  for (const i of part.items) {
    const label = i.element && part.unit === "atom" ? i.element : i.label;
    const key = `${label} ${i.value.toFixed(4)}`;
    const had = seen.get(key);
    if (had) had.count += 1; else seen.set(key, { label, value: i.value, count: 1 });
  }
  const most = top(part);
  const rows = [...seen.values()].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 6);
  // Bars start in the middle only where something works against the match.
  const [zero, span] = rows.some((r) => r.value < 0) ? [50, 50] : [0, 100];
  return el("ul.shares", { dataset: { signed: String(zero > 0) } }, rows.map((r) => el("li", el("span.label", r.label, r.count > 1 && el("small", ` × ${r.count}`)),
    el("span.share-bar", el("i", { style: { background: heat(Math.sign(r.value) || 1), width: `${(span * Math.abs(r.value)) / most}%`, left: `${r.value < 0 ? zero - (span * Math.abs(r.value)) / most : zero}%` } })),
    el("span.figure", fixed(r.value, 3)))));
}

/** The check: what is lost as the units are taken away by rank, beside random order. @param {any} check */
function verdict(check) {
  if (!check) return el("p.muted", "Too few parts to check.");
  const c = check.curve;
  const x = { lo: 0, hi: 1, from: 2, to: 94 };
  const values = [...c.deletion, ...c.random];
  const y = { lo: Math.min(...values), hi: Math.max(...values), from: 40, to: 3 };
  const line = (/** @type {number[]} */ ys) => `M${ys.map((v, i) => `${place(x, c.share[i]).toFixed(1)} ${place(y, v).toFixed(1)}`).join("L")}`;
  const least = check.deletion_interval?.[0] ?? check.deletion_random;
  const good = check.beats_random && check.deletion < least;
  const said = good ? "Beats a random order." : check.beats_random ? "Within the spread of random orders." : "No better than a random order.";
  return el("div.verdict", svg("svg.check", { viewBox: "0 0 96 44", role: "img", "aria-label": `Score while parts are taken away: area ${fixed(check.deletion)} by this order, ${fixed(check.deletion_random)} at random` },
    svg("path.random", { d: line(c.random) }), svg("path.ours", { d: line(c.deletion) })),
  el("p", {}, el("b", { dataset: { good: String(good) } }, said),
    ` Area under the score as these go first: ${fixed(check.deletion)}; in ${check.orders ? number(check.orders) : "some"} random orders ${fixed(check.deletion_random)}.`));
}
