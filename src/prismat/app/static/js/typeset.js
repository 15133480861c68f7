/** Formulas, space groups and numbers as a journal sets them. */

import { el } from "./dom.js";

/**
 * Fe2O3 with its numbers as subscripts.
 * @param {string} formula
 * @param {string} [tag]
 */
export function formula(formula, tag = "span.formula") {
  const units = String(formula || "–").match(/[A-Z][a-z]?(?:\d+(?:\.\d+)?)?|\d+(?:\.\d+)?|[^]/g) || [];
  // A long formula may be broken between elements, never between a symbol and its number.
  return el(tag, {}, units.map((unit) => {
    const [, symbol, number] = unit.match(/^(\D*)(.*)$/) || [];
    return el("span.unit", {}, symbol, number ? el("sub", number) : "");
  }));
}

/**
 * Hermann-Mauguin symbol: a minus is set as a bar over the axis, a screw axis as a subscript.
 * @param {string} symbol as in "P6_3/mmc" or "Fm-3m"
 */
export function spacegroup(symbol) {
  const node = el("span.spacegroup", { "aria-label": `space group ${symbol}` });
  const tokens = String(symbol || "").match(/-\d|_\d|\d|[A-Za-z]|\S/g) || [];
  for (const token of tokens) {
    if (/^-\d/.test(token)) node.append(el("span.bar-over", token[1]));
    else if (/^_\d/.test(token)) node.append(el("sub", token[1]));
    else if (/[A-Za-z]/.test(token)) node.append(el("i", token));
    else node.append(token);
  }
  return node;
}

/** @param {number[]} hkl Miller indices, negative ones with a bar */
export function miller(hkl) {
  return el("span.miller", {}, hkl.map((i) => (i < 0 ? el("span.bar-over", -i) : el("span", i))));
}

/** @param {number[]} hkl the same as plain text */
export const millerText = (hkl) => hkl.map((i) => (i < 0 ? `${-i}\u0305` : i)).join("\u2009");

/**
 * A number with few digits and a true minus.
 * @param {number | null | undefined} x
 * @param {number} [digits] significant digits below 1000
 */
export function number(x, digits = 4) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  const size = Math.abs(x);
  const text = Number.isInteger(x) || size >= 1000
    ? Math.round(x).toLocaleString("en-GB")
    : size !== 0 && size < 1e-3 ? x.toExponential(2) : String(Number(x.toPrecision(digits)));
  return text.replace("-", "−");
}

/** @param {number | null | undefined} x a score or share with two decimals */
export const fixed = (x, digits = 2) =>
  x === null || x === undefined || !Number.isFinite(x) ? "–" : x.toFixed(digits).replace("-", "−");

const UNITS = { "g/cm3": "g cm⁻³", "g/cm^3": "g cm⁻³", "A^3": "Å³", A3: "Å³", "eV/atom": "eV/atom", "1/cm": "cm⁻¹" };

/** @param {string | null | undefined} unit */
export const unitText = (unit) => (unit ? UNITS[unit] || unit : "");

/** @param {string} name a property's or window's name as words */
export const words = (name) => ({
  xrd: "pattern", dos: "DOS", phonon_dos: "phonon DOS", charge_density: "charge density",
  not_text: "to avoid", like: "like these", unlike: "unlike those", xrd_image: "pattern",
})[name] || String(name).replaceAll("_", " ");
