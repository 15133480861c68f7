/** The map tab: what the points mean, which colours they have, what is marked. */

import { open } from "./actions.js";
import * as api from "./api.js";
import { el, icon, one, settle, show } from "./dom.js";
import { stage } from "./map_stage.js";
import { failure } from "./results.js";
import { get, searchable, watch } from "./state.js";
import { formula, number, unitText, words } from "./typeset.js";

const token = (/** @type {string} */ name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const rgb = (/** @type {string} */ hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const PALETTE = 12;

/** @type {any} */
let world = null;
/** @type {any} */
let scene = null;
let colouring = /** @type {{kind: string, name?: string, values?: (number | null)[], from?: number, to?: number, text?: string}} */ ({ kind: "cluster" });

/** Columns as the server packs them: every x and every y as float32, then every cluster as uint16. @param {ArrayBuffer} bytes */
function points(bytes) {
  const n = Math.floor(bytes.byteLength / 10);
  const [x, y, cluster] = [new Float32Array(bytes, 0, n), new Float32Array(bytes, 4 * n, n), new Uint16Array(bytes, 8 * n, n)];
  return { xy: Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? y : x)[i >> 1]), cluster };
}

async function load() {
  const [about, bytes, given] = await Promise.all([api.map(), api.mapPoints(), api.mapIds()]);
  const ids = Array.isArray(given) ? given : given.ids;
  world = { ...about, ...points(bytes), ids, index: new Map(ids.map((/** @type {string} */ id, /** @type {number} */ i) => [id, i])) };
}

const toneOf = (/** @type {number} */ c) => rgb(token(`--m${(world.clusters[c]?.colour_index ?? c) % PALETTE}`));

function paint() {
  const n = world.ids.length;
  const rgba = new Uint8Array(4 * n);
  const quiet = rgb(token("--faint"));
  const low = rgb(token("--ramp0"));
  const middle = rgb(token("--ramp1"));
  const high = rgb(token("--ramp2"));
  const tones = world.clusters.map((/** @type {any} */ _, /** @type {number} */ c) => toneOf(c));
  for (let i = 0; i < n; i++) {
    let [tone, alpha] = [quiet, 90];
    if (colouring.kind === "cluster") { tone = tones[world.cluster[i]] || quiet; alpha = tones[world.cluster[i]] ? 205 : 110; }
    else {
      const v = colouring.values?.[i];
      if (v !== null && v !== undefined) {
        const share = Math.max(0, Math.min(1, (v - /** @type {number} */ (colouring.from)) / ((colouring.to ?? 1) - (colouring.from ?? 0) || 1)));
        // Heat comes as ranks: only the nearest few per cent should glow.
        const t = colouring.kind === "heat" ? share ** 6 : share;
        const [a, b, s] = t < 0.5 ? [low, middle, 2 * t] : [middle, high, 2 * t - 1];
        tone = a.map((x, k) => x + (b[k] - x) * s);
        alpha = colouring.kind === "heat" ? 50 + 190 * t : 215;
      }
    }
    rgba.set([tone[0], tone[1], tone[2], alpha], 4 * i);
  }
  scene.colours(rgba);
}

/** Names of clusters, the large ones first. */
const labels = () => [...world.clusters].sort((a, b) => b.size - a.size)
  .map((c) => ({ x: c.x, y: c.y, text: c.name, size: c.size > world.ids.length / 25 ? 15 : 13.5 }));

const cache = /** @type {Map<string, any>} */ (new Map());

function tooltip() {
  const tip = el("div.tip", { hidden: true, role: "status" });
  const later = settle(async (/** @type {number} */ i) => {
    const id = world.ids[i];
    try {
      if (!cache.has(id)) cache.set(id, await api.material(id));
    } catch { return; }
    if (tip.dataset.id === id) tell(cache.get(id), i);
  }, 120);
  const tell = (/** @type {any} */ m, /** @type {number} */ i) => show(tip, el("b", formula(m.formula)), m.title && el("span", m.title), el("small", world.clusters[world.cluster[i]]?.name || m.id));
  const move = (/** @type {number} */ i, /** @type {number} */ x, /** @type {number} */ y) => {
    tip.hidden = i < 0;
    if (i < 0) { tip.dataset.id = ""; return; }
    const [w] = [scene.node.clientWidth];
    tip.style.left = `${Math.min(x + 14, w - 270)}px`;
    tip.style.top = `${y + 14}px`;
    if (tip.dataset.id === world.ids[i]) return;
    tip.dataset.id = world.ids[i];
    if (cache.has(world.ids[i])) tell(cache.get(world.ids[i]), i);
    else { show(tip, el("small", world.ids[i])); later(i); }
  };
  return { tip, move };
}

