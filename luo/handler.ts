/**
 * File handlers: who knows how to carry one kind of resource, and the registry in which the first that accepts a
 * descriptor gets it.
 *
 * A handler is named by its `compatible` string. Incoming files are matched by exactly that string, so another way of
 * writing records is another string and another handler. All callbacks are synchronous and take one argument object.
 *
 * What LUO reads back, as in the kernel: after `preserve` `serializedData` and `privateData`, after `freeze`
 * `serializedData`, after `retrieve` the returned file. What other callbacks write into the object is discarded.
 *
 * @module
 */
import type { OwnedFd } from "../sys/mod.ts";
import { MAX_COMPATIBLE_BYTES } from "../kho/abi/luo.ts";
import { LuoError } from "./errors.ts";
import type { FlbAccess } from "./flb.ts";

/** What a handler does with the handover that is being prepared. Each call has its exact inverse. */
export interface OutgoingHandover {
  /** Lets a descriptor cross at its number; it must stay open until the jump. */
  preserveFd(fd: number): void;
  /** The inverse of `preserveFd`. */
  unpreserveFd(fd: number): void;
  /** Lets bytes cross; returns their handle, from 1 up. */
  preserveBlob(bytes: Uint8Array): bigint;
  /** Replaces the bytes behind a handle. */
  replaceBlob(handle: bigint, bytes: Uint8Array): void;
  /** The inverse of `preserveBlob`. */
  unpreserveBlob(handle: bigint): void;
}

/** What a handler does with the handover that arrived. */
export interface IncomingHandover {
  /** Checks that a descriptor was handed over and gives it back, borrowed until it is released. */
  borrowFd(fd: number): number;
  /** Says that a descriptor is not needed any more. */
  releaseFd(fd: number): void;
  /** The bytes behind a handle. */
  blob(handle: bigint): Uint8Array;
}

/** Common to all callbacks. */
export interface HandlerArgs {
  /** The handler that is called. */
  handler: FileHandler;
  /** Name of the session. */
  session: string;
  /** Token of the file in the session. */
  token: bigint;
}

/** Arguments of the callbacks of the outgoing side. */
export interface OutgoingArgs extends HandlerArgs {
  /** The objects of FLBs on which the files of this handler depend. */
  flbs: FlbAccess;
  /** LUO's own duplicate of the preserved descriptor; borrowed. */
  fd: number;
  /** What the handler keeps; crosses the update. Set by `preserve`, may be replaced by `freeze`. */
  serializedData: bigint;
  /** What the handler needs in this process only; never crosses. Set by `preserve`. */
  privateData: unknown;
  /** Where descriptors and blobs are preserved. */
  kho: OutgoingHandover;
  /**
   * The token under which another file of the same session is preserved. Meant for `freeze`, when all files are there, so
   * that the order of their preservation does not matter.
   *
   * @param fd any descriptor of that file, borrowed
   * @throws {LuoError} `ENOENT` it is not preserved in this session, `EBADF`
   */
  tokenOf(fd: number): bigint;
}

/** Arguments of the callbacks of the incoming side. */
export interface IncomingArgs extends HandlerArgs {
  /** The objects of FLBs on which the files of this handler depend. */
  flbs: FlbAccess;
  /** The file, or null while it is not retrieved; borrowed. */
  fd: number | null;
  /** What the handler kept. */
  serializedData: bigint;
  /** 0 not retrieved, 1 retrieved, or the error that `retrieve` ended with. Told to `canFinish` and `finish`. */
  retrieveStatus: 0 | 1 | Error;
  /** Where descriptors and blobs are taken back. */
  kho: IncomingHandover;
  /**
   * Takes back another file of the same session, on which this one depends.
   *
   * @param token its token
   * @returns a descriptor of it; the handler's
   * @throws {LuoError} as {@linkcode Session.retrieveFd}; `EDEADLK` when that file waits for this one
   */
  retrieveFd(token: bigint): OwnedFd;
}

/** Arguments of the dry run in a check: the record, and no descriptor. */
export interface CheckArgs extends HandlerArgs {
  /** What the handler kept. */
  serializedData: bigint;
  /** Where the record is read; there are no descriptors to borrow. */
  kho: Pick<IncomingHandover, "blob">;
}

