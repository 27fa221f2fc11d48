/**
 * Replacing the process image, and what it keeps: working directory and umask.
 *
 * Happy path: {@linkcode execve} does not return. PID, cgroup, terminal, children, masked and pending signals and all
 * descriptors without close-on-exec live on.
 *
 * Unhappy path: the kernel refuses before anything is gone. {@linkcode execve} throws, and the process is what it was.
 *
 * @module
 */

import { check, ERRNO, SysError } from "./errno.ts";
import { statusField } from "./proc.ts";
import { call, lastErrno } from "./symbols.ts";
import { cString, decodeText } from "./text.ts";

/**
 * Replaces this process by another program (`execve(2)`).
 *
 * @param path the program, by path; PATH is not searched
 * @param argv its arguments, its own name first
 * @param env its environment, entries `NAME=value` as text or as raw bytes; nothing is inherited
 * @returns never
 * @throws {SysError} ENOENT, EACCES, ENOEXEC, ETXTBSY, E2BIG (arguments and environment too large), ENOMEM, ...
 * @throws {TypeError} if a string or an entry contains a NUL
 */
export function execve(path: string, argv: string[], env: readonly (Uint8Array | string)[]): never {
  const image = layOut(path, argv, env);
  call.execve(image.path, image.argv, image.env);
  throw new SysError("execve", lastErrno(), JSON.stringify(path));
}

/**
 * Puts both pointer arrays and all strings into one buffer. C gets views of that very buffer, so nothing that a pointer
 * points to can be collected before the call.
 *
 * @param path the program, by path
 * @param argv its arguments, its own name first
 * @param env its environment, entries `NAME=value`
 * @returns the three arguments of `execve`, which `posix_spawn` takes as well
 * @throws {TypeError} if a string or an entry contains a NUL
 */
export function layOut(path: string, argv: readonly string[], env: readonly (Uint8Array | string)[]): {
  path: Uint8Array<ArrayBuffer>;
  argv: Uint8Array<ArrayBuffer>;
  env: Uint8Array<ArrayBuffer>;
} {
  const strings = [...argv.map(cString), ...env.map(terminated)];
  const pathBytes = cString(path);
  const envAt = (argv.length + 1) * 8;
  const pathAt = envAt + (env.length + 1) * 8;
  const total = strings.reduce((sum, string) => sum + string.length, pathAt + pathBytes.length);
  // Explicitly an ArrayBuffer: its memory never moves, which that of a small typed array may.
  const bytes = new Uint8Array(new ArrayBuffer(total));
  const view = new DataView(bytes.buffer);
  const base = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));

  bytes.set(pathBytes, pathAt);
  let stringAt = pathAt + pathBytes.length;
  strings.forEach((string, index) => {
    // Behind the last argument one pointer is left null, and another behind the last entry of the environment.
    const slot = index < argv.length ? index : index + 1;
    view.setBigUint64(slot * 8, base + BigInt(stringAt), true);
    bytes.set(string, stringAt);
    stringAt += string.length;
  });
  return { path: bytes.subarray(pathAt), argv: bytes.subarray(0, envAt), env: bytes.subarray(envAt, pathAt) };
}

function terminated(entry: Uint8Array | string): Uint8Array {
  if (typeof entry === "string") return cString(entry);
  if (entry.includes(0)) throw new TypeError("Cannot pass an environment entry to execve: it contains a NUL");
  const bytes = new Uint8Array(entry.length + 1);
  bytes.set(entry);
  return bytes;
}

/**
 * The permission bits that are taken off new files. Read from `/proc`, so that it is never changed, not even for a
 * moment in which another thread creates a file.
 *
 * @returns the umask
 * @throws {SysError} ENOENT without `/proc`
 */
export function getUmask(): number {
  return Number.parseInt(statusField("Umask"), 8);
}

/**
 * Sets the permission bits that are taken off new files.
 *
 * @param mask permission bits
 * @returns the umask before
 * @throws {RangeError} if it has other bits than these nine
 */
export function setUmask(mask: number): number {
  if (!Number.isInteger(mask) || mask < 0 || mask > 0o777) {
    throw new RangeError(`Cannot set umask ${mask}: not nine permission bits`);
  }
  return call.umask(mask);
}

/**
 * The working directory.
 *
 * @returns its absolute path
 * @throws {SysError} ENOENT if it was removed
 */
export function currentDirectory(): string {
  for (let capacity = 4096;; capacity *= 4) {
    const path = new Uint8Array(capacity);
    if (call.getcwd(path, BigInt(capacity)) !== null) return decodeText(path.subarray(0, path.indexOf(0)));
    const errno = lastErrno();
    if (errno !== ERRNO.ERANGE) throw new SysError("getcwd", errno);
  }
}

/**
 * Changes the working directory.
 *
 * @param path a path, relative to the present one
 * @throws {SysError} ENOENT, ENOTDIR, EACCES, ...
 * @throws {TypeError} if `path` contains a NUL
 */
export function changeDirectory(path: string): void {
  check(call.chdir(cString(path)), "chdir", JSON.stringify(path));
}
