/**
 * What `/proc` knows about this process. Read through FFI: Deno gives access to `/proc` only with all permissions.
 *
 * Happy path: {@linkcode listFds} is exactly what is open, without the descriptor that reading the list takes.
 *
 * Unhappy path: `/proc` is not mounted or the process is gone: `SysError` with code ENOENT.
 *
 * @module
 */

import { check, ERRNO, SysError } from "./errno.ts";
import { isInheritable } from "./fd.ts";
import { infoTextOf, linkOf } from "./fd_text.ts";
import { openFile, readFile } from "./file.ts";
import { call } from "./symbols.ts";
import { decodeText } from "./text.ts";

/**
 * The open descriptors of this process.
 *
 * @returns their numbers, ascending
 * @throws {SysError} ENOENT without `/proc`; EMFILE if no number is left to read the list with
 */
export function listFds(): number[] {
  using directory = openFile("/proc/self/fd", { directory: true });
  return listNames(directory.fd).map(Number).filter((fd) => fd !== directory.fd).sort((a, b) => a - b);
}

/** Tables of so many numbers are gone through one by one: to list what is open takes a look at each open file. */
const SMALL_TABLE = 16_384;

/**
 * The open descriptors that an exec does not close.
 *
 * @returns their numbers, ascending
 * @throws {SysError} ENOENT without `/proc`; EMFILE if no number is left to read it with
 */
export function inheritableFds(): number[] {
  const size = Number(statusField("FDSize"));
  const fds = size <= SMALL_TABLE ? Array.from({ length: size }, (_, fd) => fd) : listFds();
  // A number that is not open, or was closed by another thread meanwhile, needs nothing.
  return fds.filter(isInheritable);
}

/**
 * What a descriptor refers to, in the kernel's words: a path, `socket:[123]`, `/memfd:name (deleted)`.
 *
 * @param fd an open descriptor
 * @returns the target of its link in `/proc/self/fd`
 * @throws {SysError} ENOENT if it is not open
 */
export function fdLink(fd: number): string {
  return linkOf(fd);
}

/**
 * The state of a descriptor by name: `pos`, `flags` (octal), `mnt_id`, `ino`, and what its kind adds.
 *
 * @param fd an open descriptor
 * @returns values as written; those of a name that occurs more than once (`tfd`, `inotify`, `lock`) are joined by `\n`
 * @throws {SysError} ENOENT if it is not open
 */
export function fdInfo(fd: number): Map<string, string> {
  return parseFdInfo(infoTextOf(fd));
}

/**
 * Reads the text of a file of `/proc/self/fdinfo`.
 *
 * @param text lines of a name, a colon (not after `inotify`) and a value
 * @returns as {@linkcode fdInfo}
 */
export function parseFdInfo(text: string): Map<string, string> {
  const info = new Map<string, string>();
  for (const line of text.split("\n")) {
    let at = 0;
    while (at < line.length && !isSeparator(line.charCodeAt(at))) at++;
    if (at === 0 || at === line.length) continue;
    const name = line.slice(0, at);
    const value = line.slice(at + 1).trimStart();
    const before = info.get(name);
    info.set(name, before === undefined ? value : `${before}\n${value}`);
  }
  return info;
}

/** A colon, a space or a tab. */
function isSeparator(code: number): boolean {
  return code === 0x3a || code === 0x20 || code === 0x09;
}

/**
 * The environment that the kernel gave to this process image, whatever was set or unset since.
 *
 * @returns each entry as bytes, `NAME=value` without the NUL
 * @throws {SysError} ENOENT without `/proc`
 */
export function initialEnvironmentBytes(): Uint8Array<ArrayBuffer>[] {
  return splitNul(readFile("/proc/self/environ"));
}

/**
 * The environment that the kernel gave to this process image, as names and values, in its order. An entry without `=`
 * is a name with an empty value, so for an exec use {@linkcode initialEnvironmentBytes}, which is exact.
 *
 * @returns pairs of name and value
 * @throws {SysError} ENOENT without `/proc`
 */
export function initialEnvironment(): [string, string][] {
  return initialEnvironmentBytes().map((entry) => {
    const text = decodeText(entry);
    // The first character may be "=" and then belongs to the name.
    const at = text.indexOf("=", 1);
    return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  });
}

/**
 * The arguments that the kernel gave to this process image, the program's name first.
 *
 * @returns the arguments
 * @throws {SysError} ENOENT without `/proc`
 */
export function commandLine(): string[] {
  return splitNul(readFile("/proc/self/cmdline")).map(decodeText);
}

/**
 * How long ago this process was started, by whatever image.
 *
 * @returns milliseconds, to 10 ms (proc(5): both clocks tick 100 times a second, and go on while the machine sleeps)
 */
export function processAgeMs(): number {
  const [uptime = ""] = decodeText(readFile("/proc/uptime")).split(" ", 1);
  return Math.max(0, Number(uptime) * 1000 - Number(startTime()) * 10);
}

