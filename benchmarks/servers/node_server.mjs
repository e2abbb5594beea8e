// Node's own http server, without a framework: `node node_server.mjs PORT wrk|h2load|idle`.
import http from "node:http";
import http2 from "node:http2";

const [port, tool] = process.argv.slice(2);

function answer(response, type, body) {
  response.writeHead(200, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

const answerText = (response) =>
  answer(response, "text/plain; charset=utf-8", "Hello, World!");

const answerJson = (response, value) =>
  answer(response, "application/json", JSON.stringify(value));

function answerUser(response, url) {
  const id = Number(url.pathname.slice("/users/".length));
  const verbose = ["1", "true"].includes(url.searchParams.get("verbose"));
  answerJson(response, { id, verbose, name: "Ada" });
}

function isItem(item) {
  return (
    typeof item?.name === "string" &&
    typeof item.price === "number" &&
    Array.isArray(item.tags) &&
    item.tags.every((tag) => typeof tag === "string")
  );
}

function answerItem(request, response) {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const item = JSON.parse(Buffer.concat(chunks).toString());
    if (!isItem(item)) return response.writeHead(400).end();
    answerJson(response, { id: 1, name: item.name, price: item.price, tags: item.tags });
  });
}

function handle(request, response) {
  if (request.url === "/") return answerText(response);
  const url = new URL(request.url, "http://localhost");
  if (url.pathname.startsWith("/users/")) return answerUser(response, url);
  if (url.pathname === "/items" && request.method === "POST") return answerItem(request, response);
  response.writeHead(404).end();
}

const server =
  tool === "h2load"
    ? http2.createServer(handle)
    : http.createServer({ keepAliveTimeout: 300_000 }, handle);
server.listen(Number(port), "127.0.0.1");
