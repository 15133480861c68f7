/** Talks to the server this page came from, and to nothing else. */

/** What went wrong, as a person can use it. */
export class Problem extends Error {
  /** @param {{title?: string, detail?: string, remedy?: string, status?: number, field?: string, instance?: string}} document */
  constructor(document) {
    super(document.detail || document.title || "Something went wrong.");
    Object.assign(this, { title: "", remedy: "", status: 0, instance: "", ...document });
  }
}

const OFFLINE = {
  title: "The server does not answer",
  detail: "The page is here, but the Prismat server behind it cannot be reached.",
  remedy: "Start it again with prismat serve; this page tries again when you search.",
};

let token = sessionStorage.getItem("prismat-token") || "";

/** @param {string} value kept for this tab only */
export function setToken(value) {
  token = value;
  sessionStorage.setItem("prismat-token", value);
}

/**
 * @param {string} path below the page's own address
 * @param {RequestInit & {json?: any}} [options]
 * @returns {Promise<Response>}
 */
async function ask(path, { json, ...options } = {}) {
  const headers = new Headers(options.headers);
  if (json !== undefined) headers.set("Content-Type", "application/json");
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const body = json !== undefined ? JSON.stringify(json) : options.body;
  const method = options.method || (body ? "POST" : "GET");
  let answer;
  try {
    answer = await fetch(path, { ...options, method, body, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(OFFLINE);
  }
  if (answer.ok) return answer;
  throw new Problem(await said(answer));
}

/** @param {Response} answer */
async function said(answer) {
  const fallback = { title: answer.statusText, detail: `The server answered ${answer.status}.`, status: answer.status };
  try {
    return { ...fallback, ...(await answer.json()) };
  } catch {
    return fallback;
  }
}

/** @param {string} path @param {RequestInit & {json?: any}} [options] */
const json = async (path, options) => (await ask(path, options)).json();

const id = encodeURIComponent;

export const about = () => json("v1/about");
/** @param {string} q @param {AbortSignal} [signal] */
export const understand = (q, signal) => json(`v1/words?q=${id(q)}`, { signal });
/** @param {any} query @param {AbortSignal} [signal] */
export const search = (query, signal) => json("v1/search", { json: query, signal });
/** @param {string} key */
export const material = (key) => json(`v1/materials/${id(key)}`);
/** @param {string} key */
export const structure = async (key) => (await ask(`v1/materials/${id(key)}/structure.cif`)).text();
/** @param {string} key @param {number} [wavelength] Å */
export const pattern = (key, wavelength) =>
  json(`v1/materials/${id(key)}/pattern${wavelength ? `?wavelength=${wavelength}` : ""}`);
/** @param {string} key */
export const dos = (key) => json(`v1/materials/${id(key)}/dos`);
/** @param {string} key @param {any} xrd */
export const match = (key, xrd) => json(`v1/materials/${id(key)}/match`, { json: { xrd } });
/** @param {string} key */
export const similar = (key, k = 6) => json(`v1/materials/${id(key)}/similar?k=${k}`);
/** @param {any} query @param {string} key @param {AbortSignal} [signal] */
export const explain = (query, key, signal) => json("v1/explain", { json: { query, id: key }, signal });
/** @param {string} cif */
export const predict = (cif) => json("v1/predict", { json: { structure: cif } });
export const map = () => json("v1/map");
export const mapIds = () => json("v1/map/ids");
export const mapPoints = async () => (await ask("v1/map/points.bin")).arrayBuffer();
/** @param {string} text @param {AbortSignal} [signal] */
export const heat = (text, signal) => json("v1/map/heat", { json: { text }, signal });
/** @param {string} name */
export const overlay = (name) => json(`v1/map/overlay/${id(name)}`);
/** @param {any} query */
export const place = (query) => json("v1/map/place", { json: query });

/** @param {File} file */
export function upload(file) {
  const form = new FormData();
  form.append("file", file, file.name);
  return json("v1/upload", { method: "POST", body: form });
}
