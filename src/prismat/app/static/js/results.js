/** The list of answers with its states: first page, loading, empty, error. */

import { change, open, steer } from "./actions.js";
import { setToken } from "./api.js";
import { csv, json, save } from "./download.js";
import { el, icon, one, show } from "./dom.js";
import { examples } from "./search.js";
import { get, parts, searchable, watch } from "./state.js";
import { fixed, formula, number, spacegroup, words } from "./typeset.js";

/** @param {number} share @param {string} kind */
const bar = (share, kind) => el("span.bar", { dataset: { kind } }, el("i", { style: { width: `${Math.max(0, Math.min(1, share)) * 100}%` } }));

/** @param {any} hit */
function scores(hit) {
  const each = Object.entries(hit.parts || {});
  return el("div.scores",
    el("div.total", { title: "Similarity to the whole query, at most 1" }, el("b", fixed(hit.score)),
      hit.probability !== null && hit.probability !== undefined &&
        el("span.probability", { title: "Calibrated probability that this is the material asked for" }, hit.probability < 0.005 ? "p < 0.01" : `p = ${fixed(hit.probability)}`)),
    each.length === 1 ? el("div.alone", { title: words(each[0][0]) }, bar(/** @type {number} */ (each[0][1]), each[0][0])) :
      each.map(([part, score]) => el("div.part", el("span", words(part)), bar(/** @type {number} */ (score), part), el("span.figure", fixed(/** @type {number} */ (score))))));
}

/** @param {any} hit @param {boolean} current */
function card(hit, current) {
  const density = hit.properties?.density?.value;
  const facts = [hit.n_sites && `${number(hit.n_sites)} ${hit.n_sites === 1 ? "site" : "sites"}`, density && `${number(density, 3)} g cm⁻³`, hit.id];
  const like = get().query.steer?.like?.includes(hit.id);
  const unlike = get().query.steer?.unlike?.includes(hit.id);
  const button = (/** @type {any} */ sign, /** @type {string} */ text, /** @type {boolean} */ on, /** @type {() => void} */ act) =>
    el("button.quiet.small", { type: "button", "aria-pressed": String(Boolean(on)), "aria-label": `${text}: ${hit.formula}`, onclick: act }, sign, text);
  return el("li.card", { dataset: { id: hit.id }, "aria-current": current ? "true" : null },
    el("span.rank", number(hit.rank)),
    el("div.card-main",
      el("h3", {}, el("a", { href: "#", onclick: (/** @type {Event} */ e) => { e.preventDefault(); open(hit.id); } }, formula(hit.formula)),
        hit.spacegroup && spacegroup(hit.spacegroup)),
      hit.title ? el("p.title", hit.title) : el("p.title.none", "no title"),
      el("div.card-foot", el("p.meta", facts.filter(Boolean).map((f) => el("span", f))),
        el("div.card-actions", button(icon("plus"), "more like this", like, () => steer("like", hit)),
          button(icon("minus"), "less like this", unlike, () => steer("unlike", hit))))),
    scores(hit));
}

/** @param {any} answer */
function banner(answer) {
  const none = answer.confidence?.none_of_these;
  const notes = [...(answer.notes || []), ...(answer.confidence?.notes || [])];
  if (!none && !notes.length) return null;
  const chance = none && `Chance that the material asked for is not in this collection: ${number(Math.round(100 * none.probability))} %`;
  // A warning that is mostly wrong is no warning: it stands among the notes.
  const warned = Boolean(none?.reliable && none.flagged);
  const head = none?.reliable && el("p.banner-head", warned ? "Perhaps none of these." : "", el("span", chance));
  const told = none && !none.reliable ? [`${chance}, by a calibration that is not to be relied on here.`, ...notes] : notes;
  return el("aside.banner", { dataset: { flagged: String(warned) } }, head, told.length > 0 &&
    el("details", { open: warned && told.length < 3 }, el("summary", head ? "What this rests on" : "About this answer"), told.map((n) => el("p", n))));
}

/** @param {any} answer */
function head(answer) {
  const { query } = get();
  const filtered = answer.matching < answer.gallery;
  const name = (query.text || "prismat results").slice(0, 40);
  return el("header.results-head",
    el("p", {}, el("b", number(answer.hits.length)), " of ", number(answer.matching), filtered && el("span", ` that pass the filters, of ${number(answer.gallery)}`),
      el("span.muted", ` in ${number(Math.round(answer.took_ms))} ms`)),
    el("span.gap"),
    el("button.quiet.small", { type: "button", onclick: () => save(`${name}.csv`, csv(answer.hits)), title: "Download the results as CSV" }, icon("down"), "CSV"),
    el("button.quiet.small", { type: "button", onclick: () => save(`${name}.json`, json({ query, answer })), title: "Download query and results as JSON" }, icon("down"), "JSON"));
}

