/**
 * The shapes of traffic: what a client sends before an update, while connections stand still for it, and after it; and which
 * build has to answer what.
 *
 * @module
 */

/** One conversation across an update from build `o` (old) to build `n` (new). */
export interface Shape {
  /** What it is about. */
  readonly name: string;
  /** Sent, and read by the old build, before the update. */
  readonly before: string;
  /** Sent while the connections stand still. */
  readonly still?: string;
  /** Sent after the commit. */
  readonly after?: string;
  /** Who answers, in order; `?` where it may be either. */
  readonly by: string;
  /** What is answered in the same way: the runtime throws away what comes in one piece with a request to upgrade. */
  readonly like?: string;
  /** Does the server end the connection? */
  readonly ends?: boolean;
  /** Does the client read nothing before the update? */
  readonly slow?: boolean;
}

const HOST = "host: example.org\r\n";
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;
const HEAD = `HEAD / HTTP/1.1\r\n${HOST}\r\n`;
const UPLOAD = `POST /echo HTTP/1.1\r\n${HOST}content-length: 10\r\n\r\n`;
const CHUNKED = `POST /echo HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n`;
const EXPECTING = `POST /echo HTTP/1.1\r\n${HOST}content-length: 10\r\nexpect: 100-continue\r\n\r\n`;
const UPGRADE = `GET / HTTP/1.1\r\n${HOST}connection: upgrade\r\nupgrade: chat/7\r\n\r\n`;
const LONG = `GET / HTTP/1.1\r\n${HOST}x-long: ${"long ".repeat(2400)}\r\n\r\n`;
const CLOSE = `GET / HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`;
const OLD = "GET / HTTP/1.0\r\n\r\n";
const OLD_KEPT = "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";

