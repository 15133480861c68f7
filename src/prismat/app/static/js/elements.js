/** Symbols, names, covalent radii, colours and places in the periodic table. */

const SYMBOLS = (
  "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr " +
  "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir " +
  "Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf "
).trim().split(" ");

const NAMES = (
  "hydrogen helium lithium beryllium boron carbon nitrogen oxygen fluorine neon sodium magnesium aluminium " +
  "silicon phosphorus sulfur chlorine argon potassium calcium scandium titanium vanadium chromium manganese " +
  "iron cobalt nickel copper zinc gallium germanium arsenic selenium bromine krypton rubidium strontium yttrium " +
  "zirconium niobium molybdenum technetium ruthenium rhodium palladium silver cadmium indium tin antimony " +
  "tellurium iodine xenon caesium barium lanthanum cerium praseodymium neodymium promethium samarium europium " +
  "gadolinium terbium dysprosium holmium erbium thulium ytterbium lutetium hafnium tantalum tungsten rhenium " +
  "osmium iridium platinum gold mercury thallium lead bismuth polonium astatine radon francium radium actinium " +
  "thorium protactinium uranium neptunium plutonium americium curium berkelium californium "
).trim().split(" ");

// Å, Cordero et al., Dalton Trans. 2008, 2832.
const RADII = (
  "0.31 0.28 1.28 0.96 0.84 0.73 0.71 0.66 0.57 0.58 1.66 1.41 1.21 1.11 1.07 1.05 1.02 1.06 2.03 1.76 1.7 1.6 " +
  "1.53 1.39 1.39 1.32 1.26 1.24 1.32 1.22 1.22 1.2 1.19 1.2 1.2 1.16 2.2 1.95 1.9 1.75 1.64 1.54 1.47 1.46 " +
  "1.42 1.39 1.45 1.44 1.42 1.39 1.39 1.38 1.39 1.4 2.44 2.15 2.07 2.04 2.03 2.01 1.99 1.98 1.98 1.96 1.94 1.92 " +
  "1.92 1.89 1.9 1.87 1.75 1.87 1.7 1.62 1.51 1.44 1.41 1.36 1.36 1.32 1.45 1.46 1.48 1.4 1.5 1.5 2.6 2.21 2.15 " +
  "2.06 2 1.96 1.9 1.87 1.8 1.69 1.68 1.68 "
).trim().split(" ");

/**
 * Colours follow the habit of crystallographers' programs (oxygen red, sulphur yellow, metals by family),
 * muted so that they stand on light and dark paper.
 * @type {Record<string, string>}
 */
const COLOURS = {
  H: "#d9dcd8", Li: "#a787c9", Be: "#7fae6b", B: "#e0a08c", C: "#5b6068", N: "#4a6fb5", O: "#c8473a", F: "#86b66b",
  Na: "#d9b13f", Mg: "#d98a3c", Al: "#8fa8c2", Si: "#3e66a0", P: "#b58ad0", S: "#d8c143", Cl: "#5fa463", K: "#8a5aa8",
  Ca: "#4f9aa6", Sc: "#9aa5ad", Ti: "#6d8fb0", V: "#b0607f", Cr: "#4c7a9a", Mn: "#9a5c97", Fe: "#a8642f", Co: "#3a55a4",
  Ni: "#8a8f97", Cu: "#2f6f9f", Zn: "#8b8fae", Ga: "#86b39a", Ge: "#7c6fb0", As: "#6aa38c", Se: "#b5a02e", Br: "#9a4a3a",
  Rb: "#c25a78", Sr: "#57a06f", Y: "#66989c", Zr: "#5fa37a", Nb: "#4f9a8e", Mo: "#a087a8", Ru: "#c59aa0", Rh: "#b58a90",
  Pd: "#9cabb8", Ag: "#a9adb4", Cd: "#c9b27a", In: "#a88fb0", Sn: "#8d9aa6", Sb: "#8a72b5", Te: "#a98a3c", I: "#7a3f8f",
  Cs: "#6a4fa0", Ba: "#4f8f5a", La: "#78a8a0", Ce: "#d0c48a", Hf: "#8aa0b8", Ta: "#a89a78", W: "#6a86a8", Pt: "#b8b4c0",
  Au: "#d6b04a", Hg: "#a0a0b8", Tl: "#9a8a9a", Pb: "#5c6370", Bi: "#9a6fa8", Th: "#4f8fb0", U: "#5fa84f",
};

/** @param {string} symbol */
export const colour = (symbol) => COLOURS[symbol] || "#8c97a1";

const INDEX = new Map(SYMBOLS.map((s, i) => [s, i]));

/** @param {string} symbol in Å */
export const radius = (symbol) => Number(RADII[INDEX.get(symbol) ?? -1] || 1.5);

/** @param {string} symbol */
export const nameOf = (symbol) => NAMES[INDEX.get(symbol) ?? -1] || symbol;

/** @param {string} symbol */
export const isElement = (symbol) => INDEX.has(symbol);

/** Every element to californium with its row and column in the long table of 18 columns, f elements below. */
export const PLACES = SYMBOLS.slice(0, 98).map((symbol, i) => ({ symbol, name: NAMES[i], ...place(i + 1) }));

/** @param {number} z @returns {{row: number, column: number}} */
function place(z) {
  if ((z >= 57 && z <= 70) || (z >= 89 && z <= 102)) {
    return { row: z < 80 ? 9 : 10, column: z - (z < 80 ? 57 : 89) + 3 };
  }
  const closed = [0, 2, 10, 18, 36, 54, 86];
  const row = closed.findLastIndex((n) => z > n) + 1;
  const left = z - closed[row - 1];
  const columns = [2, 8, 8, 18, 18, 32, 32][row - 1];
  return { row, column: left <= 2 && row > 1 ? left : left === 1 ? 1 : 18 - (columns - left) };
}
