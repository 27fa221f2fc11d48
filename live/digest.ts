/**
 * A short digest for names.
 *
 * @module
 */

/**
 * FNV-1a of 32 bits: enough to tell a handful of files or services apart, and nothing more.
 *
 * @param text anything
 * @returns 8 hexadecimal digits
 */
export function shortDigest(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}
