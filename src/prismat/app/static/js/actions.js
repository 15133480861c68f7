/** What a person can do: search, change the query, open a material. Each writes the address. */

import * as api from "./api.js";
import { settle } from "./dom.js";
import { pack, unpack } from "./link.js";
import { amend, get, merge, searchable, set, view } from "./state.js";

let running = new AbortController();

/** Answers the present query. @param {{keep?: boolean}} [how] keep: the open material stays open */
export async function run({ keep = false } = {}) {
  running.abort();
  const mine = (running = new AbortController());
  const { query, open } = get();
  if (!searchable(query)) {
    set({ answer: null, status: "idle", problem: null, open: keep ? open : null });
    return record();
  }
  set({ status: "loading", problem: null, open: keep ? open : null });
  record();
  try {
    const answer = await api.search(query, mine.signal);
    set({ answer, status: "ready" });
  } catch (problem) {
    if (!mine.signal.aborted) set({ status: "error", problem, answer: null });
  }
}

/** The words of the search box. @param {string} words */
export async function say(words) {
  running.abort();
  const mine = (running = new AbortController());
  set({ status: "loading", problem: null, tab: "search" });
  try {
    const { query } = words.trim() ? await api.understand(words, mine.signal) : { query: {} };
    set({ query: merge(get().query, query) });
  } catch (problem) {
    if (!mine.signal.aborted) set({ status: "error", problem, answer: null });
    return;
  }
  await run();
}

const later = settle(() => run({ keep: true }), 250);

/** Changes the query and answers it, soon. @param {any} changes */
export function change(changes) {
  set({ query: amend(get().query, changes) });
  later();
}

/** @param {Record<string, any>} changes of the filter */
export const filter = (changes) => change({ filter: { ...get().query.filter, ...changes } });

/** @param {string} part @param {number} weight */
export const weigh = (part, weight) => change({ weights: { ...get().query.weights, [part]: weight } });

/** Adds what an upload understood. @param {any} read answer of the upload route */
export function add(read) {
  const { query, files } = get();
  const [part, given] = Object.entries(read.part)[0];
  const window = part === "measured" ? Object.keys(given)[0] : part;
  const value = part === "measured" ? { ...query.measured, ...given } : given;
  set({ files: { ...files, [window]: { name: read.name, summary: read.summary || {} } }, tab: "search",
    query: amend(query, { [part]: value }) });
  return run();
}

/** Takes a part out of the query. @param {string} part */
export function drop(part) {
  const { query } = get();
  if (["like", "unlike", "not_text"].includes(part)) return change({ steer: { ...query.steer, [part]: [] } });
  if (query[part]) return change({ [part]: null });
  const { [part]: _, ...measured } = query.measured || {};
  return change({ measured });
}

/** Moves the search towards or away from a record. @param {"like" | "unlike"} way @param {any} hit */
export function steer(way, hit) {
  const { query, names } = get();
  const other = way === "like" ? "unlike" : "like";
  const now = query.steer || {};
  const without = (/** @type {string[]} */ ids) => (ids || []).filter((id) => id !== hit.id);
  set({ names: { ...names, [hit.id]: hit.formula || hit.id } });
  change({ steer: { ...now, [way]: [...without(now[way]), hit.id], [other]: without(now[other]) } });
}

/** @param {string | null} id */
export function open(id) {
  if (get().open === id) return;
  set({ open: id });
  record();
}

/** @param {"search" | "map"} tab */
export function go(tab) {
  if (get().tab === tab) return;
  set({ tab, open: null });
  record();
}

/** Back to the first page. */
export function clear() {
  set({ query: { k: 20 }, files: {}, names: {}, answer: null, status: "idle", problem: null, open: null, tab: "search" });
  record();
}

let written = "";
let order = 0;

/** Writes what is shown into the address. */
async function record() {
  const mine = ++order;
  const now = view(get());
  const blank = !searchable(now.query) && !now.open && now.tab === "search" && !now.query.filter;
  const fragment = blank ? "" : await pack(now);
  if (mine !== order || fragment === written) return;
  written = fragment;
  history.pushState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
}

/** Shows what the address says. */
export async function restore() {
  written = location.hash.slice(1);
  const mine = ++order;
  const found = await unpack(written);
  if (mine !== order) return;
  const blank = { query: { k: 20 }, files: {}, names: {}, open: null, tab: "search" };
  const before = JSON.stringify(get().query);
  set({ ...blank, ...(found ? clean(found) : {}) });
  if (get().answer && JSON.stringify(get().query) === before) return;
  set({ answer: null });
  await run({ keep: true });
}

/** Keeps what a link may hold, in the types it must have. @param {any} found */
function clean(found) {
  const object = (/** @type {any} */ x) => (x && typeof x === "object" && !Array.isArray(x) ? x : {});
  return {
    query: { k: 20, ...object(found.query) }, files: object(found.files), names: object(found.names),
    open: typeof found.open === "string" ? found.open : null, tab: found.tab === "map" ? "map" : "search",
  };
}