/** Carries one kind of resource. */
export interface FileHandler {
  /** Unique name: 1 to 47 bytes. Records that no version of it could read belong to another name. */
  readonly compatible: string;
  /** Optional. The version of the records that it writes: a positive integer. */
  readonly version?: number;
  /** Optional. The versions of records that it reads, lowest and highest. @default {[1, version]} */
  readonly reads?: readonly [lowest: number, highest: number];
  /**
   * Optional. Can this record be taken back? Asked in a check, without any descriptor; must not change anything.
   *
   * @returns the version of the record, if it has one; it is held against {@linkcode FileHandler.reads}
   * @throws what keeps the record from being read
   */
  check?(args: CheckArgs): number | undefined;
  /**
   * Optional. What stands for the file in a check: something harmless of its own, made without any descriptor of the
   * handover. An open `/dev/null` if absent.
   *
   * @returns as {@linkcode FileHandler.retrieve}
   */
  standIn?(args: CheckArgs): number | OwnedFd;
  /** Required. Does this handler carry that descriptor? Light, and without side effects. */
  canPreserve(args: { fd: number }): boolean;
  /** Required. Makes the resource ready to cross and sets `serializedData`. Undoes its own work when it throws. */
  preserve(args: OutgoingArgs): void;
  /** Required. The exact inverse of `preserve`. */
  unpreserve(args: OutgoingArgs): void;
  /** Optional. Last look before the jump; may replace `serializedData`. Undoes its own work when it throws. */
  freeze?(args: OutgoingArgs): void;
  /** Optional. The inverse of `freeze`. */
  unfreeze?(args: OutgoingArgs): void;
  /**
   * Required. Takes the resource back.
   *
   * @returns a descriptor that the handover holds (a number, borrowed), or one that the handler made (LUO owns it)
   */
  retrieve(args: IncomingArgs): number | OwnedFd;
  /** Optional. Is the resource in a state in which `finish` may be called? */
  canFinish?(args: IncomingArgs): boolean;
  /** Required. Releases what the handover held for this file, retrieved or not. Does not fail. */
  finish(args: IncomingArgs): void;
  /** Optional. What makes two descriptors the same resource; without it, the open file description does. */
  getId?(args: { fd: number }): string;
}

const REQUIRED = ["canPreserve", "preserve", "unpreserve", "retrieve", "finish"] as const;

/** The handlers of a process, in the order in which they are asked. */
export class HandlerRegistry {
  readonly #handlers: FileHandler[] = [];
  readonly #users = new Map<FileHandler, number>();

  /**
   * Registers a handler behind those that are there.
   *
   * @throws {LuoError} `EINVAL` when a required callback is missing or `compatible` is not 1 to 47 bytes, `EEXIST` when
   * that string is taken
   */
  register(handler: FileHandler): void {
    const bytes = new TextEncoder().encode(handler.compatible).byteLength;
    if (bytes < 1 || bytes > MAX_COMPATIBLE_BYTES) {
      throw new LuoError(
        "EINVAL",
        `Cannot register handler "${handler.compatible}": its name has ${bytes} bytes, allowed are 1 to ${MAX_COMPATIBLE_BYTES}`,
      );
    }
    const missing = REQUIRED.filter((name) => typeof handler[name] !== "function");
    if (missing.length > 0) {
      throw new LuoError(
        "EINVAL",
        `Cannot register handler "${handler.compatible}": it lacks ${missing.join(", ")}`,
      );
    }
    if (this.get(handler.compatible) !== undefined) {
      throw new LuoError(
        "EEXIST",
        `Cannot register handler "${handler.compatible}": that name is registered`,
      );
    }
    this.#handlers.push(handler);
  }

  /**
   * Removes a handler.
   *
   * @throws {LuoError} `ENOENT` when it is not registered, `EBUSY` while it holds files
   */
  unregister(handler: FileHandler): void {
    const at = this.#handlers.indexOf(handler);
    if (at < 0) {
      throw new LuoError("ENOENT", `Cannot unregister handler "${handler.compatible}": it is not registered`);
    }
    const users = this.#users.get(handler) ?? 0;
    if (users > 0) {
      throw new LuoError(
        "EBUSY",
        `Cannot unregister handler "${handler.compatible}": it holds ${users} files`,
      );
    }
    this.#handlers.splice(at, 1);
  }

  /** The first handler that accepts a descriptor. */
  find(fd: number): FileHandler | undefined {
    return this.#handlers.find((handler) => handler.canPreserve({ fd }));
  }

  /** The names of all handlers, in the order in which they are asked. */
  names(): string[] {
    return this.#handlers.map(({ compatible }) => compatible);
  }

  /** The handler of exactly that name. */
  get(compatible: string): FileHandler | undefined {
    return this.#handlers.find((handler) => handler.compatible === compatible);
  }

  /** Is this handler registered? */
  has(handler: FileHandler): boolean {
    return this.#handlers.includes(handler);
  }

  /** Counts a file that a handler holds from now on. */
  hold(handler: FileHandler): void {
    this.#users.set(handler, (this.#users.get(handler) ?? 0) + 1);
  }

  /** The inverse of {@linkcode hold}. */
  unhold(handler: FileHandler): void {
    this.#users.set(handler, (this.#users.get(handler) ?? 0) - 1);
  }
}
