/** The search box: words, their operators, examples. */

import { say } from "./actions.js";
import { el, one, show } from "./dom.js";
import { get, watch } from "./state.js";

const OPERATORS = [
  ["garnet", "words, in any order"], ["not perovskite", "away from what a word means"], ['"magnetic order"', "words that belong together"],
  ["+Fe +O", "contains these elements"], ["-Pb", "contains none of these"], ["only:Ca,Si,O", "contains nothing else"],
  ["system:cubic", "crystal system"], ["sg:221..230", "range of space groups"], ["sites:..40", "atoms in the cell"],
  ["density:3..5", "range of any property"], ["like:ID", "near a record"], ["unlike:ID", "away from a record"],
];

/** Wires the form. */
export function searchBox() {
  const [form, input, hints] = [one("#search"), one("#words"), one("#hints")];
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    hide();
    say(input.value);
  });
  const open = () => { hints.hidden = false; input.setAttribute("aria-expanded", "true"); };
  const hide = () => { hints.hidden = true; input.setAttribute("aria-expanded", "false"); };
  input.addEventListener("focus", () => !input.value && open());
  input.addEventListener("input", () => (/[+:-]$/.test(input.value) || !input.value ? open() : hide()));
  input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    if (!hints.hidden) { hide(); event.stopPropagation(); } else input.blur();
  });
  form.addEventListener("focusout", (/** @type {FocusEvent} */ event) => !form.contains(event.relatedTarget) && hide());
  show(hints, el("p.hints-head", "What the box understands"), el("ul", OPERATORS.map(([sign, meaning]) =>
    el("li", {}, el("button", { type: "button", onclick: () => insert(input, sign) }, el("code", sign), el("span", meaning))))));
  watch((now, before) => {
    if (now.query.text !== before.query.text || now.status !== before.status) {
      if (now.status !== "loading" && now.status !== "error") input.value = now.query.text || "";
    }
    input.setAttribute("aria-busy", String(now.status === "loading"));
  });
}

/** @param {any} input @param {string} sign */
function insert(input, sign) {
  input.value = `${input.value.replace(/[+:-]$/, "").trimEnd()} ${sign}`.trimStart();
  input.focus();
  input.setSelectionRange(input.value.length, input.value.length);
}

/** The questions that `about` suggests. */
export function examples() {
  const list = get().about?.examples || [];
  return el("ul.examples", {}, list.map((/** @type {any} */ e) =>
    el("li", {}, el("button", { type: "button", onclick: () => say(e.q) }, el("span", e.label), el("code", e.q)))));
}
