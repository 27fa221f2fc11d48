/**
 * Watching files (`inotify(7)`).
 *
 * Happy path: `using inotify = createInotify(); addWatch(inotify.fd, "app.json", INOTIFY.MODIFY);`, and
 * {@linkcode readEvents} gives what has happened since, in its order.
 *
 * Unhappy paths:
 * 1. Nothing has happened: null.
 * 2. The queue was full (`fs.inotify.max_queued_events`): what came then is lost, and an event of watch -1 says so.
 * 3. A watch is gone because its file is, or it was removed: its last event is `IGNORED`.
 *
 * @module
 */
import { check, ERRNO, SysError } from "./errno.ts";
import { read } from "./file.ts";
import { OwnedFd } from "./owned_fd.ts";
import { fdInfo } from "./proc.ts";
import { call } from "./symbols.ts";
import { cString, decodeText } from "./text.ts";

/** The bits of masks: what is watched, how, and what an event says beside it. `sys/inotify.h`, without `IN_`. */
export const INOTIFY = {
  ACCESS: 0x1,
  MODIFY: 0x2,
  ATTRIB: 0x4,
  CLOSE_WRITE: 0x8,
  CLOSE_NOWRITE: 0x10,
  OPEN: 0x20,
  MOVED_FROM: 0x40,
  MOVED_TO: 0x80,
  CREATE: 0x100,
  DELETE: 0x200,
  DELETE_SELF: 0x400,
  MOVE_SELF: 0x800,
  UNMOUNT: 0x2000,
  Q_OVERFLOW: 0x4000,
  IGNORED: 0x8000,
  ONLYDIR: 0x0100_0000,
  DONT_FOLLOW: 0x0200_0000,
  EXCL_UNLINK: 0x0400_0000,
  MASK_ADD: 0x2000_0000,
  ISDIR: 0x4000_0000,
  ONESHOT: 0x8000_0000,
} as const;

/** All twelve events that can be asked for. */
export const ALL_EVENTS = 0xfff;

/** One event. */
export interface InotifyEvent {
  /** The watch; -1 for an overflow of the queue. */
  wd: number;
  /** Bits of {@linkcode INOTIFY}. */
  mask: number;
  /** The same for both halves of a rename; 0 otherwise. */
  cookie: number;
  /** The name in the watched directory; null for what has happened to the watched file itself. */
  name: string | null;
}

/** A watch, as the kernel shows it. */
export interface InotifyWatch {
  /** Its number. */
  wd: number;
  /** Inode of what is watched. */
  ino: bigint;
  /** The kernel's number of its device. */
  sdev: number;
  /** What is watched for. */
  mask: number;
}

const IN_CLOEXEC = 0o2000000;
const IN_NONBLOCK = 0o4000;
const FIONREAD = 0x541bn;

/** `struct inotify_event` without its name. */
const HEAD_BYTES = 16;
/** Room for at least 15 events with the longest names. */
const BUFFER_BYTES = 4096;

/**
 * Makes an inotify, close-on-exec and nonblocking.
 *
 * @returns the owner of the descriptor
 * @throws {SysError} EMFILE, also at the user's limit of inotifies (`fs.inotify.max_user_instances`)
 */
export function createInotify(): OwnedFd {
  return OwnedFd.adopt(check(call.inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1"));
}

/**
 * Watches a path, or changes what is watched for.
 *
 * @param fd an inotify
 * @param path what to watch
 * @param mask bits of {@linkcode INOTIFY}
 * @returns the watch; the same one for every path of the same file
 * @throws {SysError} ENOENT; EACCES without the right to read it; ENOSPC at the user's limit of watches; EINVAL
 */
export function addWatch(fd: number, path: string, mask: number): number {
  return check(
    call.inotify_add_watch(fd, cString(path), mask >>> 0),
    "inotify_add_watch",
    JSON.stringify(path),
  );
}

/**
 * Removes a watch. What it has seen stays in the queue.
 *
 * @param fd an inotify
 * @param wd the watch
 * @throws {SysError} EINVAL if there is none of that number
 */
export function removeWatch(fd: number, wd: number): void {
  check(call.inotify_rm_watch(fd, wd), "inotify_rm_watch", fd);
}

/**
 * Takes the next events from the queue.
 *
 * @param fd an inotify, nonblocking
 * @returns one or more events; null when none waits
 * @throws {SysError} EBADF
 */
export function readEvents(fd: number): InotifyEvent[] | null {
  const bytes = new Uint8Array(BUFFER_BYTES);
  try {
    return decodeEvents(bytes.subarray(0, read(fd, bytes)));
  } catch (error) {
    if (error instanceof SysError && error.errno === ERRNO.EAGAIN) return null;
    throw error;
  }
}

/**
 * Reads a row of `struct inotify_event`: the same layout on every architecture.
 *
 * @param bytes whole events
 * @returns the events
 */
export function decodeEvents(bytes: Uint8Array): InotifyEvent[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const events: InotifyEvent[] = [];
  for (let at = 0; at < bytes.byteLength;) {
    const end = at + HEAD_BYTES + view.getUint32(at + 12, true);
    const name = bytes.subarray(at + HEAD_BYTES, end);
    // It is filled up with zeros.
    const length = name.indexOf(0);
    events.push({
      wd: view.getInt32(at, true),
      mask: view.getUint32(at + 4, true),
      cookie: view.getUint32(at + 8, true),
      name: name.byteLength === 0 ? null : decodeText(length < 0 ? name : name.subarray(0, length)),
    });
    at = end;
  }
  return events;
}

/**
 * The watches of an inotify.
 *
 * @param fd an inotify
 * @returns its watches, by number
 * @throws {SysError} ENOENT if it is not open
 */
export function watchesOf(fd: number): InotifyWatch[] {
  return parseWatches(fdInfo(fd).get("inotify") ?? "");
}

/**
 * Reads lines of `/proc/PID/fdinfo` of an inotify.
 *
 * @param lines the lines, with or without the word `inotify` in front
 * @returns the watches, by number
 */
export function parseWatches(lines: string): InotifyWatch[] {
  const found = lines.matchAll(/\bwd:([0-9a-f]+) ino:([0-9a-f]+) sdev:([0-9a-f]+) mask:([0-9a-f]+)/g);
  return [...found].map(([, wd = "", ino, sdev = "", mask = ""]) => ({
    wd: Number.parseInt(wd, 16),
    ino: BigInt(`0x${ino}`),
    sdev: Number.parseInt(sdev, 16),
    mask: Number.parseInt(mask, 16),
  })).sort((a, b) => a.wd - b.wd);
}

/**
 * How much waits to be read.
 *
 * @param fd an inotify
 * @returns bytes of events
 * @throws {SysError} EBADF; ENOTTY for what has no such answer
 */
export function queuedBytes(fd: number): number {
  const count = new Int32Array(1);
  check(call.ioctl(fd, FIONREAD, new Uint8Array(count.buffer)), "ioctl", fd);
  return count[0] ?? 0;
}
