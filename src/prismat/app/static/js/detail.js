/** One material in full: structure, pattern, states, facts, words, where it comes from, what is like it. */

import { open, steer } from "./actions.js";
import * as api from "./api.js";
import { el, icon, one, show } from "./dom.js";
import { json, peaksCsv, save } from "./download.js";
import { dos } from "./dos.js";
import { explaining } from "./explain.js";
import { pattern } from "./pattern.js";
import { failure } from "./results.js";
import { get, searchable, watch } from "./state.js";
import { fixed, formula, number, spacegroup, unitText, words } from "./typeset.js";
import { viewer } from "./viewer.js";

const section = (/** @type {string} */ title, /** @type {any[]} */ ...children) => el("section", el("h3", title), children);
const waiting = () => el("p.waiting", "…");
const row = (/** @type {any} */ k, /** @type {any} */ v) => el("div", el("dt", k), el("dd", v));

/** Fills a box when data come; says why where they do not. @param {any} box @param {Promise<any>} data @param {(x: any) => any} make */
async function fill(box, data, make) {
  try {
    show(box, make(await data));
  } catch (problem) {
    const absent = /** @type {any} */ (problem).status === 404;
    show(box, el("p.empty", absent ? /** @type {any} */ (problem).message : `Not shown: ${/** @type {any} */ (problem).message}`));
  }
}

/** @param {any} m */
function header(m) {
  const download = (/** @type {string} */ text, /** @type {() => void} */ act) => el("button.quiet.small", { type: "button", onclick: act }, icon("down"), text);
  return el("header.detail-head",
    el("div.detail-top", el("button.quiet.back", { type: "button", "aria-label": "Close", title: "Close (Esc)", onclick: () => open(null) }, icon("close")),
      el("p.eyebrow", m.id)),
    el("h2", {}, formula(m.formula), " ", m.spacegroup && spacegroup(m.spacegroup)),
    m.title && el("p.title", m.title),
    el("div.actions", el("button.primary.small", { type: "button", id: "explain", disabled: !searchable(get().query) || !get().about?.features.explain?.length,
      title: searchable(get().query) ? "What makes this a match" : "Search first: a match is explained, not a material" }, "Explain the match"),
    el("button.quiet.small", { type: "button", onclick: () => steer("like", m) }, icon("plus"), "more like this"),
    el("button.quiet.small", { type: "button", onclick: () => steer("unlike", m) }, icon("minus"), "less like this"),
    el("span.gap"),
    m.has?.structure && download("CIF", async () => save(`${m.id}.cif`, await api.structure(m.id), "chemical/x-cif")),
    m.has?.structure && download("peaks CSV", async () => save(`${m.id}-peaks.csv`, peaksCsv(await api.pattern(m.id)))),
    download("JSON", () => save(`${m.id}.json`, json(m), "application/json"))));
}

/** @param {any} m */
function facts(m) {
  const l = m.lattice;
  const properties = Object.entries(m.properties || {}).filter(([, p]) => /** @type {any} */ (p)?.value !== null);
  return el("dl",
    m.spacegroup && row("Space group", [spacegroup(m.spacegroup), el("span.muted", ` no. ${m.spacegroup_number}`)]),
    l && row("a, b, c", [l.a, l.b, l.c].map((x) => fixed(x, 3)).join(", ") + " Å"),
    l && row("α, β, γ", [l.alpha, l.beta, l.gamma].map((x) => number(x, 5)).join(", ") + "°"),
    l && row("Volume", `${number(l.volume, 5)} Å³`),
    row("Sites", number(m.n_sites)),
    properties.map(([name, p]) => row(words(name), [number(/** @type {any} */ (p).value), " ", unitText(/** @type {any} */ (p).unit)])));
}

/** @param {any} m */
function provenance(m) {
  const p = m.provenance || {};
  const known = Object.entries(p).filter(([, v]) => v !== null && v !== "" && typeof v !== "object");
  if (!known.length) return null;
  return section("Where it comes from", el("dl", known.map(([k, v]) => row(words(k), String(v)))));
}

/** @param {any} m */
function texts(m) {
  const told = Object.entries(m.texts || {}).filter(([kind, text]) => text && !(kind === "title" && text === m.title));
  if (!told.length) return null;
  return section("In words", told.map(([kind, text]) => el("div.told", el("h4", words(kind)), el("p", String(text)))));
}

