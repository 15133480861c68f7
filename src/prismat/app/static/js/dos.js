/** A density of states over energy. */

import { el, show, svg } from "./dom.js";
import { axis, curve, fitted, place, zoomable } from "./plot.js";
import { fixed, number, unitText } from "./typeset.js";
import { heat } from "./viewer.js";

const HEIGHT = 200;

const ZERO = /** @type {Record<string, string>} */ ({ fermi: "Fermi level", vbm: "valence band maximum" });

/** @param {{energies: number[], densities: (number | null)[], zero?: string, kind?: string, unit?: string}} data */
export function dos(data) {
  const xs = data.energies;
  const ys = data.densities.map((y) => y ?? 0);
  const phonon = data.kind === "phonon_dos";
  const zero = data.zero ? `, 0 at the ${ZERO[data.zero] || data.zero}` : "";
  const label = `${phonon ? "frequency" : "energy"} / ${unitText(data.unit) || (phonon ? "cm⁻¹" : "eV")}${zero}`;
  const whole = /** @type {[number, number]} */ ([xs[0], xs[xs.length - 1]]);
  const view = { lo: whole[0], hi: whole[1], width: 0, shares: /** @type {any[] | null} */ (null) };
  const board = svg("svg.plot", { tabindex: "0", role: "img", height: HEIGHT,
    "aria-label": `Density of states from ${number(whole[0])} to ${number(whole[1])}` });
  const readout = el("p.readout");
  const node = el("div.dos", el("div.plot-box", board), readout);
  /** @type {any} */
  let x;

  function draw() {
    if (!view.width) return;
    x = { lo: view.lo, hi: view.hi, from: 10, to: view.width - 10 };
    const y = { lo: 0, hi: Math.max(...ys) * 1.06 || 1, from: HEIGHT - 40, to: 8 };
    const line = curve(xs, ys, x, y);
    const closed = `${line}L${place(x, Math.min(view.hi, whole[1]))} ${y.from}L${place(x, Math.max(view.lo, whole[0]))} ${y.from}Z`;
    board.setAttribute("viewBox", `0 0 ${view.width} ${HEIGHT}`);
    show(board,
      svg("path.area", { d: closed }), svg("path.measured", { d: line }),
      (view.shares || []).map((s) => svg("line", { x1: place(x, s.x), x2: place(x, s.x), y1: y.from, y2: y.from - 8,
        style: { stroke: heat(s.value), "stroke-width": 3 } })),
      !phonon && view.lo < 0 && view.hi > 0 && svg("line.zero", { x1: place(x, 0), x2: place(x, 0), y1: y.to, y2: y.from }),
      axis(x, y.from, label));
  }

  zoomable(board, () => x, whole, (lo, hi) => { Object.assign(view, { lo, hi }); draw(); }, (at) => {
    if (at === null) return show(readout);
    const i = xs.findIndex((e) => e >= at);
    return show(readout, el("span", el("i", phonon ? "ν" : "E"), ` ${fixed(at, 2)}`), el("span", el("i", "DOS"), ` ${number(ys[i], 3)}`));
  });
  fitted(node, (width) => { view.width = width; draw(); });
  return { node, attribute: (/** @type {any[] | null} */ shares) => { view.shares = shares; draw(); }, redraw: draw };
}
