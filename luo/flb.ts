/**
 * FLBs: pieces of state that files share and that live as long as the files do ("file-lifecycle-bound"), such as the one
 * arena in which many files lie. Registered per handler; preserved with the first file that depends on it, unpreserved
 * with the last; in the next image taken back when somebody asks, finished with the last file.
 *
 * Happy path: `register(handler, flb)`, and every file of that handler takes part. `getOutgoing` and `getIncoming` give the
 * object to who needs it; each must be given back with its `put`.
 *
 * Unhappy paths: an FLB that cannot be preserved keeps the file from being preserved, and those before it are undone; one
 * that cannot be retrieved gives the same error ever after; after its end it is `ENODATA`.
 *
 * @module
 */
import { type FlbRecord, MAX_COMPATIBLE_BYTES } from "../kho/abi/luo.ts";
import { LuoError } from "./errors.ts";
import { IncomingFlbs } from "./flb_incoming.ts";
import { OutgoingFlbs } from "./flb_outgoing.ts";
import type { FileHandler, IncomingHandover, OutgoingHandover } from "./handler.ts";

/** Most FLBs of a process: what fits the kernel's page, (4096 - 16) / 64. */
export const MAX_FLBS = 63;

/** Arguments of `preserve` and `unpreserve`. */
export interface FlbOutgoingArgs<T = unknown> {
  /** The FLB that is called. */
  flb: Flb<T>;
  /** What crosses the update: an opaque number, often the handle of a blob. Set by `preserve`. */
  data: bigint;
  /** What this process works with; never crosses. Set by `preserve`. */
  object: T | null;
  /** Where descriptors and blobs are preserved. */
  kho: OutgoingHandover;
}

/** Arguments of `retrieve` and `finish`. */
export interface FlbIncomingArgs<T = unknown> {
  /** The FLB that is called. */
  flb: Flb<T>;
  /** What crossed. */
  data: bigint;
  /** What this process works with. Set by `retrieve`. */
  object: T | null;
  /** Where descriptors and blobs are taken back. */
  kho: IncomingHandover;
}

/** A piece of state that files share. */
export interface Flb<T = unknown> {
  /** Unique name among FLBs: 1 to 47 bytes. */
  readonly compatible: string;
  /** Makes the state ready to cross. Undoes its own work when it throws. */
  preserve(args: FlbOutgoingArgs<T>): void;
  /** The exact inverse of `preserve`. */
  unpreserve(args: FlbOutgoingArgs<T>): void;
  /** Takes the state back. */
  retrieve(args: FlbIncomingArgs<T>): void;
  /** Releases what the handover held for it. Does not fail. */
  finish(args: FlbIncomingArgs<T>): void;
  /**
   * Optional. Can this record be taken back? Asked in a check, without any descriptor.
   *
   * @throws what keeps the record from being read
   */
  check?(args: { flb: Flb<T>; data: bigint; kho: Pick<IncomingHandover, "blob"> }): void;
}

/** Access to the objects of FLBs. */
export interface FlbAccess {
  /**
   * The object of an FLB that was handed over; retrieved now if nobody did before. Counts as one more user.
   *
   * @throws {LuoError} `ENODATA` nothing was handed over or it is finished, `ENOENT` no such FLB was handed over, or what
   * `retrieve` threw the first time
   */
  getIncoming<T>(flb: Flb<T>): T;
  /**
   * Gives back what {@linkcode getIncoming} gave. The last user's return finishes the FLB.
   *
   * @throws {LuoError} `EINVAL` without a matching `getIncoming`
   */
  putIncoming(flb: Flb): void;
  /**
   * The object of an FLB that is preserved. Counts as one more user, also in the record that crosses.
   *
   * @throws {LuoError} `ENOENT` while no file depends on it
   */
  getOutgoing<T>(flb: Flb<T>): T;
  /**
   * Gives back what {@linkcode getOutgoing} gave. The last user's return unpreserves the FLB.
   *
   * @throws {LuoError} `EINVAL` without a matching `getOutgoing`
   */
  putOutgoing(flb: Flb): void;
}

const REQUIRED = ["preserve", "unpreserve", "retrieve", "finish"] as const;

const NONE: readonly Flb[] = [];

/** All FLBs of a process, and which handler depends on which. */
export class FlbRegistry implements FlbAccess {
  readonly #links = new Map<FileHandler, Flb[]>();
  readonly #users = new Map<Flb, number>();
  readonly #isRegistered: (handler: FileHandler) => boolean;
  /** What will cross. */
  readonly outgoing: OutgoingFlbs;
  /** What was handed over. */
  readonly incoming: IncomingFlbs;

