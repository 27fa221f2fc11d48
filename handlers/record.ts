/**
 * The blob in which a handler describes one file: `[version, { … }]` in CBOR.
 *
 * A handler's blob starts with its own version and may hold optional keys that a reader does not know: the envelope is
 * strict, a handler's keys are not.
 *
 * @module
 */
import { decodeDocument, Fields } from "../kho/abi/fields.ts";
import { type CborValue, encodeCbor } from "../kho/codec.ts";
import { HandoverError } from "../kho/errors.ts";

/** Encodes a handler's record. */
export function encodeRecord(version: number, members: { [key: string]: CborValue }): Uint8Array {
  return encodeCbor([version, members]);
}

/**
 * The version of a handler's record, whether it can be read or not.
 *
 * @param bytes the blob
 * @param handler name of the handler, for messages
 * @throws {HandoverError} `CORRUPT` when it is no such record
 */
export function recordVersion(bytes: Uint8Array, handler: string): number {
  return open(bytes, handler).version;
}

/**
 * Decodes a handler's record.
 *
 * @param bytes the blob
 * @param handler name of the handler, for messages
 * @param newest the newest version that the handler reads; it reads all from 1 up to it
 * @returns the members, of which any number may be read
 * @throws {HandoverError} `UNKNOWN_VERSION` beyond that range, `CORRUPT` when it is no such record
 */
export function decodeRecord(bytes: Uint8Array, handler: string, newest: number): Fields {
  const { version, members } = open(bytes, handler);
  if (version < 1 || version > newest) {
    throw new HandoverError(
      "UNKNOWN_VERSION",
      `Cannot read a record of ${handler}: it has version ${version}, this build reads 1 to ${newest}`,
    );
  }
  return new Fields(members, handler);
}

function open(bytes: Uint8Array, handler: string): { version: number; members: CborValue } {
  const value = decodeDocument(bytes, handler);
  const [version, members] = Array.isArray(value) ? value : [];
  if (typeof version !== "number" || (value as unknown[]).length !== 2) {
    throw new HandoverError(
      "CORRUPT",
      `Cannot read a record of ${handler}: it is no pair of version and members`,
    );
  }
  return { version, members: members ?? null };
}
