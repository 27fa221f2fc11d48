/**
 * The wire formats of what `live` hands over: the map from names to tokens (the content of token 0 of the session
 * `heirloom`), the saved states (subtree `live`), and the history with the update that is under way (subtree `history`).
 *
 * This is a contract between builds: another version for another meaning. Update records travel as JSON text, as they
 * are shown, so that a build keeps records with members that it does not know.
 *
 * @module
 */
import { type CborValue, encodeCbor } from "../codec.ts";
import { HandoverError } from "../errors.ts";
import { Fields } from "./fields.ts";

/** Name of the subtree with the saved states. */
export const LIVE_SUBTREE = "live";

/** Name of the subtree with the history. */
export const HISTORY_SUBTREE = "history";

/** Name of the subtree with the map of names in a segment that is only checked: there, token 0 has no descriptor. */
export const NAMES_SUBTREE = "names";

const NAMES_VERSION = "names-v1";
const STATES_VERSION = "live-v1";
const HISTORY_VERSION = "history-v1";

/** A name of the application and the token behind it. */
export interface NameRecord {
  /** The name. */
  name: string;
  /** The token in session `heirloom`. */
  token: bigint;
  /** What kind of resource the application took it for. */
  kind: string;
}

/** What an application saved. */
export interface StateRecord {
  /** The name of the state. */
  name: string;
  /** The version in which it was written. */
  version: number;
  /** The value, encoded. */
  value: Uint8Array;
}

/** The history, and the update under way. */
export interface HistoryRecord {
  /** What the next image has to know of the update, as JSON; null when none is under way. */
  pending: string | null;
  /** `CLOCK_MONOTONIC` of the cold start of the service, in nanoseconds. */
  started: bigint;
  /** Records of past updates as JSON, oldest first. */
  updates: string[];
  /** The modules of both builds, in a form of `live`'s own that is read only after the commit; absent where not known. */
  graphs?: Uint8Array;
}

/** Encodes the map of names. */
export function encodeNames(names: NameRecord[]): Uint8Array {
  return encodeCbor({ compatible: NAMES_VERSION, names: names.map((name) => ({ ...name })) });
}

/**
 * Decodes the map of names.
 *
 * @throws {HandoverError} `UNKNOWN_VERSION` or `CORRUPT`
 */
export function decodeNames(bytes: Uint8Array): NameRecord[] {
  const fields = open(bytes, "names", NAMES_VERSION);
  const names = fields.list("names", (value, place) => {
    const entry = new Fields(value, place);
    const record = {
      name: entry.text("name", 1, 128),
      token: entry.u64("token"),
      kind: entry.text("kind", 1, 32),
    };
    entry.end();
    return record;
  });
  fields.end();
  return names;
}

/** Encodes the saved states. */
export function encodeStates(states: StateRecord[]): Uint8Array {
  return encodeCbor({ compatible: STATES_VERSION, states: states.map((state) => ({ ...state })) });
}

/**
 * Decodes the saved states.
 *
 * @throws {HandoverError} `UNKNOWN_VERSION` or `CORRUPT`
 */
export function decodeStates(bytes: Uint8Array): StateRecord[] {
  const fields = open(bytes, "states", STATES_VERSION);
  const states = fields.list("states", (value, place) => {
    const entry = new Fields(value, place);
    const record = {
      name: entry.text("name", 1, 63),
      version: entry.int("version"),
      value: entry.bytes("value"),
    };
    entry.end();
    return record;
  });
  fields.end();
  return states;
}

/** Encodes the history. */
export function encodeHistory(history: HistoryRecord): Uint8Array {
  return encodeCbor({ compatible: HISTORY_VERSION, ...history } as { [key: string]: CborValue });
}

/**
 * Decodes the history.
 *
 * @throws {HandoverError} `UNKNOWN_VERSION` or `CORRUPT`
 */
export function decodeHistory(bytes: Uint8Array): HistoryRecord {
  const fields = open(bytes, "history", HISTORY_VERSION);
  const record = {
    pending: fields.textOrNull("pending"),
    started: fields.u64("started"),
    updates: fields.texts("updates"),
    ...(fields.maybe("graphs") === undefined ? {} : { graphs: fields.bytes("graphs") }),
  };
  fields.end();
  return record;
}

function open(bytes: Uint8Array, what: string, version: string): Fields {
  const fields = Fields.decode(bytes, what);
  const found = fields.text("compatible", 1, 47);
  if (found !== version) {
    throw new HandoverError(
      "UNKNOWN_VERSION",
      `Cannot read the ${what} of the handover: they are in "${found}", this build reads "${version}"`,
    );
  }
  return fields;
}
