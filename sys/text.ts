/**
 * Bytes of the operating system (paths, arguments, socket names) as strings and back, without loss.
 *
 * Happy path: the bytes are UTF-8, and the string is what everybody expects.
 *
 * Unhappy path: they are not. Then each byte from 0x80 on becomes one lone surrogate, U+DC80 to U+DCFF, which no UTF-8
 * text contains, and {@linkcode encodeText} turns these back into the very same bytes. So a path of odd bytes that was
 * read from `/proc` still opens. Printed, such characters look broken, as they should.
 *
 * @module
 */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * Reads bytes as text.
 *
 * @param bytes UTF-8, or any other bytes
 * @returns the text; lone surrogates stand for bytes if `bytes` is not UTF-8
 */
export function decodeText(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join("");
  }
}

/**
 * Writes text as bytes; the inverse of {@linkcode decodeText}.
 *
 * @param text any string
 * @returns UTF-8, with the bytes that lone surrogates U+DC80 to U+DCFF stand for; other lone surrogates become U+FFFD
 */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  if (text.isWellFormed()) return encoder.encode(text);
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else bytes.push(...encoder.encode(character));
  }
  return new Uint8Array(bytes);
}

/**
 * Writes text as a C string.
 *
 * @param text any string without U+0000
 * @returns its bytes and a terminating NUL
 * @throws {TypeError} if `text` contains a NUL, at which C would cut it off
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError(`Cannot pass ${JSON.stringify(text)} to C: it contains a NUL`);
  const encoded = encodeText(text);
  const terminated = new Uint8Array(encoded.length + 1);
  terminated.set(encoded);
  return terminated;
}
