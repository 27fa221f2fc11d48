import { assertEquals, assertThrows } from "@std/assert";
import { ResponseParser } from "./http_response.ts";

const encoder = new TextEncoder();

/** All answers in `text`, pushed in pieces of `size` bytes: status, a header field, body. */
function parse(text: string, size = text.length, closed = false): [number, string | null, string][] {
  const parser = new ResponseParser();
  const bytes = encoder.encode(text);
  const found: [number, string | null, string][] = [];
  for (let at = 0; at < bytes.length; at += size) {
    parser.push(bytes.subarray(at, at + size));
    collect();
  }
  if (closed) parser.end();
  collect();
  return found;

  function collect(): void {
    for (let answer = parser.next(); answer !== undefined; answer = parser.next()) {
      found.push([answer.status, answer.headers.get("x"), new TextDecoder().decode(answer.body)]);
    }
  }
}

const FIXED = "HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED = "HTTP/1.1 201 Created\r\nTransfer-Encoding: Chunked\r\n\r\n" +
  "3;name=value\r\nabc\r\nA \r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
const EMPTY = "HTTP/1.1 204 No Content\r\nx: b\r\n\r\n";

Deno.test("ResponseParser reads answers whatever pieces they come in", () => {
  const text = FIXED + CHUNKED + EMPTY + FIXED;
  const expected = [[200, "a", "hello"], [201, null, "abc0123456789"], [204, "b", ""], [200, "a", "hello"]];
  for (let size = 1; size <= text.length; size++) assertEquals(parse(text, size), expected);
});

Deno.test("ResponseParser skips interim answers", () => {
  assertEquals(parse("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + FIXED), [
    [200, "a", "hello"],
  ]);
});

Deno.test("ResponseParser takes no body for 304 whatever its length says", () => {
  assertEquals(parse("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n" + EMPTY), [[304, null, ""], [
    204,
    "b",
    "",
  ]]);
});

Deno.test("ResponseParser reads a body without a length until the connection closes", () => {
  const text = "HTTP/1.0 200 OK\r\n\r\nall\r\nof it";
  assertEquals(parse(text, 4), []);
  assertEquals(parse(text, 4, true), [[200, null, "all\r\nof it"]]);
});

Deno.test("ResponseParser does not take an answer that was cut off for one", () => {
  for (const text of [FIXED, CHUNKED, EMPTY]) {
    for (let end = 1; end < text.length; end++) assertEquals(parse(text.slice(0, end), end, true), []);
  }
});

Deno.test("ResponseParser tells whether it stands in the middle of an answer", () => {
  const parser = new ResponseParser();
  assertEquals(parser.partial, false);
  parser.push(encoder.encode(FIXED.slice(0, 3)));
  assertEquals(parser.partial, true);
  parser.push(encoder.encode(FIXED.slice(3, -1)));
  assertEquals(parser.partial, true);
  parser.push(encoder.encode(FIXED.slice(-1)));
  assertEquals(parser.partial, false);
});

Deno.test("ResponseParser keeps no reference to the bytes that it was given", () => {
  const parser = new ResponseParser();
  const bytes = encoder.encode(FIXED);
  parser.push(bytes.subarray(0, bytes.length - 1));
  const last = bytes.slice(-1);
  bytes.fill(0);
  parser.push(last);
  assertEquals(new TextDecoder().decode(parser.next()?.body), "hello");
});

const MALFORMED: Record<string, string> = {
  "another protocol": "SSH-2.0-OpenSSH\r\n",
  "no status": "HTTP/1.1 OK\r\n\r\n",
  "a header field without a colon": "HTTP/1.1 200 OK\r\nbad\r\n\r\n",
  "a header field without a name": "HTTP/1.1 200 OK\r\n: bad\r\n\r\n",
  "a header field with a space in its name": "HTTP/1.1 200 OK\r\nb d: x\r\n\r\n",
  "a length that is no number": "HTTP/1.1 200 OK\r\ncontent-length: 5x\r\n\r\n",
  "two different lengths": "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
  "a length beyond all bounds": "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
  "an unknown coding": "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
  "a bad chunk size": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
  "a chunk longer than it says": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
  "a head without an end": "HTTP/1.1 200 OK\r\nx: " + "y".repeat(70_000),
  "a trailer without an end": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" +
    "y".repeat(70_000),
};

for (const [what, text] of Object.entries(MALFORMED)) {
  Deno.test(`ResponseParser rejects ${what}`, () => {
    assertThrows(() => parse(text), SyntaxError, "Cannot read the answer");
  });
}
