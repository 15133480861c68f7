/** Files made here, of what is already on the page. */

import { el } from "./dom.js";

/** @param {string} name @param {Blob | string} content @param {string} [type] */
export function save(name, content, type = "text/plain") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = el("a", { href: url, download: name.replace(/[^\w.\- ]+/g, "_") });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** @param {any} value */
export const json = (value) => JSON.stringify(value, null, 1);

// A cell that a spreadsheet would take for a formula gets an apostrophe.
const cell = (/** @type {any} */ x) => {
  const text = x === null || x === undefined ? "" : String(x);
  const safe = /^[=+@\t\r]/.test(text) || (/^-/.test(text) && Number.isNaN(Number(text))) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** @param {(string | number | null)[][]} rows */
export const table = (rows) => rows.map((r) => r.map(cell).join(",")).join("\r\n") + "\r\n";

/** @param {any[]} hits one row each */
export function csv(hits) {
  const parts = [...new Set(hits.flatMap((h) => Object.keys(h.parts || {})))];
  const properties = [...new Set(hits.flatMap((h) => Object.keys(h.properties || {})))];
  const unit = (/** @type {string} */ p) => hits.find((h) => h.properties?.[p]?.unit)?.properties[p].unit;
  const head = ["rank", "id", "formula", "spacegroup", "spacegroup_number", "title", "n_sites", "score", "probability",
    ...parts.map((p) => `score_${p}`), ...properties.map((p) => (unit(p) ? `${p} [${unit(p)}]` : p))];
  return table([head, ...hits.map((h) => [h.rank, h.id, h.formula, h.spacegroup, h.spacegroup_number, h.title, h.n_sites, h.score,
    h.probability, ...parts.map((p) => h.parts?.[p]), ...properties.map((p) => h.properties?.[p]?.value)])]);
}

/** @param {any} pattern a simulated pattern's lines */
export const peaksCsv = (pattern) => table([["two_theta", "intensity", "hkl", "multiplicity"],
  ...pattern.peaks.map((/** @type {any} */ p) => [p.two_theta, p.intensity, (p.hkl || []).map((/** @type {number[]} */ h) => h.join(" ")).join("; "), p.multiplicity])]);
