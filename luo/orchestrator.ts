/**
 * The one orchestrator of a process: two disjoint worlds of sessions, the handlers, and what they hold.
 *
 * Happy path: sessions are created and filled; {@linkcode Orchestrator.freeze} freezes them in the order of their
 * creation and gives the record that crosses. In the next image the sessions are read from that record when the device
 * is first opened, and an incoming one never becomes outgoing by itself.
 *
 * Unhappy paths: a file that cannot be frozen unfreezes what was frozen before it, in the kernel's order, and everything
 * goes on. A record that cannot be read makes every opening of the device fail with `EIO`.
 *
 * @module
 */
import type { Role } from "../kho/abi/announcement.ts";
import {
  decodeLuo,
  type FileRecord,
  type LuoRecord,
  MAX_NAME_BYTES,
  type SessionRecord,
} from "../kho/abi/luo.ts";
import { OutgoingKho } from "../kho/outgoing.ts";
import type { OwnedFd } from "../sys/mod.ts";
import { type FailurePlace, LuoError, reasonOf } from "./errors.ts";
import { FlbRegistry } from "./flb.ts";
import { type FileHandler, HandlerRegistry, type IncomingHandover } from "./handler.ts";
import { Identities } from "./identities.ts";
import { Session } from "./session.ts";

/** Most sessions of one update: the kernel's 51 records in each of 10,000 blocks. */
export const MAX_SESSIONS = 510_000;

/** The name of our subtree in the segment. */
export const LUO_SUBTREE = "luo";

/** What an image says of itself when it hands over. */
export interface PreviousImage {
  /** Fingerprint of its build, or null. */
  build: string | null;
  /** How many times the process had jumped, that jump included. */
  count: bigint;
}

/** What an orchestrator needs of a handover. */
export interface HandedOver extends IncomingHandover {
  /** Why this image was started. */
  readonly role: Role;
  /** Who handed over. */
  readonly previous: PreviousImage;
  /** The bytes of a subtree, or null where there is none of that name. */
  subtree(name: string): Uint8Array | null;
}

/** Finds who takes back a file that was handed over. */
export type FindReader = (record: FileRecord, session: string) => FileHandler | undefined;

/** Where a failure happened, of whatever kind the error is. */
function placeOf(error: unknown): FailurePlace {
  if (!(error instanceof LuoError)) return {};
  const { session, token, handler } = error;
  return {
    ...(session === null ? {} : { session }),
    ...(token === null ? {} : { token }),
    ...(handler === null ? {} : { handler }),
  };
}

/** All sessions of a process. */
export class Orchestrator {
  /** Who carries what. */
  readonly registry: HandlerRegistry = new HandlerRegistry();
  /** What is held. */
  readonly identities: Identities = new Identities();
  /** What will be handed over. */
  readonly outgoing: OutgoingKho = new OutgoingKho();
  /** What files share. */
  readonly flbs: FlbRegistry;
  /** Is the device open? */
  deviceOpen = false;
  readonly #incomingKho: HandedOver | null;
  readonly #find: FindReader;
  readonly #created = new Map<string, Session>();
  readonly #handed = new Map<string, Session>();
  #number = 0n;
  #read: { done: boolean; error: LuoError | null } = { done: false, error: null };
  #frozen = false;

  /**
   * @param incoming what the previous image handed over, or null at a cold start
   * @param find who takes a file back, if not the registered handler of exactly that name
   */
  constructor(incoming: HandedOver | null, find?: FindReader) {
    this.#incomingKho = incoming;
    this.#find = find ?? (({ compatible }) => this.registry.get(compatible));
    this.flbs = new FlbRegistry((handler) => this.registry.has(handler), this.outgoing, incoming);
  }

  /** Is an update freezing, so that nothing may change? */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** What the image before says of itself, or null at a cold start: its fingerprint and how often it had jumped. */
  get previous(): PreviousImage | null {
    return this.#incomingKho?.previous ?? null;
  }

  /** The liveupdate number of this image: 0 at a cold start, the handed-over number otherwise. */
  get number(): bigint {
    return this.#number;
  }

  /** What the previous image handed over. */
  incomingKho(): HandedOver {
    if (this.#incomingKho === null) throw new LuoError("ENOENT", "Cannot read the handover: there is none");
    return this.#incomingKho;
  }

  /** Who takes back a file that was handed over. */
  readerOf(record: FileRecord, session: string): FileHandler | undefined {
    return this.#find(record, session);
  }

  /** Says that there is a handover which cannot be read: every opening of the device fails from now on. */
  refuse(reason: Error): void {
    this.#read = {
      done: true,
      error: new LuoError("EIO", `Cannot open the device: ${reason.message}`, { cause: reason }),
    };
  }

