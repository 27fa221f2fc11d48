/**
 * The open descriptors of a process, from outside, and in words that can be compared: "the same set before and after an
 * update" is a question about what the descriptors *are*, while their numbers and inode numbers may change.
 *
 * A description names the kind and what tells one from another:
 *
 * | descriptor | description |
 * |---|---|
 * | regular file, device, directory | `file /path (write append)`, with ` (deleted)` if it is unlinked |
 * | memfd | `memfd NAME (read write)` |
 * | socket | as in `/proc/net`: `tcp 127.0.0.1:80 listening`, `unix stream unnamed` |
 * | pipe | `pipe read`, `pipe write` |
 * | anonymous inode | its kind: `eventpoll`, `eventfd`, `timerfd`, `inotify`; a pidfd with its PID |
 *
 * What the runtime opens for itself when it first needs it, and not in each process, begins with `runtime `: its own copies of
 * the standard streams and its cache databases. There is at most one such entry for each of them; more are listed as the
 * files that they are, for then something leaks.
 *
 * @module
 */

import { isGone, processInfo } from "./process.ts";
import { socketTable } from "./socket_table.ts";

/** One open descriptor. */
export interface Descriptor {
  /** Its number. */
  readonly fd: number;
  /** Its link in `/proc/PID/fd`, for example `socket:[4711]`. */
  readonly link: string;
  /** What it is, without numbers that mean nothing: see the module's table. */
  readonly description: string;
  /** The flags of open(2), O_CLOEXEC not among them. */
  readonly flags: number;
  /** Whether it is closed by `execve`. */
  readonly cloexec: boolean;
}

const O_CLOEXEC = 0o2000000;
const O_APPEND = 0o2000;
const O_PATH = 0o10000000;

/** The databases in which Deno keeps what it compiled and analysed, with the companions that SQLite opens. */
const RUNTIME_CACHE =
  /\/((?:dep_analysis|node_analysis|v8_code|fast_check|check)_cache_v\d+(?:-wal|-shm|-journal)?)$/;

const STREAMS = ["stdin", "stdout", "stderr"];

/** A descriptor as `/proc` gives it. */
interface RawDescriptor {
  readonly fd: number;
  readonly link: string;
  readonly flags: number;
  readonly info: string;
}

/**
 * The open descriptors of a process.
 *
 * @param pid The process.
 * @returns One entry for each, by number. Those that are closed while they are read are left out. Empty for a zombie.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function descriptors(pid: number): Descriptor[] {
  const found = rawDescriptors(pid);
  const sockets = found.some((each) => each.link.startsWith("socket:"))
    ? socketTable(pid)
    : new Map<string, string>();
  const runtime = runtimeOwn(found);
  return found.map((each) => ({
    fd: each.fd,
    link: each.link,
    description: runtime.get(each.fd) ?? describe(each, sockets),
    flags: each.flags & ~O_CLOEXEC,
    cloexec: (each.flags & O_CLOEXEC) !== 0,
  }));
}

/**
 * The open descriptors of a process in words.
 *
 * @param pid The process.
 * @returns The descriptions, sorted; equal ones as often as they occur.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function describeDescriptors(pid: number): string[] {
  return descriptors(pid).map((each) => each.description).sort();
}

function rawDescriptors(pid: number): RawDescriptor[] {
  const found: RawDescriptor[] = [];
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(`/proc/${pid}/fd`)];
  } catch (error) {
    if (isGone(error)) throw new Deno.errors.NotFound(`Cannot look at process ${pid}: there is none`);
    // A zombie has no descriptors left, but what there is of it in /proc belongs to root.
    if (error instanceof Deno.errors.PermissionDenied && processInfo(pid).state === "Z") return [];
    throw error;
  }
  for (const { name } of entries) {
    try {
      const link = Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
      const info = Deno.readTextFileSync(`/proc/${pid}/fdinfo/${name}`);
      const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? "0", 8);
      found.push({ fd: Number(name), link, flags, info });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return found.sort((a, b) => a.fd - b.fd);
}

/** The descriptors which the runtime opens on its own, by number. */
function runtimeOwn(found: RawDescriptor[]): Map<number, string> {
  const own = new Map<number, string>();
  const seen = new Set<string>();
  const streams = found.filter((each) => each.fd <= 2);
  for (const each of found) {
    if (each.fd <= 2 || (each.flags & O_CLOEXEC) === 0) continue;
    const cache = RUNTIME_CACHE.exec(each.link)?.[1];
    const names = cache !== undefined
      ? [`runtime cache ${cache}`]
      : streams.filter((stream) => isCopy(each, stream)).map((stream) =>
        `runtime copy of ${STREAMS[stream.fd]}`
      );
    const name = names.find((name) => !seen.has(name));
    if (name === undefined) continue;
    seen.add(name);
    own.set(each.fd, name);
  }
  return own;
}

/** As far as `/proc` can tell: the same file, opened the same way, at the same place. */
function isCopy(each: RawDescriptor, stream: RawDescriptor): boolean {
  const position = (info: string): string => /^pos:\s*(\d+)$/m.exec(info)?.[1] ?? "";
  return each.link === stream.link && (each.flags & ~O_CLOEXEC) === (stream.flags & ~O_CLOEXEC) &&
    position(each.info) === position(stream.info);
}

function describe(each: RawDescriptor, sockets: Map<string, string>): string {
  const { link } = each;
  const inode = /^(socket|pipe):\[(\d+)\]$/.exec(link);
  if (inode?.[1] === "socket") return sockets.get(inode[2]!) ?? "socket of another kind";
  if (inode?.[1] === "pipe") return `pipe ${access(each.flags)}`;
  // Newer kernels have pidfds in a file system of their own, with an inode number in the link.
  if (/^(anon_inode:\[pidfd\]|pidfd:\[\d+\])$/.test(link)) {
    return `pidfd of ${/^Pid:\s*(-?\d+)$/m.exec(each.info)?.[1] ?? "?"}`;
  }
  const anonymous = /^anon_inode:\[?([^\]]+)\]?$/.exec(link)?.[1];
  if (anonymous !== undefined) return anonymous;
  const memfd = /^\/memfd:(.*) \(deleted\)$/.exec(link)?.[1];
  if (memfd !== undefined) return `memfd ${memfd} (${access(each.flags)})`;
  return `file ${link} (${access(each.flags)})`;
}

function access(flags: number): string {
  if ((flags & O_PATH) !== 0) return "path only";
  const mode = ["read", "write", "read write"][flags & 3] ?? "no access";
  return (flags & O_APPEND) !== 0 ? `${mode} append` : mode;
}
