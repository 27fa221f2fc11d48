/**
 * A session: a named set of files that crosses the update together.
 *
 * Outgoing: `createSession`, `preserveFd`…, and either the update takes it along or disposing it unpreserves everything,
 * newest first. Incoming: `retrieveSession`, `retrieveFd`…, `finish`; disposing it finishes it if that was not done.
 *
 * Unhappy paths: a call that belongs to the other direction is `EINVAL`, one on a disposed session `EBADF`, one while an
 * update freezes `EBUSY`.
 *
 * @module
 */
import type { FileRecord } from "../kho/abi/luo.ts";
import type { OwnedFd } from "../sys/mod.ts";
import { LuoError, type LuoErrorCode } from "./errors.ts";
import type { FileInfo } from "./file_info.ts";
import { FileSet } from "./file_set.ts";
import { IncomingFileSet } from "./incoming_file_set.ts";
import type { Orchestrator } from "./orchestrator.ts";

/** Where a session comes from: created here, or handed over. */
export type Direction = "outgoing" | "incoming";

/**
 * States of a session: `preserving` and `frozen` of an outgoing one; `pending` (nobody has it), `retrieved` and `finished`
 * of an incoming one; `closed` of both.
 */
export type SessionState = "preserving" | "frozen" | "pending" | "retrieved" | "finished" | "closed";

const MAX_TOKEN = (1n << 64n) - 1n;

/** A named set of files. */
export class Session implements Disposable {
  /** Its name, 1 to 63 bytes, unique in its direction. */
  readonly name: string;
  /** Created here or handed over. */
  readonly direction: Direction;
  readonly #luo: Orchestrator;
  readonly #files: FileSet | IncomingFileSet;
  /** A session of the kernel is a descriptor; this one reserves one too, so that `EMFILE` is what it should be. */
  #reserved: OwnedFd | null = null;
  #closed = false;

  /**
   * For the orchestrator only.
   *
   * @param luo the orchestrator
   * @param name the checked name
   * @param handed files of an incoming session, or null for an outgoing one
   */
  constructor(luo: Orchestrator, name: string, handed: FileRecord[] | IncomingFileSet | null) {
    this.#luo = luo;
    this.name = name;
    this.direction = handed === null ? "outgoing" : "incoming";
    if (handed === null) this.#files = new FileSet(luo, name);
    else this.#files = Array.isArray(handed) ? new IncomingFileSet(luo, name, handed) : handed;
  }

  /** Was the session closed? */
  get closed(): boolean {
    return this.#closed;
  }

