/** Many points fast: one WebGL2 call a frame, or plain canvas where that is missing. */

const VERTEX = `#version 300 es
in vec2 place; in vec4 tone;
uniform vec4 view; uniform float size;
out vec4 colour;
void main() {
  gl_Position = vec4(place * view.xy + view.zw, 0.0, 1.0);
  gl_PointSize = size;
  colour = tone;
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec4 colour; uniform float size; out vec4 painted;
void main() {
  float edge = length(gl_PointCoord - 0.5) * size;
  float cover = smoothstep(0.5 * size, 0.5 * size - 1.2, edge);
  painted = vec4(colour.rgb * colour.a * cover, colour.a * cover);
}`;

/** @typedef {{x: number, y: number, scale: number}} Camera middle in the map's units, pixels a unit */
/** @typedef {{colours: (rgba: Uint8Array) => void, draw: (camera: Camera, size: number) => void}} Painter */

/** @param {WebGL2RenderingContext} gl @param {number} kind @param {string} source */
function shader(gl, kind, source) {
  const made = /** @type {WebGLShader} */ (gl.createShader(kind));
  gl.shaderSource(made, source);
  gl.compileShader(made);
  return made;
}

/** @param {any} canvas @param {Float32Array} xy @returns {Painter} */
export function painter(canvas, xy) {
  const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
  return gl ? fast(canvas, gl, xy) : plain(canvas, xy);
}

/** @param {any} canvas @param {WebGL2RenderingContext} gl @param {Float32Array} xy @returns {Painter} */
function fast(canvas, gl, xy) {
  const program = /** @type {WebGLProgram} */ (gl.createProgram());
  gl.attachShader(program, shader(gl, gl.VERTEX_SHADER, VERTEX));
  gl.attachShader(program, shader(gl, gl.FRAGMENT_SHADER, FRAGMENT));
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const feed = (/** @type {string} */ name, /** @type {number} */ count, /** @type {number} */ type, /** @type {boolean} */ whole) => {
    const buffer = gl.createBuffer();
    const at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, count, type, whole, 0, 0);
    return (/** @type {any} */ data) => { gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW); };
  };
  feed("place", 2, gl.FLOAT, false)(xy);
  const colours = feed("tone", 4, gl.UNSIGNED_BYTE, true);
  const [view, size] = ["view", "size"].map((n) => gl.getUniformLocation(program, n));
  return {
    colours,
    draw(camera, pixels) {
      const [w, h] = [canvas.width, canvas.height];
      const [sx, sy] = [(2 * camera.scale) / w, (2 * camera.scale) / h];
      gl.viewport(0, 0, w, h);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform4f(view, sx, sy, -camera.x * sx, -camera.y * sy);
      gl.uniform1f(size, pixels);
      gl.drawArrays(gl.POINTS, 0, xy.length / 2);
    },
  };
}

/** @param {any} canvas @param {Float32Array} xy @returns {Painter} */
function plain(canvas, xy) {
  const pen = canvas.getContext("2d");
  let rgba = new Uint8Array(xy.length * 2);
  return {
    colours: (given) => { rgba = given; },
    draw(camera, size) {
      const [w, h] = [canvas.width, canvas.height];
      pen.clearRect(0, 0, w, h);
      for (let i = 0; i < xy.length / 2; i++) {
        const x = w / 2 + (xy[2 * i] - camera.x) * camera.scale;
        const y = h / 2 - (xy[2 * i + 1] - camera.y) * camera.scale;
        if (x < 0 || y < 0 || x > w || y > h) continue;
        pen.fillStyle = `rgba(${rgba[4 * i]},${rgba[4 * i + 1]},${rgba[4 * i + 2]},${rgba[4 * i + 3] / 255})`;
        pen.fillRect(x - size / 2, y - size / 2, size, size);
      }
    },
  };
}

/** The point nearest to a place, among cells of a grid. @param {Float32Array} xy @param {number[]} bounds x0, y0, x1, y1 */
export function finder(xy, [x0, y0, x1, y1]) {
  const n = Math.max(1, Math.ceil(Math.sqrt(xy.length / 8)));
  const [dx, dy] = [(x1 - x0) / n || 1, (y1 - y0) / n || 1];
  const column = (/** @type {number} */ x) => Math.max(0, Math.min(n - 1, Math.floor((x - x0) / dx)));
  const line = (/** @type {number} */ y) => Math.max(0, Math.min(n - 1, Math.floor((y - y0) / dy)));
  /** @type {Map<number, number[]>} */
  const cells = new Map();
  for (let i = 0; i < xy.length / 2; i++) {
    const key = line(xy[2 * i + 1]) * n + column(xy[2 * i]);
    const cell = cells.get(key);
    if (cell) cell.push(i); else cells.set(key, [i]);
  }
  return (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ reach) => {
    let [best, least] = [-1, reach * reach];
    for (let r = line(y - reach); r <= line(y + reach); r++) for (let c = column(x - reach); c <= column(x + reach); c++) {
      for (const i of cells.get(r * n + c) || []) {
        const d = (xy[2 * i] - x) ** 2 + (xy[2 * i + 1] - y) ** 2;
        if (d < least) [best, least] = [i, d];
      }
    }
    return best;
  };
}
