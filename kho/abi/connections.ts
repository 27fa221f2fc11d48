/**
 * The wire format of the subtree `connections`: what crosses with a connection beside its descriptor, which says all there
 * is to say of most connections. Only those appear here that have more: bytes that were read and not dealt with, bytes
 * that the kernel has not taken yet, a state of the application's.
 *
 * This is a contract between builds: another version for another meaning.
 *
 * @module
 */
import { encodeCbor } from "../codec.ts";
import { HandoverError } from "../errors.ts";
import { Fields } from "./fields.ts";

/** Name of the subtree. */
export const CONNECTIONS_SUBTREE = "connections";

const CONNECTIONS_VERSION = "connections-v1";

/** What crosses with one connection. */
export interface ConnectionRecord {
  /** Its name in the map of names, such as `feed#3`. */
  name: string;
  /** What was read from the kernel and not dealt with: to be read again, before anything else. */
  input: Uint8Array;
  /** What the kernel has not taken yet: to be written before anything else. */
  output: Uint8Array;
  /** Where its protocol stands, in words of that protocol; empty where there is nothing to say. */
  stage: string;
  /** The version of the state. */
  version: number;
  /** The application's state of this connection, encoded; null for none. */
  state: Uint8Array | null;
}

/** Encodes the subtree. */
export function encodeConnections(connections: readonly ConnectionRecord[]): Uint8Array {
  return encodeCbor({
    compatible: CONNECTIONS_VERSION,
    connections: connections.map((record) => ({ ...record })),
  });
}

/**
 * Decodes the subtree.
 *
 * @throws {HandoverError} `UNKNOWN_VERSION`, or `CORRUPT` with the place
 */
export function decodeConnections(bytes: Uint8Array): ConnectionRecord[] {
  const fields = Fields.decode(bytes, "connections");
  const version = fields.text("compatible", 1, 63);
  if (version !== CONNECTIONS_VERSION) {
    throw new HandoverError(
      "UNKNOWN_VERSION",
      `Cannot read the connections of the handover: they are in "${version}", this build reads "${CONNECTIONS_VERSION}"`,
    );
  }
  const connections = fields.list("connections", (value, place) => {
    if (isRecord(value)) return value;
    // Something is wrong with it, or it is longer than usual.
    const entry = new Fields(value, place);
    const record = {
      name: entry.text("name", 1, 128),
      input: entry.bytes("input"),
      output: entry.bytes("output"),
      stage: entry.text("stage", 0, 256),
      version: entry.int("version", 0x7fffffff),
      state: entry.value("state") === null ? null : entry.bytes("state"),
    };
    entry.end();
    return record;
  });
  fields.end();
  return connections;
}

/** There are thousands of them, and nearly all are right: member by member each would take several times as long. */
function isRecord(value: unknown): value is ConnectionRecord {
  if (typeof value !== "object" || value === null) return false;
  const { name, input, output, stage, version, state } = value as Record<string, unknown>;
  return Object.keys(value).length === 6 &&
    // One unit of a text is up to three bytes.
    typeof name === "string" && name.length > 0 && name.length * 3 <= 128 &&
    typeof stage === "string" && stage.length * 3 <= 256 &&
    typeof version === "number" && version >= 0 && version <= 0x7fffffff &&
    input instanceof Uint8Array && output instanceof Uint8Array &&
    (state === null || state instanceof Uint8Array);
}
