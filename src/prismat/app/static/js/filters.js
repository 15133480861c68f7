/** Hard conditions: elements from the periodic table, symmetry, sizes, properties. */

import { filter } from "./actions.js";
import { el, one, show } from "./dom.js";
import { PLACES } from "./elements.js";
import { get, watch } from "./state.js";
import { number, unitText, words } from "./typeset.js";

const SYSTEMS = ["triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"];
const MODES = [["with_elements", "with"], ["without_elements", "without"], ["only_elements", "only"]];
let mode = "with_elements";

/** @param {string} symbol */
function toggle(symbol) {
  const f = get().query.filter || {};
  const had = (f[mode] || []).includes(symbol);
  const changes = Object.fromEntries(MODES.map(([key]) => [key, (f[key] || []).filter((/** @type {string} */ s) => s !== symbol)]));
  if (!had) changes[mode] = [...changes[mode], symbol];
  filter(changes);
}

/** @param {string} symbol */
const stateOf = (symbol) => MODES.find(([key]) => get().query.filter?.[key]?.includes(symbol))?.[1] || "";

function table() {
  const cells = PLACES.map(({ symbol, name, row, column }) => el("button.element", {
    type: "button", title: name, dataset: { symbol }, style: { "grid-row": row > 7 ? row - 1 : row, "grid-column": column },
    onclick: () => toggle(symbol),
  }, symbol));
  const choose = el("div.segments", { role: "radiogroup", "aria-label": "What a click on an element asks for" },
    MODES.map(([key, word]) => el("label", {}, el("input", { type: "radio", name: "mode", value: key, checked: key === mode,
      onchange: () => { mode = key; } }), el("span", word))));
  const node = el("div.filter-elements", el("div.filter-head", el("h3", "Elements"), choose), el("div.periodic", cells));
  const mark = () => cells.forEach((cell) => {
    const how = stateOf(cell.dataset.symbol);
    cell.dataset.how = how;
    cell.setAttribute("aria-pressed", String(Boolean(how)));
    cell.setAttribute("aria-label", how ? `${cell.title}, ${how}` : cell.title);
  });
  return { node, mark };
}

function systems() {
  const boxes = SYSTEMS.map((name) => el("input", { type: "checkbox", value: name, onchange: () =>
    filter({ crystal_systems: boxes.filter((b) => b.checked).map((b) => b.value) }) }));
  const node = el("fieldset", el("legend", "Crystal system"), el("div.tags", boxes.map((box, i) => el("label.tag", box, el("span", SYSTEMS[i])))));
  return { node, mark: () => boxes.forEach((b) => { b.checked = Boolean(get().query.filter?.crystal_systems?.includes(b.value)); }) };
}

/**
 * Two fields, lowest and highest.
 * @param {string} label @param {{min?: number, max?: number, unit?: string, whole?: boolean}} about
 * @param {() => any} now @param {(range: (number | null)[]) => void} change
 */
function range(label, about, now, change) {
  const field = (/** @type {string} */ word, /** @type {any} */ hint) => el("input", {
    type: "number", step: about.whole ? "1" : "any", "aria-label": `${label}, ${word}`, placeholder: hint, onchange: send });
  const rounded = (/** @type {any} */ x) => (x === undefined || x === null ? "" : about.whole ? x : number(x, 3));
  const [lo, hi] = [field("at least", rounded(about.min)), field("at most", rounded(about.max))];
  function send() {
    const [a, b] = [lo, hi].map((f) => (f.value === "" || !Number.isFinite(f.valueAsNumber) ? null : f.valueAsNumber));
    const wrong = a !== null && b !== null && a > b;
    [lo, hi].forEach((f) => f.setCustomValidity(wrong ? "The first number is above the second." : ""));
    if (wrong) hi.reportValidity(); else change([a, b]);
  }
  const node = el("div.range", { role: "group", "aria-label": label },
    el("span.range-label", label, about.unit && el("small", unitText(about.unit))), lo, el("span", "–"), hi);
  const mark = () => [lo, hi].forEach((f, i) => { if (document.activeElement !== f) f.value = now()?.[i] ?? ""; });
  return { node, mark };
}

function ranges() {
  const properties = get().about?.index?.properties || {};
  const plain = [["spacegroup_number", "Space group", { min: 1, max: 230, whole: true }],
    ["n_sites", "Sites in the cell", { min: 1, whole: true }], ["n_elements", "Elements", { min: 1, whole: true }]];
  return [
    ...plain.map(([key, label, about]) => range(/** @type {string} */ (label), /** @type {any} */ (about),
      () => get().query.filter?.[/** @type {string} */ (key)], (r) => filter({ [/** @type {string} */ (key)]: r }))),
    ...Object.entries(properties).slice(0, 12).map(([name, about]) => range(capital(words(name)), /** @type {any} */ (about),
      () => get().query.filter?.properties?.[name],
      (r) => filter({ properties: { ...get().query.filter?.properties, [name]: r } }))),
  ];
}

const capital = (/** @type {string} */ s) => s[0].toUpperCase() + s.slice(1);

/** Fills the panel and its button. */
export function filters() {
  const [panel, button] = [one("#filters"), one("#filter-button")];
  /** @type {{node: any, mark: () => void}[]} */
  let controls = [];
  const build = () => {
    const [elements, kinds, numbers] = [table(), systems(), ranges()];
    controls = [elements, kinds, ...numbers];
    show(panel, el("div.filter-grid", elements.node, el("div.filter-rest", kinds.node, el("div.ranges", el("h3", "Ranges"), numbers.map((n) => n.node)))));
    controls.forEach((c) => c.mark());
  };
  button.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hidden && !controls.length) build();
  });
  watch((now, before) => {
    if (now.about !== before.about && controls.length) build();
    if (now.query.filter !== before.query.filter) controls.forEach((c) => c.mark());
    const count = JSON.stringify(now.query.filter || {}).length > 2;
    button.classList.toggle("on", count);
  });
}
