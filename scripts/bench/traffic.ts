/**
 * The traffic of `bench_connections.ts`: what is asked for, and what has to come back. Both servers answer the same.
 *
 * @module
 */

/** One kind of request. */
export interface Workload {
  /** Its name, which is its path as well. */
  readonly name: string;
  /** What it is, for people. */
  readonly title: string;
  /** The request, complete. */
  readonly request: string;
  /** The body of every answer. */
  readonly answer: string;
}

/** What a browser says of itself, more or less. */
const HEADERS = {
  "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
  "Accept-Encoding": "gzip, deflate, br, zstd",
  "Accept-Language": "en-GB,en;q=0.5",
  "Cache-Control": "no-cache",
  "Cookie": "session=0123456789abcdef; theme=dark",
  "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
};

/** JSON of 1 KiB. */
const JSON_TEXT = ((): string => {
  const items = Array.from({ length: 24 }, (_, id) => ({ id: id + 100, name: `item ${id + 100}`, ok: true }));
  const text = JSON.stringify({ items, rest: "" });
  return JSON.stringify({ items, rest: ".".repeat(1024 - text.length) });
})();

/** What is answered to `hello`. */
export const HELLO = "Hello, world!\n";

/** What is answered to `page`. */
export const PAGE = "<p>0123456789abcdefghijklmnopqrs</p>\n".repeat(2000).slice(0, 65_536);

/** All kinds, in the order of the report. */
export const WORKLOADS: readonly Workload[] = [
  { name: "hello", title: "hello world", request: request("GET", "/hello", {}), answer: HELLO },
  {
    name: "headers",
    title: "two of its headers",
    request: request("GET", "/headers", HEADERS),
    answer: answerOfHeaders(HEADERS["User-Agent"], HEADERS["Cookie"]),
  },
  {
    name: "echo",
    title: "1 KiB of JSON, parsed and written",
    request: request("POST", "/echo", { "Content-Type": "application/json" }, JSON_TEXT),
    answer: JSON_TEXT,
  },
  { name: "page", title: "64 KiB of text", request: request("GET", "/page", {}), answer: PAGE },
];

/** What is answered to `headers`. */
export function answerOfHeaders(agent: string | null | undefined, cookie: string | null | undefined): string {
  return `${agent}\n${cookie}\n`;
}

function request(method: string, path: string, headers: Record<string, string>, body = ""): string {
  const all: Record<string, string> = { Host: "127.0.0.1", ...headers };
  if (body !== "") all["Content-Length"] = `${body.length}`;
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}
