/**
 * The shared memory of the demonstration: filled over HTTP before the first update, read back after the last one.
 *
 * Happy path: {@linkcode fillSegment} and {@linkcode hashSegment} give the same SHA-256.
 *
 * Unhappy path: an answer with another status than the right one is an Error with what the service said.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type IncomingMessage, request } from "node:http";

/** The service, for whom writes to it. */
export interface SegmentTarget {
  /** Where it listens. */
  readonly hostname: string;
  /** Where it listens. */
  readonly port: number;
  /** The bearer token. */
  readonly token: string;
  /** The name of the segment. */
  readonly name: string;
}

/** The most that `getRandomValues` gives at once, in bytes. */
const RANDOM_BYTES = 65_536;

/**
 * Creates a segment and fills it with random bytes, in two requests.
 *
 * @param target the service
 * @param size in bytes
 * @returns the SHA-256 of the content in hexadecimal
 */
export async function fillSegment(target: SegmentTarget, size: number): Promise<string> {
  const content = new Uint8Array(size);
  for (let at = 0; at < size; at += RANDOM_BYTES) {
    crypto.getRandomValues(content.subarray(at, Math.min(size, at + RANDOM_BYTES)));
  }
  await drain(await ask(target, "PUT", `?size=${size}`, 201));
  await drain(await ask(target, "PUT", "/bytes", 200, content));
  return createHash("sha256").update(content).digest("hex");
}

/**
 * Reads a segment, in one request.
 *
 * @param target the service
 * @returns the SHA-256 of the content in hexadecimal
 */
export async function hashSegment(target: SegmentTarget): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of await ask(target, "GET", "/bytes", 200)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/** One request over a connection of its own, which does not outlive it. */
async function ask(
  target: SegmentTarget,
  method: string,
  rest: string,
  status: number,
  body?: Uint8Array,
): Promise<IncomingMessage> {
  const { hostname, port, token, name } = target;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const asked = request({
    hostname,
    port,
    method,
    path: `/v1/segments/${name}${rest}`,
    headers: { authorization: `Bearer ${token}`, "content-length": String(body?.byteLength ?? 0) },
    agent: false,
  }, resolve).on("error", reject);
  asked.end(body);
  const answer = await promise;
  if (answer.statusCode === status) return answer;
  const said = await drain(answer);
  throw new Error(`Cannot ${method} segment "${name}": status ${answer.statusCode}, not ${status}: ${said}`);
}

async function drain(answer: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of answer) text += new TextDecoder().decode(chunk as Uint8Array);
  return text;
}
