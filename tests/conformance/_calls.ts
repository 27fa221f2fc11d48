/**
 * System calls that scenarios make and the project itself has no use for.
 *
 * Happy path: each gives its result. Unhappy path: a `SysError` with the name of the error.
 *
 * @module
 */
import { check } from "../../sys/errno.ts";
import { ARCH } from "../../sys/mod.ts";
import { call } from "../../sys/symbols.ts";
import { cString } from "../../sys/text.ts";

const libc = {
  epoll_create1: { parameters: ["i32"], result: "i32" }, // int epoll_create1(int flags)
  eventfd: { parameters: ["u32", "i32"], result: "i32" }, // int eventfd(unsigned initval, int flags)
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" }, // int fallocate(int fd, int mode, off_t offset, off_t len)
  inotify_init1: { parameters: ["i32"], result: "i32" }, // int inotify_init1(int flags)
  pipe2: { parameters: ["buffer", "i32"], result: "i32" }, // int pipe2(int fds[2], int flags)
  signalfd: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // int signalfd(int fd, const sigset_t *mask, int flags)
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" }, // int timerfd_create(int clockid, int flags)
} as const satisfies Deno.ForeignLibraryInterface;

let opened: Deno.DynamicLibrary<typeof libc>["symbols"] | undefined;

function more(): Deno.DynamicLibrary<typeof libc>["symbols"] {
  // Touched first, so that errno can be read after a failed call.
  call.getuid();
  opened ??= Deno.dlopen("libc.so.6", libc).symbols;
  return opened;
}

const CLOCK_MONOTONIC = 1;
const SYS_PIDFD_OPEN = 434n;
const SYS_MEMFD_SECRET = 447n;

/** epoll_create1(2). */
export function epoll(): number {
  return check(more().epoll_create1(0), "epoll_create1");
}

/** eventfd(2). */
export function eventfd(): number {
  return check(more().eventfd(0, 0), "eventfd");
}

/** inotify_init1(2). */
export function inotify(): number {
  return check(more().inotify_init1(0), "inotify_init1");
}

/** pipe2(2): the end to read from and the end to write to. */
export function pipe(): [number, number] {
  const fds = new Int32Array(2);
  check(more().pipe2(fds, 0), "pipe2");
  return [fds[0] ?? -1, fds[1] ?? -1];
}

/** signalfd(2), for SIGUSR1. */
export function signalfd(): number {
  const mask = new Uint8Array(128);
  mask[1] = 2;
  return check(more().signalfd(-1, mask, 0), "signalfd");
}

/** timerfd_create(2). */
export function timerfd(): number {
  return check(more().timerfd_create(CLOCK_MONOTONIC, 0), "timerfd_create");
}

/** pidfd_open(2), of this process. */
export function pidfd(): number {
  return check(Number(call.syscall(SYS_PIDFD_OPEN, BigInt(Deno.pid), 0n, 0n, 0n, 0n)), "pidfd_open");
}

/** memfd_secret(2). */
export function memfdSecret(): number {
  return check(Number(call.syscall(SYS_MEMFD_SECRET, 0n, 0n, 0n, 0n, 0n)), "memfd_secret");
}

/** ftruncate(2), with whatever length. */
export function truncate(fd: number, length: number): void {
  check(call.ftruncate(fd, BigInt(length)), "ftruncate", fd);
}

/** pread(2), at whatever place. */
export function pread(fd: number, bytes: Uint8Array<ArrayBuffer>, at: number): number {
  return check(call.pread(fd, bytes, BigInt(bytes.byteLength), BigInt(at)), "pread", fd);
}

/** pwrite(2), at whatever place. */
export function pwrite(fd: number, bytes: Uint8Array<ArrayBuffer>, at: number): number {
  return check(call.pwrite(fd, bytes, BigInt(bytes.byteLength), BigInt(at)), "pwrite", fd);
}

/** fallocate(2). */
export function fallocate(fd: number, mode: number, offset: number, length: number): void {
  check(more().fallocate(fd, mode, BigInt(offset), BigInt(length)), "fallocate", fd);
}

/** memfd_create(2), with just these flags. */
export function memfdCreate(name: Uint8Array, flags: number): number {
  const text = new Uint8Array(name.byteLength + 1);
  text.set(name);
  return check(call.memfd_create(text, flags), "memfd_create");
}

/** open(2), with just these flags. */
export function open(path: string, flags: number, mode = 0): number {
  return check(call.open(cString(path), flags, mode), "open", path);
}

/** A duplicate of a descriptor, not close-on-exec. */
export function duplicate(fd: number): number {
  return check(call.fcntl(fd, 0, 3), "fcntl", fd);
}

/** Blocks of 512 bytes that a file occupies. */
export function blocksOf(fd: number): number {
  const bytes = new Uint8Array(ARCH === "x86_64" ? 144 : 128);
  check(call.fstat(fd, bytes), "fstat", fd);
  return Number(new DataView(bytes.buffer).getBigInt64(64, true));
}

/** Maps a file to be read and written, however long it is; the mapping lasts until {@linkcode unmap}. */
export function mapShared(fd: number, length: number): Deno.PointerObject {
  const address = call.mmap(null, BigInt(length), 3, 1, fd, 0n);
  const failed = address === null || BigInt(Deno.UnsafePointer.value(address)) === 0xffffffffffffffffn;
  check(failed ? -1 : 0, "mmap", fd);
  return address as Deno.PointerObject;
}

/** Writes into a mapping. */
export function poke(at: Deno.PointerObject, offset: number, bytes: Uint8Array): void {
  const there = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(at, bytes.byteLength, offset));
  there.set(bytes);
}

/** munmap(2). */
export function unmap(at: Deno.PointerObject, length: number): void {
  check(call.munmap(at, BigInt(length)), "munmap");
}
