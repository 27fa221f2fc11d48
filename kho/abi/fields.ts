/**
 * A reader of decoded records that takes each member by name and type and refuses what it does not know.
 *
 * Happy path: `const r = new Fields(value, "$.metadata"); const pid = r.int("pid"); r.end()`.
 *
 * Unhappy paths: a missing member, one of another type, one out of its range, or (in {@linkcode Fields.end}) one that
 * nobody asked for: `HandoverError` with code `CORRUPT` that names the place.
 *
 * @module
 */
import { type CborValue, decodeCbor } from "../codec.ts";
import { HandoverError } from "../errors.ts";

const TEXT = new TextEncoder();

/** Where something stands in a document; worked out only for a message, because most records are right. */
export type Place = string | (() => string);

/** One map of a record, read member by member. */
export class Fields {
  readonly #map: { [key: string]: CborValue };
  readonly #place: Place;
  readonly #taken: string[] = [];

  /**
   * @param value the decoded map
   * @param place where it stands in the document, for messages
   * @throws {HandoverError} `CORRUPT` when the value is no map
   */
  constructor(value: CborValue | undefined, place: Place) {
    if (
      typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array
    ) {
      throw wrong(place, "it is no map");
    }
    this.#map = value;
    this.#place = place;
  }

  /**
   * Decodes a document whose root is a map.
   *
   * @param bytes exactly one encoded map
   * @param place what the document is called, for messages
   * @throws {HandoverError} `CORRUPT` when the bytes are no document or the value is no map
   */
  static decode(bytes: Uint8Array, place: string): Fields {
    return new Fields(decodeDocument(bytes, place), place);
  }

  /** Takes a member as it is, or `undefined` where it is absent. */
  maybe(key: string): CborValue | undefined {
    this.#taken.push(key);
    return Object.hasOwn(this.#map, key) ? this.#map[key] : undefined;
  }

  /** Takes a member that must be there. */
  value(key: string): CborValue {
    const value = this.maybe(key);
    if (value === undefined) throw wrong(this.place(key), "it is missing");
    return value;
  }

  /** Takes a text of `min` to `max` bytes of UTF-8. */
  text(key: string, min = 0, max = 1024 * 1024): string {
    const value = this.value(key);
    if (typeof value !== "string") throw wrong(this.place(key), "it is no text");
    // One UTF-16 unit is 1 to 3 bytes of UTF-8: most texts need not be measured.
    if (value.length >= min && value.length * 3 <= max) return value;
    const bytes = TEXT.encode(value).byteLength;
    if (bytes < min || bytes > max) {
      throw wrong(this.place(key), `it has ${bytes} bytes, allowed are ${min} to ${max}`);
    }
    return value;
  }

  /** Takes a text, or null. */
  textOrNull(key: string): string | null {
    return this.value(key) === null ? null : this.text(key);
  }

  /** Takes an unsigned 64-bit integer. */
  u64(key: string): bigint {
    const value = this.value(key);
    if ((typeof value !== "number" && typeof value !== "bigint") || value < 0) {
      throw wrong(this.place(key), "it is no unsigned integer");
    }
    return BigInt(value);
  }

  /** Takes an integer from 0 to `max`, as a number. */
  int(key: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.u64(key);
    if (value > BigInt(max)) throw wrong(this.place(key), `${value} is more than ${max}`);
    return Number(value);
  }

  /** Takes a byte string. */
  bytes(key: string): Uint8Array {
    const value = this.value(key);
    if (!(value instanceof Uint8Array)) throw wrong(this.place(key), "it is no byte string");
    return value;
  }

  /** Takes an array and reads each of its members with `read`. */
  list<T>(key: string, read: (value: CborValue, place: Place) => T): T[] {
    const value = this.value(key);
    if (!Array.isArray(value)) throw wrong(this.place(key), "it is no array");
    return value.map((member, index) => read(member, () => `${this.place(key)}[${index}]`));
  }

  /** Takes an array of texts. */
  texts(key: string): string[] {
    return this.list(key, (member, place) => {
      if (typeof member !== "string") throw wrong(place, "it is no text");
      return member;
    });
  }

  /** Takes a map as another reader. */
  map(key: string): Fields {
    return new Fields(this.value(key), this.place(key));
  }

  /** The place of a member in the document, for messages. */
  place(key: string): string {
    return `${textOf(this.#place)}.${key}`;
  }

  /** Refuses members that nobody took: the format is strict by version. */
  end(): void {
    for (const key of Object.keys(this.#map)) {
      if (!this.#taken.includes(key)) throw wrong(this.place(key), "this version does not know it");
    }
  }
}

/**
 * Decodes a document.
 *
 * @param bytes exactly one encoded item
 * @param place what the document is called, for messages
 * @throws {HandoverError} `CORRUPT` when the bytes are no document
 */
export function decodeDocument(bytes: Uint8Array, place: string): CborValue {
  try {
    return decodeCbor(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HandoverError("CORRUPT", `Cannot read ${place} of the handover: ${reason}`, { cause: error });
  }
}

function wrong(place: Place, state: string): HandoverError {
  return new HandoverError("CORRUPT", `Cannot read ${textOf(place)} of the handover: ${state}`);
}

/**
 * A place in words.
 *
 * @param place where something stands
 */
export function textOf(place: Place): string {
  return typeof place === "string" ? place : place();
}
