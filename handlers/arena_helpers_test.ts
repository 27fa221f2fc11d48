/**
 * What the tests of the arena share: worlds of sessions with an arena, and the jump from one to the next inside this
 * process. It has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

import { encodeLuo } from "../kho/abi/luo.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { Device } from "../luo/device.ts";
import { LUO_SUBTREE, Orchestrator } from "../luo/orchestrator.ts";
import type { Session } from "../luo/session.ts";
import { OwnedFd } from "../sys/mod.ts";
import { keeperOf } from "./arena_keeper.ts";
import type { Arena } from "./arena_memory.ts";
import type { Slice } from "./arena_slice.ts";
import { registerBuiltins } from "./mod.ts";

/** `registerArena` for an orchestrator of the test's own. */
export function registerArena(luo: Orchestrator): void {
  keeperOf(luo).register();
}

/** `createArena` for an orchestrator of the test's own. */
export function createArena({ size }: { size: number }, luo: Orchestrator): Arena {
  return keeperOf(luo).create(size);
}

/** `takeArena` for an orchestrator of the test's own. */
export function takeArena(luo: Orchestrator): Arena | null {
  return keeperOf(luo).take();
}

/** An orchestrator with the built-in handlers and the arena's, and its device. */
export interface ArenaWorld extends Disposable {
  luo: Orchestrator;
  device: Device;
  /** What was handed over, or null. */
  kho: IncomingKho | null;
}

/** A world without anything. */
export function arenaWorld(kho: IncomingKho | null = null): ArenaWorld {
  const luo = new Orchestrator(kho);
  registerBuiltins(luo.registry);
  registerArena(luo);
  const device = Device.open(luo);
  return { luo, device, kho, [Symbol.dispose]: () => device[Symbol.dispose]() };
}

/** What may be changed of what crosses. */
export interface Crossing {
  fds: number[];
  blobs: Uint8Array[];
}

/**
 * Goes on in the next world. As with an exec, nothing of the world before may be used after it: its descriptors that cross
 * have another owner.
 */
export function nextWorld({ luo }: ArenaWorld, change: (crossing: Crossing) => void = () => {}): ArenaWorld {
  return arenaWorld(handOver(luo, change));
}

/** What crosses from a world, as the next image would have it. */
export function handOver(luo: Orchestrator, change: (crossing: Crossing) => void = () => {}): IncomingKho {
  const record = encodeLuo(luo.freeze());
  const crossing = { fds: luo.outgoing.fds().map(({ fd }) => fd), blobs: luo.outgoing.blobs() };
  change(crossing);
  return makeIncoming({
    fds: crossing.fds.map((fd) => [OwnedFd.adopt(fd), "preserved"]),
    blobs: crossing.blobs,
    subtrees: { [LUO_SUBTREE]: record },
  });
}

/** Allocates a slice that says which one it is, and preserves it. */
export function preserveText(arena: Arena, session: Session, token: bigint, text: string): Slice {
  const slice = arena.allocate(text.length);
  slice.bytes.set(new TextEncoder().encode(text));
  session.preserveFd(slice.fd, token);
  return slice;
}

/** Retrieves a slice and asserts what is in it. */
export function retrieveText(arena: Arena, session: Session, token: bigint, text: string): Slice {
  using fd = session.retrieveFd(token);
  const slice = arena.slice(fd);
  assertEquals(textOf(slice), text);
  return slice;
}

/** The content of a slice. */
export function textOf({ bytes }: Slice): string {
  return new TextDecoder().decode(bytes);
}
