/**
 * A handler that really carries memfds, writes down every call, and fails where it is told to. It takes the memfds whose
 * name begins with {@linkcode TRACED_NAME}.
 *
 * Happy path: `const tracer = registerTracer();`, before the device is opened; `tracer.takeCalls()` are the calls since
 * the last time, as `operation session/token`.
 *
 * Unhappy path: a call in {@linkcode KernelTracer.failing} throws, and has written a wrong handle before, which nobody may
 * use.
 *
 * @module
 */
import { fileHandler, memfdHandler } from "../../handlers/mod.ts";
import {
  type FileHandler,
  type IncomingArgs,
  type OutgoingArgs,
  registerHandler,
  unregisterHandler,
} from "../../mod.ts";
import { createMemfd, fdLink, type OwnedFd, writeAll } from "../../sys/mod.ts";

/** Beginning of the names of the memfds that the handler takes. */
export const TRACED_NAME = "traced-";

/** No handle of anything. */
const WRONG = 0xBADn;

/** The handler. */
export class KernelTracer implements FileHandler {
  /** Name of the handler. */
  readonly compatible = "kernel-traced-v1";
  /** Calls that fail, by the text that they have in {@linkcode takeCalls}. */
  readonly failing = new Map<string, Error>();
  /** Tokens for which `canFinish` says no. */
  readonly refusing = new Set<bigint>();
  /** The handle that each call was given last. */
  readonly handles = new Map<string, bigint>();
  /** What each call of `canFinish` and `finish` was told last: 0, 1, or an error. */
  readonly statuses = new Map<string, 0 | 1 | Error>();
  /** A file for the calls that nobody is left to ask for after the jump. */
  log: OwnedFd | null = null;
  readonly #calls: string[] = [];

  canPreserve({ fd }: { fd: number }): boolean {
    return fdLink(fd).startsWith(`/memfd:${TRACED_NAME}`);
  }

  preserve(args: OutgoingArgs): void {
    this.#note("preserve", args);
    args.kho.preserveFd(args.fd);
    args.serializedData = BigInt(args.fd);
  }

  unpreserve(args: OutgoingArgs): void {
    this.#note("unpreserve", args);
    args.kho.unpreserveFd(Number(args.serializedData));
  }

  freeze(args: OutgoingArgs): void {
    this.#note("freeze", args);
  }

  unfreeze(args: OutgoingArgs): void {
    this.#note("unfreeze", args);
    // LUO reads nothing back from here.
    args.serializedData = WRONG;
  }

  retrieve(args: IncomingArgs): number {
    this.#note("retrieve", args);
    return args.kho.borrowFd(Number(args.serializedData));
  }

  canFinish(args: IncomingArgs): boolean {
    this.#note("canFinish", args);
    return !this.refusing.has(args.token);
  }

  finish(args: IncomingArgs): void {
    this.#note("finish", args);
    args.kho.releaseFd(Number(args.serializedData));
  }

  /** The calls since the last time. */
  takeCalls(): string[] {
    return this.#calls.splice(0);
  }

  #note(operation: string, args: OutgoingArgs | IncomingArgs): void {
    const call = `${operation} ${args.session}/${args.token}`;
    this.#calls.push(call);
    this.handles.set(call, args.serializedData);
    if ("retrieveStatus" in args) this.statuses.set(call, args.retrieveStatus);
    if (this.log !== null) writeAll(this.log.fd, new TextEncoder().encode(`${call}\n`));
    const error = this.failing.get(call);
    if (error === undefined) return;
    args.serializedData = WRONG;
    throw error;
  }
}

/** Registers such a handler before those which would take any memfd. */
export function registerTracer(): KernelTracer {
  const tracer = new KernelTracer();
  const others = [memfdHandler, fileHandler];
  others.forEach(unregisterHandler);
  [tracer, ...others].forEach(registerHandler);
  return tracer;
}

/** A memfd for the handler. */
export function traced(): OwnedFd {
  return createMemfd(`${TRACED_NAME}file`);
}

/** An error of a handler, with an errno. */
export function failure(code: string): Error {
  return Object.assign(new Error(`told to fail with ${code}`), { code });
}
