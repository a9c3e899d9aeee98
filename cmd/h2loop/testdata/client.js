// A client of HTTP/1.1 on node's http and https: argument 1 is the server's URL.
const url = process.argv[2];
const lib = require(url.startsWith("https") ? "https" : "http");
const agent = new lib.Agent({ keepAlive: true, maxSockets: 10, rejectUnauthorized: false });

function ask(path, options, body) {
  return new Promise((resolve, reject) => {
    const req = lib.request(url + path, { agent, ...options }, (res) => {
      let length = 0;
      let text = "";
      res.on("data", (d) => {
        length += d.length;
        if (length < 1000) text += d;
      });
      res.on("end", () => resolve({ status: res.statusCode, length, text }));
    });
    req.on("error", reject);
    req.end(body);
  });
}

async function main() {
  const all = await Promise.all(Array.from({ length: 200 }, (_, i) => ask("hello?" + i)));
  if (!all.every((a) => a.status === 200 && a.text === "Hello, World!\n")) throw new Error("hello");
  const big = await ask("bench/10m");
  if (big.length !== 10 << 20) throw new Error("10m: " + big.length);
  const up = await ask("bench/upload", { method: "POST" }, Buffer.alloc(3000000));
  if (up.text !== "3000000") throw new Error("upload: " + up.text);
  agent.destroy();
  console.log("ok");
}

main();
