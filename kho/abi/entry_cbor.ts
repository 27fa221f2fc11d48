/**
 * The CBOR of one journal entry: `[at_ns, phase, note]`, in deterministic form (RFC 8949 section 4.2.1).
 *
 * The journal is written and read by the guardian too, which must start without any package: hence these few lines
 * beside the codec of all other records, whose bytes they share.
 *
 * Happy path: {@linkcode encodeTriple} and back.
 *
 * Unhappy path: bytes that are no such entry, or not in this form, are null.
 *
 * @module
 */

/** What an entry consists of. */
export type Triple = readonly [at: bigint, phase: string, note: string | null];

const UNSIGNED = 0;
const TEXT = 3;
const ARRAY_OF_THREE = 0x83;
const NULL = 0xf6;
const MAX_U64 = (1n << 64n) - 1n;

/**
 * Encodes an entry.
 *
 * @param entry time from 0 to 2^64 - 1, phase, and note; both well-formed
 * @returns its bytes
 * @throws {RangeError} if the time does not fit
 */
export function encodeTriple([at, phase, note]: Triple): Uint8Array<ArrayBuffer> {
  if (at < 0n || at > MAX_U64) throw new RangeError(`Cannot encode ${at}: it does not fit 64 bits`);
  const bytes = [ARRAY_OF_THREE, ...head(UNSIGNED, at), ...encodeText(phase)];
  if (note === null) bytes.push(NULL);
  else bytes.push(...encodeText(note));
  return new Uint8Array(bytes);
}

/**
 * Decodes an entry.
 *
 * @param bytes exactly one item
 * @returns the entry, or null when the bytes are anything else
 */
export function decodeTriple(bytes: Uint8Array): Triple | null {
  if (bytes[0] !== ARRAY_OF_THREE) return null;
  const reader = new Reader(bytes, 1);
  const at = reader.head(UNSIGNED);
  const phase = at === null ? null : reader.text();
  if (at === null || phase === null) return null;
  if (reader.skip(NULL)) return reader.atEnd ? [at, phase, null] : null;
  const note = reader.text();
  return note !== null && reader.atEnd ? [at, phase, note] : null;
}

/** Major type and argument, in the shortest form. */
function head(major: number, argument: bigint): number[] {
  const type = major << 5;
  if (argument < 24n) return [type | Number(argument)];
  const size = argument < 0x100n ? 1 : argument < 0x10000n ? 2 : argument < 0x100000000n ? 4 : 8;
  const bytes = Array.from(
    { length: size },
    (_, index) => Number((argument >> BigInt(8 * (size - 1 - index))) & 0xffn),
  );
  return [type | (24 + Math.log2(size)), ...bytes];
}

function encodeText(text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  return [...head(TEXT, BigInt(bytes.byteLength)), ...bytes];
}

class Reader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.byteLength;
  }

  skip(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  head(major: number): bigint | null {
    const first = this.#bytes[this.#at] ?? 0xff;
    const size = (first & 0x1f) < 24 ? 0 : 1 << ((first & 0x1f) - 24);
    if (first >> 5 !== major || size > 8 || this.#at + 1 + size > this.#bytes.byteLength) return null;
    const from = this.#at + 1;
    this.#at = from + size;
    if (size === 0) return BigInt(first & 0x1f);
    const argument = BigInt(`0x${this.#bytes.subarray(from, from + size).toHex()}`);
    // A shorter form would have done: then it is not the deterministic one.
    return head(major, argument).length === size + 1 ? argument : null;
  }

  text(): string | null {
    const length = Number(this.head(TEXT) ?? Infinity);
    if (this.#at + length > this.#bytes.byteLength) return null;
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return null;
    }
  }
}
