/**
 * Bytes in pieces, and as one.
 *
 * @module
 */

/**
 * Joins pieces.
 *
 * @param pieces the pieces in order
 * @returns all of them as one; a copy, unless there is only one piece
 */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const only = pieces.length === 1 ? pieces[0] : undefined;
  if (only !== undefined) return new Uint8Array(only.buffer, only.byteOffset, only.byteLength);
  const all = new Uint8Array(pieces.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.byteLength;
  }
  return all;
}
