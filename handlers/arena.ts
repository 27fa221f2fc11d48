/**
 * A shared-memory arena that survives updates: one memfd in which many slices lie, each of them a file that a session can
 * preserve. Whatever number of slices and sessions there is, the memory crosses once, as an FLB.
 *
 * ```ts ignore
 * import { Device, ready } from "@heirloom/heirloom";
 * import { createArena, registerArena, takeArena } from "@heirloom/heirloom/arena";
 *
 * registerArena(); // before the device is opened
 * using device = Device.open();
 * const handed = takeArena();
 * const arena = handed ?? createArena({ size: 1 << 20 });
 * let slice;
 * if (handed === null) {
 *   slice = arena.allocate(4096);
 * } else {
 *   const before = device.retrieveSession("cache");
 *   using fd = before.retrieveFd(1n);
 *   slice = arena.slice(fd);
 *   await ready();
 *   before.finish(); // from now on the slice may be preserved again
 * }
 * device.createSession("cache").preserveFd(slice.fd, 1n);
 * ```
 *
 * Who owns what: the arena is the application's from {@linkcode createArena} or {@linkcode takeArena} on, with its mapping
 * and its descriptors; finishing sessions changes nothing about it. One that was handed over and not taken is given up with
 * the last session that holds a slice of it.
 *
 * Unhappy paths: every error is a `LuoError`; see each call. With `HEIRLOOM=off` an arena is plain memory.
 *
 * @module
 */
import { orchestrator } from "../luo/process.ts";
import { keeperOf } from "./arena_keeper.ts";
import type { Arena } from "./arena_memory.ts";

export type { Arena } from "./arena_memory.ts";
export { ARENA_UNIT, MAX_ARENA_BYTES, MAX_SLICE_BYTES } from "./arena_record.ts";
export type { Slice, SliceHolder } from "./arena_slice.ts";
export { OwnedFd } from "../sys/owned_fd.ts";

/** How an arena is made. */
export interface ArenaOptions {
  /** Bytes, 1 to just under 256 GiB, rounded up to 64. Memory is used only where something was written. */
  size: number;
}

/**
 * Registers the handler of slices and the FLB of the arena. Before the device is opened first, if slices may have been
 * handed over. Does nothing the second time.
 *
 * @throws {LuoError} `EOPNOTSUPP` live update is off, `EEXIST` another copy of this library has registered them
 */
export function registerArena(): void {
  keeperOf(orchestrator()).register();
}

/**
 * Makes the arena of this process; there is one at most.
 *
 * @param options its size
 * @throws {LuoError} `EINVAL` not such a size, `EEXIST` there is an arena or one was handed over, `EMFILE`, `ENOMEM`, and
 * what {@linkcode takeArena} throws
 */
export function createArena({ size }: ArenaOptions): Arena {
  return keeperOf(orchestrator()).create(size);
}

/**
 * Takes the arena that was handed over. Gives the same one each time. Before the last session with slices of it is finished;
 * in the check of a build it is an arena of zeros.
 *
 * @returns the arena, the application's; null at a cold start, when none was handed over, and after its end
 * @throws {LuoError} `EIO` the handover cannot be read, which is remembered: all handlers have to be registered by now; or
 * what kept the arena from being taken over
 */
export function takeArena(): Arena | null {
  return keeperOf(orchestrator()).take();
}
