// A relay in JavaScript that tells its client of every break: what the rules for relays are shown on.
import http from "node:http";
import { pipeline } from "node:stream";
import compression from "compression";

const relay = (request, response) => {
  const { method, headers } = request;
  const asked = http.request("http://127.0.0.1:8100", { path: request.url, method, headers });
  asked.on("response", (reply) => {
    response.writeHead(reply.statusCode, reply.headers);
    pipeline(reply, response, () => {});
  });
  pipeline(request, asked, (problem) => problem && response.destroy());
  response.on("close", () => asked.destroy());
};

const compress = compression({
  filter: (req, res) => !/event-stream/.test(res.getHeader("content-type") ?? "") && compression.filter(req, res),
});

http.createServer((request, response) => compress(request, response, () => relay(request, response)))
  .listen(8080, "127.0.0.1");