  /** Where it stands. The kernel keeps that to itself. */
  get state(): SessionState {
    if (this.#closed) return "closed";
    if (this.#files instanceof FileSet) return this.#luo.frozen ? "frozen" : "preserving";
    if (this.#files.finished) return "finished";
    return this.#reserved === null ? "pending" : "retrieved";
  }

  /** Does somebody have this session open? For the orchestrator only. */
  get retrieved(): boolean {
    return this.#reserved !== null;
  }

  /**
   * Preserves a descriptor.
   *
   * @param fd the descriptor, borrowed: LUO keeps a duplicate, so it may be closed at once
   * @param token under which it will be retrieved, 0 to 2^64 - 1, unique in the session
   * @throws {LuoError} `EBADF` session closed, `EBUSY` while freezing, `EINVAL` incoming session or bad token, then
   * `EEXIST`, `ENOSPC`, `EBADF`, `ENOENT`, `EBUSY` or the handler's error as in {@linkcode FileSet.preserve}
   */
  preserveFd(fd: number | OwnedFd, token: bigint): void {
    const files = this.#outgoing("preserve a descriptor in");
    if (typeof token !== "bigint" || token < 0n || token > MAX_TOKEN) {
      throw new LuoError(
        "EINVAL",
        `Cannot preserve under token ${token}: it must be a bigint from 0 to 2^64 - 1`,
        { session: this.name },
      );
    }
    files.preserve(typeof fd === "number" ? fd : fd?.disposed === false ? fd.fd : -1, token);
  }

  /**
   * Preserves a descriptor that nobody else needs: LUO keeps this very one, and closes it when it is unpreserved.
   *
   * @param fd the descriptor; LUO's from here on, also when this fails
   * @param token as for {@linkcode preserveFd}
   * @throws {LuoError} as {@linkcode preserveFd}
   */
  givePreserved(fd: OwnedFd, token: bigint): void {
    using undo = new DisposableStack();
    undo.use(fd);
    const files = this.#outgoing("preserve a descriptor in");
    undo.move();
    files.preserve(fd, token);
  }

  /**
   * Undoes {@linkcode preserveFd} for one token.
   *
   * @throws {LuoError} `ENOENT` for a token that is not in use; `EBADF`, `EBUSY`, `EINVAL` as above
   */
  unpreserveFd(token: bigint): void {
    this.#outgoing("unpreserve a descriptor of").unpreserve(token);
  }

  /**
   * Takes a descriptor back. Repeatable: each call gives a new descriptor of the same open file description.
   *
   * @param token under which it was preserved
   * @returns the descriptor, the caller's
   * @throws {LuoError} `EBADF` closed, `EBUSY` while freezing, `EINVAL` outgoing session, `EMFILE` no descriptor left,
   * `ENOENT` no such token or finished, or the handler's error, which stays the same for ever
   */
  retrieveFd(token: bigint): OwnedFd {
    const files = this.#incoming("retrieve a descriptor of");
    return files.retrieve(token, () => (this.#reserved as OwnedFd).dup());
  }

  /**
   * Says that everything wanted was taken back. Files that were not are discarded. Repeatable.
   *
   * @throws {LuoError} `EINVAL` outgoing session, `EBUSY` when a handler refuses (nothing changed then), `EBADF`
   */
  finish(): void {
    this.#incoming("finish").finish();
  }

  /** The file that keeps {@linkcode finish} from working, or null. */
  blocker(): { token: bigint; compatible: string } | null {
    return this.#files instanceof IncomingFileSet ? this.#files.blocker() : null;
  }

  /** The files, in the order of preservation. */
  files(): FileInfo[] {
    return this.#files.list();
  }

  /**
   * Closes the session: an outgoing one unpreserves everything, newest first; an incoming one is finished. When a
   * handler refuses to finish, the session can be retrieved again, where the kernel would leak it.
   */
  [Symbol.dispose](): void {
    if (this.#closed || this.#reserved === null) return;
    this.#luo.checkMutable(`close session "${this.name}"`);
    const files = this.#files;
    if (files instanceof FileSet) {
      files.unpreserveAll();
      this.#luo.remove(this);
    } else if (files.tryFinish() === null) {
      this.#luo.remove(this);
    } else {
      // Whoever retrieves it again gets a session of their own: this one is closed for its holder.
      this.#luo.replace(this, new Session(this.#luo, this.name, files));
    }
    this.#closed = true;
    this.#reserved[Symbol.dispose]();
  }

  /** Gives the session to whoever asked for it. For the orchestrator only. */
  issue(reserved: OwnedFd): this {
    this.#reserved = reserved;
    return this;
  }

  /**
   * The outgoing files, for the freeze. For the orchestrator only.
   *
   * @internal
   */
  frozenSet(): FileSet {
    if (this.#files instanceof FileSet) return this.#files;
    throw this.#refusal("EINVAL", "freeze", "it is incoming");
  }

  #outgoing(action: string): FileSet {
    this.#checkOpen(action);
    if (this.#files instanceof FileSet) return this.#files;
    throw this.#refusal("EINVAL", action, "it is incoming");
  }

  #incoming(action: string): IncomingFileSet {
    this.#checkOpen(action);
    if (this.#files instanceof IncomingFileSet) return this.#files;
    throw this.#refusal("EINVAL", action, "it is outgoing");
  }

  #checkOpen(action: string): void {
    if (this.#closed || this.#reserved === null) {
      throw this.#refusal("EBADF", action, "it is closed");
    }
    this.#luo.checkMutable(`${action} session "${this.name}"`);
  }

  #refusal(code: LuoErrorCode, action: string, state: string): LuoError {
    return new LuoError(code, `Cannot ${action} session "${this.name}": ${state}`, { session: this.name });
  }
}
