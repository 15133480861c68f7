/** The unit cell in three dimensions, drawn by 3Dmol. */

import { atoms, conventional, edges, read } from "./crystal.js";
import { el, icon, show } from "./dom.js";
import { colour, nameOf, radius } from "./elements.js";
import { number } from "./typeset.js";

/** @type {Promise<any> | null} */
let loading = null;

/** The library, fetched from this server when the first structure is shown. */
function library() {
  loading ??= new Promise((done, failed) => {
    const script = el("script", { src: "static/vendor/3dmol/3Dmol-min.js" });
    script.onload = () => done(/** @type {any} */ (window).$3Dmol);
    script.onerror = () => { loading = null; failed(new Error("The viewer could not be loaded.")); };
    document.head.append(script);
  });
  return loading;
}

/** @param {string} name */
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Weak to strong evidence; @param {number} share −1 to 1 */
export function heat(share) {
  const [r, g, b] = mix(hex(token(share < 0 ? "--against" : "--for")), hex(token("--neutral")), Math.abs(share));
  return `#${[r, g, b].map((x) => Math.round(x).toString(16).padStart(2, "0")).join("")}`;
}

const hex = (/** @type {string} */ c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16));
const mix = (/** @type {number[]} */ a, /** @type {number[]} */ b, /** @type {number} */ t) =>
  a.map((x, i) => x * t + b[i] * (1 - t));

/**
 * @param {{cif: string, spacegroup: string, number: number}} what
 * @returns the element, and what others may do with it
 */
export function viewer({ cif, spacegroup, number: group }) {
  const crystal = conventional(read(cif), spacegroup, group);
  const view = { cells: 1, spin: false, shares: /** @type {Map<number, number> | null} */ (null) };
  const stage = el("div.stage", { tabindex: "0", role: "img", "aria-label": spoken(crystal) });
  const legend = el("ul.legend.elements");
  const button = (/** @type {any} */ label, /** @type {string} */ title, /** @type {() => void} */ act) =>
    el("button.quiet.small", { type: "button", title, "aria-label": title, "aria-pressed": "false", onclick: act }, label);
  const buttons = {
    cells: button("2 × 2 × 2", "Show eight cells", () => change({ cells: view.cells === 1 ? 2 : 1 })),
    spin: button(icon("spin"), "Turn slowly", () => change({ spin: !view.spin })),
    reset: button(icon("reset"), "Back to the first view", () => reset()),
  };
  if (crystal.sites.length > 150) buttons.cells.hidden = true;
  const node = el("div.viewer", stage, el("div.viewer-bar", legend, el("span.gap"), buttons.cells, buttons.spin, buttons.reset));
  /** @type {any} */
  let scene = null;

  function change(/** @type {Partial<typeof view>} */ changes) {
    Object.assign(view, changes);
    buttons.cells.setAttribute("aria-pressed", String(view.cells > 1));
    buttons.spin.setAttribute("aria-pressed", String(view.spin));
    if (changes.spin !== undefined) scene?.spin(view.spin ? "y" : false, 0.5);
    else draw(changes.cells !== undefined);
  }

  function reset() {
    const [w, h] = [stage.clientWidth, stage.clientHeight];
    const q = stance(crystal.lattice, w > 1.3 * h);
    scene.setView([0, 0, 0, 0, ...q]);
    scene.zoomTo();
    // The library fits a sphere about the atoms into the height; the cell itself may well use more of the stage.
    const [wide, high, far] = extents(crystal.lattice, q);
    scene.zoom(0.79 * Math.max(0.6, Math.min(far / high, (far * w) / h / wide, 2)));
    scene.render();
  }

  function draw(/** @type {boolean} */ again) {
    if (!scene) return;
    scene.removeAllModels();
    scene.removeAllShapes();
    scene.setBackgroundColor(token("--stage"), 1);
    const drawn = atoms(crystal, view.cells);
    const model = scene.addModel();
    model.addAtoms(drawn.map((a, i) => ({
      elem: a.symbol, x: a.xyz[0], y: a.xyz[1], z: a.xyz[2], index: i, serial: i, bonds: a.bonds,
      bondOrder: a.bonds.map(() => 1), properties: { site: a.site },
    })));
    model.setClickable({}, false, () => {});
    drawn.forEach((a, i) => model.setStyle({ index: i }, style(a)));
    for (const [start, end] of edges(crystal.lattice, view.cells)) {
      scene.addCylinder({ start: point(start), end: point(end), radius: 0.022 * view.cells, color: token("--cell"), fromCap: 1, toCap: 1 });
    }
    if (again) reset();
    scene.render();
    const present = [...new Set(crystal.sites.flatMap((s) => Object.keys(s.share)))];
    show(legend, view.shares ? scale() : present.map((s) =>
      el("li", { title: nameOf(s) }, el("i.dot", { style: { background: colour(s) } }), s)));
  }

  function style(/** @type {import("./crystal.js").Atom} */ a) {
    const tone = view.shares ? heat(view.shares.get(a.site) || 0) : colour(a.symbol);
    const size = Math.min(0.62, 0.2 + 0.19 * radius(a.symbol));
    return { sphere: { radius: size, color: tone }, stick: { radius: 0.075, color: view.shares ? tone : colour(a.symbol) } };
  }

  library().then((lib) => {
    if (!stage.isConnected) return;
    scene = lib.createViewer(stage, { antialias: true, disableFog: false, backgroundAlpha: 1 });
    if (!scene) throw new Error("no WebGL");
    draw(true);
    new ResizeObserver(() => { if (scene && stage.clientWidth && stage.clientHeight) { scene.resize(); scene.render(); } }).observe(stage);
    stage.dataset.ready = "yes";
  }).catch(() => show(stage, el("p.empty", "This browser has no WebGL, which the three-dimensional view needs.")));

  stage.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const turn = { ArrowLeft: [-8, "y"], ArrowRight: [8, "y"], ArrowUp: [-8, "x"], ArrowDown: [8, "x"] }[event.key];
    if (turn) scene?.rotate(turn[0], turn[1]);
    else if (event.key === "+" || event.key === "=") scene?.zoom(1.15);
    else if (event.key === "-") scene?.zoom(1 / 1.15);
    else if (event.key === "0") reset();
    else return;
    scene?.render();
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    node, crystal,
    /** Atoms coloured by a share between −1 and 1, or by element again. @param {Map<number, number> | null} shares */
    attribute: (shares) => change({ shares }),
    redraw: () => draw(false),
    /** Gives the graphics context back; a browser has only a few. */
    stop() {
      scene?.spin(false);
      scene = null;
      stage.querySelector("canvas")?.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext();
    },
  };
}

