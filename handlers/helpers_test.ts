/**
 * What the tests of this folder share: one file carried through preserve, freeze and retrieve inside this process. It has
 * no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

import { type CborValue, decodeCbor } from "../kho/codec.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import { OutgoingKho } from "../kho/outgoing.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { type FlbAccess, FlbRegistry } from "../luo/flb.ts";
import type { FileHandler, HandlerArgs, IncomingArgs, OutgoingArgs } from "../luo/handler.ts";
import { HandlerRegistry } from "../luo/handler.ts";
import { type OwnedFd, sameOpenFile } from "../sys/mod.ts";
import { registerBuiltins } from "./mod.ts";

/** The name of the built-in handler that takes a descriptor, or null. */
export function takerOf(owned: OwnedFd): string | null {
  const registry = new HandlerRegistry();
  registerBuiltins(registry);
  return registry.find(owned.fd)?.compatible ?? null;
}

/** Arguments of the outgoing callbacks for a descriptor, as LUO would make them. */
export function outgoingArgs(handler: FileHandler, fd: number): OutgoingArgs & { kho: OutgoingKho } {
  const kho = new OutgoingKho();
  return { ...common(handler, kho), fd, serializedData: 0n, privateData: undefined, kho, tokenOf: nothing };
}

function common(handler: FileHandler, kho: OutgoingKho | null): HandlerArgs & { flbs: FlbAccess } {
  const registry = new HandlerRegistry();
  const flbs = new FlbRegistry((known) => registry.has(known), kho ?? new OutgoingKho(), null);
  return { handler, session: "test", token: 1n, flbs };
}

function nothing(): never {
  throw new TypeError("a file of its own has no others");
}

/** The record that a handler wrote, decoded: `[version, members]`. */
export function recordOf(
  args: { kho: OutgoingKho; serializedData: bigint },
): [number, { [key: string]: CborValue }] {
  const bytes = args.kho.blobs()[Number(args.serializedData) - 1] ?? new Uint8Array();
  return decodeCbor(bytes) as [number, { [key: string]: CborValue }];
}

/** Arguments of the incoming callbacks, as LUO would make them. */
export function incomingArgs(handler: FileHandler, kho: IncomingKho, serializedData: bigint): IncomingArgs {
  return { ...common(handler, null), fd: null, serializedData, retrieveStatus: 0, kho, retrieveFd: nothing };
}

/** A file that arrived. */
export interface Arrived extends Disposable {
  kho: IncomingKho;
  args: IncomingArgs;
  record: { [key: string]: CborValue };
}

/**
 * Carries a descriptor over as its handler does: preserve, freeze, and then the other side. What happens to it in between
 * is up to `meanwhile`, which may also replace the blob.
 */
export function carry(
  handler: FileHandler,
  owned: OwnedFd,
  meanwhile: (blob: Uint8Array, duplicate: OwnedFd) => Uint8Array | void = () => {},
): Arrived {
  const held = owned.dup();
  const args = outgoingArgs(handler, held.fd);
  handler.preserve(args);
  handler.freeze?.(args);
  const [, record] = recordOf(args);
  const blob = args.kho.blobs()[0] ?? new Uint8Array();
  const changed = meanwhile(blob, held) ?? blob;
  const { serializedData } = args;
  const kho = makeIncoming({ fds: [[held, "preserved"]], blobs: [changed] });
  const incoming = incomingArgs(handler, kho, serializedData);
  return { kho, args: incoming, record, [Symbol.dispose]: () => kho.commit() };
}

/** Asserts that a descriptor comes back as the same open file, and that finish lets go of it. */
export function assertCarried(handler: FileHandler, owned: OwnedFd): { [key: string]: CborValue } {
  using arrived = carry(handler, owned);
  const fd = handler.retrieve(arrived.args) as number;
  assertEquals(sameOpenFile(owned.fd, fd), true);
  handler.finish({ ...arrived.args, fd, retrieveStatus: 1 });
  let released = false;
  try {
    arrived.kho.borrowFd(fd);
  } catch {
    released = true;
  }
  assertEquals(released, true);
  return arrived.record;
}
