/** How the query was understood: one chip a part, each with its weight, each removable. */

import { change, drop, filter, weigh } from "./actions.js";
import { el, icon, one, show } from "./dom.js";
import { sparkline } from "./pattern.js";
import { get, parts, watch } from "./state.js";
import { formula, number, spacegroup, unitText, words } from "./typeset.js";

/** @param {any} label @param {() => void} remove @param {string} said @param {any} [weight] @param {string} [kind] */
function chip(label, remove, said, weight = null, kind = "") {
  return el("li.chip", { dataset: { kind } }, el("span.chip-label", label), weight,
    el("button.chip-remove", { type: "button", "aria-label": `Remove ${said}`, title: `Remove ${said}`, onclick: remove }, icon("close")));
}

/** What the server takes for parts that count against a record, where the query does not say. */
const USUAL = { not_text: 0.4, unlike: 0.2 };

/** @param {string} part @param {number} count of parts */
function slider(part, count) {
  if (count < 2) return null;
  const now = get().query.weights?.[part] ?? USUAL[/** @type {keyof typeof USUAL} */ (part)] ?? 1;
  const out = el("output", `× ${number(now)}`);
  return el("label.weight", { title: "How much this part counts" }, el("span.unseen", `Weight of ${words(part)}`),
    el("input", { type: "range", min: "0.1", max: "3", step: "0.1", value: now,
      oninput: (/** @type {any} */ e) => show(out, `× ${number(Number(e.target.value))}`),
      onchange: (/** @type {any} */ e) => weigh(part, Number(e.target.value)) }), out);
}

/** @param {string} part */
function labelOf(part) {
  const { query, files } = get();
  const file = files[part];
  const summary = file?.summary || {};
  if (part === "text") return [el("q", query.text)];
  if (part === "structure") {
    const what = summary.formula ? [formula(summary.formula), " ", summary.spacegroup && spacegroup(summary.spacegroup)] : "crystal";
    return [el("b", "structure"), " ", what, file && el("small", file.name)];
  }
  if (part === "xrd") {
    const t = query.xrd.two_theta;
    return [el("b", "pattern"), sparkline(query.xrd), el("small", `${file?.name || ""} ${number(t[0])}–${number(t[t.length - 1])}°`)];
  }
  return [el("b", words(part)), " ", el("small", file?.name || "")];
}

function partChips() {
  const { query, names } = get();
  const all = parts(query);
  return all.flatMap((part) => {
    if (part === "like" || part === "unlike") {
      const ids = query.steer[part];
      return ids.map((/** @type {string} */ id, /** @type {number} */ i) => chip(
        [el("b", part === "like" ? "like" : "less like"), " ", formula(names[id] || id)],
        () => change({ steer: { ...query.steer, [part]: ids.filter((/** @type {string} */ x) => x !== id) } }),
        `${part} ${names[id] || id}`, i === 0 ? slider(part, all.length) : null, part));
    }
    if (part === "not_text") {
      return query.steer.not_text.map((/** @type {string} */ word, /** @type {number} */ i) => chip([el("b", "not"), " ", el("q", word)],
        () => change({ steer: { ...query.steer, not_text: query.steer.not_text.filter((/** @type {string} */ w) => w !== word) } }),
        `not ${word}`, i === 0 ? slider(part, all.length) : null, part));
    }
    return chip(labelOf(part), () => drop(part), words(part), slider(part, all.length), part);
  });
}

/** @param {(number | null)[]} range @param {string} unit */
export function between([lo, hi], unit = "") {
  const end = unit ? ` ${unit}` : "";
  if (lo === null || lo === undefined) return `≤ ${number(hi)}${end}`;
  if (hi === null || hi === undefined) return `≥ ${number(lo)}${end}`;
  return lo === hi ? `${number(lo)}${end}` : `${number(lo)}–${number(hi)}${end}`;
}

function filterChips() {
  const f = get().query.filter || {};
  const about = get().about?.index?.properties || {};
  const found = [];
  const list = (/** @type {string} */ key, /** @type {string} */ word) => {
    for (const x of f[key] || []) {
      found.push(chip([el("b", word), " ", x], () => filter({ [key]: f[key].filter((/** @type {string} */ y) => y !== x) }), `${word} ${x}`, null, "filter"));
    }
  };
  list("with_elements", "with");
  list("without_elements", "without");
  if (f.only_elements?.length) found.push(chip([el("b", "only"), ` ${f.only_elements.join(", ")}`], () => filter({ only_elements: [] }), "only these elements", null, "filter"));
  list("crystal_systems", "system");
  for (const [key, word] of [["spacegroup_number", "space group"], ["n_sites", "sites"], ["n_elements", "elements"]]) {
    if (f[key]) found.push(chip([el("b", word), ` ${between(f[key])}`], () => filter({ [key]: null }), word, null, "filter"));
  }
  for (const [name, range] of Object.entries(f.properties || {})) {
    const said = `${between(/** @type {any} */ (range), unitText(about[name]?.unit))}`;
    found.push(chip([el("b", words(name)), ` ${said}`], () => filter({ properties: { ...f.properties, [name]: [null, null] } }), words(name), null, "filter"));
  }
  return found;
}

/** Keeps the row of chips as the query is. */
export function chips() {
  const row = one("#chips");
  watch((now, before) => {
    if (now.query === before.query && now.files === before.files && now.about === before.about) return;
    const all = [...partChips(), ...filterChips()];
    row.hidden = !all.length;
    show(row, ...all);
  });
}
