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
import { describeFd, dupFd, getFlags, O_PATH, type OwnedFd, SysError } from "../sys/mod.ts";
import { codeOf, LuoError } from "./errors.ts";
import type { FileHandler, OutgoingArgs } from "./handler.ts";
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
  serializedData: bigint;
  privateData: unknown;
}

/** What can be told about a file. */
export interface FileInfo {
  /** Its token. */
  token: bigint;
  /** Its handler. */
  compatible: string;
  /** The descriptor that LUO or the handover holds; null for an incoming file that is gone. */
  fd: number | null;
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
   * @param fd the descriptor, borrowed: LUO keeps a duplicate
   * @param token under which it will be retrieved, 0 to 2^64 - 1
   * @throws {LuoError} in this order: `EEXIST` token in use, `ENOSPC` set full, `EBADF` closed or `O_PATH` descriptor,
   * `ENOENT` no handler accepts it, `EBUSY` held already; then what the handler throws
   */
  preserve(fd: number, token: bigint): void {
    const action = `Cannot preserve fd ${fd} under token ${token} of session "${this.#session}"`;
    if (this.#files.has(token)) throw new LuoError("EEXIST", `${action}: the token is in use`);
    if (this.#files.size >= MAX_FILES) {
      throw new LuoError("ENOSPC", `${action}: ${MAX_FILES} files are the limit`);
    }
    using undo = new DisposableStack();
    const file = undo.use(duplicate(fd, action));
    const handler = this.#luo.registry.find(file.fd);
    if (handler === undefined) {
      throw new LuoError("ENOENT", `${action}: no handler accepts ${describeFd(file.fd)}`);
    }
    const identity = this.#luo.identities.insert(handler, file.fd);
    undo.defer(() => this.#luo.identities.delete(identity));
    const entry: OutgoingFile = {
      token,
      handler,
      file,
      identity,
      serializedData: 0n,
      privateData: undefined,
    };
    const args = this.#args(entry);
    handler.preserve(args);
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
      );
    }
    this.#files.delete(token);
    using undo = new DisposableStack();
    undo.use(entry.file);
    undo.defer(() => this.#luo.registry.unhold(entry.handler));
    undo.defer(() => this.#luo.identities.delete(entry.identity));
    entry.handler.unpreserve(this.#args(entry));
  }

  /** Undoes the preservation of all files, newest first. */
  unpreserveAll(): void {
    for (const token of [...this.#files.keys()].reverse()) this.unpreserve(token);
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
      const args = this.#args(entry);
      try {
        entry.handler.freeze?.(args);
      } catch (error) {
        this.unfreeze(records.length);
        throw new LuoError(
          codeOf(error),
          `Cannot freeze token ${entry.token} of session "${this.#session}": handler "${entry.handler.compatible}": ` +
            (error instanceof Error ? error.message : String(error)),
          { cause: error },
        );
      }
      entry.serializedData = args.serializedData;
      records.push({ compatible: entry.handler.compatible, data: entry.serializedData, token: entry.token });
    }
    return records;
  }

  /** Unfreezes the first `count` files, first to last, as the kernel does. */
  unfreeze(count: number = this.#files.size): void {
    for (const entry of [...this.#files.values()].slice(0, count)) {
      entry.handler.unfreeze?.(this.#args(entry));
    }
  }

  /** The records as they would cross now. */
  records(): FileRecord[] {
    return [...this.#files.values()].map(({ token, handler, serializedData }) => ({
      compatible: handler.compatible,
      data: serializedData,
      token,
    }));
  }

  /** What there is, in the order of preservation. */
  list(): FileInfo[] {
    return [...this.#files.values()].map(({ token, handler, file }) => ({
      token,
      compatible: handler.compatible,
      fd: file.fd,
    }));
  }

  #args(entry: OutgoingFile): OutgoingArgs {
    return {
      handler: entry.handler,
      session: this.#session,
      token: entry.token,
      fd: entry.file.fd,
      serializedData: entry.serializedData,
      privateData: entry.privateData,
      kho: this.#luo.outgoing,
    };
  }
}

function duplicate(fd: number, action: string): OwnedFd {
  // What is no descriptor number would be made one on its way to C, and name another file.
  if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fffffff) {
    throw new LuoError("EBADF", `${action}: it is no descriptor`);
  }
  try {
    if ((getFlags(fd) & O_PATH) !== 0) throw new LuoError("EBADF", `${action}: it was opened with O_PATH`);
    return dupFd(fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const state = error.code === "EBADF" ? "it is closed" : error.message;
    throw new LuoError(error.code, `${action}: ${state}`, { cause: error });
  }
}