/** Those that need nothing but what is sent. */
export const SHAPES: readonly Shape[] = [
  { name: "silent since it was accepted", before: "", still: GET, by: "n" },
  { name: "silent until after the update", before: "", after: GET, by: "n" },
  { name: "keep-alive", before: GET, still: GET, after: GET, by: "onn" },
  { name: "pipelined, all before", before: GET + GET + GET, after: GET, by: "ooon" },
  { name: "pipelined, all at the wrong time", before: GET, still: GET + HEAD + GET, by: "onnn" },
  {
    name: "pipelined, the last one in part",
    before: `${GET}${GET}GET / HT`,
    still: `TP/1.1\r\n${HOST}\r\n`,
    by: "oon",
  },
  {
    name: "pipelined, the last one in part until after the update",
    before: `${GET}${GET}G`,
    after: `${GET.slice(1)}${GET}`,
    by: "oonn",
  },
  { name: "an upload in two pieces", before: `${UPLOAD}01234`, still: "56789", after: GET, by: "on" },
  { name: "an upload whose body is late", before: UPLOAD, still: "0123456789", after: GET, by: "on" },
  {
    name: "an upload, more behind its end",
    before: `${UPLOAD}01234`,
    still: `56789${GET}${GET}`,
    after: GET,
    by: "ooon",
  },
  {
    name: "an upload from within its head on",
    before: UPLOAD.slice(0, 30),
    still: `${UPLOAD.slice(30)}01234`,
    after: "56789",
    by: "n",
  },
  { name: "an upload, all at the wrong time", before: GET, still: `${UPLOAD}0123456789${GET}`, by: "onn" },
  {
    name: "a chunked upload",
    before: `${CHUNKED}4\r\n0123\r\n6`,
    still: "\r\n456789\r\n0\r\n\r\n",
    after: `${CHUNKED}1\r\nx\r\n0\r\n\r\n`,
    by: "on",
  },
  {
    name: "a chunked upload with a trailer",
    before: `${CHUNKED}4\r\n01`,
    still: "23\r\n0\r\nx-check: 7\r\n\r\n",
    after: GET,
    by: "on",
  },
  { name: "100-continue, waiting for it", before: EXPECTING, still: "0123456789", after: GET, by: "on" },
  {
    name: "100-continue, asked at the wrong time",
    before: GET,
    still: EXPECTING,
    after: "0123456789",
    by: "on",
  },
  {
    name: "100-continue, half asked",
    before: EXPECTING.slice(0, -8),
    still: EXPECTING.slice(-8),
    after: "0123456789",
    by: "n",
  },
  { name: "HTTP/1.0", before: OLD.slice(0, 9), still: OLD.slice(9), by: "n", ends: true },
  { name: "HTTP/1.0, all at the wrong time", before: "", still: OLD, by: "n", ends: true },
  { name: "HTTP/1.0 with keep-alive", before: OLD_KEPT, still: OLD_KEPT, after: OLD_KEPT, by: "onn" },
  {
    name: "connection: close, half asked",
    before: CLOSE.slice(0, 50),
    still: CLOSE.slice(50),
    by: "n",
    ends: true,
  },
  { name: "connection: close, after others", before: GET, still: CLOSE, by: "on", ends: true },
  { name: "connection: close, after the update", before: GET, after: CLOSE, by: "on", ends: true },
  { name: "HEAD", before: HEAD, still: HEAD, after: HEAD, by: "onn" },
  {
    name: "answers without a body",
    before: `GET /204 HTTP/1.1\r\n${HOST}\r\nGET /304 HTTP/1.1\r\n${HOST}\r\n`,
    still: `GET /304 HTTP/1.1\r\n${HOST}\r\nHEAD /204 HTTP/1.1\r\n${HOST}\r\n`,
    after: `GET /204 HTTP/1.1\r\n${HOST}\r\n`,
    by: "oonnn",
  },
  {
    name: "an upgrade that nobody handles",
    before: UPGRADE,
    still: UPGRADE,
    by: "on",
    like: GET + GET,
  },
  {
    name: "an upgrade that nobody handles, half asked",
    before: UPGRADE.slice(0, 60),
    still: UPGRADE.slice(60),
    by: "n",
    like: GET,
  },
  { name: "an empty line before a request", before: "\r\n", still: `GET / HTTP/1.1\r\n${HOST}\r\n`, by: "n" },
  {
    name: "a head in four pieces",
    before: LONG.slice(0, 3),
    still: LONG.slice(3, 4000),
    after: LONG.slice(4000),
    by: "n",
  },
  {
    name: "a long head in two pieces",
    before: LONG.slice(0, 9000),
    still: LONG.slice(9000),
    after: GET,
    by: "nn",
  },
  {
    name: "answered before its body has come",
    before: `POST /early HTTP/1.1\r\n${HOST}content-length: 10\r\n\r\n01`,
    still: "23456789",
    after: GET,
    by: "on",
  },
  {
    name: "GET with a body",
    before: `GET / HTTP/1.1\r\n${HOST}content-length: 4\r\n\r\nbo`,
    still: "dy",
    after: GET,
    by: "on",
  },
  { name: "no HTTP at all", before: "", still: "HELLO\r\n\r\n", by: "", ends: true },
  {
    name: "a slow download in HTTP/1.0, which ends with the connection",
    before: "GET /big HTTP/1.0\r\n\r\n",
    by: "o",
    ends: true,
    slow: true,
  },
  { name: "a slow download", before: `GET /big HTTP/1.1\r\n${HOST}\r\n`, after: GET, by: "on", slow: true },
];

/** Those whose answers wait for a file, which is there from the standstill on. */
export function gatedShapes(file: string): readonly Shape[] {
  const ask = (path: string, version = "1.1"): string =>
    `GET ${path}?file=${encodeURIComponent(file)} HTTP/${version}\r\n${HOST}\r\n`;
  return [
    { name: "an answer that takes its time", before: ask("/gated"), after: GET, by: "on" },
    { name: "an answer of which a half has come", before: ask("/halves"), still: GET, by: "o?" },
    {
      name: "requests behind one that takes its time",
      before: ask("/gated") + GET + GET,
      after: GET,
      by: "ooon",
    },
    { name: "a half answer in HTTP/1.0", before: ask("/halves", "1.0"), by: "o", ends: true },
  ];
}