/** @param {any} m */
function alike(m) {
  const box = el("div", waiting());
  fill(box, api.similar(m.id, 7), (answer) => {
    const others = answer.hits.filter((/** @type {any} */ h) => h.id !== m.id).slice(0, 6);
    return el("ol.similar", {}, others.map((/** @type {any} */ h) => el("li", {}, el("a", { href: "#", title: h.title || h.id,
      onclick: (/** @type {Event} */ e) => { e.preventDefault(); open(h.id); } }, formula(h.formula)), h.spacegroup && spacegroup(h.spacegroup),
    el("span.similar-title", h.title || ""), el("span.figure", fixed(h.score)))));
  });
  return section("Similar", box);
}

/** @param {any} m */
function predictions(m) {
  if (!get().about?.features.heads?.length || !m.has?.structure) return null;
  const box = el("div", waiting());
  fill(box, api.structure(m.id).then(api.predict), ({ predictions: all }) => el("dl", {}, Object.entries(all).map(([name, p]) => {
    const q = /** @type {any} */ (p);
    return row(words(name), [number(q.value, 3), " ", unitText(q.unit), q.low !== null && q.low !== undefined && el("span.muted", ` ${number(q.low, 3)} to ${number(q.high, 3)} (${number(100 * q.level)} %)`)]);
  })));
  return section("Predicted", box);
}

/** @param {any} m @param {any} parts what can be coloured */
function pictures(m, parts) {
  if (!m.has?.structure) return [el("p.empty", "No structure is stored for this record.")];
  const [cell, lines] = [el("div.box", waiting()), el("div.box", waiting())];
  const { xrd } = get().query;
  fill(cell, api.structure(m.id), (cif) => (parts.viewer = viewer({ cif, spacegroup: m.spacegroup, number: m.spacegroup_number })).node);
  const data = xrd ? api.match(m.id, xrd).then((match) => ({ match, simulated: match.simulated })) : api.pattern(m.id).then((simulated) => ({ simulated }));
  fill(lines, data, (given) => (parts.pattern = pattern(given)).node);
  const shown = [section("Unit cell", cell), section(xrd ? "Pattern, measured and simulated" : "Powder pattern, simulated", lines)];
  return xrd ? shown.reverse() : shown;
}

/** @param {any} m @param {any} parts */
function states(m, parts) {
  if (!m.has?.dos && !m.has?.phonon_dos) return null;
  const box = el("div.box", waiting());
  fill(box, api.dos(m.id), (data) => (parts.dos = dos(data)).node);
  return section("Density of states", box);
}

/** Keeps the panel as the open material is. */
export function detail() {
  const panel = one("#detail");
  let turn = 0;
  /** @type {any} */
  let parts = {};
  const draw = async () => {
    const mine = ++turn;
    parts.viewer?.stop();
    parts = {};
    const { open: id } = get();
    document.body.classList.toggle("has-detail", Boolean(id));
    panel.hidden = !id;
    if (!id) return show(panel);
    show(panel, el("div.detail-head", el("div.detail-top", el("button.quiet.back", { type: "button", "aria-label": "Close", onclick: () => open(null) }, icon("close"))), waiting()));
    panel.scrollTop = 0;
    try {
      const m = await api.material(id);
      if (mine !== turn) return undefined;
      const why = el("div", { id: "why" });
      show(panel, header(m), why, el("div.pictures", pictures(m, parts)), states(m, parts),
        el("div.columns", section("Facts", facts(m)), provenance(m)), predictions(m), texts(m), alike(m));
      explaining(m, why, parts);
    } catch (problem) {
      if (mine === turn) show(panel, el("button.quiet.back", { type: "button", "aria-label": "Close", onclick: () => open(null) }, icon("close")), failure(problem));
    }
    return undefined;
  };
  watch((now, before) => {
    if (now.open !== before.open || (now.open && (now.query.xrd !== before.query.xrd || (now.about !== before.about)))) draw();
  });
  document.addEventListener("themechange", () => ["viewer", "pattern", "dos"].forEach((p) => parts[p]?.redraw()));
}
