/**
 * The CBOR profile of every record that crosses an update, beside `cborg`.
 *
 * One data item in the deterministic form of RFC 8949 section 4.2.1: maps with text keys, arrays, integers, bytes,
 * text, booleans, null. No tags, no floats, no indefinite lengths, so that any CBOR reader can print it. The names are
 * those of `@std/cbor`, so that the import can be switched here and nowhere else.
 *
 * Happy path: {@linkcode encodeCbor} checks the value against the profile and the limits and encodes it;
 * {@linkcode decodeCbor} checks size, nesting and the deterministic form on the raw bytes, so that two different byte
 * strings never mean the same document. What has passed is written and read by code of our own (docs/adr/0018, 0019); but a
 * document with floats is written by `cborg`, and decoded strictly, encoded again and compared: only the package knows which
 * form of a float is the shortest.
 *
 * Unhappy paths: a value outside the profile is a `TypeError` that names its place; a limit is a `RangeError`; bytes
 * that are not such a document are a `SyntaxError`. The input is never read past its end and never makes the decoder
 * reserve more than it holds.
 *
 * Why the specifier stands inline: a process has one import map, and under `run` it is the app's (docs/adr/0005).
 *
 * @module
 */
import { decode, encode } from "npm:cborg@6.1.5";

import { readCbor } from "./cbor_read.ts";
import { scanCbor } from "./cbor_scan.ts";
import { writeCbor } from "./cbor_write.ts";

/** What the profile can express. Integers above 2^53 are `bigint`; readers normalise with `BigInt(value)`. */
export type CborValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | CborValue[]
  | { [key: string]: CborValue };

/** Largest document, in bytes: the limit of a handover segment. */
export const MAX_CBOR_BYTES = 256 * 1024 * 1024;

/** What may differ from the profile of the segment. */
export interface CborOptions {
  /** Allow finite floating-point numbers. Only for what an application saves, never for our own records. */
  floats?: boolean;
}

const STRICT = {
  strict: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowNaN: false,
  allowInfinity: false,
};

/**
 * Encodes a value in the deterministic form of the profile.
 *
 * @param value the document
 * @param options whether floats are allowed
 * @returns the encoded bytes
 * @throws {TypeError} a value that the profile cannot express, with its place in the document
 * @throws {RangeError} an integer outside 64 bits, nesting deeper than {@linkcode MAX_DEPTH}, or more than
 * {@linkcode MAX_CBOR_BYTES}
 */
export function encodeCbor(value: CborValue, options: CborOptions = {}): Uint8Array {
  // cborg gives a Buffer at times: a view of memory that others share, of which a slice is no copy.
  const bytes = writeCbor(value, options.floats ?? false) ?? new Uint8Array(encode(value));
  if (bytes.byteLength > MAX_CBOR_BYTES) {
    throw new RangeError(
      `Cannot encode the document: ${bytes.byteLength} bytes are more than the limit of ${MAX_CBOR_BYTES}`,
    );
  }
  return bytes;
}

/**
 * Decodes one document and refuses everything that is not in the deterministic form.
 *
 * @param bytes exactly one encoded item
 * @param options whether floats are allowed
 * @returns the document; bytes in it are copies, so the source may be unmapped
 * @throws {SyntaxError} bytes that are no such document: truncated, trailing bytes, not deterministic, a tag, a float
 * @throws {RangeError} more than {@linkcode MAX_CBOR_BYTES} or nesting deeper than {@linkcode MAX_DEPTH}
 */
export function decodeCbor(bytes: Uint8Array, options: CborOptions = {}): CborValue {
  if (bytes.byteLength > MAX_CBOR_BYTES) {
    throw new RangeError(
      `Cannot decode the document: ${bytes.byteLength} bytes are more than the limit of ${MAX_CBOR_BYTES}`,
    );
  }
  // Most documents have none, also where they may.
  if (!scanCbor(bytes, options.floats ?? false)) return readCbor(bytes);
  let value: CborValue;
  try {
    value = decode(bytes, STRICT) as CborValue;
  } catch (error) {
    throw new SyntaxError(`Cannot decode the document: ${reasonOf(error)}`, { cause: error });
  }
  if (!sameBytes(encode(value), bytes)) {
    throw new SyntaxError("Cannot decode the document: it is not in deterministic form");
  }
  return value;
}

/** Are two byte strings equal? */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  for (let i = 0; i < a.byteLength; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
