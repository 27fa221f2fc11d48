/**
 * `live.watch`: files and directories that are watched through updates (inotify(7)).
 *
 * Happy path: paths are added, and each event calls back once, whichever build it finds: what happens during an update waits
 * in the kernel.
 *
 * Unhappy paths:
 * 1. A build fails before it is committed: until its tap was open it has only added to what was watched for, and what it
 *    added is removed when the previous build comes back.
 * 2. The queue was full: an event without a path, `q_overflow`, says that some are missing.
 * 3. A watched file goes: the last event of its watch is `ignored`.
 *
 * @module
 */
import { keepPaths, takePaths, type WatchedPath } from "../../handlers/inotify_paths.ts";
import type { OwnedFd } from "../../sys/mod.ts";
import {
  addWatch,
  ALL_EVENTS,
  createInotify,
  INOTIFY,
  type InotifyEvent,
  readEvents,
  removeWatch,
  watchesOf,
} from "../../sys/inotify.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { OverduePolicy } from "../port.ts";
import { take } from "../take.ts";
import { takeover } from "../takeover.ts";
import { maskOf, namesOf } from "./bits.ts";
import { Source } from "./source.ts";
import { WATCH_EVENTS, WATCH_FLAGS, type WatchEventName, type WatchFlag } from "./watch_names.ts";

/** Something that happened to a watched file or in a watched directory. */
export interface WatchEvent {
  /** The number of the watch; -1 for `q_overflow`. */
  readonly wd: number;
  /** The path that was added; null for `q_overflow`. */
  readonly path: string | null;
  /** What happened, in words of inotify(7). */
  readonly events: readonly WatchEventName[];
  /** The name in the watched directory; null for what happened to the watched file itself. */
  readonly name: string | null;
  /** The same number for both halves of a rename; 0 otherwise. */
  readonly cookie: number;
}

/** What is done with events. */
export interface WatchOptions {
  /**
   * Called for each event, in their order. An update waits for a promise that this returns; the next event does not. Without
   * it nothing is read.
   */
  event?: (event: WatchEvent, watch: LiveWatch) => unknown;
  /**
   * What happens to handlers whose promise is not settled when quiescing has taken too long: `refuse` the update, or
   * `close`: the update goes on without them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
}

/** Files and directories that are watched under a name. */
export interface LiveWatch {
  /** Its name. */
  readonly name: string;
  /** The inotify, borrowed; -1 after {@linkcode LiveWatch.close}. */
  readonly fd: number;
  /**
   * Watches a path, or changes what it is watched for. A path that is watched already may be added again: a new build can
   * add what it needs without asking what is there.
   *
   * @param path a file or a directory, relative to the current directory
   * @param events what to watch for, and how
   * @returns the number of the watch, which lives through updates; the same one for all paths of one file
   * @throws {RangeError} no event, or an unknown one
   * @throws {SysError} ENOENT, ENOTDIR, EACCES; ENOSPC at the user's limit of watches (inotify(7))
   * @throws {TypeError} after {@linkcode LiveWatch.close}
   */
  add(path: string, events: readonly WatchFlag[]): number;
  /**
   * Ends a watch. Events of it that wait are not told any more.
   *
   * @param wd what {@linkcode LiveWatch.add} gave
   * @returns whether there was one
   */
  remove(wd: number): boolean;
  /** The paths that are watched, by the number of the watch. */
  paths(): Map<number, string>;
  /**
   * Ends all watches and frees the name.
   *
   * @returns resolves when the inotify is closed
   */
  close(): Promise<void>;
}

/** The bits of a mask that the kernel shows. */
const SHOWN = (ALL_EVENTS | INOTIFY.EXCL_UNLINK | INOTIFY.ONESHOT) >>> 0;

/** What a port needs. */
export interface WatchParts extends WatchOptions {
  /** Its name. */
  name: string;
  /** The inotify; owned from here on. */
  fd: OwnedFd;
  /** The paths that were handed over with it, by the number of the watch. */
  paths: ReadonlyMap<number, WatchedPath>;
  /** Forgets the resource. */
  drop(): void;
}

/** Watches, and the tap on their events. */
export class WatchPort extends Source implements LiveWatch {
  readonly #event: WatchOptions["event"];
  readonly #paths: Map<number, WatchedPath>;
  /** Watches that end when the tap opens. */
  readonly #ending = new Set<number>();
  #isOpen = false;
  #isClosed = false;

