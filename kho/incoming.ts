/**
 * What the previous image handed to this one: the verified segment, its descriptors at their recorded numbers, its
 * blobs and subtrees, and the journal.
 *
 * Happy path: {@linkcode takeOver} reads and removes the announcement, verifies the segment and every descriptor, and
 * sets CLOEXEC on them again. Handlers borrow descriptors and read blobs. Every descriptor stays open at its number
 * until {@linkcode IncomingKho.commit}, whatever the sessions do, so that the previous build can still come back; after
 * it a descriptor is closed as soon as its handler released it.
 *
 * Unhappy paths: a handover that cannot be verified is a `HandoverError`; no descriptor has been touched then. An fd
 * number is believed only if the segment lists it.
 *
 * @module
 */
import { closeOnExecFrom, OwnedFd, setCloexec } from "../sys/mod.ts";
import { type Announcement, HANDOVER_VARIABLE, parseAnnouncement, type Role } from "./abi/announcement.ts";
import { blobOf, type FdRecord, type FdRole, type SegmentRecord, subtreeOf } from "./abi/segment.ts";
import { HandoverError } from "./errors.ts";
import { isIntact, verifyIdentity } from "./identity.ts";
import { Journal } from "./journal.ts";
import { readSegment, type Segment, verifyOrigin } from "./segment.ts";

/** A descriptor of the handover that this process still holds. */
interface Held {
  owned: OwnedFd;
  released: boolean;
}

/** A handover that was taken over. */
export class IncomingKho {
  /** Why this image was started. */
  readonly role: Role;
  /** The payload of the segment. */
  readonly record: SegmentRecord;
  /** Size of the segment in bytes. */
  readonly bytes: number;
  /** What the environment said. */
  readonly announcement: Announcement;
  /** The journal of the update, or null where none crossed. */
  readonly journal: Journal | null;
  readonly #memory: OwnedFd;
  readonly #held = new Map<number, Held>();
  #runtime: OwnedFd | null = null;
  #guardian: OwnedFd | null = null;
  #committed = false;

  /**
   * @param segment a segment whose origin and descriptors were verified
   * @param announcement what the environment said
   */
  constructor(segment: Segment, announcement: Announcement) {
    this.role = announcement.role;
    this.record = segment.record;
    this.bytes = segment.bytes;
    this.announcement = announcement;
    this.#memory = OwnedFd.adopt(announcement.fd);
    let journal: Journal | null = null;
    for (const { fd, kind } of segment.record.fds) {
      if (kind === "journal") journal = Journal.adopt(OwnedFd.adopt(fd));
      if (kind === "runtime") this.#runtime = OwnedFd.adopt(fd);
      if (kind === "guardian") this.#guardian = OwnedFd.adopt(fd);
      if (kind === "preserved") this.#held.set(fd, { owned: OwnedFd.adopt(fd), released: false });
    }
    this.journal = journal;
  }

  /** Was the handover committed, so that the previous build cannot come back any more? */
  get committed(): boolean {
    return this.#committed;
  }

  /**
   * All descriptors that have to cross once more if the previous build is to come back. An inherited one, which is not
   * held here, may have been closed by the application since.
   */
  crossing(): number[] {
    const there = this.record.fds.filter((record) => record.kind !== "inherited" || isIntact(record));
    return [this.announcement.fd, ...there.map(({ fd }) => fd)];
  }

  /** The runtime of the build that can come back: open, so that it is there even when its file was replaced. */
  get runtime(): number | null {
    return this.#runtime?.fd ?? null;
  }

  /** The preserved descriptors that are held here still: whoever took one back has a duplicate. */
  held(): number[] {
    return [...this.#held.keys()];
  }

  /** Gives out the connection to the guardian, once; the caller's. Null where there is none. */
  takeGuardian(): OwnedFd | null {
    const guardian = this.#guardian;
    this.#guardian = null;
    return guardian;
  }

  /** Who handed over: the fingerprint of its build, and how often the process had jumped. */
  get previous(): { build: string | null; count: bigint } {
    const { build, count } = this.record.metadata;
    return { build, count };
  }

  /** Descriptors that were inherited at the cold start, without CLOEXEC. */
  inherited(): FdRecord[] {
    return this.record.fds.filter(({ kind }) => kind === "inherited");
  }

  /**
   * Borrows a preserved descriptor.
   *
   * @param fd its recorded number
   * @returns the same number, after checking that the segment lists it
   * @throws {HandoverError} `ENOENT` when the segment does not list it or it was released
   */
  borrowFd(fd: number): number {
    const held = this.#held.get(fd);
    if (held === undefined || held.released) throw missing(`borrow fd ${fd}`);
    return held.owned.fd;
  }

  /**
   * Says that nobody needs a descriptor any more. It is closed now or, before the commit, at the commit.
   *
   * @throws {HandoverError} `ENOENT` when the segment does not list it or it was released
   */
  releaseFd(fd: number): void {
    const held = this.#held.get(fd);
    if (held === undefined || held.released) throw missing(`release fd ${fd}`);
    held.released = true;
    if (this.#committed) this.#close(fd, held);
  }

  /**
   * The bytes behind a handle.
   *
   * @throws {HandoverError} `ENOENT` for a handle that the segment does not have
   */
  blob(handle: bigint): Uint8Array {
    return blobOf(this.record, handle);
  }

  /** The bytes of a subtree, or null where there is none of that name. */
  subtree(name: string): Uint8Array | null {
    return subtreeOf(this.record, name);
  }

  /** Closes the segment, the journal, and every descriptor that was released so far; others when they are released. */
  commit(): void {
    if (this.#committed) return;
    this.#committed = true;
    for (const [fd, held] of this.#held) {
      if (held.released) this.#close(fd, held);
    }
    this.journal?.[Symbol.dispose]();
    this.#runtime?.[Symbol.dispose]();
    this.#guardian?.[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }

  #close(fd: number, held: Held): void {
    this.#held.delete(fd);
    held.owned[Symbol.dispose]();
  }
}

/**
 * Takes over the handover that the environment announces, and removes the announcement.
 *
 * @returns the handover, or null on a cold start
 * @throws {HandoverError} when there is one that cannot be used
 */
export async function takeOver(): Promise<IncomingKho | null> {
  const value = Deno.env.get(HANDOVER_VARIABLE);
  if (value === undefined) return null;
  Deno.env.delete(HANDOVER_VARIABLE);
  const announcement = parseAnnouncement(value);
  const { record, bytes } = await readSegment(announcement.fd);
  verifyOrigin(record, announcement);
  for (const descriptor of record.fds) {
    if (descriptor.kind === "preserved") verifyIdentity(descriptor);
  }
  // A journal that is not there costs the phase times, never the boot; a guardian that acted has closed its own end.
  const fds = record.fds.filter((descriptor) => !OPTIONAL.includes(descriptor.kind) || isIntact(descriptor));
  // One call for all of them: what is open here and does not cross is marked already.
  closeOnExecFrom(3);
  for (const record of fds) {
    if (record.kind === "inherited" && isIntact(record)) setCloexec(record.fd, false);
  }
  return new IncomingKho({ record: { ...record, fds }, bytes }, announcement);
}

/** What a boot can do without. */
const OPTIONAL: readonly FdRole[] = ["journal", "runtime", "guardian"];

function missing(action: string): HandoverError {
  return new HandoverError("ENOENT", `Cannot ${action}: the handover does not hold it`);
}
