/** The keyboard: everything without a mouse. */

import { go, open } from "./actions.js";
import { el, one, show } from "./dom.js";
import { get } from "./state.js";

const KEYS = [["/", "to the search box"], ["j k ↓ ↑", "through the results"], ["Enter", "open the material"], ["Esc", "close"],
  ["e", "explain the match"], ["f", "filters"], ["m s", "map, search"], ["t", "light or dark"], ["?", "this list"]];

/** @param {number} step */
function move(step) {
  const links = [...document.querySelectorAll("#results .card h3 a")];
  if (!links.length) return;
  const now = links.findIndex((l) => l === document.activeElement || l.closest(".card")?.contains(document.activeElement));
  const open = now >= 0 ? now : links.findIndex((l) => l.closest(".card")?.getAttribute("aria-current"));
  const next = /** @type {any} */ (links[Math.max(0, Math.min(links.length - 1, open + step))]);
  next.focus();
  next.closest(".card").scrollIntoView({ block: "nearest" });
}

/** Wires the keys and the sheet that lists them. */
export function keys() {
  const help = one("#help");
  show(help, el("h2", "Keys"), el("dl", {}, KEYS.map(([k, what]) => el("div", el("dt", {}, k.split(" ").map((x) => el("kbd", x))), el("dd", what)))),
    el("p.muted", "The plots, the unit cell and the map take arrows, + − and 0 when they have the focus."),
    el("form", { method: "dialog" }, el("button", "Close")));
  one("#help-button").addEventListener("click", () => help.showModal());
  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const typing = target.matches("input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select");
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.key === "Escape") {
      if (get().open) { const id = get().open; open(null); focusCard(id); }
      else if (!one("#filters").hidden) one("#filter-button").click();
      return;
    }
    if (typing) return;
    const act = {
      "/": () => one("#words").focus(), j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
      e: () => one("#explain")?.click(), f: () => one("#filter-button").click(), m: () => go("map"), s: () => go("search"),
      t: () => one("#theme").click(), "?": () => help.showModal(),
    }[event.key];
    if (!act || (event.key.startsWith("Arrow") && target.closest("[role=radiogroup], #detail, #map"))) return;
    event.preventDefault();
    act();
  });
}

/** @param {string | null} id */
function focusCard(id) {
  /** @type {any} */ (document.querySelector(`#results .card[data-id="${CSS.escape(id || "")}"] h3 a`))?.focus();
}
