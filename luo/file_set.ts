/**
 * The files of one outgoing session, in the order of their preservation.
 *
 * Happy path: `preserve` each file, `freeze` all of them first to last, and the jump takes them across.
 *
 * Unhappy paths:
 * 1. `preserve` fails: nothing of that file stays behind.
 * 2. `freeze` of file k fails: files 0 to k-1 are unfrozen first to last, k itself is not, and all stay preserved.
 * 3. the session is closed: all files are unpreserved, newest first.
 *
 * @module
 */
import type { FileRecord } from "../kho/abi/luo.ts";
import { dupFd, getFlags, O_PATH, type OwnedFd, refusalOf, SysError } from "../sys/mod.ts";
import { codeOf, type FailurePlace, LuoError, reasonOf } from "./errors.ts";
import type { FileInfo } from "./file_info.ts";
import type { Flb, FlbAccess } from "./flb.ts";
import type { FileHandler, OutgoingArgs, OutgoingHandover } from "./handler.ts";
import type { Identity } from "./identities.ts";
import type { Orchestrator } from "./orchestrator.ts";

/** Most files of one session: the kernel's 63 records in each of 10,000 blocks. */
export const MAX_FILES = 630_000;

/** A preserved file. */
interface OutgoingFile {
  token: bigint;
  handler: FileHandler;
  file: OwnedFd;
  identity: Identity;
  flbs: readonly Flb[];
  serializedData: bigint;
  privateData: unknown;
}

/** The files of an outgoing session. */
export class FileSet {
  readonly #luo: Orchestrator;
  readonly #session: string;
  readonly #files = new Map<bigint, OutgoingFile>();

  /**
   * @param luo the orchestrator
   * @param session name of the session, for handlers and messages
   */
  constructor(luo: Orchestrator, session: string) {
    this.#luo = luo;
    this.#session = session;
  }

  /** How many files there are. */
  get size(): number {
    return this.#files.size;
  }