  /** @param parts what it needs */
  constructor(parts: WatchParts) {
    const { name, fd, overdue = "refuse" } = parts;
    super({
      name,
      fd,
      overdue,
      read: () => this.#read(),
      drop: () => {
        keepPaths(fd, null);
        parts.drop();
      },
    });
    this.#event = parts.event;
    this.#paths = new Map(parts.paths);
    keepPaths(fd, this.#paths);
  }

  override open(): void {
    if (this.#isOpen || this.#isClosed) return;
    this.#isOpen = true;
    this.#settle();
    if (this.#event !== undefined) super.open();
  }

  override close(): Promise<void> {
    this.#isClosed = true;
    this.#paths.clear();
    return super.close();
  }

  add(path: string, events: readonly WatchFlag[]): number {
    const action = `watch ${JSON.stringify(path)} for "${this.name}"`;
    const mask = maskOf(WATCH_FLAGS, events, action);
    if ((mask & ALL_EVENTS) === 0) throw new RangeError(`Cannot ${action}: no event is asked for`);
    if (this.#isClosed) throw new TypeError(`Cannot ${action}: it is closed`);
    // A build that comes back must not miss what it watches for: until then, nothing is taken away.
    const added = this.#isOpen ? mask : mask | INOTIFY.MASK_ADD;
    const wd = addWatch(this.fd, path, added);
    this.#paths.set(wd, { path, mask });
    this.#ending.delete(wd);
    return wd;
  }

  remove(wd: number): boolean {
    if (!this.#paths.delete(wd)) return false;
    if (this.#isOpen) this.#end(wd);
    else this.#ending.add(wd);
    return true;
  }

  paths(): Map<number, string> {
    return new Map([...this.#paths].map(([wd, { path }]) => [wd, path]));
  }

  /** Makes of the watches what this build wants. */
  #settle(): void {
    for (const wd of this.#ending) this.#end(wd);
    this.#ending.clear();
    for (const watch of watchesOf(this.fd)) {
      const { path, mask } = this.#paths.get(watch.wd) ?? {};
      if (path === undefined || mask === undefined) continue;
      if ((watch.mask & SHOWN) >>> 0 === (mask & SHOWN) >>> 0) continue;
      this.#change(watch.wd, path, mask);
    }
  }

  /** What the kernel watches for is more than is wanted: where it cannot be changed, the rest is passed over. */
  #change(wd: number, path: string, mask: number): void {
    try {
      const found = addWatch(this.fd, path, mask);
      // The path leads to another file by now. The watch stays with its file.
      if (found !== wd && !this.#paths.has(found)) removeWatch(this.fd, found);
    } catch {
      // Nothing is there any more, or it may not be read.
    }
  }

  #end(wd: number): void {
    try {
      removeWatch(this.fd, wd);
    } catch {
      // It went with its file.
    }
  }

  /** All that was read is told at once: nothing of it waits here when an update comes. */
  #read(): [undefined] | null {
    const events = readEvents(this.fd);
    for (const event of events ?? []) this.#tell(event);
    return events === null ? null : [undefined];
  }

  #tell({ wd, mask, name, cookie }: InotifyEvent): void {
    const watched = this.#paths.get(wd);
    const overflow = (mask & INOTIFY.Q_OVERFLOW) !== 0 && !this.#isClosed;
    // Of a watch that was removed, or that another build had; or more than this build wants to know.
    if (!overflow && (watched === undefined || isUnwanted(mask, watched.mask))) return;
    if ((mask & INOTIFY.IGNORED) !== 0) this.#paths.delete(wd);
    const path = watched?.path ?? null;
    try {
      this.await(this.#event?.({ wd, path, events: namesOf(WATCH_EVENTS, mask), name, cookie }, this));
    } catch (error) {
      // Those behind it are told all the same.
      reportError(error);
    }
  }
}

function isUnwanted(mask: number, wanted: number): boolean {
  const happened = mask & ALL_EVENTS;
  return happened !== 0 && (happened & wanted) === 0;
}

/**
 * Takes back an inotify, or makes one.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param options what is done with events
 * @returns the watches; nothing is read before the application is ready
 * @throws {LuoError} `EEXIST`, `EINVAL`
 * @throws {SysError} EMFILE
 */
export async function openWatch(
  life: Pick<Lifecycle, "addPort" | "removePort" | "resources">,
  name: string,
  options: WatchOptions,
): Promise<LiveWatch> {
  const { resources } = life;
  const fd = await take(resources, name, "watch", createInotify, createInotify);
  const port: WatchPort = new WatchPort({
    ...options,
    name,
    fd,
    paths: takePaths(fd),
    drop() {
      resources.drop(name);
      // Who closes all of them is going through the list just now.
      queueMicrotask(() => life.removePort(port));
    },
  });
  if (takeover.check === null) life.addPort(port);
  return port;
}
