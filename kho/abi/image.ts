/**
 * The wire format of an image: a build as it can be started again.
 *
 * @module
 */
import type { CborValue } from "../codec.ts";
import { HandoverError } from "../errors.ts";
import { Fields, type Place, textOf } from "./fields.ts";

/** A pair of soft and hard limit of setrlimit(2). */
export interface LimitRecord {
  /** Name of the limit, as in `RLIMIT_NOFILE`, in lower case. */
  name: string;
  /** The limit that is enforced. */
  soft: bigint;
  /** The ceiling of the soft limit. */
  hard: bigint;
}

/** The names by which a build was asked for, before symlinks were followed; resolved anew by the next update. */
export interface NamesRecord {
  /** The entry module, or null where it is the resolved one. */
  entry: string | null;
  /** The runtime. */
  exec: string | null;
}

/** A build: runtime, entry module, arguments, and the surroundings of its process. */
export interface ImageRecord {
  /** The whole argument list, resolved. */
  argv: string[];
  /** Configuration file, or null. */
  config: string | null;
  /** Working directory of the start. */
  cwd: string;
  /** `DENO_DIR`, or null for the default. */
  deno_dir: string | null;
  /** Real path of the entry module. */
  entry: string;
  /** Initial environment: raw `NAME=value` entries, which need not be UTF-8. */
  env: Uint8Array[];
  /** Real path of the runtime. */
  exec: string;
  /** Fingerprint of the local module graph: lower-case hexadecimal, or null where it is not known. */
  fingerprint: string | null;
  /** Resource limits of the cold start. */
  limits: LimitRecord[];
  /** The names that the next update resolves anew. */
  names: NamesRecord;
  /** Signal mask of the cold start, in hexadecimal, lowest signal in the last digit. */
  sigmask: string;
  /** File mode creation mask. */
  umask: number;
  /** Version of the nearest `deno.json`, or null. */
  version: string | null;
}

/** The image as a document. */
export function encodeImage(image: ImageRecord): CborValue {
  return {
    ...image,
    limits: image.limits.map((limit) => ({ ...limit })),
    names: { ...image.names },
  };
}

/**
 * Reads an image.
 *
 * @throws {HandoverError} `CORRUPT` with the place
 */
export function parseImage(fields: Fields): ImageRecord {
  const names = fields.map("names");
  const image: ImageRecord = {
    argv: fields.texts("argv"),
    config: fields.textOrNull("config"),
    cwd: fields.text("cwd", 1),
    deno_dir: fields.textOrNull("deno_dir"),
    entry: fields.text("entry", 1),
    env: fields.list("env", parseEntry),
    exec: fields.text("exec", 1),
    fingerprint: fields.textOrNull("fingerprint"),
    limits: fields.list("limits", parseLimit),
    names: { entry: names.textOrNull("entry"), exec: names.textOrNull("exec") },
    sigmask: fields.text("sigmask", 0, 256),
    umask: fields.int("umask", 0o777),
    version: fields.textOrNull("version"),
  };
  names.end();
  fields.end();
  return image;
}

function parseEntry(value: CborValue, place: Place): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new HandoverError("CORRUPT", `Cannot read ${textOf(place)} of the handover: it is no byte string`);
}

function parseLimit(value: CborValue, place: Place): LimitRecord {
  const fields = new Fields(value, place);
  const limit = { name: fields.text("name", 1, 32), soft: fields.u64("soft"), hard: fields.u64("hard") };
  fields.end();
  return limit;
}
