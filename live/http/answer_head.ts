/**
 * The head of an answer: status line, headers and how the body is framed, exactly as the runtime writes it, but without
 * looking at each header one by one.
 *
 * Happy path: {@linkcode fieldLines} and {@linkcode statusLine}; the lines behind them are `standingLines` of the runtime.
 *
 * Unhappy path: a header that changes how the connection goes on, one that is given twice, or a value that must not be
 * sent: null, and the runtime has to write the head, or to refuse it.
 *
 * @module
 */
import { STATUS_CODES } from "node:http";

/** Headers of which the runtime draws conclusions. */
const SPECIAL = new Set([
  "connection",
  "content-length",
  "date",
  "expect",
  "keep-alive",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What must not be sent in a value. */
const INVALID = /[^\t\x20-\x7e\x80-\xff]/;

const statusLines: string[] = [];

/** The lines of answers that have a content type and nothing else. */
const typeLines = new Map<string, string>();

/** How many types are remembered; nearly all applications have a handful. */
const MOST_TYPES = 64;

/**
 * The first line.
 *
 * @param status a final status
 * @returns the line with its end
 */
export function statusLine(status: number): string {
  return statusLines[status] ??= `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
}

/**
 * The lines of the headers, in the order in which the web's `Headers` give them.
 *
 * @param headers pairs of name and value
 * @param type the content type, if it is not among them
 * @returns the lines with their ends, or null
 */
export function fieldLines(
  headers: readonly (readonly [string, string])[],
  type: string | null,
): string | null {
  if (headers.length === 0) return type === null ? "" : typeLine(type);
  if (headers.length === 1 && type === null) {
    const [name, value] = headers[0]!;
    if (name === "Content-Type" || name === "content-type") return typeLine(value);
  }
  const fields = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  if (type !== null) fields.push(["content-type", type]);
  fields.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  let lines = "";
  let before = "";
  for (const [name, value] of fields) {
    if (SPECIAL.has(name) || INVALID.test(value)) return null;
    if (name === before && name !== "set-cookie") return null;
    before = name;
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

function typeLine(type: string): string | null {
  const known = typeLines.get(type);
  if (known !== undefined) return known;
  if (INVALID.test(type)) return null;
  if (typeLines.size >= MOST_TYPES) typeLines.clear();
  const line = `content-type: ${type}\r\n`;
  typeLines.set(type, line);
  return line;
}
