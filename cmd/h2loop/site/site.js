"use strict";

const byId = (id) => document.getElementById(id);

function make(tag, text, props) {
  const e = Object.assign(document.createElement(tag), props);
  e.textContent = text;
  return e;
}

// What the server knows about this connection, and what else it serves.
async function tell() {
  const c = await (await fetch("/connection", { cache: "no-store" })).json();
  const seen = performance.getEntriesByType("navigation")[0]?.nextHopProtocol;
  const facts = [
    ["Protocol", c.protocol + (seen ? ` (the browser says ${seen})` : "")],
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
    row.append(make("dt", name), make("dd", value));
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
}

// A hundred requests at once; each lights its cell when it is answered.
async function race() {
  const button = byId("go");
  const outcome = byId("outcome");
  button.disabled = true;
  outcome.value = "";
  for (const cell of cells) cell.className = "";
  const begun = performance.now();
  const answers = await Promise.all(cells.map(async (cell, n) => {
    try {
      const r = await fetch("/hello?" + n, { cache: "no-store" });
      await r.text();
      cell.className = r.ok ? "done" : "bad";
      return r.ok;
    } catch {
      cell.className = "bad";
      return false;
    }
  }));
  const took = performance.now() - begun;
  const good = answers.filter(Boolean).length;
  outcome.value = `${good} answered in ${took.toFixed(0)} ms`;
  button.disabled = false;
}

const cells = Array.from({ length: 100 }, () => document.createElement("i"));
byId("grid").append(...cells);
byId("go").addEventListener("click", race);
tell().catch(() => {});
