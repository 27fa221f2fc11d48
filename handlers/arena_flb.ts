/**
 * `arena-v1`: the FLB of the one arena of a process. Preserved with the first slice that a session holds, released with the
 * last; one descriptor and one record, however many slices and sessions there are.
 *
 * Preserved:
 * - the memory, whatever its size, without copying, also what lies outside of slices
 * - its size and its seals
 * - where slices lie that cross, so that the next build gives that memory to nobody else
 * - mappings of other processes, which see no gap
 *
 * Not preserved:
 * - slices that no session holds: their memory is free in the next build
 * - undoing what a new build wrote before it failed; that includes what it wrote to memory that became free because it
 *   finished its sessions before its commit
 *
 * Taken with: `@heirloom/heirloom/arena`.
 *
 * @module
 */
import { HandoverError } from "../kho/errors.ts";
import { LuoError } from "../luo/errors.ts";
import type { Flb, FlbIncomingArgs, FlbOutgoingArgs } from "../luo/flb.ts";
import type { IncomingHandover, OutgoingHandover } from "../luo/handler.ts";
import type { ArenaKeeper } from "./arena_keeper.ts";
import { ArenaMemory } from "./arena_memfd.ts";
import { Arena } from "./arena_memory.ts";
import { ARENA_UNIT, type ArenaRecord, decodeArena, encodeArena, unitsOf } from "./arena_record.ts";
import { Runs } from "./arena_runs.ts";

/** Carries the arena of a process. */
export class ArenaFlb implements Flb<Arena> {
  readonly compatible = "arena-v1";
  readonly #keeper: ArenaKeeper;
  /** The arena that is preserved and the handle of its record. */
  #preserved: { arena: Arena; handle: bigint } | null = null;
  /** Did the set of slices change since the record was written? */
  #changed = false;

  /** @param keeper who knows the arena of the process */
  constructor(keeper: ArenaKeeper) {
    this.#keeper = keeper;
  }

  /** Lets the arena cross. */
  preserve(args: FlbOutgoingArgs<Arena>): void {
    const { arena } = this.#keeper;
    if (arena === null) throw new LuoError("ENOENT", "Cannot preserve the arena: there is none");
    args.kho.preserveFd(arena.fd);
    args.data = args.kho.preserveBlob(recordOf(arena));
    args.object = arena;
    arena.hold();
    this.#preserved = { arena, handle: args.data };
  }

  /** The inverse of {@linkcode preserve}. */
  unpreserve(args: FlbOutgoingArgs<Arena>): void {
    const arena = args.object as Arena;
    this.#preserved = null;
    args.kho.unpreserveBlob(args.data);
    args.kho.unpreserveFd(arena.fd);
    arena.unhold();
    this.#keeper.drop();
  }

  /** Says that a slice was preserved or unpreserved. */
  change(): void {
    this.#changed = true;
  }

  /** Brings the record up to date, once for all slices that changed: the last thing before the jump. */
  freeze(kho: OutgoingHandover): void {
    if (!this.#changed || this.#preserved === null) return;
    kho.replaceBlob(this.#preserved.handle, recordOf(this.#preserved.arena));
    this.#changed = false;
  }

  /** Takes the arena over, with a descriptor and a mapping of its own. */
  retrieve(args: FlbIncomingArgs<Arena>): void {
    if (this.#keeper.arena !== null) {
      throw new LuoError("EEXIST", "Cannot take the arena over: this process has one already");
    }
    const record = this.#read(args);
    const arena = this.#keeper.check === null
      ? adopt(record, args.kho)
      : new Arena(ArenaMemory.create(record.size), this.#keeper.check.list());
    arena.hold();
    args.object = arena;
    this.#keeper.receive(arena);
  }

  /** All slices are finished: the application's arena stays, one that it did not take goes. */
  finish(args: FlbIncomingArgs<Arena>): void {
    const arena = args.object as Arena;
    arena.settle();
    arena.unhold();
    this.#keeper.drop();
    args.kho.releaseFd(this.#read(args).fd);
  }

  /**
   * Could the arena be taken over?
   *
   * @throws {HandoverError} when its record cannot be read, or a slice lies beyond its end
   */
  check(args: { data: bigint; kho: Pick<IncomingHandover, "blob"> }): void {
    const { size } = this.#read(args);
    const last = this.#keeper.check?.list().at(-1);
    if (last !== undefined && last.end > unitsOf(size)) {
      throw new HandoverError("CORRUPT", `Cannot read the arena: a slice ends beyond its ${size} bytes`);
    }
  }

  #read({ data, kho }: { data: bigint; kho: Pick<IncomingHandover, "blob"> }): ArenaRecord {
    return decodeArena(kho.blob(data), this.compatible);
  }
}

function recordOf(arena: Arena): Uint8Array {
  const crossing = new Runs();
  for (const { holder, offset, size } of arena.slices()) {
    if (holder === "outgoing") crossing.give(offset / ARENA_UNIT, unitsOf(size));
  }
  return encodeArena({ fd: arena.fd, size: arena.size, held: crossing.list() });
}

function adopt({ fd, size, held }: ArenaRecord, kho: IncomingHandover): Arena {
  using undo = new DisposableStack();
  kho.borrowFd(fd);
  // One that cannot be taken over is never finished either.
  undo.defer(() => kho.releaseFd(fd));
  const arena = new Arena(ArenaMemory.adopt(fd, size), held);
  undo.move();
  return arena;
}