/**
 * When a process was started; with its PID this names a process for good. An exec keeps it.
 *
 * @param pid a process; this one by default
 * @returns clock ticks since the boot
 * @throws {SysError} ENOENT if there is no such process
 */
export function startTime(pid?: number): bigint {
  return parseStat(decodeText(readFile(`/proc/${pid ?? "self"}/stat`))).startTime;
}

/** What is used here of `/proc/PID/stat`. */
export interface ProcessStat {
  /** Field 4: the process that is told when this one ends. */
  parent: number;
  /** Field 22: clock ticks since the boot. */
  startTime: bigint;
}

/**
 * Reads the text of `/proc/PID/stat`. Its second field, the name of the command, may itself contain spaces, brackets and
 * line ends: the last closing bracket ends it.
 *
 * @param text content of the file
 * @returns the fields in use
 * @throws {TypeError} if it is not the text of such a file
 */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [, parent] = fields;
  const started = fields[19];
  if (parent === undefined || started === undefined || !/^\d+$/.test(parent) || !/^\d+$/.test(started)) {
    throw new TypeError(`Cannot parse /proc/PID/stat: ${JSON.stringify(text)}`);
  }
  return { parent: Number(parent), startTime: BigInt(started) };
}

/**
 * The identity of this boot of the machine.
 *
 * @returns a UUID in lower case
 * @throws {SysError} ENOENT without `/proc`
 */
export function bootId(): string {
  return decodeText(readFile("/proc/sys/kernel/random/boot_id")).trim();
}

/**
 * Memory of this process that is in RAM.
 *
 * @returns bytes (VmRSS)
 */
export function residentBytes(): number {
  return statusBytes("VmRSS");
}

/**
 * The most memory that this process image ever had in RAM.
 *
 * @returns bytes (VmHWM)
 */
export function peakResidentBytes(): number {
  return statusBytes("VmHWM");
}

/**
 * The child processes, also those that have ended and wait to be reaped.
 *
 * @returns PIDs, ascending
 * @throws {SysError} ENOENT without `/proc`
 */
export function childPids(): number[] {
  // Each thread has its own list, which moves to another thread when it ends.
  const lists = listPath("/proc/self/task").map((tid) => readIfThere(`/proc/self/task/${tid}/children`));
  const known = lists.filter((list) => list !== undefined);
  const pids = known.length > 0
    ? known.flatMap((list) => list.split(" ").filter(Boolean).map(Number))
    : scanChildPids();
  return pids.sort((a, b) => a - b);
}

/** For a kernel without lists of children (`CONFIG_PROC_CHILDREN`): asks every process for its parent. */
export function scanChildPids(): number[] {
  const pids = listPath("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.filter((pid) => {
    const text = readIfThere(`/proc/${pid}/stat`);
    return text !== undefined && parseStat(text).parent === Deno.pid;
  });
}

/** The content of a file that may be gone by now, with its process. */
function readIfThere(path: string): string | undefined {
  try {
    return decodeText(readFile(path));
  } catch (error) {
    if (error instanceof SysError && (error.errno === ERRNO.ENOENT || error.errno === ERRNO.ESRCH)) {
      return undefined;
    }
    throw error;
  }
}

/**
 * A line of `/proc/self/status`.
 *
 * @param name such as `VmRSS`
 * @returns its value
 * @throws {TypeError} if there is no such line
 */
export function statusField(name: string): string {
  const line = decodeText(readFile("/proc/self/status")).split("\n").find((line) =>
    line.startsWith(`${name}:`)
  );
  if (line === undefined) throw new TypeError(`Cannot read ${name}: /proc/self/status has no such line`);
  return line.slice(name.length + 1).trim();
}

function statusBytes(name: string): number {
  return Number.parseInt(statusField(name)) * 1024;
}

function listPath(path: string): string[] {
  using directory = openFile(path, { directory: true });
  return listNames(directory.fd);
}

/**
 * What is in a directory, from the position on.
 *
 * @param fd an open directory, borrowed; it is at its end then
 * @returns names without `.` and `..`, in the order of the file system
 * @throws {SysError} ENOTDIR, EBADF; ENOENT if it was removed
 */
export function listNames(fd: number): string[] {
  // Records of `struct linux_dirent64`, length at 16, name at 19.
  const names: string[] = [];
  const bytes = new Uint8Array(65536);
  const view = new DataView(bytes.buffer);
  for (;;) {
    const length = check(call.getdents64(fd, bytes, BigInt(bytes.byteLength)), "getdents64", fd);
    if (length === 0) return names;
    for (let at = 0; at < length; at += view.getUint16(at + 16, true)) {
      const name = decodeText(bytes.subarray(at + 19, bytes.indexOf(0, at + 19)));
      if (name !== "." && name !== "..") names.push(name);
    }
  }
}

function splitNul(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < bytes.length;) {
    const nul = bytes.indexOf(0, at);
    const end = nul < 0 ? bytes.length : nul;
    parts.push(bytes.slice(at, end));
    at = end + 1;
  }
  return parts;
}
