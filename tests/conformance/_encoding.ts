/**
 * How the measurements write things down: bytes as %xx, contents as a pattern that a number stands for, and as a hash.
 *
 * Nothing here fails: a `%` that no two hexadecimal digits follow is a `%`.
 *
 * @module
 */

/** Longest name of a session, with its NUL. */
const NAME_FIELD = 64;

/**
 * Decodes %xx.
 *
 * @param text what is written
 * @returns the bytes; what is not encoded is UTF-8
 */
export function decodeText(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  const decoded: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    const digits = String.fromCharCode(...bytes.subarray(at + 1, at + 3));
    const isCode = byte === 0x25 && /^[0-9a-fA-F]{2}$/.test(digits);
    decoded.push(isCode ? parseInt(digits, 16) : byte);
    if (isCode) at += 2;
  }
  return Uint8Array.from(decoded);
}

/** Encodes bytes as %xx, except for printable characters of ASCII. */
export function encodeText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x25 && byte !== 0x22 && byte !== 0x5c;
    text += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

/**
 * What the kernel sees of a name: the field of 64 bytes, up to its first NUL.
 *
 * @param bytes what is copied into the field
 * @returns 0 to 64 bytes; 64 is a name without an end
 */
export function nameField(bytes: Uint8Array): Uint8Array {
  const field = bytes.subarray(0, NAME_FIELD);
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

/** Is this UTF-8? */
export function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** A name as text; bytes that are not UTF-8 become lone surrogates, which no well-formed text has. */
export function nameText(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  if (isUtf8(bytes)) return decoder.decode(bytes);
  return Array.from(
    bytes,
    (byte) => byte < 0x80 ? String.fromCharCode(byte) : String.fromCharCode(0xdc00 + byte),
  )
    .join("");
}

const LCG_FACTOR = 6364136223846793005n;
const LCG_STEP = 1442695040888963407n;

/**
 * The content that `"fill": n` stands for: the highest bytes of Knuth's linear congruential generator, begun with n.
 *
 * @param seed the number
 * @param length how many bytes
 */
export function fillBytes(seed: bigint, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = BigInt.asUintN(64, seed);
  for (let at = 0; at < length; at++) {
    state = BigInt.asUintN(64, state * LCG_FACTOR + LCG_STEP);
    bytes[at] = Number(state >> 56n);
  }
  return bytes;
}

/** The hash of the measurements: FNV-1a with 64 bits, but begun with 1469598103934665603. */
export class Fnv {
  #high = 0x14650fb0;
  #low = 0x739d0383;

  /** Takes more bytes in. */
  add(bytes: Uint8Array): this {
    let high = this.#high;
    let low = this.#low;
    for (const byte of bytes) {
      low = (low ^ byte) >>> 0;
      // Times the prime 2^40 + 0x1b3, in halves that stay exact.
      const product = low * 0x1b3;
      const carry = Math.floor(product / 0x1_0000_0000);
      high = (high * 0x1b3 + carry + (low << 8 >>> 0)) % 0x1_0000_0000;
      low = product >>> 0;
    }
    this.#high = high;
    this.#low = low;
    return this;
  }

  /** Sixteen hexadecimal digits. */
  toString(): string {
    return [this.#high, this.#low].map((half) => half.toString(16).padStart(8, "0")).join("");
  }
}
