/** What the page knows: one object, changed in one place, watched by the parts that show it. */

/**
 * @typedef {object} View what a permalink holds
 * @property {any} query typed query, the same JSON as everywhere
 * @property {Record<string, {name: string, summary: any}>} files by part: where it came from
 * @property {Record<string, string>} names formulas of records named by `like` and `unlike`
 * @property {string | null} open id of the material shown in detail
 * @property {"search" | "map"} tab
 */

/** @typedef {View & {answer: any, status: "idle" | "loading" | "ready" | "error", problem: any, about: any}} State */

/** @type {State} */
let state = {
  query: { k: 20 }, files: {}, names: {}, open: null, tab: "search",
  answer: null, status: "idle", problem: null, about: null,
};

/** @type {Set<(now: State, before: State) => void>} */
const watchers = new Set();

export const get = () => state;

/** @param {Partial<State>} changes */
export function set(changes) {
  const before = state;
  state = { ...state, ...changes };
  for (const watch of watchers) watch(state, before);
}

/** @param {(now: State, before: State) => void} watch */
export const watch = (watch) => void watchers.add(watch);

/** @param {State} s @returns {View} */
export const view = ({ query, files, names, open, tab }) => ({ query, files, names, open, tab });

/**
 * Leaves out what is empty, so that equal queries are equal text.
 * @param {any} value
 * @returns {any}
 */
export function tidy(value) {
  if (Array.isArray(value)) return value.length ? value : undefined;
  if (value === null || typeof value !== "object") return value === null || value === "" ? undefined : value;
  const kept = Object.entries(value).map(([k, v]) => [k, KEEP.has(k) ? v : tidy(v)]).filter(([, v]) => v !== undefined);
  return kept.length ? Object.fromEntries(kept) : undefined;
}

// Ranges hold null for an open end.
const KEEP = new Set(["n_sites", "n_elements", "spacegroup_number", "xrd", "measured"]);

/** Parts that can be searched by, in the order they are shown. @param {any} query */
export function parts(query) {
  const steer = query.steer || {};
  return [
    ...["text", "structure", "xrd"].filter((p) => query[p]),
    ...Object.keys(query.measured || {}),
    ...["like", "unlike", "not_text"].filter((p) => steer[p]?.length),
  ];
}

const NEGATIVE = new Set(["unlike", "not_text"]);

/** Whether there is anything to rank by. @param {any} query */
export const searchable = (query) => parts(query).some((p) => !NEGATIVE.has(p));

/**
 * A query with some of its fields changed; weights of parts that are gone go too.
 * @param {any} query
 * @param {any} changes
 */
export function amend(query, changes) {
  const next = { ...query, ...changes };
  const open = (/** @type {any} */ r) => r && r.some((/** @type {any} */ x) => x !== null && x !== undefined);
  const filter = { ...next.filter };
  for (const range of ["n_sites", "n_elements", "spacegroup_number"]) if (!open(filter[range])) delete filter[range];
  filter.properties = Object.fromEntries(Object.entries(filter.properties || {}).filter(([, r]) => open(r)));
  const clean = tidy({ ...next, filter }) || {};
  const there = new Set(parts(clean));
  const weights = Object.fromEntries(Object.entries(clean.weights || {}).filter(([p]) => there.has(p)));
  return tidy({ ...clean, weights, k: next.k || 20 });
}

/**
 * Words of the search box, read by the server, laid over the query: text is replaced, conditions are added.
 * @param {any} query
 * @param {any} read
 */
export function merge(query, read) {
  const joined = (/** @type {any[]} */ ...lists) => [...new Set(lists.flatMap((l) => l || []))];
  const [old, add] = [query.filter || {}, read.filter || {}];
  const filter = {
    ...old, ...tidy(add),
    with_elements: joined(old.with_elements, add.with_elements),
    without_elements: joined(old.without_elements, add.without_elements),
    properties: { ...old.properties, ...add.properties },
  };
  for (const range of ["n_sites", "n_elements", "spacegroup_number"]) filter[range] = add[range] || old[range];
  const steer = { ...query.steer };
  for (const name of ["like", "unlike", "not_text"]) steer[name] = joined(steer[name], read.steer?.[name]);
  const weights = { ...query.weights, ...read.weights };
  return amend(query, { text: read.text || "", filter, steer, weights, k: query.k });
}
