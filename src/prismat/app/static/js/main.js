/** Starts the page. */

import { clear, go, restore } from "./actions.js";
import * as api from "./api.js";
import { chips } from "./chips.js";
import { detail } from "./detail.js";
import { el, one, show } from "./dom.js";
import { dropping } from "./drop.js";
import { filters } from "./filters.js";
import { keys } from "./keys.js";
import { mapTab } from "./map.js";
import { results } from "./results.js";
import { searchBox } from "./search.js";
import { set, watch } from "./state.js";
import { theme } from "./theme.js";
import { number } from "./typeset.js";

function tabs() {
  const all = [...document.querySelectorAll("nav [data-tab]")];
  for (const tab of all) tab.addEventListener("click", (event) => { event.preventDefault(); go(/** @type {any} */ (tab).dataset.tab); });
  watch((now) => {
    document.body.dataset.tab = now.tab;
    for (const tab of all) tab.setAttribute("aria-current", /** @type {any} */ (tab).dataset.tab === now.tab ? "page" : "false");
    const text = now.query.text;
    document.title = text ? `${text} – Prismat` : "Prismat";
    document.body.classList.toggle("fresh", now.status === "idle" && now.tab === "search" && !now.open);
  });
}

function served(about) {
  show(one("#served"), el("b", about.model.name), ` ${number(about.index.size)} materials`);
}

async function start() {
  theme();
  tabs();
  searchBox();
  chips();
  filters();
  results();
  detail();
  mapTab();
  keys();
  dropping();
  one("#home").addEventListener("click", (/** @type {Event} */ event) => { event.preventDefault(); clear(); });
  one("#link").addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(location.href); one("#live").textContent = one("#toast").textContent = "Link copied"; }
    catch { one("#toast").textContent = "Copy the address above: it holds the whole query"; }
    one("#toast").hidden = false;
    setTimeout(() => { one("#toast").hidden = true; }, 2200);
  });
  addEventListener("popstate", restore);
  addEventListener("hashchange", restore);
  try {
    const about = await api.about();
    set({ about });
    served(about);
  } catch (problem) {
    set({ status: "error", problem });
    return;
  }
  await restore();
}

start();
