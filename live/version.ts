/**
 * The version of this copy of Heirloom.
 *
 * @module
 */

/** The same as in `deno.json`; a test compares them. A constant, because a restart has no time to read a file. */
export const VERSION = "0.1.0";

/** The root folder of this copy, with a slash at its end. */
export const ROOT: string = decodeURIComponent(new URL("..", import.meta.url).pathname);
