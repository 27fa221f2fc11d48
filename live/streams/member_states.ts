/**
 * What the application keeps about each connection of a channel, and how it crosses an update: as a value with a version,
 * like the states of `live.state`, one for each connection.
 *
 * Happy path: {@linkcode MemberStates.save} in the freeze, {@linkcode MemberStates.load} in the next build.
 *
 * Unhappy paths: a value that has no saved form is a `TypeError` that names channel and connection, and the update is
 * refused. A version that this build does not read is `EOPNOTSUPP`, and what `load` throws is the failure of this build;
 * the check of a build finds both beforehand.
 *
 * @module
 */
import { decodeCbor, encodeCbor } from "../../kho/codec.ts";
import { LuoError } from "../../luo/errors.ts";
import type { About } from "../http/connections.ts";
import type { StateValue } from "../states.ts";

/** How the states of a channel's connections are written and read. */
export interface MemberStateOptions<State> {
  /** The version in which states are saved: a positive integer. @default {1} */
  version?: number;
  /** The versions that `load` reads, lowest and highest. @default {[1, version]} */
  reads?: readonly [lowest: number, highest: number];
  /**
   * Makes the state of a saved value. By default the value is the state. Called once for each connection when a build is
   * checked, and once when it takes over.
   */
  load?(value: StateValue, version: number): State;
}

/** Writes and reads the states of one channel. */
export class MemberStates<State> {
  readonly #channel: string;
  /** The version in which states are saved. */
  readonly version: number;
  readonly #reads: readonly [lowest: number, highest: number];
  readonly #load: (value: StateValue, version: number) => State;

  /**
   * @param channel the name of the channel
   * @param options versions, and how states are read
   * @throws {LuoError} `EINVAL` for a version that is none
   */
  constructor(channel: string, options: MemberStateOptions<State>) {
    const { version = 1 } = options;
    if (!Number.isSafeInteger(version) || version < 1 || version > 0x7fffffff) {
      throw new LuoError("EINVAL", `Cannot use "${channel}": version ${version} is no positive integer`);
    }
    this.#channel = channel;
    this.version = version;
    this.#reads = options.reads ?? [1, version];
    this.#load = options.load?.bind(options) ?? ((value) => value as State);
  }

  /**
   * Writes a state down.
   *
   * @param state the state; `undefined` is none
   * @param who which connection it belongs to, such as the address of its other end; a function is asked only if need be
   * @returns what crosses
   * @throws {TypeError} if it has no saved form
   */
  save(state: State, who: string | (() => string)): { version: number; state: Uint8Array | null } {
    const { version } = this;
    if (state === undefined) return { version, state: null };
    try {
      return { version, state: encodeCbor(state as StateValue, { floats: true }) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new TypeError(`Cannot save the state of ${this.#name(who)}: ${reason}`, { cause: error });
    }
  }

  /**
   * Reads a state.
   *
   * @param about what crossed
   * @param who which connection it belongs to
   * @returns the state; `undefined` if there was none
   * @throws {LuoError} `EOPNOTSUPP` for a version that this build does not read
   * @throws whatever `load` throws
   */
  load(about: About | null, who: string): State {
    const { version = 0, state = null } = about ?? {};
    if (state === null) return undefined as State;
    const [lowest, highest] = this.#reads;
    if (version < lowest || version > highest) {
      throw new LuoError(
        "EOPNOTSUPP",
        `Cannot load the state of ${
          this.#name(who)
        }: it has version ${version}, this build reads ${lowest} to ${highest}`,
      );
    }
    return this.#load(decodeCbor(state, { floats: true }), version);
  }

  #name(who: string | (() => string)): string {
    if (typeof who === "function") who = who();
    return who === "" ? `a connection of "${this.#channel}"` : `a connection of "${this.#channel}" (${who})`;
  }
}
