/**
 * What the tests of this folder share: a handler that writes down every call, and both worlds of sessions around it. It
 * has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";

import { encodeLuo, type SessionRecord } from "../kho/abi/luo.ts";
import type { Role } from "../kho/abi/announcement.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { createMemfd, fdLink, type OwnedFd } from "../sys/mod.ts";
import { Device } from "./device.ts";
import { LuoError } from "./errors.ts";
import type { FileHandler, IncomingArgs, OutgoingArgs } from "./handler.ts";
import { LUO_SUBTREE, Orchestrator } from "./orchestrator.ts";

/** Name of the handler that {@linkcode TracingHandler} is unless told otherwise. */
export const TRACED = "traced-v1";

/** A handler of memfds named `file-*` that writes down what it is asked and fails where it is told to. */
export class TracingHandler implements FileHandler {
  readonly compatible: string;
  /** Every call but `canPreserve`, as `operation session/token`. */
  readonly calls: string[] = [];
  /** Arguments of the last call of each operation. */
  readonly last = new Map<string, OutgoingArgs | IncomingArgs>();
  /** Calls that fail, by the text that {@linkcode calls} has for them. */
  readonly failing = new Map<string, Error>();
  /** Tokens for which `canFinish` says no. */
  readonly refusing = new Set<bigint>();
  /** Numbers that `retrieve` gives back for handles. */
  readonly files = new Map<bigint, number | OwnedFd>();

  constructor(compatible = TRACED) {
    this.compatible = compatible;
  }

  canPreserve({ fd }: { fd: number }): boolean {
    return fdLink(fd).startsWith("/memfd:file-");
  }

  preserve(args: OutgoingArgs): void {
    args.serializedData = 100n + args.token;
    args.privateData = `private ${args.token}`;
    this.#note("preserve", args);
  }

  unpreserve(args: OutgoingArgs): void {
    this.#note("unpreserve", args);
  }

  freeze(args: OutgoingArgs): void {
    this.#note("freeze", args);
    args.serializedData += 1000n;
  }

  unfreeze(args: OutgoingArgs): void {
    this.#note("unfreeze", args);
  }

  retrieve(args: IncomingArgs): number | OwnedFd {
    this.#note("retrieve", args);
    return this.files.get(args.serializedData) ?? -1;
  }

  canFinish(args: IncomingArgs): boolean {
    this.#note("canFinish", args);
    return !this.refusing.has(args.token);
  }

  finish(args: IncomingArgs): void {
    this.#note("finish", args);
  }

  /** The calls since the last time. */
  takeCalls(): string[] {
    return this.calls.splice(0);
  }

  #note(operation: string, args: OutgoingArgs | IncomingArgs): void {
    const call = `${operation} ${args.session}/${args.token}`;
    this.calls.push(call);
    this.last.set(operation, { ...args });
    const error = this.failing.get(call);
    if (error !== undefined) throw error;
  }
}

/** An orchestrator with one tracing handler, and its device. */
export interface World extends Disposable {
  luo: Orchestrator;
  device: Device;
  handler: TracingHandler;
}

/** A cold world. */
export function coldWorld(): World {
  return worldOf(new Orchestrator(null));
}

/** A world in which sessions arrived; each token of it is a memfd of its own. */
export function warmWorld(sessions: Record<string, bigint[]>, role: Role = "update", number = 4n): World {
  const records: SessionRecord[] = Object.entries(sessions).map(([name, tokens]) => ({
    name,
    files: tokens.map((token) => ({ compatible: TRACED, data: 100n + token, token })),
  }));
  const world = worldOf(new Orchestrator(arrived(records, role, number)));
  for (const { files } of records) {
    for (const { data } of files) world.handler.files.set(data, createMemfd(`file-${data}`));
  }
  return world;
}

/** A handover with these sessions and nothing else. */
export function arrived(sessions: SessionRecord[], role: Role = "update", number = 4n): IncomingKho {
  const bytes = encodeLuo({ flbs: [], number, sessions });
  return makeIncoming({ subtrees: { [LUO_SUBTREE]: bytes }, role });
}

function worldOf(luo: Orchestrator): World {
  const handler = new TracingHandler();
  luo.registry.register(handler);
  const device = Device.open(luo);
  return { luo, device, handler, [Symbol.dispose]: () => device[Symbol.dispose]() };
}

/** A memfd that {@linkcode TracingHandler} accepts. */
export function traceable(name = "x"): OwnedFd {
  return createMemfd(`file-${name}`);
}

/** Asserts that `body` throws a LUO error with this code, whose message contains `text`. */
export function assertLuoError(body: () => unknown, code: string, text = ""): void {
  const error = assertThrows(body, LuoError, text);
  assertEquals(error.code, code, error.message);
}
