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
import { dupOnto, type OwnedFd, SysError } from "../sys/mod.ts";
import { codeOf, type FailurePlace, LuoError, reasonOf } from "./errors.ts";
import type { FileInfo, FileState } from "./file_info.ts";
import type { FlbAccess } from "./flb.ts";
import type { FileHandler, IncomingArgs, IncomingHandover } from "./handler.ts";
import type { Expected } from "./identities.ts";
import type { Orchestrator } from "./orchestrator.ts";

interface IncomingFile {
  record: FileRecord;
  handler: FileHandler;
  status: 0 | 1 | LuoError;
  /** Is its handler at work on `retrieve`? */
  busy: boolean;
  /** The descriptor that stands for the file while it is retrieved; owned where the handler made it. */
  file: number | OwnedFd | null;
  identity: Expected | null;
}

/** The files of an incoming session. */
export class IncomingFileSet {
  readonly #luo: Orchestrator;
  readonly #session: string;
  readonly #files = new Map<bigint, IncomingFile>();
  #finished = false;

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
      const { token, compatible } = record;
      if (handler === undefined) {
        throw new LuoError(
          "ENOENT",
          `Cannot read token ${token} of session "${session}": no handler is called "${compatible}"`,
          { session, token, handler: compatible },
        );
      }
      // The kernel does not look for duplicates here (section 12.9 of the reference).
      if (this.#files.has(token)) {
        throw new LuoError(
          "EINVAL",
          `Cannot read session "${session}": token ${token} is there twice`,
          { session, token },
        );
      }
      this.#files.set(token, { record, handler, status: 0, busy: false, file: null, identity: null });
      luo.registry.hold(handler);
    }
  }

  /** How many files there are. */
  get size(): number {
    return this.#files.size;
  }

  /** Was it finished? */
  get finished(): boolean {
    return this.#finished;
  }

  /**
   * Takes a file back.
   *
   * @param token the token under which it was preserved
   * @param reserve gives a new descriptor, whatever it refers to: the number that the file will have. The kernel reserves
   * it before it looks at anything else
   * @returns that descriptor, a new one of the same open file description; the caller's
   * @throws {LuoError} `EMFILE` without a free descriptor, `ENOENT` for an unknown token, `EDEADLK` for a file whose
   * handler is at work on it, or what the handler threw the first time
   */
  retrieve(token: bigint, reserve: () => OwnedFd): OwnedFd {
    const action = `Cannot retrieve token ${token} of session "${this.#session}"`;
    const place: FailurePlace = { session: this.#session, token };
    let reserved: OwnedFd | undefined;
    try {
      reserved = reserve();
      const entry = this.#files.get(token);
      if (entry === undefined) throw new LuoError("ENOENT", `${action}: there is no such file`, place);
      place.handler = entry.record.compatible;
      if (typeof entry.status === "object") throw entry.status;
      if (entry.status === 0) this.#take(entry, action, place, reserve);
      dupOnto(numberOf(entry.file) ?? -1, reserved.fd);
      return reserved;
    } catch (error) {
      reserved?.[Symbol.dispose]();
      if (!(error instanceof SysError)) throw error;
      throw new LuoError(error.code, `${action}: ${error.message}`, { ...place, cause: error });
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
      { session: this.#session, token: blocker.token, handler: blocker.compatible },
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
      this.#luo.flbs.incoming.fileFinished(this.#luo.flbs.of(entry.handler));
      if (entry.identity !== null) this.#luo.identities.delete(entry.identity);
      if (entry.file !== null && typeof entry.file !== "number") entry.file[Symbol.dispose]();
      this.#luo.registry.unhold(entry.handler);
      this.#files.delete(entry.record.token);
    }
    this.#finished = true;
    return null;
  }

  /** What there is, in the order of preservation. */
  list(): FileInfo[] {
    return [...this.#files.values()].map(({ record, file, status }) => ({
      token: record.token,
      compatible: record.compatible,
      fd: numberOf(file),
      state: stateOf(status),
      error: typeof status === "object" ? status : null,
    }));
  }

  /** The kernel's `finish` gives no answer: whatever a handler meets there, the others are finished too. */
  #finish(entry: IncomingFile): void {
    try {
      entry.handler.finish(this.#args(entry));
    } catch (error) {
      const { compatible, token } = entry.record;
      console.error(
        `heirloom: handler "${compatible}" failed to finish token ${token} of session "${this.#session}": ` +
          reasonOf(error),
      );
    }
  }

  #take(entry: IncomingFile, action: string, place: FailurePlace, reserve: () => OwnedFd): void {
    if (entry.busy) {
      throw new LuoError("EDEADLK", `${action}: its handler is at work on it, and waits for itself`, place);
    }
    entry.busy = true;
    try {
      entry.file = entry.handler.retrieve(this.#args(entry, reserve));
      // Held by an outgoing session already: the kernel warns and goes on.
      entry.identity = this.#luo.identities.expect(entry.handler, numberOf(entry.file) ?? -1);
      entry.status = 1;
    } catch (error) {
      // The kernel keeps the first failure: what retrieve consumed cannot be consumed again.
      entry.status = new LuoError(
        codeOf(error),
        `${action}: handler "${entry.handler.compatible}": ${reasonOf(error)}`,
        { ...place, cause: error },
      );
      throw entry.status;
    } finally {
      entry.busy = false;
    }
  }

  #args(entry: IncomingFile, reserve: () => OwnedFd = noReserve): IncomingArgs {
    return new Incoming(this, this.#luo, entry, reserve);
  }

  /** Name of the session, for the arguments of handlers. */
  get session(): string {
    return this.#session;
  }
}

/** The arguments of one callback. */
class Incoming implements IncomingArgs {
  readonly handler: FileHandler;
  readonly session: string;
  readonly token: bigint;
  readonly fd: number | null;
  readonly serializedData: bigint;
  readonly retrieveStatus: 0 | 1 | LuoError;
  readonly kho: IncomingHandover;
  readonly flbs: FlbAccess;
  readonly #set: IncomingFileSet;
  readonly #reserve: () => OwnedFd;

  constructor(set: IncomingFileSet, luo: Orchestrator, entry: IncomingFile, reserve: () => OwnedFd) {
    this.#set = set;
    this.#reserve = reserve;
    this.handler = entry.handler;
    this.session = set.session;
    this.token = entry.record.token;
    this.fd = numberOf(entry.file);
    this.serializedData = entry.record.data;
    this.retrieveStatus = entry.status;
    this.kho = luo.incomingKho();
    this.flbs = luo.flbs;
  }

  retrieveFd(token: bigint): OwnedFd {
    return this.#set.retrieve(token, this.#reserve);
  }
}

/** Dependencies are taken back by `retrieve`; afterwards it is too late. */
function noReserve(): OwnedFd {
  throw new LuoError("EINVAL", "Cannot retrieve another file: that is for retrieve only");
}

function stateOf(status: 0 | 1 | LuoError): FileState {
  if (typeof status === "object") return "failed";
  return status === 0 ? "pending" : "retrieved";
}

function numberOf(file: number | OwnedFd | null): number | null {
  return file === null || typeof file === "number" ? file : file.fd;
}
