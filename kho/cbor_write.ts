/**
 * Checks a value against the profile of `codec.ts` and writes it in the deterministic form, in one pass. The descriptors of
 * a service with thousands of connections are written while everybody waits, by code that runs once.
 *
 * Happy path: {@linkcode writeCbor} gives the bytes.
 *
 * Unhappy paths: a value outside the profile is a `TypeError` that names its place, a limit a `RangeError`. Floats are
 * checked and not written: which form of one is the shortest, `codec.ts` leaves to the package.
 *
 * @module
 */
import { ARRAY, BYTES, MAP, MAX_DEPTH, TEXT } from "./cbor_scan.ts";

const MAX_U64 = (1n << 64n) - 1n;
const MIN_NEGATIVE = -(1n << 64n);

const UNSIGNED = 0;
const NEGATIVE = 1;

const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;

/** The head of an item: one byte, and an argument of at most 64 bits. */
const HEAD_BYTES = 9;

/** Bytes to begin with: most documents are small. */
const FIRST_BYTES = 1024;

const encoder = new TextEncoder();

/**
 * Writes a document.
 *
 * @param value the document
 * @param floats whether it may have floats
 * @returns the bytes, in memory of their own; null for a document that has floats and is right
 * @throws {TypeError} a value that the profile cannot express, with its place
 * @throws {RangeError} an integer outside 64 bits, or nesting deeper than {@linkcode MAX_DEPTH}
 */
export function writeCbor(value: unknown, floats: boolean): Uint8Array | null {
  return new Writer(floats).write(value);
}

class Writer {
  readonly #floats: boolean;
  /** Put together only for a message: most values are right. */
  readonly #path: (string | number)[] = [];
  readonly #keys = new Map<string, Uint8Array>();
  #hasFloats = false;
  #bytes = new Uint8Array(FIRST_BYTES);
  #at = 0;
  /** The names of the map before: lists have many maps of one kind. */
  #names: readonly string[] = [];
  #sorted: readonly string[] = [];

  constructor(floats: boolean) {
    this.#floats = floats;
  }

  write(value: unknown): Uint8Array | null {
    this.#item(value, 1);
    return this.#hasFloats ? null : this.#bytes.slice(0, this.#at);
  }

  #item(value: unknown, depth: number): void {
    if (typeof value === "string") return this.#text(value);
    if (typeof value === "number") return this.#number(value);
    if (typeof value === "bigint") return this.#integer(value);
    if (value === null) return this.#byte(NULL);
    if (typeof value === "boolean") return this.#byte(value ? TRUE : FALSE);
    if (value instanceof Uint8Array) return this.#copy(BYTES, value);
    if (typeof value !== "object") throw this.#wrong(`it is of type ${typeof value}`);
    if (depth > MAX_DEPTH) {
      throw new RangeError(`Cannot encode ${this.#place()}: it is nested deeper than ${MAX_DEPTH}`);
    }
    if (Array.isArray(value)) return this.#array(value, depth);
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      throw this.#wrong(`a ${value.constructor?.name ?? "class instance"} is not a plain value`);
    }
    this.#map(value as Record<string, unknown>, depth);
  }

  #array(list: readonly unknown[], depth: number): void {
    this.#head(ARRAY, list.length);
    for (let index = 0; index < list.length; index++) this.#descend(index, list[index], depth);
  }

  #map(map: Record<string, unknown>, depth: number): void {
    const names = Object.keys(map);
    if (!isSame(names, this.#names)) {
      this.#names = names;
      this.#sorted = names.toSorted((a, b) => compareBytes(this.#key(a), this.#key(b)));
    }
    const sorted = this.#sorted;
    this.#head(MAP, sorted.length);
    for (const name of sorted) {
      this.#put(this.#key(name));
      this.#descend(name, map[name], depth);
    }
  }

  #descend(step: string | number, value: unknown, depth: number): void {
    this.#path.push(step);
    this.#item(value, depth + 1);
    this.#path.pop();
  }

  /** A key as it is written: the order of keys is that of these bytes. */
  #key(name: string): Uint8Array {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const start = this.#at;
    this.#text(name);
    const key = this.#bytes.slice(start, this.#at);
    this.#at = start;
    this.#keys.set(name, key);
    return key;
  }

  #text(text: string): void {
    this.#reserve(text.length);
    const start = this.#at;
    this.#head(TEXT, text.length);
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) {
        this.#at = start;
        return this.#longText(text);
      }
      this.#bytes[this.#at++] = unit;
    }
  }

  #longText(text: string): void {
    if (!text.isWellFormed()) throw this.#wrong("the text has a lone surrogate");
    // Whoever decodes UTF-8 takes it away, and what is read would not be what was written.
    if (text.startsWith("\ufeff")) throw this.#wrong("the text begins with a byte order mark");
    this.#copy(TEXT, encoder.encode(text));
  }

  #copy(major: number, bytes: Uint8Array): void {
    this.#head(major, bytes.byteLength);
    this.#put(bytes);
  }

  #put(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.byteLength;
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      return value < 0 ? this.#head(NEGATIVE, -1 - value) : this.#head(UNSIGNED, value);
    }
    if (!Number.isFinite(value)) throw this.#wrong(`${value} is not a finite number`);
    if (!this.#floats) throw this.#wrong(`${value} is not a safe integer`);
    this.#hasFloats = true;
  }

  #integer(value: bigint): void {
    if (value > MAX_U64 || value < MIN_NEGATIVE) {
      throw new RangeError(`Cannot encode ${this.#place()}: ${value} does not fit 64 bits`);
    }
    const major = value < 0n ? NEGATIVE : UNSIGNED;
    const argument = value < 0n ? -1n - value : value;
    if (argument <= Number.MAX_SAFE_INTEGER) return this.#head(major, Number(argument));
    this.#byte((major << 5) | 27);
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setBigUint64(this.#at, argument);
    this.#at += 8;
  }

  #head(major: number, argument: number): void {
    this.#reserve(HEAD_BYTES);
    const first = major << 5;
    if (argument < 24) {
      this.#bytes[this.#at++] = first | argument;
      return;
    }
    const size = argument <= 0xff ? 0 : argument <= 0xffff ? 1 : argument <= 0xffffffff ? 2 : 3;
    this.#bytes[this.#at++] = first | (24 + size);
    const end = this.#at + (1 << size);
    let rest = argument;
    for (let at = end - 1; at >= this.#at; at--) {
      this.#bytes[at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.#at = end;
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = byte;
  }

  /** Room for so many bytes, and the head of another item behind or before them. */
  #reserve(count: number): void {
    const needed = this.#at + count + HEAD_BYTES;
    if (needed <= this.#bytes.byteLength) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.byteLength));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }

  #wrong(state: string): TypeError {
    return new TypeError(`Cannot encode ${this.#place()}: ${state}`);
  }

  #place(): string {
    return "$" + this.#path.map((step) => typeof step === "number" ? `[${step}]` : `.${step}`).join("");
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) {
    if (a[index] !== b[index]) return false;
  }
  return true;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0;; index++) {
    const difference = a[index]! - b[index]!;
    if (difference !== 0 || index + 1 >= a.byteLength) return difference;
  }
}