  /**
   * @param isRegistered is this handler registered?
   * @param outgoing where FLBs are preserved
   * @param incoming where they are taken back, or null at a cold start
   */
  constructor(
    isRegistered: (handler: FileHandler) => boolean,
    outgoing: OutgoingHandover,
    incoming: IncomingHandover | null,
  ) {
    this.#isRegistered = isRegistered;
    this.outgoing = new OutgoingFlbs(outgoing);
    this.incoming = new IncomingFlbs(incoming);
  }

  /**
   * Makes the files of a handler depend on an FLB, from the next one on.
   *
   * @throws {LuoError} `EINVAL` a callback is missing, the name is not 1 to 47 bytes, or the handler is not registered;
   * `EEXIST` it depends on it already; `ENOSPC` more than {@linkcode MAX_FLBS}; `EEXIST` the name is another FLB's
   */
  register(handler: FileHandler, flb: Flb): void {
    const action = `Cannot register FLB "${flb.compatible}" with handler "${handler.compatible}"`;
    const bytes = new TextEncoder().encode(flb.compatible).byteLength;
    if (bytes < 1 || bytes > MAX_COMPATIBLE_BYTES) {
      throw new LuoError(
        "EINVAL",
        `${action}: its name has ${bytes} bytes, allowed are 1 to ${MAX_COMPATIBLE_BYTES}`,
      );
    }
    const missing = REQUIRED.filter((name) => typeof flb[name] !== "function");
    if (missing.length > 0) throw new LuoError("EINVAL", `${action}: it lacks ${missing.join(", ")}`);
    if (!this.#isRegistered(handler)) {
      throw new LuoError("EINVAL", `${action}: that handler is not registered`);
    }
    const links = this.#links.get(handler) ?? [];
    if (links.includes(flb)) throw new LuoError("EEXIST", `${action}: it is registered with it already`);
    if (!this.#users.has(flb)) this.#checkNew(flb, action);
    this.#links.set(handler, [...links, flb]);
    this.#users.set(flb, (this.#users.get(flb) ?? 0) + 1);
  }

  /**
   * The inverse of {@linkcode register}. Files that are preserved keep what they hold.
   *
   * @throws {LuoError} `ENOENT` it is not registered with that handler
   */
  unregister(handler: FileHandler, flb: Flb): void {
    const links = this.#links.get(handler) ?? [];
    if (!links.includes(flb)) {
      throw new LuoError(
        "ENOENT",
        `Cannot unregister FLB "${flb.compatible}" from handler "${handler.compatible}": it is not registered with it`,
      );
    }
    this.#links.set(handler, links.filter((other) => other !== flb));
    const users = (this.#users.get(flb) ?? 0) - 1;
    if (users > 0) this.#users.set(flb, users);
    else this.#users.delete(flb);
  }

  /** Takes all FLBs from a handler that is being unregistered. */
  detach(handler: FileHandler): void {
    for (const flb of this.of(handler)) this.unregister(handler, flb);
    this.#links.delete(handler);
  }

  /** The FLBs on which the files of a handler depend, in the order of registration. */
  of(handler: FileHandler): readonly Flb[] {
    return this.#links.get(handler) ?? NONE;
  }

  /** The registered FLB of that name. */
  get(compatible: string): Flb | undefined {
    return [...this.#users.keys()].find((flb) => flb.compatible === compatible);
  }

  /** The records of all that is preserved, in the order of registration. */
  records(): FlbRecord[] {
    return this.outgoing.records([...this.#users.keys()]);
  }

  /** @inheritdoc */
  getIncoming<T>(flb: Flb<T>): T {
    return this.incoming.get(flb);
  }

  /** @inheritdoc */
  putIncoming(flb: Flb): void {
    this.incoming.put(flb);
  }

  /** @inheritdoc */
  getOutgoing<T>(flb: Flb<T>): T {
    return this.outgoing.get(flb);
  }

  /** @inheritdoc */
  putOutgoing(flb: Flb): void {
    this.outgoing.put(flb);
  }

  #checkNew(flb: Flb, action: string): void {
    if (this.#users.size >= MAX_FLBS) {
      throw new LuoError("ENOSPC", `${action}: ${MAX_FLBS} FLBs are the limit`);
    }
    if (this.get(flb.compatible) !== undefined) {
      throw new LuoError("EEXIST", `${action}: another FLB has that name`);
    }
  }
}
