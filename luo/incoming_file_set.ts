/**
 * The files of one incoming session: known by their records, taken back when asked for, finished all at once.
 *
 * Happy path: `retrieve` any tokens in any order and as often as wanted, then `finish`: every `canFinish` is asked
 * first to last, then every `finish` is called newest to oldest. Files that nobody retrieved are discarded by it.
 *
 * Unhappy paths:
 * 1. `retrieve` fails: the error is remembered and given again; the handler is not asked twice, and `finish` is told.
 * 2. `canFinish` refuses: `EBUSY`, and nothing changed.
 * 3. `finish` throws, which it must not: a line on stderr, and the next file.
 *
 * @module
 */
import type { FileRecord } from "../kho/abi/luo.ts";
import { dupFd, type OwnedFd, SysError } from "../sys/mod.ts";
import { codeOf, LuoError } from "./errors.ts";
import type { FileInfo } from "./file_set.ts";
import type { FileHandler, IncomingArgs } from "./handler.ts";
import type { Identity } from "./identities.ts";
import type { Orchestrator } from "./orchestrator.ts";

interface IncomingFile {
  record: FileRecord;
  handler: FileHandler;
  status: 0 | 1 | LuoError;
  /** The descriptor that stands for the file while it is retrieved; owned where the handler made it. */
  file: number | OwnedFd | null;
  identity: Identity | null;
}

/** The files of an incoming session. */
export class IncomingFileSet {
  readonly #luo: Orchestrator;
  readonly #session: string;
  readonly #files = new Map<bigint, IncomingFile>();

  /**
   * @param luo the orchestrator
   * @param session name of the session
   * @param records what the handover says of its files
   * @throws {LuoError} `ENOENT` when no handler has the exact name of a record, `EINVAL` for a token that is there twice
   */
  constructor(luo: Orchestrator, session: string, records: FileRecord[]) {
    this.#luo = luo;
    this.#session = session;
    for (const record of records) {
      const handler = luo.readerOf(record, session);
      if (handler === undefined) {
        throw new LuoError(
          "ENOENT",
          `Cannot read token ${record.token} of session "${session}": no handler is called "${record.compatible}"`,
        );
      }
      if (this.#files.has(record.token)) {
        throw new LuoError(
          "EINVAL",
          `Cannot read session "${session}": token ${record.token} is there twice`,
        );
      }
      this.#files.set(record.token, { record, handler, status: 0, file: null, identity: null });
      luo.registry.hold(handler);
    }
  }

  /** How many files there are. */
  get size(): number {
    return this.#files.size;
  }

  /**
   * Takes a file back.
   *
   * @param token the token under which it was preserved
   * @returns a new descriptor of the same open file description; the caller's
   * @throws {LuoError} `ENOENT` for an unknown token, `EMFILE` without a free descriptor, or what the handler threw the
   * first time
   */
  retrieve(token: bigint): OwnedFd {
    const entry = this.#files.get(token);
    const action = `Cannot retrieve token ${token} of session "${this.#session}"`;
    if (entry === undefined) throw new LuoError("ENOENT", `${action}: there is no such file`);
    if (typeof entry.status === "object") throw entry.status;
    if (entry.status === 0) this.#take(entry, action);
    try {
      return dupFd(numberOf(entry.file) ?? -1);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new LuoError(error.code, `${action}: ${error.message}`, { cause: error });
    }
  }

  /** The first file that may not be finished yet, or null. */
  blocker(): { token: bigint; compatible: string } | null {
    for (const entry of this.#files.values()) {
      if (entry.handler.canFinish === undefined || entry.handler.canFinish(this.#args(entry))) continue;
      return { token: entry.record.token, compatible: entry.handler.compatible };
    }
    return null;
  }

  /**
   * Finishes all files.
   *
   * @throws {LuoError} `EBUSY` when one refuses; nothing changed then
   */
  finish(): void {
    const blocker = this.tryFinish();
    if (blocker === null) return;
    throw new LuoError(
      "EBUSY",
      `Cannot finish session "${this.#session}": handler "${blocker.compatible}" refuses for token ${blocker.token}`,
    );
  }

  /**
   * Finishes all files, unless one refuses.
   *
   * @returns the first file that refuses, or null when all are finished
   */
  tryFinish(): { token: bigint; compatible: string } | null {
    const blocker = this.blocker();
    if (blocker !== null) return blocker;
    for (const entry of [...this.#files.values()].reverse()) {
      this.#finish(entry);
      if (entry.identity !== null) this.#luo.identities.delete(entry.identity);
      if (entry.file !== null && typeof entry.file !== "number") entry.file[Symbol.dispose]();
      this.#luo.registry.unhold(entry.handler);
      this.#files.delete(entry.record.token);
    }
    return null;
  }

  /** What there is, in the order of preservation. */
  list(): FileInfo[] {
    return [...this.#files.values()].map(({ record, file }) => ({
      token: record.token,
      compatible: record.compatible,
      fd: numberOf(file),
    }));
  }

  /** The kernel's `finish` gives no answer: whatever a handler meets there, the others are finished too. */
  #finish(entry: IncomingFile): void {
    try {
      entry.handler.finish(this.#args(entry));
    } catch (error) {
      const { compatible, token } = entry.record;
      const reason = error instanceof Error ? error.message : String(error);
      console.error(
        `heirloom: handler "${compatible}" failed to finish token ${token} of session "${this.#session}": ${reason}`,
      );
    }
  }

  #take(entry: IncomingFile, action: string): void {
    try {
      entry.file = entry.handler.retrieve(this.#args(entry));
      entry.identity = this.#luo.identities.insert(entry.handler, numberOf(entry.file) ?? -1);
      entry.status = 1;
    } catch (error) {
      // The kernel keeps the first failure: what retrieve consumed cannot be consumed again.
      const reason = error instanceof Error ? error.message : String(error);
      entry.status = new LuoError(
        codeOf(error),
        `${action}: handler "${entry.handler.compatible}": ${reason}`,
        { cause: error },
      );
      throw entry.status;
    }
  }

  #args(entry: IncomingFile): IncomingArgs {
    return {
      handler: entry.handler,
      session: this.#session,
      token: entry.record.token,
      fd: numberOf(entry.file),
      serializedData: entry.record.data,
      retrieveStatus: entry.status,
      kho: this.#luo.incomingKho(),
    };
  }
}

function numberOf(file: number | OwnedFd | null): number | null {
  return file === null || typeof file === "number" ? file : file.fd;
}
