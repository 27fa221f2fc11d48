/**
 * Reads CBOR bytes that `cbor_scan.ts` has let through, of which nothing need be doubted any more. A service has thousands
 * of connections, each with a record and a state, and all of them are read while everybody waits; a decoder that is
 * careful takes several times as long as the scan and this together.
 *
 * Happy path: `scanCbor(bytes)`, then `readCbor(bytes)`.
 *
 * Unhappy path: none. Bytes that were not scanned give anything, or an exception.
 *
 * @module
 */

/** What is read. */
export type Read = null | boolean | number | bigint | string | Uint8Array | Read[] | { [key: string]: Read };

const decoder = new TextDecoder();

/** Of empty byte strings, one is as good as another; and one byte of input must not become hundreds of memory. */
const NOTHING = new Uint8Array(0);

/** Longer texts are decoded by the runtime, for which each call has its price. */
const SHORT_TEXT = 64;

/**
 * Reads one document without floats.
 *
 * @param bytes exactly one item that was scanned
 * @returns the document; bytes in it are copies
 */
export function readCbor(bytes: Uint8Array): Read {
  return new Reader(bytes).item();
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  item(): Read {
    const first = this.#bytes[this.#at++]!;
    const info = first & 31;
    const major = first >> 5;
    if (major === 7) return info === 22 ? null : info === 21;
    const argument = info < 24 ? info : this.#argument(1 << (info - 24));
    if (major === 0) return argument;
    if (major === 1) return negative(argument);
    const count = Number(argument);
    if (major === 2) return count === 0 ? NOTHING : this.#bytes.slice(this.#at, this.#at += count);
    if (major === 3) return this.#text(count);
    return major === 4 ? this.#array(count) : this.#map(count);
  }

  /** A number, or a bigint where a number is not exact. */
  #argument(width: number): number | bigint {
    let value = 0;
    for (const end = this.#at + width; this.#at < end; this.#at++) {
      value = value * 256 + this.#bytes[this.#at]!;
    }
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    const { buffer, byteOffset } = this.#bytes;
    return new DataView(buffer, byteOffset + this.#at - 8, 8).getBigUint64(0);
  }

  #text(length: number): string {
    const start = this.#at;
    const end = this.#at += length;
    if (length > SHORT_TEXT) return decoder.decode(this.#bytes.subarray(start, end));
    let text = "";
    for (let at = start; at < end; at++) {
      const unit = this.#bytes[at]!;
      if (unit >= 0x80) return decoder.decode(this.#bytes.subarray(start, end));
      text += String.fromCharCode(unit);
    }
    return text;
  }

  #array(count: number): Read[] {
    const list: Read[] = [];
    for (let index = 0; index < count; index++) list.push(this.item());
    return list;
  }

  #map(count: number): { [key: string]: Read } {
    const map: { [key: string]: Read } = {};
    for (let index = 0; index < count; index++) {
      const key = this.item() as string;
      const value = this.item();
      // An assignment to this name would be one to the prototype.
      if (key === "__proto__") {
        Object.defineProperty(map, key, { value, configurable: true, enumerable: true, writable: true });
      } else map[key] = value;
    }
    return map;
  }
}

function negative(argument: number | bigint): number | bigint {
  const value = -1n - BigInt(argument);
  return value >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(value) : value;
}
