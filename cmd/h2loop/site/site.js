"use strict";

const byId = (id) => document.getElementById(id);
const noStore = { cache: "no-store" };

function make(tag, text, props) {
  const e = Object.assign(document.createElement(tag), props);
  e.textContent = text;
  return e;
}

// ms is a time with as many digits as make sense.
const ms = (t) => t < 10 ? t.toFixed(1) : t.toFixed(0);

function median(sorted) {
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

const ascending = (list) => [...list].sort((a, b) => a - b);

// --- The connection ---------------------------------------------------------

// What the server knows about this connection, and what else it serves.
async function tell() {
  const c = await (await fetch("/connection", noStore)).json();
  const seen = performance.getEntriesByType("navigation")[0]?.nextHopProtocol;
  const facts = [
    ["Protocol", `${c.protocol}, says the server` + (seen ? `; ${seen}, says the browser` : "")],
    ["Round trip", "…"],
    ["Security", c.tls ? c.tls.version : "cleartext"],
  ];
  if (c.tls) {
    facts.push(["Cipher", c.tls.cipher]);
    if (c.tls.keyExchange) facts.push(["Key exchange", c.tls.keyExchange]);
    facts.push(["Handshake", c.tls.resumed ? "resumed" : "full"]);
  }
  facts.push(["Host", c.host]);
  if (c.client) facts.push(["You", c.client]);
  byId("facts").replaceChildren(...facts.map(([name, value]) => {
    const row = document.createElement("div");
    row.append(make("dt", name), make("dd", value, { id: name === "Round trip" ? "trip" : "" }));
    return row;
  }));
  byId("routelist").replaceChildren(...c.routes.map((r) => {
    const li = document.createElement("li");
    const path = r.method === "GET"
      ? make("a", r.path, { href: r.path })
      : make("b", r.path);
    li.append(make("code", r.method), path, make("span", r.note));
    return li;
  }));
  byId("version").textContent = c.server;
  byId("chips").append(make("li", seen || c.protocol), make("li", c.tls ? c.tls.version : "cleartext"));
  for (const e of document.querySelectorAll(".origin")) e.textContent = location.origin;
}

// The round trip is that of small requests, one after the other; the first is
// not counted.
async function measure() {
  const times = [];
  for (let i = 0; i <= 20; i++) {
    const begun = performance.now();
    await (await fetch("/hello", noStore)).text();
    if (i > 0) times.push(performance.now() - begun);
  }
  const sorted = ascending(times);
  byId("trip").textContent = `${ms(median(sorted))} ms, the median of ${sorted.length} small requests, from ${ms(sorted[0])} to ${ms(sorted.at(-1))}`;
  byId("chips").append(make("li", `${ms(median(sorted))} ms round trip`));
}

// --- Charts -----------------------------------------------------------------

function draw(tag, attributes, text) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  if (text !== undefined) e.textContent = text;
  return e;
}

// niceStep divides an axis of length max into at most n parts of a round length.
function niceStep(max, n) {
  const power = 10 ** Math.floor(Math.log10(max / n));
  return power * [1, 2, 5, 10].find((f) => f * power * n >= max);
}

