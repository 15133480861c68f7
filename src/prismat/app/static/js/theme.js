/** Light, dark, or as the system says; remembered. */

import { icon, one, show } from "./dom.js";

const KEY = "prismat-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** @param {string} name */
function wear(name) {
  document.documentElement.dataset.theme = name;
  const button = one("#theme");
  const dark = name === "dark";
  show(button, icon(dark ? "sun" : "moon"));
  button.setAttribute("aria-label", dark ? "Light colours" : "Dark colours");
  button.title = dark ? "Light colours" : "Dark colours";
  document.dispatchEvent(new Event("themechange"));
}

/** Wears the remembered theme and wires the button. */
export function theme() {
  const kept = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const now = () => kept() || (system.matches ? "dark" : "light");
  wear(now());
  system.addEventListener("change", () => wear(now()));
  one("#theme").addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    // The system's own choice needs no memory.
    try { if (next === (system.matches ? "dark" : "light")) localStorage.removeItem(KEY); else localStorage.setItem(KEY, next); } catch { /* private window */ }
    wear(next);
  });
}