  /**
   * Reads the sessions that were handed over, once; the answer is remembered.
   *
   * @throws {LuoError} `EIO` when they cannot be read, for ever
   */
  deserialize(): void {
    if (this.#read.error !== null) throw this.#read.error;
    if (this.#read.done) return;
    this.#read.done = true;
    try {
      const bytes = this.#incomingKho?.subtree(LUO_SUBTREE) ?? null;
      if (bytes === null) return;
      const record = decodeLuo(bytes);
      this.flbs.incoming.receive(record.flbs);
      for (const session of record.sessions) this.#receive(session);
      this.#number = this.#numberIn(record);
    } catch (error) {
      // Nothing is unwound: after half a handover the state is unknown, and the remedy is the previous build.
      const reason = `Cannot open the device: ${reasonOf(error)}`;
      this.#read.error = new LuoError("EIO", reason, { ...placeOf(error), cause: error });
      throw this.#read.error;
    }
  }

  /**
   * Creates an outgoing session.
   *
   * @param name 1 to 63 bytes, without NUL, unique among outgoing sessions
   * @param reserved its descriptor
   * @throws {LuoError} `EINVAL`, `EBUSY`, `EEXIST`, `ENOSPC`
   */
  create(name: string, reserved: OwnedFd): Session {
    if (typeof name !== "string") {
      throw new LuoError("EINVAL", `Cannot create a session: its name is no string but ${typeof name}`);
    }
    const bytes = new TextEncoder().encode(name).byteLength;
    if (bytes < 1 || bytes > MAX_NAME_BYTES || name.includes("\0") || !name.isWellFormed()) {
      throw new LuoError(
        "EINVAL",
        `Cannot create session ${JSON.stringify(name)}: a name has 1 to ${MAX_NAME_BYTES} bytes and no NUL`,
      );
    }
    this.checkMutable(`create session "${name}"`);
    if (this.#created.has(name)) {
      throw new LuoError("EEXIST", `Cannot create session "${name}": the name is in use`);
    }
    if (this.#created.size >= MAX_SESSIONS) {
      throw new LuoError("ENOSPC", `Cannot create session "${name}": ${MAX_SESSIONS} sessions are the limit`);
    }
    const session = new Session(this, name, null).issue(reserved);
    this.#created.set(name, session);
    return session;
  }

  /**
   * Gives out an incoming session, once.
   *
   * @throws {LuoError} `ENOENT` no such session arrived, `EINVAL` it was given out already
   */
  retrieve(name: string, reserved: OwnedFd): Session {
    this.checkMutable(`retrieve session "${name}"`);
    const session = this.#handed.get(name);
    if (session === undefined) {
      throw new LuoError("ENOENT", `Cannot retrieve session "${name}": none of that name was handed over`);
    }
    if (session.retrieved) {
      throw new LuoError("EINVAL", `Cannot retrieve session "${name}": it was retrieved already`);
    }
    return session.issue(reserved);
  }

  /** All sessions, outgoing ones first, in their order. */
  sessions(): Session[] {
    return [...this.#created.values(), ...this.#handed.values()];
  }

  /** Forgets a session that was closed. */
  remove(session: Session): void {
    const world = session.direction === "outgoing" ? this.#created : this.#handed;
    if (world.get(session.name) === session) world.delete(session.name);
  }

  /** A session could not be finished when it was closed: another one has its files and its place now. */
  replace(session: Session, successor: Session): void {
    if (this.#handed.get(session.name) === session) this.#handed.set(session.name, successor);
  }

  /**
   * Refuses while an update freezes: the kernel would block, which a single thread cannot.
   *
   * @throws {LuoError} `EBUSY`
   */
  checkMutable(action: string): void {
    if (this.#frozen) throw new LuoError("EBUSY", `Cannot ${action}: an update is freezing`);
  }

  /** The record as it would cross now, without asking any handler. */
  describe(): LuoRecord {
    const sessions = [...this.#created.values()].map((session) => ({
      files: session.frozenSet().records(),
      name: session.name,
    }));
    return { flbs: this.flbs.records(), number: this.#next(), sessions };
  }

  /**
   * Freezes all outgoing sessions in the order of their creation, the files of each first to last.
   *
   * @returns the record that crosses, with the number that the next image will have
   * @throws {LuoError} what a handler answered; everything that was frozen is unfrozen then
   */
  freeze(): LuoRecord {
    this.checkMutable("freeze");
    this.#frozen = true;
    const done: Session[] = [];
    const sessions: SessionRecord[] = [];
    try {
      for (const session of this.#created.values()) {
        sessions.push({ files: session.frozenSet().freeze(), name: session.name });
        done.push(session);
      }
    } catch (error) {
      this.#thaw(done);
      throw error;
    }
    return { flbs: this.flbs.records(), number: this.#next(), sessions };
  }

  /** The inverse of {@linkcode freeze}: sessions last to first, the files of each first to last, as in the kernel. */
  unfreeze(): void {
    this.#thaw([...this.#created.values()]);
  }

  #thaw(sessions: Session[]): void {
    for (const session of sessions.reverse()) session.frozenSet().unfreeze();
    this.#frozen = false;
  }

  /** The number of the next image, also where nobody opened the device in this one. */
  #next(): bigint {
    const bytes = this.#read.done ? null : this.#incomingKho?.subtree(LUO_SUBTREE) ?? null;
    return (bytes === null ? this.#number : this.#numberIn(decodeLuo(bytes))) + 1n;
  }

  /** The number counts committed updates: the build that came back goes on with its own. */
  #numberIn({ number }: LuoRecord): bigint {
    const back = this.#incomingKho?.role === "fallback" || this.#incomingKho?.role === "recovery";
    return back ? number - 1n : number;
  }

  #receive(record: SessionRecord): void {
    if (this.#handed.has(record.name)) {
      throw new LuoError("EEXIST", `Cannot read session "${record.name}": the name is there twice`);
    }
    this.#handed.set(record.name, new Session(this, record.name, record.files));
  }
}
