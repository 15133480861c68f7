/** The whole query in the address: JSON, deflated, behind the #. */

/** @param {Uint8Array} bytes @param {CompressionStream | DecompressionStream} way */
async function through(bytes, way) {
  const stream = new Blob([bytes]).stream().pipeThrough(way);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {Uint8Array} bytes */
function toText(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** @param {string} text */
function toBytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (c) => c.charCodeAt(0));
}

/**
 * Angles in equal steps become start, step and count; others stay a list.
 * @param {number[]} angles
 */
function stepped(angles) {
  const [start, n] = [angles[0], angles.length];
  const step = Number(((angles[n - 1] - start) / (n - 1)).toPrecision(12));
  const even = n > 2 && angles.every((x, i) => Math.abs(start + i * step - x) < 1e-6);
  return even ? { start, step, n } : angles;
}

/** @param {any} short */
function unstepped(short) {
  if (Array.isArray(short)) return short;
  return Array.from({ length: Math.min(short.n, 1e6) }, (_, i) => Number((short.start + i * short.step).toFixed(9)));
}

/** @param {any} view @param {(x: any) => any} change */
function withAngles(view, change) {
  const xrd = view.query?.xrd;
  if (!xrd?.two_theta) return view;
  return { ...view, query: { ...view.query, xrd: { ...xrd, two_theta: change(xrd.two_theta) } } };
}

/**
 * @param {object} view what is shown: query, names of its files, open material, tab
 * @returns {Promise<string>} a fragment without its #
 */
export async function pack(view) {
  const plain = new TextEncoder().encode(JSON.stringify(withAngles(view, stepped)));
  return `v1.${toText(await through(plain, new CompressionStream("deflate-raw")))}`;
}

/**
 * @param {string} fragment
 * @returns {Promise<any | null>} null where the fragment is not one of ours
 */
export async function unpack(fragment) {
  if (!fragment.startsWith("v1.")) return null;
  try {
    const bytes = await through(toBytes(fragment.slice(3)), new DecompressionStream("deflate-raw"));
    const view = JSON.parse(new TextDecoder().decode(bytes));
    return view && typeof view === "object" ? withAngles(view, unstepped) : null;
  } catch {
    return null;
  }
}