/** Turn about one axis as a quaternion. @param {number} degrees @param {0 | 1 | 2} axis */
function turn(degrees, axis) {
  const q = [0, 0, 0, Math.cos((degrees * Math.PI) / 360)];
  q[axis] = Math.sin((degrees * Math.PI) / 360);
  return q;
}

/** First b, then a. @param {number[]} a @param {number[]} b */
const after = ([ax, ay, az, aw], [bx, by, bz, bw]) => [
  aw * bx + ax * bw + ay * bz - az * by, aw * by - ax * bz + ay * bw + az * bx,
  aw * bz + ax * by - ay * bx + az * bw, aw * bw - ax * bx - ay * by - az * bz];

/** How wide and high the turned cell is, and the length of its longest diagonal. @param {number[][]} lattice @param {number[]} q */
function extents(lattice, q) {
  const [back, corners] = [[-q[0], -q[1], -q[2], q[3]], /** @type {number[][]} */ ([])];
  for (const i of [0, 1]) for (const j of [0, 1]) for (const k of [0, 1]) {
    const v = [0, 1, 2].map((n) => i * lattice[0][n] + j * lattice[1][n] + k * lattice[2][n]);
    corners.push(after(after(q, [...v, 0]), back));
  }
  const spread = (/** @type {number} */ n) => Math.max(...corners.map((c) => c[n])) - Math.min(...corners.map((c) => c[n])) + 1.4;
  const far = Math.max(...corners.map((p) => Math.max(...corners.map((r) => Math.hypot(p[0] - r[0], p[1] - r[1], p[2] - r[2])))));
  return [spread(0), spread(1), far + 1.4];
}

/**
 * The first view as a quaternion: c upwards and a little turned; a cell much longer than wide lies along a wide stage.
 * @param {number[][]} lattice @param {boolean} wide
 */
function stance(lattice, wide) {
  const [a, b, c] = lattice.map((v) => Math.hypot(...v));
  let q = turn(-90, 0);
  if (wide && b > 1.3 * Math.max(a, c)) q = after(q, turn(-90, 2));
  q = after(after(turn(14, 0), turn(-18, 1)), q);
  return wide && c > 1.3 * Math.max(a, b) ? after(turn(-90, 2), q) : q;
}

const point = (/** @type {number[]} */ v) => ({ x: v[0], y: v[1], z: v[2] });

const scale = () => [
  el("li", el("i.dot", { style: { background: heat(1) } }), "speaks for the match"),
  el("li", el("i.dot", { style: { background: heat(-1) } }), "against it"),
];

/** @param {import("./crystal.js").Crystal} crystal */
function spoken(crystal) {
  const counts = /** @type {Record<string, number>} */ ({});
  for (const site of crystal.sites) counts[site.symbol] = (counts[site.symbol] || 0) + 1;
  const said = Object.entries(counts).map(([s, n]) => `${number(n)} ${nameOf(s)}`).join(", ");
  return `Unit cell with ${said}. Arrow keys turn it, plus and minus zoom, 0 brings the first view back.`;
}
