/**
 * What an application saves of its own: values that cross the update by name and version.
 *
 * Happy path: `state(name, { version, save, load })` loads what was handed over at once, and saves at every update,
 * synchronously, within the freeze.
 *
 * Unhappy paths: a value that was written in a version that this build does not read is `EOPNOTSUPP`; a `load` that throws
 * is the failure of this build. A `save` that throws, or gives something that cannot be written down, refuses the update.
 *
 * @module
 */
import { decodeStates, encodeStates, type StateRecord } from "../kho/abi/live.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../kho/codec.ts";
import { LuoError } from "../luo/errors.ts";

/**
 * What can be saved: plain objects, arrays, text, numbers, `bigint` of 64 bits, booleans, null, `Uint8Array`. Integers
 * beyond 2^53 come back as `bigint`.
 */
export type StateValue = CborValue;

/** How a state is written and read. */
export interface StateOptions {
  /** The version that `save` writes: a positive integer. */
  version: number;
  /** The versions that `load` reads, lowest and highest. @default {[1, version]} */
  reads?: readonly [lowest: number, highest: number];
  /**
   * Gives the value to hand over. Called when a build is checked, and within the freeze of an update; must not change
   * anything and not wait for anything.
   */
  save(): StateValue;
  /** Takes a value that was handed over. Called before `state` returns, if there is one. */
  load(value: StateValue, version: number): void;
}

/** The states of an application. */
export class States {
  readonly #live = new Map<string, StateOptions>();
  readonly #kept = new Map<string, StateRecord>();
  readonly #unclaimed = new Map<string, StateRecord>();

  /** @param bytes the subtree that was handed over, or null */
  constructor(bytes: Uint8Array | null) {
    if (bytes === null) return;
    for (const record of decodeStates(bytes)) this.#unclaimed.set(record.name, record);
  }

  /**
   * Declares a state.
   *
   * @throws {LuoError} `EEXIST` name in use, `EINVAL` bad name or version, `EOPNOTSUPP` a version that is not read
   * @throws whatever `load` throws
   */
  add(name: string, options: StateOptions): void {
    const bytes = new TextEncoder().encode(name).byteLength;
    if (bytes < 1 || bytes > 63 || !name.isWellFormed()) {
      throw new LuoError("EINVAL", `Cannot keep state ${JSON.stringify(name)}: a name has 1 to 63 bytes`);
    }
    if (!Number.isSafeInteger(options.version) || options.version < 1) {
      throw new LuoError(
        "EINVAL",
        `Cannot keep state "${name}": version ${options.version} is no positive integer`,
      );
    }
    if (this.#live.has(name) || this.#kept.has(name)) {
      throw new LuoError("EEXIST", `Cannot keep state "${name}": the name is in use`);
    }
    const record = this.#unclaimed.get(name);
    if (record !== undefined) this.#load(record, options);
    this.#unclaimed.delete(name);
    this.#live.set(name, options);
  }

  /** Carries on a state that this build does not declare. */
  keep(name: string): boolean {
    const record = this.#unclaimed.get(name);
    if (record === undefined) return false;
    this.#unclaimed.delete(name);
    this.#kept.set(name, record);
    return true;
  }

  /** The version in which a state was handed over that nobody declared yet, or null. */
  versionOf(name: string): number | null {
    return this.#unclaimed.get(name)?.version ?? null;
  }

  /** Names that were handed over and nobody declared. */
  unclaimed(): string[] {
    return [...this.#unclaimed.keys()];
  }

  /** The update is committed: what nobody declared is gone. */
  forgetUnclaimed(): void {
    this.#unclaimed.clear();
  }

  /**
   * Saves all states.
   *
   * @returns the subtree
   * @throws whatever a `save` throws; {TypeError} with the place of a value that cannot be written
   */
  save(): Uint8Array {
    const records = [...this.#kept.values()];
    for (const [name, options] of this.#live) {
      records.push({ name, version: options.version, value: saveOne(name, options) });
    }
    return encodeStates(records);
  }

  #load(record: StateRecord, options: StateOptions): void {
    const [lowest, highest] = options.reads ?? [1, options.version];
    if (record.version < lowest || record.version > highest) {
      throw new LuoError(
        "EOPNOTSUPP",
        `Cannot load state "${record.name}": it has version ${record.version}, this build reads ${lowest} to ${highest}`,
      );
    }
    options.load(decodeCbor(record.value, { floats: true }), record.version);
  }
}

function saveOne(name: string, options: StateOptions): Uint8Array {
  const value = options.save();
  try {
    return encodeCbor(value, { floats: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TypeError(`Cannot save state "${name}": ${reason}`, { cause: error });
  }
}
