/**
 * Where two copies of Heirloom in one process meet: the boot module's, and the one that the application pins.
 *
 * A process can hold its descriptors, its device and its update only once. So the first copy wins, and a later one hands
 * out the first one's exports; a copy of another major version is refused by name.
 *
 * @module
 */

const KEY = Symbol.for("heirloom.v1");

/** What the first copy leaves for later ones. */
interface Meeting {
  version: string;
  path: string;
  exports: Record<string, unknown>;
}

/**
 * Meets the other copies.
 *
 * @param version version of this copy
 * @param path where this copy lies
 * @param exports what this copy would hand out
 * @returns the first copy's exports: these, if there is none
 * @throws {TypeError} when a copy of another major version is there
 */
export function meet<T extends object>(version: string, path: string, exports: T): T {
  const scope = globalThis as { [KEY]?: Meeting };
  const first = scope[KEY];
  if (first === undefined) {
    scope[KEY] = { version, path, exports: exports as Record<string, unknown> };
    return exports;
  }
  if (major(first.version) !== major(version)) {
    throw new TypeError(
      `Cannot load Heirloom ${version} (${path}): Heirloom ${first.version} (${first.path}) runs in this process`,
    );
  }
  return first.exports as T;
}

/** Was there another copy first? */
export function isMet(): boolean {
  return (globalThis as { [KEY]?: Meeting })[KEY] !== undefined;
}

/** Below 1.0, the minor version is what the major one is later (semver.org, item 4). */
function major(version: string): string {
  const [first = "0", second = "0"] = version.split(".");
  return first === "0" ? `0.${second}` : first;
}
