/**
 * Anonymous inodes: eventfds, timers, watches and the like. They have no type bits in their mode, and most of them share one
 * inode; what the kernel calls them in `/proc/self/fd` tells them apart.
 *
 * @module
 */
import { fdInfo, fdLink, fstat } from "../sys/mod.ts";
import type { Fields } from "../kho/abi/fields.ts";
import { anotherOne, wrongKind } from "./descriptor.ts";

/**
 * The kernel's name for an anonymous inode.
 *
 * @param fd any open descriptor, borrowed
 * @returns such as `eventfd`, `eventpoll` or `inotify`; null where it is another kind of file
 * @throws {SysError} EBADF
 */
export function anonymousKind(fd: number): string | null {
  if (fstat(fd).kind !== "anon") return null;
  return /^anon_inode:\[?([^\]]+)\]?$/.exec(fdLink(fd))?.[1] ?? null;
}

/**
 * What `/proc/self/fdinfo` says of an anonymous inode of a kind.
 *
 * @param fd the descriptor, borrowed
 * @param key a line that is there for this kind and for no other
 * @param what the kind in words, for messages
 * @returns as {@linkcode fdInfo}
 * @throws {HandoverError} `WRONG_DESCRIPTOR` when the descriptor is of another kind by now
 */
export function infoOf(fd: number, key: string, what: string): Map<string, string> {
  const info = fdInfo(fd);
  if (info.has(key)) return info;
  throw wrongKind(fd, what);
}

/**
 * Compares what must not change with what was recorded.
 *
 * @param fd the descriptor, for messages
 * @param what the kind in words, for messages
 * @param found what it is now
 * @param record what it was
 * @throws {HandoverError} `WRONG_DESCRIPTOR` when one of them is another value
 */
export function mustEqual(
  fd: number,
  what: string,
  found: Readonly<Record<string, number>>,
  record: Fields,
): void {
  for (const [key, value] of Object.entries(found)) {
    const before = record.int(key);
    if (before === value) continue;
    throw anotherOne(fd, what, `${key} is ${value} instead of ${before}`);
  }
}
