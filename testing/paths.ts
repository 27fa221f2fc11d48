/**
 * Paths without a library: all that the test helpers need is to make one absolute.
 *
 * @module
 */

/**
 * Makes a path absolute, from the caller's current directory.
 *
 * @param path A path, or an URL, which stays as it is.
 * @returns The absolute path, not normalised.
 */
export function resolve(path: string): string {
  if (path.startsWith("/") || /^[a-z][a-z0-9+.-]+:/i.test(path)) return path;
  return `${Deno.cwd()}/${path.replace(/^\.\//, "")}`;
}