  /**
   * Preserves a file.
   *
   * @param fd the descriptor: a number is borrowed and LUO keeps a duplicate; what is owned is LUO's from here on, also
   * when this fails
   * @param token under which it will be retrieved, 0 to 2^64 - 1
   * @throws {LuoError} in this order: `EEXIST` token in use, `ENOSPC` set full, `EBADF` closed or `O_PATH` descriptor,
   * `ENOENT` no handler accepts it, `EBUSY` held already; then the errno of the FLB or of the handler that failed
   */
  preserve(fd: number | OwnedFd, token: bigint): void {
    using undo = new DisposableStack();
    const given = typeof fd === "number" ? null : undo.use(fd);
    const number = typeof fd === "number" ? fd : fd.fd;
    const action = `Cannot preserve fd ${number} under token ${token} of session "${this.#session}"`;
    const place: FailurePlace = { session: this.#session, token };
    if (this.#files.has(token)) throw new LuoError("EEXIST", `${action}: the token is in use`, place);
    if (this.#files.size >= MAX_FILES) {
      throw new LuoError("ENOSPC", `${action}: ${MAX_FILES} files are the limit`, place);
    }
    const file = given ?? undo.use(duplicate(number, action, place));
    const handler = this.#luo.registry.find(file.fd);
    if (handler === undefined) {
      throw new LuoError("ENOENT", `${action}: no handler accepts ${refusalOf(file.fd)}`, place);
    }
    place.handler = handler.compatible;
    const identity = this.#luo.identities.insert(handler, file.fd);
    if (identity === null) {
      throw new LuoError("EBUSY", `${action}: the same resource is held already`, place);
    }
    undo.defer(() => this.#luo.identities.delete(identity));
    const flbs = this.#luo.flbs.of(handler);
    const entry: OutgoingFile = {
      token,
      handler,
      file,
      identity,
      flbs,
      serializedData: 0n,
      privateData: undefined,
    };
    const args = new Outgoing(this, entry);
    try {
      this.#luo.flbs.outgoing.take(flbs);
      undo.defer(() => this.#luo.flbs.outgoing.drop(flbs));
      handler.preserve(args);
    } catch (error) {
      throw failure(action, place, error);
    }
    entry.serializedData = args.serializedData;
    entry.privateData = args.privateData;
    this.#files.set(token, entry);
    this.#luo.registry.hold(handler);
    undo.move();
  }

  /**
   * Undoes the preservation of one file. The kernel has no such call; a service that drops a resource needs it.
   *
   * @throws {LuoError} `ENOENT` for a token that is not in use
   */
  unpreserve(token: bigint): void {
    const entry = this.#files.get(token);
    if (entry === undefined) {
      throw new LuoError(
        "ENOENT",
        `Cannot unpreserve token ${token} of session "${this.#session}": it is not in use`,
        { session: this.#session, token },
      );
    }
    this.#files.delete(token);
    using undo = new DisposableStack();
    undo.use(entry.file);
    undo.defer(() => this.#luo.registry.unhold(entry.handler));
    undo.defer(() => this.#luo.identities.delete(entry.identity));
    undo.defer(() => this.#luo.flbs.outgoing.drop(entry.flbs));
    entry.handler.unpreserve(new Outgoing(this, entry));
  }

  /**
   * Undoes the preservation of all files, newest first. A handler that fails, which it must not, gets a line on stderr: the
   * others are undone all the same.
   */
  unpreserveAll(): void {
    for (const token of [...this.#files.keys()].reverse()) {
      try {
        this.unpreserve(token);
      } catch (error) {
        console.error(
          `heirloom: token ${token} of session "${this.#session}" was not undone: ${reasonOf(error)}`,
        );
      }
    }
  }

  /**
   * Freezes all files, first to last.
   *
   * @returns their records
   * @throws {LuoError} the error of the handler that refused; earlier files are unfrozen then
   */
  freeze(): FileRecord[] {
    const records: FileRecord[] = [];
    for (const entry of this.#files.values()) {
      if (entry.handler.freeze !== undefined) this.#freeze(entry, records.length);
      records.push(recordOf(entry));
    }
    return records;
  }

  /** Unfreezes the first `count` files, first to last, as the kernel does. */
  unfreeze(count: number = this.#files.size): void {
    for (const entry of [...this.#files.values()].slice(0, count)) {
      entry.handler.unfreeze?.(new Outgoing(this, entry));
    }
  }

  /** The records as they would cross now. */
  records(): FileRecord[] {
    return [...this.#files.values()].map(recordOf);
  }

  /** What there is, in the order of preservation. */
  list(): FileInfo[] {
    const state = this.#luo.frozen ? "frozen" : "preserved";
    return [...this.#files.values()].map(({ token, handler, file }) => ({
      token,
      compatible: handler.compatible,
      fd: file.fd,
      state,
      error: null,
    }));
  }

  /** The token of a file of this set; see `OutgoingArgs.tokenOf`. */
  tokenOf(fd: number): bigint {
    const action = `Cannot find the token of fd ${fd} in session "${this.#session}"`;
    using file = duplicate(fd, action, { session: this.#session });
    // Which handler carries it has to be asked only where that handler has its own idea of what is the same.
    const token = this.#tokenWith(this.#luo.identities.findOpenFile(file.fd)) ??
      this.#tokenWith(this.#identityOf(file.fd));
    if (token !== null) return token;
    throw new LuoError("ENOENT", `${action}: it is not preserved there`, { session: this.#session });
  }

  #tokenWith(identity: Identity | null): bigint | null {
    if (identity === null) return null;
    for (const entry of this.#files.values()) {
      if (entry.identity === identity) return entry.token;
    }
    return null;
  }

  #identityOf(fd: number): Identity | null {
    const handler = this.#luo.registry.find(fd);
    return handler === undefined ? null : this.#luo.identities.find(handler, fd);
  }

  /** Name of the session, for the arguments of handlers. */
  get session(): string {
    return this.#session;
  }

  /** Where descriptors and blobs are preserved, for the arguments of handlers. */
  get kho(): OutgoingHandover {
    return this.#luo.outgoing;
  }

  /** The objects of FLBs, for the arguments of handlers. */
  get flbs(): FlbAccess {
    return this.#luo.flbs;
  }

  #freeze(entry: OutgoingFile, frozen: number): void {
    const args = new Outgoing(this, entry);
    try {
      entry.handler.freeze?.(args);
    } catch (error) {
      this.unfreeze(frozen);
      const place = { session: this.#session, token: entry.token, handler: entry.handler.compatible };
      throw failure(`Cannot freeze token ${entry.token} of session "${this.#session}"`, place, error);
    }
    entry.serializedData = args.serializedData;
  }
}

/** The arguments of one callback: what it writes counts only where LUO reads it back. */
class Outgoing implements OutgoingArgs {
  readonly handler: FileHandler;
  readonly session: string;
  readonly token: bigint;
  readonly fd: number;
  serializedData: bigint;
  privateData: unknown;
  readonly kho: OutgoingHandover;
  readonly flbs: FlbAccess;
  readonly #set: FileSet;

  constructor(set: FileSet, entry: OutgoingFile) {
    this.#set = set;
    this.handler = entry.handler;
    this.session = set.session;
    this.token = entry.token;
    this.fd = entry.file.fd;
    this.serializedData = entry.serializedData;
    this.privateData = entry.privateData;
    this.kho = set.kho;
    this.flbs = set.flbs;
  }

  tokenOf(fd: number): bigint {
    return this.#set.tokenOf(fd);
  }
}

function recordOf({ handler, serializedData, token }: OutgoingFile): FileRecord {
  return { compatible: handler.compatible, data: serializedData, token };
}

/** What a handler threw, with the place. */
function failure(action: string, place: FailurePlace, error: unknown): LuoError {
  const who = place.handler === undefined ? "" : `handler "${place.handler}": `;
  return new LuoError(codeOf(error), `${action}: ${who}${reasonOf(error)}`, { ...place, cause: error });
}

function duplicate(fd: number, action: string, place: FailurePlace): OwnedFd {
  // What is no descriptor number would be made one on its way to C, and name another file.
  if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fffffff) {
    throw new LuoError("EBADF", `${action}: it is no descriptor`, place);
  }
  try {
    if ((getFlags(fd) & O_PATH) !== 0) {
      throw new LuoError(
        "EBADF",
        `${action}: it was opened with O_PATH and stands for a place only: open what is there`,
        place,
      );
    }
    return dupFd(fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const state = error.code === "EBADF" ? "it is closed" : error.message;
    throw new LuoError(error.code, `${action}: ${state}`, { ...place, cause: error });
  }
}
