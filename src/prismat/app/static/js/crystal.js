/** A crystal from the server's CIF: P 1, one row for each element of each site, the label ends in the site. */

import { radius } from "./elements.js";

/** @typedef {[number, number, number]} Vec */
/** @typedef {{index: number, frac: Vec, symbol: string, share: Record<string, number>}} Site */
/** @typedef {{lattice: Vec[], sites: Site[], note: string}} Crystal */
/** @typedef {{site: number, symbol: string, xyz: Vec, bonds: number[], edge: boolean}} Atom */

const sum = (/** @type {Vec} */ a, /** @type {Vec} */ b) => /** @type {Vec} */ (a.map((x, i) => x + b[i]));
const times = (/** @type {Vec} */ a, /** @type {number} */ s) => /** @type {Vec} */ (a.map((x) => x * s));
const dot = (/** @type {Vec} */ a, /** @type {Vec} */ b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (/** @type {Vec} */ a, /** @type {Vec} */ b) =>
  /** @type {Vec} */ ([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]);
const length = (/** @type {Vec} */ a) => Math.hypot(...a);
const volume = (/** @type {Vec[]} */ m) => dot(m[0], cross(m[1], m[2]));

/** @param {Vec} frac @param {Vec[]} lattice rows are a, b, c in Å @returns {Vec} */
export const cartesian = (frac, lattice) =>
  /** @type {Vec} */ ([0, 1, 2].map((j) => frac[0] * lattice[0][j] + frac[1] * lattice[1][j] + frac[2] * lattice[2][j]));

/** @param {Vec} xyz @param {Vec[]} lattice @returns {Vec} */
function fractional(xyz, lattice) {
  const v = volume(lattice);
  const [a, b, c] = lattice;
  return [dot(xyz, cross(b, c)) / v, dot(xyz, cross(c, a)) / v, dot(xyz, cross(a, b)) / v];
}

/** @param {number[]} cell a, b, c in Å, α, β, γ in degrees @returns {Vec[]} */
function lattice(cell) {
  const [a, b, c] = cell;
  const [ca, cb, cg] = cell.slice(3).map((x) => Math.cos((x * Math.PI) / 180));
  const sg = Math.sqrt(1 - cg * cg);
  const y = (ca - cb * cg) / sg;
  return [[a, 0, 0], [b * cg, b * sg, 0], [c * cb, c * y, c * Math.sqrt(Math.max(0, 1 - cb * cb - y * y))]];
}

/** @param {string} cif @returns {Crystal} */
export function read(cif) {
  /** @type {Map<number, Site>} */
  const sites = new Map();
  /** @type {Record<string, number>} */
  const cell = {};
  for (const line of cif.split("\n")) {
    const words = line.trim().split(/\s+/);
    if (/^_cell_(length|angle)_/.test(words[0])) cell[words[0].replace(/^_cell_\w+?_/, "")] = parseFloat(words[1]);
    const found = words.length === 6 && words[0].match(/^[A-Z][a-z]?(\d+)$/);
    if (!found) continue;
    const [index, share] = [Number(found[1]), Number(words[5])];
    const frac = /** @type {Vec} */ (words.slice(2, 5).map((x) => { const f = Number(x) % 1; return f < 0 ? f + 1 : f; }));
    const site = sites.get(index) || { index, frac, symbol: words[1], share: {} };
    site.share[words[1]] = share;
    if (share > site.share[site.symbol]) site.symbol = words[1];
    sites.set(index, site);
  }
  const six = ["a", "b", "c", "alpha", "beta", "gamma"].map((n) => cell[n]);
  if (six.some((x) => !(x > 0)) || !sites.size) throw new Error("The structure could not be read.");
  return { lattice: lattice(six), sites: [...sites.values()], note: "" };
}

const CENTRED = { F: 4, I: 2, A: 2, B: 2, C: 2, R: 3 };

/**
 * The conventional cell of a centred lattice whose primitive cell was given; the crystal itself where it is
 * not centred, or where no such cell is found.
 * @param {Crystal} crystal
 * @param {string} spacegroup Hermann-Mauguin symbol
 * @param {number} number 1 to 230
 * @returns {Crystal}
 */
export function conventional(crystal, spacegroup, number) {
  const fold = CENTRED[/** @type {keyof typeof CENTRED} */ (spacegroup?.[0])];
  if (!fold || !(number > 2) || crystal.sites.length * fold > 2000) return crystal;
  const found = fits(crystal.lattice, number) ? null : triple(crystal.lattice, number, fold);
  if (!found) return crystal;
  const sites = [];
  const span = [-3, -2, -1, 0, 1, 2, 3];
  for (const i of span) for (const j of span) for (const k of span) for (const site of crystal.sites) {
    const xyz = cartesian(/** @type {Vec} */ ([site.frac[0] + i, site.frac[1] + j, site.frac[2] + k]), crystal.lattice);
    const frac = /** @type {Vec} */ (fractional(xyz, found).map((x) => (Math.abs(x) < 1e-5 ? 0 : x)));
    if (frac.every((x) => x >= 0 && x < 1 - 1e-5)) sites.push({ ...site, frac });
  }
  if (sites.length !== crystal.sites.length * fold) return crystal;
  return { lattice: upright(found), sites, note: "conventional cell" };
}

/** The same cell with a along x and b in the plane of x and y. @param {Vec[]} m @returns {Vec[]} */
function upright(m) {
  const angle = (/** @type {Vec} */ p, /** @type {Vec} */ q) =>
    (Math.acos(Math.max(-1, Math.min(1, dot(p, q) / length(p) / length(q)))) * 180) / Math.PI;
  const [a, b, c] = m;
  return lattice([length(a), length(b), length(c), angle(b, c), angle(a, c), angle(a, b)]);
}

/** Whether three vectors have the shape of a conventional cell. @param {Vec[]} m @param {number} number */
function fits(m, number) {
  const [a, b, c] = m.map(length);
  const same = (/** @type {number} */ p, /** @type {number} */ q) => Math.abs(p - q) < 2e-3 * p;
  const cosine = (/** @type {number} */ i, /** @type {number} */ j) => dot(m[i], m[j]) / length(m[i]) / length(m[j]);
  const right = (/** @type {number} */ i, /** @type {number} */ j) => Math.abs(cosine(i, j)) < 2e-3;
  if (number < 16) return right(0, 1) && right(1, 2);
  if (!right(0, 2) || !right(1, 2)) return false;
  if (number >= 143 && number < 195) return same(a, b) && Math.abs(cosine(0, 1) + 0.5) < 2e-3;
  if (!right(0, 1)) return false;
  return number < 75 || (same(a, b) && (number < 195 || same(b, c)));
}

/** @param {Vec[]} primitive @param {number} number @param {number} fold @returns {Vec[] | null} */
function triple(primitive, number, fold) {
  const size = Math.abs(volume(primitive)) * fold;
  const span = [-2, -1, 0, 1, 2];
  const vectors = span.flatMap((i) => span.flatMap((j) => span.map((k) =>
    cartesian([i, j, k], primitive)))).filter((v) => length(v) > 0.1);
  vectors.sort((p, q) => length(p) - length(q) || q[0] - p[0] || q[1] - p[1] || q[2] - p[2]);
  const few = vectors.slice(0, 70);
  let best = null;
  for (const a of few) for (const b of few) for (const c of few) {
    const m = [a, b, c];
    if (Math.abs(volume(m) - size) > 1e-3 * size || !fits(m, number)) continue;
    const total = length(a) + length(b) + length(c);
    if (!best || total < best.total - 1e-6) best = { total, m };
  }
  return best && best.m;
}

/**
 * Atoms of n × n × n cells, those on a face repeated on the opposite one, with their bonds.
 * @param {Crystal} crystal
 * @param {number} n
 * @returns {Atom[]}
 */
export function atoms(crystal, n) {
  const all = [];
  for (const site of crystal.sites) {
    const ends = site.frac.map((x) => (x < 1e-3 || x > 1 - 1e-3 ? [0, n] : [0, n - 1]));
    const start = site.frac.map((x) => (x > 1 - 1e-3 ? x - 1 : x));
    for (let i = 0; i <= ends[0][1]; i++) for (let j = 0; j <= ends[1][1]; j++) for (let k = 0; k <= ends[2][1]; k++) {
      const frac = /** @type {Vec} */ ([start[0] + i, start[1] + j, start[2] + k]);
      all.push({ site: site.index, symbol: site.symbol, xyz: cartesian(frac, crystal.lattice), bonds: [],
        edge: frac.some((x) => x > n - 1e-3) });
    }
  }
  return bonded(all);
}

const METALLOID = new Set("H B C N O F Si P S Cl Ge As Se Br Sb Te I".split(" "));

const LARGE = new Set("Na K Rb Cs Ca Sr Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Y Tl Ag".split(" "));

/**
 * Bonds by covalent radii; cations are not bonded to cations in a crystal that has anions, and large cations to
 * nothing where smaller ones make the framework.
 * @param {Atom[]} all
 */
function bonded(all) {
  if (all.length > 3000) return all;
  const anions = all.some((a) => METALLOID.has(a.symbol));
  const framework = anions && new Set(all.map((a) => a.symbol).filter((s) => !LARGE.has(s))).size > 1;
  for (let i = 0; i < all.length; i++) for (let j = i + 1; j < all.length; j++) {
    const [p, q] = [all[i], all[j]];
    if (framework && (LARGE.has(p.symbol) || LARGE.has(q.symbol))) continue;
    const d = length(sum(p.xyz, times(q.xyz, -1)));
    const reach = 1.18 * (radius(p.symbol) + radius(q.symbol));
    if (d > reach || d < 0.4) continue;
    if (anions && !METALLOID.has(p.symbol) && !METALLOID.has(q.symbol)) continue;
    if (p.symbol === q.symbol && (p.symbol === "O" || p.symbol === "F") && d > 1.7) continue;
    p.bonds.push(j);
    q.bonds.push(i);
  }
  return all;
}

/** The twelve edges of a cell of n × n × n cells. @param {Vec[]} lattice @param {number} n @returns {[Vec, Vec][]} */
export function edges(lattice, n) {
  /** @type {[Vec, Vec][]} */
  const found = [];
  for (const axis of [0, 1, 2]) for (const u of [0, n]) for (const v of [0, n]) {
    const from = /** @type {Vec} */ ([0, 0, 0]);
    from[(axis + 1) % 3] = u;
    from[(axis + 2) % 3] = v;
    const to = /** @type {Vec} */ ([...from]);
    to[axis] = n;
    found.push([cartesian(from, lattice), cartesian(to, lattice)]);
  }
  return found;
}
