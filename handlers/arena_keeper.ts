/**
 * Who knows the one arena of a process: the application, the handler of slices and the FLB meet here.
 *
 * Happy path: `create` at a cold start, `take` after a handover. The arena belongs to the application from then on.
 *
 * Unhappy paths: a second arena is `EEXIST`; one that was handed over and not taken goes with the last session that holds a
 * slice of it.
 *
 * @module
 */
import { LuoError } from "../luo/errors.ts";
import type { Orchestrator } from "../luo/orchestrator.ts";
import { isSwitchedOff } from "../luo/process.ts";
import { ArenaFlb } from "./arena_flb.ts";
import { Arena } from "./arena_memory.ts";
import type { Runs } from "./arena_runs.ts";
import { ArenaSliceHandler } from "./arena_slice_handler.ts";

/** The arena of one orchestrator. */
export class ArenaKeeper {
  /** Carries slices. */
  readonly handler: ArenaSliceHandler = new ArenaSliceHandler(this);
  /** Carries the arena. */
  readonly flb: ArenaFlb = new ArenaFlb(this);
  /** In the check of a build: where the slices lie that were handed over. Null where an arena crosses for real. */
  check: Runs | null = null;
  readonly #luo: Orchestrator;
  #arena: Arena | null = null;
  /** Is it the application's? */
  #taken = false;
  /** Was it handed over? */
  #handed = false;
  #registered = false;

  /** @param luo the orchestrator */
  constructor(luo: Orchestrator) {
    this.#luo = luo;
  }

  /** The arena, whoever has it, or null. */
  get arena(): Arena | null {
    return this.#arena?.disposed === false ? this.#arena : null;
  }

  /**
   * Registers handler and FLB, once.
   *
   * @throws {LuoError} `EOPNOTSUPP` live update is off, `EEXIST` another copy of this library has registered them
   */
  register(): void {
    if (isSwitchedOff()) throw new LuoError("EOPNOTSUPP", "Cannot register the arena: HEIRLOOM=off");
    if (this.#registered) return;
    this.#luo.registry.register(this.handler);
    this.#luo.flbs.register(this.handler, this.flb);
    this.#registered = true;
  }

  /** Makes the arena; see `createArena`. */
  create(size: number): Arena {
    if (!isSwitchedOff()) this.incoming();
    if (this.arena !== null) {
      const state = this.#handed ? "one was handed over" : "the process has one";
      throw new LuoError("EEXIST", `Cannot create an arena of ${size} bytes: ${state}`);
    }
    this.#arena = Arena.create(size);
    this.#handed = false;
    this.#taken = true;
    return this.#arena;
  }

  /** Gives the arena that was handed over to the application; see `takeArena`. */
  take(): Arena | null {
    if (isSwitchedOff()) return null;
    const arena = this.#handed && this.arena !== null ? this.arena : this.incoming();
    if (arena !== null) this.#taken = true;
    return arena;
  }

  /** The arena that was handed over and is not finished, or null. For the handler only. */
  incoming(): Arena | null {
    this.register();
    this.#luo.deserialize();
    try {
      const arena = this.#luo.flbs.getIncoming(this.flb);
      this.#luo.flbs.putIncoming(this.flb);
      return arena;
    } catch (error) {
      const none = error instanceof LuoError && ["ENODATA", "ENOENT"].includes(error.code);
      // What the FLB itself met has a cause.
      if (none && error.cause === undefined) return null;
      throw error;
    }
  }

  /** Takes note of the arena that was handed over. For the FLB only. */
  receive(arena: Arena): void {
    this.#arena = arena;
    this.#handed = true;
    this.#taken = false;
  }

  /** Gives the arena up if nobody has it. For the FLB only. */
  drop(): void {
    if (!this.#taken && this.arena?.held === false) this.arena[Symbol.dispose]();
  }
}

const keepers = new WeakMap<Orchestrator, ArenaKeeper>();

/** Who knows the arena of an orchestrator. */
export function keeperOf(luo: Orchestrator): ArenaKeeper {
  const keeper = keepers.get(luo) ?? new ArenaKeeper(luo);
  keepers.set(luo, keeper);
  return keeper;
}