// chart draws series of points [ms, y]; it is drawn again when its width changes.
function chart(svg, what) {
  let series = [], top = 1;
  const redraw = () => {
    const width = svg.clientWidth, height = svg.clientHeight, left = 34, bottom = 22, over = 8;
    const end = Math.max(1, ...series.map((s) => s.points.at(-1)?.[0] ?? 0));
    const x = (t) => left + t / end * (width - left - 12);
    const y = (v) => over + (1 - v / top) * (height - over - bottom);
    const parts = [];
    for (let v = 0; v <= top; v += niceStep(top, 4)) {
      parts.push(draw("line", { class: "rule", x1: left, x2: width - 12, y1: y(v), y2: y(v) }),
        draw("text", { x: left - 7, y: y(v) + 4, "text-anchor": "end" }, v));
    }
    const step = niceStep(end, width > 420 ? 6 : 4);
    for (let t = 0; x(t) < width - 50; t += step) {
      parts.push(draw("text", { x: x(t), y: height - 5, "text-anchor": "middle" }, t));
    }
    parts.push(draw("text", { x: width - 12, y: height - 5, "text-anchor": "end" }, "ms"));
    for (const s of series) {
      const line = s.points.map(([t, v]) => `${x(t).toFixed(1)},${y(v).toFixed(1)}`);
      parts.push(draw("polyline", { class: "curve " + s.name, points: line.join(" ") }));
    }
    svg.classList.toggle("empty", !series.length);
    if (!series.length) {
      parts.splice(0, Infinity, draw("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "a run draws a chart here"));
    }
    svg.replaceChildren(...parts);
  };
  new ResizeObserver(redraw).observe(svg);
  return (newSeries, newTop, summary) => {
    [series, top] = [newSeries, newTop];
    svg.setAttribute("aria-label", `${what}: ${summary}`);
    redraw();
  };
}

// --- The tiles --------------------------------------------------------------

const columns = 20, count = 240;
const bounds = [10, 25, 50, 100, 250, 500, 1000]; // ms; the last class is beyond

// paint gives a tile the colour of its time.
function paint(tile) {
  const beyond = bounds.findIndex((b) => tile.time < b);
  const i = beyond < 0 ? bounds.length : beyond;
  const mix = i === 0 || beyond < 0 ? 0 : Math.log(tile.time / bounds[i - 1]) / Math.log(bounds[i] / bounds[i - 1]);
  tile.className = "t" + i;
  tile.style.setProperty("--mix", `${(100 * mix).toFixed(0)}%`);
}

const tiles = Array.from({ length: count }, (_, n) =>
  make("a", "", { href: `/demo/tile/${n}`, tabIndex: n ? -1 : 0, ariaLabel: `Tile ${n}` }));

function read(n) {
  const t = tiles[n].time;
  byId("reading").textContent = `GET /demo/tile/${n}: ` + (t === undefined ? "not answered yet" : `answered after ${ms(t)} ms`);
}

function walk(event) {
  const at = tiles.indexOf(event.target);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: count - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  if (to < 0 || to >= count) return;
  tiles[at].tabIndex = -1;
  tiles[to].tabIndex = 0;
  tiles[to].focus();
}

const runs = {
  together: { at_once: count, name: "s0", words: "all at once" },
  bysix: { at_once: 6, name: "s1", words: "six at a time" },
};
const drawTiles = chart(byId("tilechart"), "Tiles that have arrived, by time");

// run asks for every tile, so many at once. What has arrived is drawn a frame at
// a time, so that drawing does not delay what is measured.
async function run(which) {
  const { at_once, words } = runs[which];
  const delay = byId("delay").value, connections = new Set(), arrived = [], times = [];
  let open = 0, most = 0, next = 0, frame = 0;
  for (const tile of tiles) {
    tile.className = "";
    tile.time = undefined;
    tile.replaceChildren();
  }
  const light = () => {
    frame = 0;
    for (const [n, image] of arrived.splice(0)) {
      const tile = tiles[n];
      tile.ariaLabel = `Tile ${n}, ${image ? ms(tile.time) + " ms" : "failed"}`;
      if (image) {
        paint(tile);
        tile.append(new DOMParser().parseFromString(image, "image/svg+xml").documentElement);
      } else {
        tile.className = "bad";
      }
    }
  };
  const begun = performance.now();
  const ask = async (n) => {
    let image = "";
    try {
      most = Math.max(most, ++open);
      const r = await fetch(`/demo/tile/${n}?delay=${delay}`, noStore);
      const text = await r.text();
      if (r.ok) image = text;
      connections.add(r.headers.get("x-connection"));
    } catch { /* the tile says so */ }
    open--;
    if (image) times.push(tiles[n].time = performance.now() - begun);
    arrived.push([n, image]);
    frame ||= requestAnimationFrame(light);
  };
  const worker = async () => { while (next < count) await ask(next++); };
  await Promise.all(Array.from({ length: at_once }, worker));
  light();

  const failed = count - times.length;
  const sorted = ascending(times);
  const over = failed ? `; ${failed} failed` : connections.has(null) ? "" : ` over ${connections.size} connection${connections.size > 1 ? "s" : ""}`;
  byId("outcome").textContent = `${sorted.length} tiles, ${words}${over}; ${most} open at most.`;
  if (!sorted.length) return;
  runs[which].points = [[0, 0], ...sorted.map((t, i) => [t, i + 1])];
  const cells = byId(which + "-row").cells;
  [sorted[0], median(sorted), sorted.at(-1)].forEach((t, i) => { cells[i + 1].textContent = ms(t); });
  const done = Object.values(runs).filter((r) => r.points);
  drawTiles(done, count, done.map((r) => `${r.words}, the last after ${ms(r.points.at(-1)[0])} ms`).join("; "));
}

// --- Priorities -------------------------------------------------------------

const mib = 1 << 20, size = 8;
const byField = (u) => ({ asks: `u=${u}, i`, init: { headers: { priority: `u=${u}, i` } } });
const setters = {
  page: [7, 5, 3, 1].map(byField),
  same: [3, 3, 3, 3].map(byField),
  browser: ["low", "low", "high", "high"].map((p) => ({ asks: p, init: { priority: p } })),
};
const drawBulk = chart(byId("bulkchart"), "Octets received of each download, by time");

function lane(asks, i) {
  const name = "download " + "ABCD"[i];
  const bar = make("progress", "", { max: size * mib, value: 0, className: "p" + i, ariaLabel: name });
  const seen = make("span", "", { className: "seen" }), end = make("span", "", { className: "end" });
  const row = make("div", "", { className: "lane" });
  row.append(make("b", "ABCD"[i]), make("code", asks), bar, end, seen);
  byId("lanes").append(row);
  return { bar, seen, end };
}

// setUp shows who is to race.
function setUp() {
  byId("lanes").replaceChildren();
  return setters[byId("setter").value].map(({ asks }, i) => lane(asks, i));
}

// race downloads four times at once and notes when what has come.
async function race() {
  byId("finish").textContent = "";
  const asked = setters[byId("setter").value], lanes = setUp();
  const order = [], series = asked.map((_, i) => ({ name: "p" + i, points: [[0, 0]] }));
  const begun = performance.now();
  await Promise.all(asked.map(async ({ init }, i) => {
    const { bar, seen, end } = lanes[i], points = series[i].points;
    try {
      const r = await fetch(`/demo/bulk/${"ABCD"[i]}?mib=${size}`, { ...noStore, ...init });
      if (!r.ok) throw new Error(r.status);
      seen.textContent = "the server saw: " + r.headers.get("x-priority-seen");
      const reader = r.body.getReader();
      for (let got = 0; ;) {
        const { done, value } = await reader.read();
        if (done) break;
        got += value.length;
        bar.value = got;
        points.push([performance.now() - begun, got / mib]);
      }
      order.push("ABCD"[i]);
      end.textContent = `${order.length}. at ${ms(performance.now() - begun)} ms`;
    } catch {
      end.textContent = "failed";
    }
  }));
  const words = `asked for in the order A B C D, complete in the order ${order.join(" ")}`;
  byId("finish").textContent = `Chart: MiB received, by time. ${words[0].toUpperCase()}${words.slice(1)}.`;
  drawBulk(series, size, words);
}

// --- Begin ------------------------------------------------------------------

const buttons = [...document.querySelectorAll("button"), byId("setter")];

// alone runs one thing at a time: they would delay each other.
async function alone(f, ...args) {
  for (const b of buttons) b.disabled = true;
  try {
    await f(...args);
  } finally {
    for (const b of buttons) b.disabled = false;
  }
}

function begin() {
  const grid = byId("grid");
  grid.append(...tiles);
  grid.addEventListener("keydown", walk);
  for (const kind of ["mouseover", "focusin"]) {
    grid.addEventListener(kind, (event) => {
      const n = tiles.indexOf(event.target.closest("a"));
      if (n >= 0) read(n);
    });
  }
  byId("legend").append(...[0, ...bounds].map((b, i) =>
    make("li", i === 0 ? `< ${bounds[0]}` : `≥ ${b}` + (i === bounds.length ? " ms" : ""), { className: "t" + i })));
  byId("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    alone(run, "together");
  });
  byId("bysix").addEventListener("click", () => alone(run, "bysix"));
  byId("bulk").addEventListener("submit", (event) => {
    event.preventDefault();
    alone(race);
  });
  byId("setter").addEventListener("change", setUp);
  setUp();
  alone(async () => {
    await tell();
    await measure();
    await run("together");
    if (location.hash === "#run") { // everything
      await run("bysix");
      await run("together");
      await race();
    }
    document.documentElement.dataset.ready = "yes";
  }).catch(() => {});
}

begin();
