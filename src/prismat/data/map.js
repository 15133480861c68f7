// The page: what is shown, how it is moved, and what is said of a point.
const $ = id => document.getElementById(id);

async function unpack() {
  const text = $("data").textContent, raw = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  $("data").remove();
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const types = { i16: Int16Array, u16: Uint16Array, u32: Uint32Array };
  const array = a => new types[a.type](buffer.slice(head.start + a.offset, head.start + a.offset + a.bytes));
  return { ...head, array };
}

function start(world) {
  const n = world.count, xy = world.array(world.xy), cluster = world.array(world.cluster), titleOf = world.array(world.title);
  const X = new Float32Array(n), Y = new Float32Array(n);
  for (let i = 0; i < n; i++) { X[i] = xy[2 * i] / 32767; Y[i] = -xy[2 * i + 1] / 32767; }
  const px = new Float32Array(n), py = new Float32Array(n), colours = new Uint32Array(n);
  const canvas = $("points"), names = $("names"), context = canvas.getContext("2d", { alpha: false }), over = names.getContext("2d");
  const options = [{ name: "clusters", label: "Cluster", categories: world.clusters.map(c => c.name), values: cluster, sizes: world.clusters.map(c => c.size) }];
  for (const o of world.columns) options.push({ ...o, values: world.array(o.array) });
  const shuffled = shuffle(n);
  const state = { scale: 1, x: 0, y: 0, shown: options[0], only: -1, found: null, pinned: -1, order: shuffled, last: 0, drawn: 0 };
  let width = 0, height = 0, dpr = 1, wanted = false, theme = "", settle = 0, moving = false, each = 2e-4;
  const still = {}, quick = {}, small = document.createElement("canvas");

  function shuffle(count) {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    let seed = 12345;
    for (let i = count - 1; i > 0; i--) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const j = seed % (i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  // Where the map's unit square is shown: to the right of the panel on wide screens, below its bar on narrow ones.
  function frame() {
    const wide = width / dpr > 736, left = wide ? 360 * dpr : 0, top = wide ? 0 : 52 * dpr;
    const unit = Math.min(width - left, height - top) / 2 * 0.92;
    return { unit, x: left + (width - left) / 2, y: top + (height - top) / 2 };
  }
  const screen = (x, y) => { const f = frame(), s = f.unit * state.scale; return [f.x + (x - state.x) * s, f.y + (y - state.y) * s]; };
  const plane = (x, y) => { const f = frame(), s = f.unit * state.scale; return [(x - f.x) / s + state.x, (y - f.y) / s + state.y]; };

  function resize() {
    dpr = Math.min(2, window.devicePixelRatio || 1);
    width = Math.max(1, Math.round(innerWidth * dpr)); height = Math.max(1, Math.round(innerHeight * dpr));
    for (const c of [canvas, names]) { c.width = width; c.height = height; }
    for (const [buffer, ratio] of [[still, 1], [quick, dpr > 1 ? dpr : 1]]) {
      buffer.ratio = ratio; buffer.width = Math.ceil(width / ratio); buffer.height = Math.ceil(height / ratio);
      buffer.image = context.createImageData(buffer.width, buffer.height);
      buffer.pixels = new Uint32Array(buffer.image.data.buffer);
    }
    small.width = quick.width; small.height = quick.height;
    redraw();
  }

  function recolour() {
    theme = document.documentElement.dataset.theme;
    const o = state.shown, dim = packed(channels(theme === "dark" ? "#3a3f47" : "#d8d8d2"));
    const table = o.categories ? o.categories.map((_, k) => packed(channels(world.palette[theme][k % world.palette[theme].length]))) : ramp(world.scales[o.kind][theme]);
    for (let i = 0; i < n; i++) {
      const v = o.values[i];
      if (o.categories) colours[i] = v >= table.length || (state.only >= 0 && v !== state.only) ? dim : table[v];
      else colours[i] = v === 65535 ? dim : table[Math.min(255, Math.max(0, Math.round((v - o.from) / (o.to - o.from || 1) * 255)))];
      if (state.found && !state.found.has(i)) colours[i] = dim;
    }
    const rank = i => state.found ? (state.found.has(i) ? 1 : 0) : o.categories ? (state.only >= 0 && o.values[i] === state.only ? 1 : 0) : o.values[i] === 65535 ? -1 : o.kind === "heat" ? o.values[i] : 0;
    state.order = state.found || state.only >= 0 || !o.categories ? shuffled.slice().sort((a, b) => rank(a) - rank(b)) : shuffled;
    legend(o);
    redraw();
  }

  function redraw() { if (!wanted) { wanted = true; requestAnimationFrame(draw); } }

  // While the map moves, as many points are drawn as a frame has time for; all of them once it stands.
  function move() {
    moving = true;
    clearTimeout(settle);
    settle = setTimeout(() => { moving = false; redraw(); }, 160);
    redraw();
  }

  function draw() {
    wanted = false;
    const begun = performance.now(), f = frame(), s = f.unit * state.scale, ox = f.x - state.x * s, oy = f.y - state.y * s;
    const stride = moving ? Math.max(1, Math.ceil(n * each / 7)) : 1, b = stride > 1 ? quick : still, r = b.ratio;
    b.pixels.fill(0xff000000 | packed(channels(theme === "dark" ? "#14161a" : "#fdfdfb")));
    const radius = dpr * Math.min(7, Math.max(0.9, 2.6 * Math.pow(9000 / Math.max(n, 2000), 0.28) * Math.pow(state.scale, 0.42)));
    const opacity = stride > 1 || state.shown.kind === "heat" ? 0.85 : n > 30000 ? 0.6 : 0.72;
    const at = { x: X, y: Y, scale: s / r, dx: ox / r, dy: oy / r }, from = performance.now();
    splat(b.pixels, b.width, b.height, at, state.order, colours, Math.max(0.9, radius / r), opacity, stride);
    state.drawn = Math.ceil(n / stride);
    each = 0.7 * each + 0.3 * (performance.now() - from) / state.drawn;
    if (r === 1) context.putImageData(b.image, 0, 0);
    else { small.getContext("2d").putImageData(b.image, 0, 0); context.drawImage(small, 0, 0, b.width * r, b.height * r); }
    if (stride === 1) for (let i = 0; i < n; i++) { px[i] = ox + X[i] * s; py[i] = oy + Y[i] * s; }
    over.setTransform(dpr, 0, 0, dpr, 0, 0);
    over.clearRect(0, 0, width, height);
    if (!moving && state.found) ring([...state.found].slice(0, 400), radius / dpr + 2, "--ink");
    if (!moving && state.pinned >= 0) ring([state.pinned], radius / dpr + 5, "--s0");
    label(state.shown.name === "clusters" && !state.found ? 1 : 0.75);
    state.last = performance.now() - begun;
  }

  function ring(rows, radius, variable) {
    over.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue(variable);
    over.lineWidth = variable === "--s0" ? 2.5 : 1;
    for (const i of rows) { over.beginPath(); over.arc(px[i] / dpr, py[i] / dpr, radius, 0, 7); over.stroke(); }
  }

  function label(fade = 1) {
    const style = getComputedStyle(document.documentElement), paper = theme === "dark" ? "#14161a" : "#fdfdfb";
    const at = (x, y) => screen(x, -y).map(v => v / dpr), panel = $("panel").getBoundingClientRect();
    over.textAlign = "center"; over.textBaseline = "middle"; over.lineJoin = "round"; over.globalAlpha = fade;
    const chosen = state.shown.name === "clusters" && state.only >= 0 ? [world.clusters[state.only]] : world.clusters;
    for (const p of placeNames(over, chosen, at, width / dpr, height / dpr, [[panel.left, panel.top, panel.right, panel.bottom]])) {
      for (const [text, font, colour, dy] of [[p.big, BIG, "--ink", p.small ? -8 : 0], [p.small, SMALL, "--muted", 9]]) {
        over.font = font; over.strokeStyle = paper; over.lineWidth = 4;
        over.strokeText(text, p.x, p.y + dy);
        over.fillStyle = style.getPropertyValue(colour);
        over.fillText(text, p.x, p.y + dy);
      }
    }
    over.globalAlpha = 1;
  }

  function legend(o) {
    const box = $("legend");
    box.textContent = "";
    if (!o.categories) {
      const bar = document.createElement("div"), ends = document.createElement("div");
      bar.className = "scale"; ends.className = "ends";
      bar.style.background = `linear-gradient(90deg, ${world.scales[o.kind][theme].join(", ")})`;
      for (const v of [o.low, o.high]) { const e = document.createElement("span"); e.textContent = `${v} ${o.unit}`.trim(); ends.append(e); }
      box.append(bar, ends);
      return;
    }
    o.categories.forEach((name, k) => {
      const b = document.createElement("button"), dot = document.createElement("i"), text = document.createElement("span"), size = document.createElement("em");
      dot.style.background = world.palette[theme][k % world.palette[theme].length];
      text.textContent = subscripts(name).replace(/_/g, " "); b.title = o.name === "clusters" ? world.clusters[k].words.join(", ") : name;
      size.textContent = o.sizes[k].toLocaleString("en");
      b.setAttribute("aria-pressed", state.only === k);
      b.onclick = () => { state.only = state.only === k ? -1 : k; recolour(); };
      b.append(dot, text, size);
      box.append(b);
    });
  }

  // A grid of cells, so that the nearest point is found among a few.
  const cells = 160, buckets = Array.from({ length: cells * cells }, () => []), cell = v => Math.min(cells - 1, Math.max(0, Math.floor((v + 1) / 2 * cells)));
  for (let i = 0; i < n; i++) buckets[cell(Y[i]) * cells + cell(X[i])].push(i);

  function nearest(sx, sy) {
    const reach = 14 * dpr, [x0, y0] = plane(sx - reach, sy - reach), [x1, y1] = plane(sx + reach, sy + reach);
    let best = -1, least = reach * reach;
    for (let r = cell(y0); r <= cell(y1); r++) for (let c = cell(x0); c <= cell(x1); c++) for (const i of buckets[r * cells + c]) {
      const d = (px[i] - sx) ** 2 + (py[i] - sy) ** 2;
      if (d < least && !(state.found && !state.found.has(i))) { least = d; best = i; }
    }
    return best;
  }

  function value(o, i) {
    const v = o.values[i];
    if (o.categories) return v < o.categories.length ? o.categories[v] : "unknown";
    return v === 65535 ? "unknown" : `${Number((o.least + v / 65534 * (o.most - o.least)).toPrecision(4))} ${o.unit}`.trim();
  }

  function tell(i, sx, sy) {
    const tip = $("tip");
    tip.hidden = i < 0;
    canvas.classList.toggle("over", i >= 0);
    if (i < 0) return;
    tip.textContent = "";
    const add = (tag, text, kind) => { const e = document.createElement(tag); e.textContent = text; e.className = kind || ""; tip.append(e); };
    add("b", subscripts(world.formulas[i]));
    add("p", world.titles[titleOf[i]]);
    add("p", `${world.ids[i]} · ${world.clusters[cluster[i]].name}`, "muted");
    if (state.shown.name !== "clusters") add("p", `${state.shown.label}: ${value(state.shown, i)}`, "muted");
    const x = Math.min(sx / dpr + 14, innerWidth - tip.offsetWidth - 8), y = Math.min(sy / dpr + 14, innerHeight - tip.offsetHeight - 8);
    tip.style.left = `${Math.max(8, x)}px`; tip.style.top = `${Math.max(8, y)}px`;
  }

  function zoom(factor, sx = frame().x, sy = frame().y) {
    const [x, y] = plane(sx, sy);
    state.scale = Math.min(200, Math.max(0.5, state.scale * factor));
    const [a, b] = plane(sx, sy);
    state.x += x - a; state.y += y - b;
    move();
  }
  const reset = () => { state.scale = 1; state.x = state.y = 0; redraw(); };
  function go(i) { state.pinned = i; state.x = X[i]; state.y = Y[i]; state.scale = Math.max(state.scale, 6); redraw(); requestAnimationFrame(() => { const [x, y] = screen(X[i], Y[i]); tell(i, x, y); }); }

  const plain = text => text.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
  const haystack = world.titles.map(plain), formulas = world.formulas.map(plain), ids = world.ids.map(plain);
  function search() {
    const words = plain($("search").value).split(/\s+/).filter(Boolean);
    $("found").textContent = ""; $("told").textContent = "";
    state.found = null; state.pinned = -1; tell(-1);
    if (words.length) {
      const rows = [];
      for (let i = 0; i < n; i++) if (words.every(w => formulas[i] === w || ids[i].includes(w) || haystack[titleOf[i]].includes(w))) rows.push(i);
      state.found = new Set(rows);
      $("told").textContent = rows.length ? `${rows.length.toLocaleString("en")} of ${n.toLocaleString("en")}` : "nothing found";
      for (const i of rows.slice(0, 8)) {
        const item = document.createElement("li"), b = document.createElement("button"), small = document.createElement("small");
        b.textContent = subscripts(world.formulas[i]); small.textContent = world.titles[titleOf[i]];
        b.append(small); b.onclick = () => go(i); item.append(b); $("found").append(item);
      }
    }
    recolour();
  }

  // One pointer moves, two pinch.
  const pointers = new Map();
  let moved = 0;
  const at = e => [e.clientX * dpr, e.clientY * dpr];
  canvas.onpointerdown = e => { canvas.setPointerCapture(e.pointerId); pointers.set(e.pointerId, at(e)); moved = 0; canvas.classList.add("dragging"); };
  canvas.onpointermove = e => {
    const [x, y] = at(e), was = pointers.get(e.pointerId);
    if (!was) { tell(nearest(x, y), x, y); return; }
    const s = frame().unit * state.scale;
    moved += Math.abs(x - was[0]) + Math.abs(y - was[1]);
    if (pointers.size === 1) { state.x -= (x - was[0]) / s; state.y -= (y - was[1]) / s; tell(-1); }
    else {
      const [id] = [...pointers.keys()].filter(k => k !== e.pointerId), [ox, oy] = pointers.get(id);
      zoom(Math.hypot(x - ox, y - oy) / Math.max(1, Math.hypot(was[0] - ox, was[1] - oy)), (x + ox) / 2, (y + oy) / 2);
    }
    pointers.set(e.pointerId, [x, y]);
    move();
  };
  canvas.onpointerup = canvas.onpointercancel = e => {
    const [x, y] = at(e);
    if (pointers.delete(e.pointerId) && moved < 6 * dpr) { state.pinned = nearest(x, y); tell(state.pinned, x, y); redraw(); }
    canvas.classList.remove("dragging");
  };
  canvas.onpointerleave = () => tell(-1);
  canvas.addEventListener("wheel", e => { e.preventDefault(); zoom(Math.exp(-e.deltaY * (e.ctrlKey ? 0.01 : 0.0016)), ...at(e)); }, { passive: false });
  canvas.ondblclick = e => zoom(2, ...at(e));
  const step = 60, keys = { "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), "0": reset, Home: reset, ArrowLeft: () => pan(-1, 0), ArrowRight: () => pan(1, 0), ArrowUp: () => pan(0, -1), ArrowDown: () => pan(0, 1) };
  const pan = (x, y) => { const s = frame().unit * state.scale; state.x += x * step * dpr / s; state.y += y * step * dpr / s; move(); };
  canvas.onkeydown = e => { if (keys[e.key] && !e.ctrlKey && !e.metaKey) { e.preventDefault(); keys[e.key](); } };
  document.onkeydown = e => {
    if (e.key === "/" && document.activeElement !== $("search")) { e.preventDefault(); $("search").focus(); }
    if (e.key === "Escape") { $("search").value = ""; state.only = -1; search(); canvas.focus(); }
  };
  $("in").onclick = () => zoom(1.5); $("out").onclick = () => zoom(1 / 1.5); $("all").onclick = reset;
  $("theme").onclick = () => { document.documentElement.dataset.theme = theme === "dark" ? "light" : "dark"; recolour(); };
  $("panel").ontoggle = redraw;

  const select = $("colour"), groups = { clusters: "Regions", number: "Properties", category: "Groups", heat: "Nearness to words" };
  for (const kind of Object.keys(groups)) {
    const inside = options.filter(o => (o.name === "clusters" ? "clusters" : o.kind) === kind);
    if (!inside.length) continue;
    const group = document.createElement("optgroup");
    group.label = groups[kind];
    for (const o of inside) group.append(new Option(o.label, options.indexOf(o)));
    select.append(group);
  }
  select.onchange = () => { state.shown = options[Number(select.value)]; state.only = -1; recolour(); };
  let waiting = 0;
  $("search").oninput = () => { clearTimeout(waiting); waiting = setTimeout(search, 120); };

  const dark = matchMedia("(prefers-color-scheme: dark)"), follow = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; recolour(); };
  dark.addEventListener("change", follow);
  if (innerWidth < 736) $("panel").open = false;
  addEventListener("resize", resize);
  resize();
  follow();
  // For those who test the page or want a picture of one place.
  window.prismatMap = { state, redraw, move, draw, go, zoom, reset, count: n };
}

unpack().then(start);
