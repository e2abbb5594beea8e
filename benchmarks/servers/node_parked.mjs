// Node's own http server with requests that wait: `node node_parked.mjs PORT`.
import http from "node:http";

const parked = [];

function answer(response, text) {
  response.writeHead(200, {
    "content-type": "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

function handle(request, response) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/parked-awaited") return parked.push(response);
  if (url.pathname === "/wake") {
    const woken = parked.splice(0, Number(url.searchParams.get("count")));
    for (const each of woken) answer(each, "woken");
  }
  answer(response, String(parked.length));
}

http
  .createServer({ keepAliveTimeout: 300_000, requestTimeout: 0 }, handle)
  .listen(Number(process.argv[2]), "127.0.0.1");
