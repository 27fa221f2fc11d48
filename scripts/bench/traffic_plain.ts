/**
 * The traffic of `bench_connections.ts`, answered by plain `node:http`, as one writes it without anything else: not even
 * the type of a text is said.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

import { answerOfHeaders, HELLO, PAGE } from "./traffic.ts";

createServer((req, res) => {
  switch (req.url) {
    case "/hello":
      return void res.end(HELLO);
    case "/headers":
      return void res.end(answerOfHeaders(req.headers["user-agent"], req.headers.cookie));
    case "/echo":
      return echo(req, res);
    case "/page":
      return void res.end(PAGE);
    default:
      res.writeHead(404).end("Not Found");
  }
}).listen(Number(Deno.args[0]), "127.0.0.1");

function echo(req: IncomingMessage, res: ServerResponse): void {
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString());
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify(value));
  });
}
