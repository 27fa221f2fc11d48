/**
 * Files and their sessions in the model: preserved, frozen, retrieved and finished, in the orders of the kernel.
 *
 * @module
 */
import { Flbs } from "./model_flb_test.ts";
import { codeOfRefusal, fail, type Fault, HANDLERS, LARGE_TOKEN, NEEDS } from "./model_op_test.ts";

/** A file of a session. */
export interface FileModel {
  readonly token: bigint;
  readonly handler: string;
  readonly fd: string;
  /** What makes it one resource with others, while it is held. */
  id: string | null;
  /** FLBs on which it depends. */
  readonly flbs: readonly string[];
  /** Token of the file that it needs, as the last freeze found it. */
  needs: bigint | null;
  /** `preserved`; `pending`, `busy`, `retrieved`, or the errno with which that failed. */
  status: string;
}

/** A session of either world. */
export interface SessionModel {
  readonly name: string;
  readonly incoming: boolean;
  readonly files: FileModel[];
  /** Does somebody have it? */
  issued: boolean;
  finished: boolean;
  closed: boolean;
}

const LAST_TOKEN = (1n << 64n) - 1n;

/** What files have in common: who is called, and what is held. */
export class Files {
  /** What was called since the last look. */
  calls: string[] = [];
  /** The callback that shall fail. */
  fault: Fault | undefined;
  /** Is no descriptor free? */
  starved = false;
  /** Which resources are held, over all sessions and both worlds. */
  readonly held = new Set<string>();
  /** What they share. */
  readonly flbs = new Flbs((call) => this.#call(call));
  /** The registered handlers, in their order. */
  handlers: string[] = Object.keys(HANDLERS);

  /** An image that starts: nothing is held, and all handlers are there. */
  boot(flbs: readonly [flb: string, count: number][]): void {
    this.held.clear();
    this.handlers = Object.keys(HANDLERS);
    this.flbs.boot(flbs);
  }

  /** Adds a handler behind the others. */
  register(handler: string): void {
    if (this.handlers.includes(handler)) fail("EEXIST");
    this.handlers.push(handler);
  }

  /** Removes a handler that holds no file. */
  unregister(handler: string, busy: boolean): void {
    if (!this.handlers.includes(handler)) fail("ENOENT");
    if (busy) fail("EBUSY");
    this.handlers = this.handlers.filter((each) => each !== handler);
    this.flbs.detach(handler);
  }

  /** Whatever opens something needs a free descriptor. */
  takeDescriptor(): void {
    if (this.starved) fail("EMFILE");
  }

  /** Lets a descriptor cross under a token. */
  preserve({ name, files }: SessionModel, fd: string, token: bigint): void {
    if (token < 0n || token > LAST_TOKEN) fail("EINVAL");
    if (files.some((file) => file.token === token)) fail("EEXIST");
    if (fd === "closed" || fd === "path") fail("EBADF");
    this.takeDescriptor();
    const takes = (handler: string) => HANDLERS[handler]?.accepts.includes(fd.charAt(0));
    const handler = this.handlers.find(takes) ?? fail("ENOENT");
    const id = identityOf(handler, fd);
    if (this.held.has(id)) fail("EBUSY");
    const flbs = this.flbs.take(handler);
    try {
      this.#call("preserve", name, token);
    } catch (error) {
      this.flbs.drop(flbs);
      throw error;
    }
    this.held.add(id);
    files.push({ token, handler, fd, id, flbs, needs: null, status: "preserved" });
  }

  /** Undoes it. */
  unpreserve({ name, files }: SessionModel, token: bigint): void {
    const at = files.findIndex((file) => file.token === token);
    const [file = fail("ENOENT")] = at < 0 ? [] : files.splice(at, 1);
    this.#call("unpreserve", name, token);
    this.flbs.drop(file.flbs);
    this.held.delete(file.id as string);
  }

  /** Takes a file back; what became of it the first time is what becomes of it for ever. */
  retrieve(session: SessionModel, token: bigint): string {
    const file = session.files.find((each) => each.token === token) ?? fail("ENOENT");
    if (file.status === "busy") fail("EDEADLK");
    if (file.status === "pending") this.#take(session, file);
    return file.status === "retrieved" ? `ok ${file.fd}` : fail(file.status);
  }

  /** Finishes all files, newest first, unless one refuses. */
  finish(session: SessionModel): boolean {
    const { name, files } = session;
    for (const { token } of files.filter(isFull)) {
      try {
        this.#call("canFinish", name, token);
      } catch (error) {
        codeOfRefusal(error);
        return false;
      }
    }
    for (let file = files.pop(); file !== undefined; file = files.pop()) {
      this.#call("finish", name, `${file.token} ${file.status}`);
      this.flbs.finishFile(file.handler);
      if (file.id !== null) this.held.delete(file.id);
    }
    return session.finished = true;
  }

  /** Freezes all files of all sessions, first to last, or none. */
  freeze(sessions: readonly SessionModel[]): void {
    const done: SessionModel[] = [];
    for (const session of sessions) {
      const frozen: FileModel[] = [];
      done.push({ ...session, files: frozen });
      for (const file of session.files) {
        try {
          if (isFull(file)) this.#freeze(session, file);
        } catch (error) {
          this.unfreeze(done);
          throw error;
        }
        frozen.push(file);
      }
    }
  }

  /** Undoes it: sessions last to first, the files of each first to last. */
  unfreeze(sessions: readonly SessionModel[]): void {
    for (const { name, files } of sessions.toReversed()) {
      for (const { token } of files.filter(isFull)) this.#call("unfreeze", name, token);
    }
  }

  #take(session: SessionModel, file: FileModel): void {
    file.status = "busy";
    try {
      this.#call("retrieve", session.name, file.token);
      if (file.needs !== null) this.retrieve(session, file.needs);
      file.status = "retrieved";
      const id = identityOf(file.handler, file.fd);
      // Held by an outgoing session already: the kernel warns and goes on.
      file.id = this.held.has(id) ? null : id;
      this.held.add(id);
    } catch (error) {
      file.status = codeOfRefusal(error);
    }
  }

  #freeze({ name, files }: SessionModel, file: FileModel): void {
    this.#call("freeze", name, file.token);
    const wanted = `inode ${NEEDS[file.fd.charAt(0)]}`;
    const token = files.find(({ id }) => id === wanted)?.token ?? LARGE_TOKEN;
    file.needs = token < LARGE_TOKEN ? token : null;
  }

  /** Writes a callback down; it fails if it is the one that shall. */
  #call(call: string, session?: string, file?: bigint | string): void {
    this.calls.push(session === undefined ? call : `${call} ${session}/${file}`);
    if (this.fault === undefined || this.fault[0] !== call) return;
    const [, nth, code] = this.fault;
    this.fault = [call, nth - 1, code];
    if (nth === 0) fail(code);
  }
}

function isFull({ handler }: FileModel): boolean {
  return HANDLERS[handler]?.full === true;
}

function identityOf(handler: string, fd: string): string {
  return HANDLERS[handler]?.full === true ? `inode ${fd.charAt(0)}` : `open ${fd}`;
}
