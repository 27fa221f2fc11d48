/**
 * The wire format of the subtree `luo`, version `luo-v1`: sessions with their files, and FLBs.
 *
 * This is a contract between builds: another version string for another meaning.
 *
 * @module
 */
import { type CborValue, encodeCbor } from "../codec.ts";
import { HandoverError } from "../errors.ts";
import { Fields, type Place } from "./fields.ts";

/** The version of this subtree. */
export const LUO_VERSION = "luo-v1";

/** Longest session name, in bytes of UTF-8. The shortest has one byte. */
export const MAX_NAME_BYTES = 63;

/** Longest `compatible` string of a handler or an FLB, in bytes. The shortest has one byte. */
export const MAX_COMPATIBLE_BYTES = 47;

/** A preserved file. */
export interface FileRecord {
  /** The handler that wrote it, by its exact string. */
  compatible: string;
  /** What the handler keeps: an opaque number of its own, often the handle of a blob. */
  data: bigint;
  /** The token under which it is taken back. */
  token: bigint;
}

/** A session with its files, in the order of preservation. */
export interface SessionRecord {
  /** The files. */
  files: FileRecord[];
  /** The name, unique among the sessions of one update. */
  name: string;
}

/** A piece of state that files share. */
export interface FlbRecord {
  /** The FLB that wrote it. */
  compatible: string;
  /** How many files depend on it. */
  count: bigint;
  /** What it keeps. */
  data: bigint;
}

/** The whole subtree. */
export interface LuoRecord {
  /** State that files share. */
  flbs: FlbRecord[];
  /** The liveupdate number that the new build will have. */
  number: bigint;
  /** The sessions, in the order of their creation. */
  sessions: SessionRecord[];
}

/** Encodes the subtree. */
export function encodeLuo(record: LuoRecord): Uint8Array {
  // The records are written as they are: a copy of each file would be a tenth of what a file costs.
  const { flbs, number, sessions } = record;
  return encodeCbor({ compatible: LUO_VERSION, flbs, number, sessions } as unknown as CborValue);
}

/**
 * Decodes the subtree.
 *
 * @throws {HandoverError} `UNKNOWN_VERSION` for another version, `CORRUPT` with the place otherwise
 */
export function decodeLuo(bytes: Uint8Array): LuoRecord {
  const fields = Fields.decode(bytes, "luo");
  const version = fields.text("compatible", 1, MAX_COMPATIBLE_BYTES);
  if (version !== LUO_VERSION) {
    throw new HandoverError(
      "UNKNOWN_VERSION",
      `Cannot read the sessions of the handover: they are in "${version}", this build reads "${LUO_VERSION}"`,
    );
  }
  const record = {
    flbs: fields.list("flbs", parseFlb),
    number: fields.u64("number"),
    sessions: fields.list("sessions", parseSession),
  };
  fields.end();
  return record;
}

function parseSession(value: CborValue, place: Place): SessionRecord {
  const fields = new Fields(value, place);
  const record = { files: fields.list("files", parseFile), name: fields.text("name", 1, MAX_NAME_BYTES) };
  fields.end();
  return record;
}

function parseFile(value: CborValue, place: Place): FileRecord {
  const fields = new Fields(value, place);
  const record = {
    compatible: fields.text("compatible", 1, MAX_COMPATIBLE_BYTES),
    data: fields.u64("data"),
    token: fields.u64("token"),
  };
  fields.end();
  return record;
}

function parseFlb(value: CborValue, place: Place): FlbRecord {
  const fields = new Fields(value, place);
  const record = {
    compatible: fields.text("compatible", 1, MAX_COMPATIBLE_BYTES),
    count: fields.u64("count"),
    data: fields.u64("data"),
  };
  fields.end();
  return record;
}
