/** Files: dropped anywhere, chosen, or pasted. */

import { add } from "./actions.js";
import * as api from "./api.js";
import { one, show } from "./dom.js";
import { set } from "./state.js";

/** @param {File} file */
export async function take(file) {
  set({ status: "loading", problem: null, tab: "search" });
  one("#live").textContent = `Reading ${file.name}`;
  try {
    await add(await api.upload(file));
  } catch (problem) {
    set({ status: "error", problem, answer: null });
  }
}

/** A file of pasted text, where the text looks like one. @param {string} text */
function pasted(text) {
  if (/^\s*data_\S*/m.test(text) && text.includes("_cell_length_a")) return new File([text], "pasted.cif");
  const rows = text.trim().split("\n").slice(0, 40).filter((r) => !/^[#!;]/.test(r.trim()));
  const numbers = rows.length > 8 && rows.every((r) => /^\s*-?[\d.]+(e[+-]?\d+)?[\s,;]+-?[\d.]+/i.test(r));
  return numbers ? new File([text], "pasted.xy") : null;
}

/** Listens on the whole page. */
export function dropping() {
  const [veil, input] = [one("#veil"), one("#file")];
  let depth = 0;
  const files = (/** @type {DragEvent} */ e) => [...(e.dataTransfer?.types || [])].includes("Files");
  const end = () => { depth = 0; veil.hidden = true; };
  addEventListener("dragenter", (e) => { if (files(e)) { e.preventDefault(); depth += 1; veil.hidden = false; } });
  addEventListener("dragover", (e) => files(e) && e.preventDefault());
  addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) end(); });
  addEventListener("drop", async (e) => {
    if (!files(e)) return;
    e.preventDefault();
    end();
    for (const file of [...(e.dataTransfer?.files || [])].slice(0, 4)) await take(file);
  });
  addEventListener("paste", (e) => {
    const given = e.clipboardData;
    if (given?.files.length) { e.preventDefault(); take(given.files[0]); return; }
    const file = pasted(given?.getData("text") || "");
    if (file) { e.preventDefault(); take(file); }
  });
  input.addEventListener("change", async () => {
    for (const file of [...input.files]) await take(file);
    input.value = "";
  });
  one("#choose").addEventListener("click", () => input.click());
  show(one("#veil p"), "Drop a structure, a pattern, a density of states, a charge density or an image");
}
