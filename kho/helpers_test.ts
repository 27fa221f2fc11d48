/**
 * What the tests of this folder and of those above share: ways to damage a document, and to say what must come of it. It
 * has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";

import type { CborValue } from "./codec.ts";
import { HandoverError, type HandoverErrorCode } from "./errors.ts";

export { makeIncoming, MAX_U64, ownMetadata, sampleImage, sampleSegment } from "./samples_test.ts";

/** Asserts that `body` throws an error of a handover with this code, whose message contains `text`. */
export function assertHandoverError(body: () => unknown, code: HandoverErrorCode, text = ""): void {
  const error = assertThrows(body, HandoverError, text);
  assertEquals(error.code, code, error.message);
}

/** A step into a document. */
type Step = string | number;

/** A member of a document. */
export interface Member {
  path: Step[];
  place: string;
  value: CborValue;
}

/** Every map, array and leaf of a document below its root, with the place that an error has to name. */
export function* members(value: CborValue, root: string, path: Step[] = []): Iterable<Member> {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  for (const key of Object.keys(value)) {
    const step = Array.isArray(value) ? Number(key) : key;
    const place = typeof step === "number" ? `${root}[${step}]` : `${root}.${step}`;
    const child = (value as { [key: string]: CborValue })[key] as CborValue;
    yield { path: [...path, step], place, value: child };
    yield* members(child, place, [...path, step]);
  }
}

/** A copy of a document with one member replaced, or left out where there is no value. */
export function withMember(document: CborValue, path: Step[], value?: CborValue): CborValue {
  const copy = structuredClone(document);
  const last = path.at(-1) as Step;
  const parent = path.slice(0, -1).reduce(
    (at, step) => (at as { [key: string]: CborValue })[step] as CborValue,
    copy,
  );
  if (value === undefined) delete (parent as { [key: string]: CborValue })[last];
  else (parent as { [key: string]: CborValue })[last] = value;
  return copy;
}

/** Is this a map, as opposed to an array, bytes, or a leaf? */
export function isMap(value: CborValue | undefined): value is { [key: string]: CborValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array);
}

/**
 * Asserts that a reader refuses a document in which any one member is missing, of a type that no member has, or unknown,
 * and that it names the place each time.
 */
export function assertStrict(
  document: CborValue,
  root: string,
  read: (document: CborValue) => unknown,
  optional: string[] = [],
): void {
  read(document);
  for (const { path, place, value } of members(document, root)) {
    assertHandoverError(() => read(withMember(document, path, true)), "CORRUPT", `${place} of the handover`);
    if (typeof path.at(-1) === "string" && !optional.includes(place)) {
      const missing = () => read(withMember(document, path));
      assertHandoverError(missing, "CORRUPT", `${place} of the handover: it is missing`);
    }
    if (isMap(value)) {
      const unknown = () => read(withMember(document, [...path, "zz"], 1));
      assertHandoverError(unknown, "CORRUPT", `${place}.zz of the handover: this version does not know it`);
    }
  }
  const unknown = () => read(withMember(document, ["zz"], 1));
  assertHandoverError(unknown, "CORRUPT", `${root}.zz of the handover: this version does not know it`);
  for (const other of [null, 1, "text", [], new Uint8Array(1)]) {
    assertHandoverError(() => read(other), "CORRUPT", `${root} of the handover: it is no map`);
  }
}