/** A heading that a person understands. @param {any} problem */
function heading({ status, title }) {
  if (!status) return title || "That did not work";
  if (status >= 500) return status === 503 ? "The server is busy" : "The server failed";
  return { 401: "This server asks for a token", 404: "Not found", 413: "That is too large", 429: "Too many requests" }[status] || "That could not be read";
}

/** @param {any} problem */
export function failure(problem) {
  const token = problem.status === 401 && el("form.token", { onsubmit: (/** @type {any} */ e) => {
    e.preventDefault(); setToken(e.target.elements.token.value); location.reload(); } },
  el("input", { type: "password", name: "token", "aria-label": "Access token", placeholder: "access token", autocomplete: "off" }), el("button", "Use it"));
  return el("div.failure", { role: "alert" }, el("h2", heading(problem)), el("p", problem.message || String(problem)),
    problem.remedy && el("p.remedy", problem.remedy), token, problem.instance && el("p.muted", el("code", problem.instance)));
}

function welcome() {
  const about = get().about;
  const windows = (about?.model?.windows || []).map((/** @type {string} */ w) => words(w)).join(", ");
  const filtered = Boolean(get().query.filter);
  const negative = parts(get().query).length > 0;
  if (filtered || negative) return el("div.failure", el("h2", "Say what to look for"), el("p", negative
    ? "The query only says what not to find." : "The filters are set; there is nothing yet to rank the materials by."), el("p.remedy", "Type words, or drop a structure or a pattern."));
  return el("div.welcome",
    el("p.lede", "Describe a material, or drop a structure or a measured pattern on this page. Prismat ranks ",
      el("b", about ? number(about.index.size) : "all"), " materials by how well words, structure and diffraction agree."),
    about && el("div.welcome-grid", el("section", el("h2", "Try"), examples()),
      el("section", el("h2", "What is served"), el("dl",
        row("Model", about.model.name), row("Windows", windows), row("Materials", number(about.index.size)), row("Index", about.index.kind),
        row("Probabilities", about.features.confidence ? "calibrated" : "none"), row("Map", about.features.map ? "yes" : "not made")))));
}

const row = (/** @type {string} */ k, /** @type {any} */ v) => el("div", el("dt", k), el("dd", v));

const ghosts = () => el("ol.cards.loading", { "aria-hidden": "true" }, Array.from({ length: 6 }, () => el("li.card", el("span.rank"), el("div.card-main", el("h3", el("i.ghost")), el("p.title", el("i.ghost.wide"))))));

/** Keeps the list as the answer is. */
export function results() {
  const [box, live] = [one("#results"), one("#live")];
  const draw = () => {
    const { answer, status, problem, query, open: shown } = get();
    box.setAttribute("aria-busy", String(status === "loading"));
    if (status === "error") return show(box, failure(problem));
    if (status === "loading" && !answer) return show(box, ghosts());
    if (!answer) return show(box, searchable(query) ? ghosts() : welcome());
    if (!answer.hits.length) {
      return show(box, head(answer), el("div.failure", el("h2", "Nothing passes the filters"),
        el("p", `None of ${number(answer.gallery)} materials meets every condition.`), el("p.remedy", "Remove one of the conditions above.")));
    }
    const more = answer.hits.length < answer.matching && query.k < 200;
    return show(box, head(answer), banner(answer), el("ol.cards", { "aria-label": "Results" }, answer.hits.map((/** @type {any} */ h) => card(h, h.id === shown))),
      more && el("button.more", { type: "button", onclick: () => change({ k: Math.min(200, query.k * 2) }) }, "Show more"));
  };
  watch((now, before) => {
    if (["answer", "status", "about", "problem"].some((k) => now[k] !== before[k]) || (!now.answer && now.query !== before.query)) {
      draw();
      if (now.status !== before.status || now.answer !== before.answer) live.textContent = spoken(now);
    } else if (now.open !== before.open || now.query.steer !== before.query.steer) draw();
  });
  draw();
}

/** @param {any} s */
function spoken(s) {
  if (s.status === "loading") return "Searching";
  if (s.status === "error") return s.problem?.message || "That did not work";
  if (s.status !== "ready" || !s.answer) return "";
  const first = s.answer.hits[0];
  return `${s.answer.hits.length} results of ${s.answer.matching}${first ? `; first ${first.formula}` : ""}`;
}