/** @param {any} box the legend */
function legend(box) {
  if (colouring.kind !== "cluster") {
    const ends = colouring.kind === "heat" ? ["the rest", "nearest to the words"] : [number(colouring.from, 3), `${number(colouring.to, 3)} ${unitText(world.overlays.find((/** @type {any} */ o) => o.name === colouring.name)?.unit)}`];
    return show(box, el("div.ramp"), el("div.ramp-ends", el("span", ends[0]), el("span", ends[1])));
  }
  const sorted = world.clusters.map((/** @type {any} */ c, /** @type {number} */ i) => ({ ...c, i })).sort((/** @type {any} */ a, /** @type {any} */ b) => b.size - a.size);
  return show(box, el("ol.cluster-list", {}, sorted.map((/** @type {any} */ c) => el("li", {}, el("button", { type: "button", title: (c.words || []).join(", "), onclick: () => scene.visit(c.x, c.y, 4) },
    el("i.dot", { style: { background: `rgb(${toneOf(c.i).join(",")})` } }), el("span", c.name), el("small", number(c.size)))))));
}

/** @param {any} box */
function controls(box) {
  const key = el("div.map-legend");
  const said = el("p.muted", { role: "status" });
  const select = el("select", { "aria-label": "Colour by", onchange: async () => {
    said.textContent = "";
    try {
      if (select.value === "cluster") colouring = { kind: "cluster" };
      else {
        const about = world.overlays.find((/** @type {any} */ o) => o.name === select.value);
        const { values } = await api.overlay(select.value);
        colouring = { kind: "overlay", name: select.value, values, from: about.min, to: about.max };
      }
      update();
    } catch (problem) { said.textContent = /** @type {any} */ (problem).message; }
  } }, el("option", { value: "cluster" }, "cluster"), world.overlays.map((/** @type {any} */ o) => el("option", { value: o.name }, words(o.name))));
  const text = el("input", { type: "search", placeholder: "heat of words, such as zeolite", "aria-label": "Words to show as heat", maxlength: 400 });
  const heat = el("form.heat", { onsubmit: async (/** @type {Event} */ e) => {
    e.preventDefault();
    if (!text.value.trim()) { colouring = { kind: "cluster" }; return update(); }
    try {
      const { values } = await api.heat(text.value);
      colouring = { kind: "heat", values, from: 0, to: 255, text: text.value };
      select.value = "cluster";
      said.textContent = "";
      update();
    } catch (problem) { said.textContent = /** @type {any} */ (problem).message; }
    return undefined;
  } }, text, el("button", { type: "submit" }, "Show"));
  const place = el("button.quiet", { type: "button", onclick: () => locate(said) }, "Where is my query?");
  const update = () => { paint(); legend(key); };
  const { hits } = { hits: el("p.muted.map-hits") };
  show(box, el("label.field", el("span", "Colour by"), select), heat, place, said, hits, key,
    el("p.muted.small-print", `${number(world.ids.length)} materials, ${world.method}. Near means alike to the model; distances across the map mean little.`));
  update();
  document.addEventListener("themechange", update);
}

/** @param {any} said */
async function locate(said) {
  const { query } = get();
  if (!searchable(query)) { said.textContent = "There is no query yet: type words or drop a file."; return; }
  try {
    const { x, y } = await api.place(query);
    scene.mark({ here: { x, y } });
    scene.visit(x, y, 2);
    said.textContent = "";
  } catch (problem) { said.textContent = /** @type {any} */ (problem).message; }
}

function mark() {
  if (!scene) return;
  const { answer, open: id } = get();
  const hits = (answer?.hits || []).slice(0, 100).map((/** @type {any} */ h) => world.index.get(h.id)).filter((/** @type {any} */ i) => i !== undefined);
  scene.mark({ hits, current: world.index.get(id) ?? -1 });
  const told = one(".map-hits");
  if (told) told.textContent = hits.length ? `Rings: the ${number(hits.length)} results of the query.` : "";
}

/** Shows the map when its tab is opened. */
export function mapTab() {
  const box = one("#map");
  let begun = false;
  const start = async () => {
    if (begun) return;
    begun = true;
    show(box, el("p.waiting", "Loading the map …"));
    try {
      if (get().about && !get().about.features.map) {
        throw new api.Problem({ title: "There is no map yet", detail: "This server has no map of its materials.", remedy: "Make one with prismat map, then start the server again." });
      }
      await load();
      const { tip, move } = tooltip();
      scene = stage(world, { hover: move, choose: (i) => open(world.ids[i]), labels });
      const side = el("aside.map-side", { "aria-label": "Colours and marks" });
      const buttons = el("div.map-buttons", ...[["plus", "Closer", () => scene.zoom(1.5)], ["minus", "Further", () => scene.zoom(1 / 1.5)], ["reset", "Everything", () => scene.whole()]]
        .map(([sign, title, act]) => el("button", { type: "button", title, "aria-label": title, onclick: act }, icon(/** @type {any} */ (sign)))));
      scene.node.append(tip, buttons);
      show(box, scene.node, side);
      controls(side);
      mark();
      if (get().query.xrd || get().query.structure) requestAnimationFrame(() => locate(el("p")));
      box.dataset.ready = "yes";
    } catch (problem) { begun = false; show(box, failure(problem)); }
  };
  watch((now, before) => {
    const shown = now.tab === "map";
    box.hidden = !shown;
    if (shown && now.about) start();
    if (now.answer !== before.answer || now.open !== before.open) mark();
    if (scene && now.query !== before.query) scene.mark({ here: null });
  });
}
