/**
 * Digests of what files contain. Not for the segment, which is written within the freeze and has one of its own.
 *
 * @module
 */

/**
 * The SHA-256 of some bytes.
 *
 * @param bytes anything
 * @returns 64 lower-case hexadecimal digits
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/**
 * The SHA-256 of what a file contains.
 *
 * @param path the file
 * @returns 64 lower-case hexadecimal digits; `missing` where there is none
 * @throws {Error} when it is there and cannot be read
 */
export async function digestOf(path: string): Promise<string> {
  try {
    return await sha256(await Deno.readFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "missing";
    throw error;
  }
}
