/**
 * Descriptors in words, for messages that a person reads.
 *
 * @module
 */
import { fdLink } from "./proc.ts";
import { fstat } from "./stat.ts";

/**
 * What a descriptor is.
 *
 * @param fd an open descriptor, borrowed
 * @returns a noun with its article, such as `a character device (/dev/null)`
 * @throws {SysError} EBADF
 */
export function describeFd(fd: number): string {
  const { kind } = fstat(fd);
  const link = fdLink(fd);
  switch (kind) {
    case "file":
      return `a regular file (${link})`;
    case "directory":
      return `a directory (${link})`;
    case "chardev":
      return `a character device (${link})`;
    case "blockdev":
      return `a block device (${link})`;
    case "fifo":
      return link.startsWith("/") ? `a FIFO (${link})` : "a pipe";
    case "socket":
      return "a socket that neither listens nor carries a stream or datagrams";
    case "symlink":
      return `a symbolic link (${link})`;
    case "anon":
      return `an anonymous inode (${link})`;
  }
}

/**
 * A kind with its article, for messages.
 *
 * @param kind such as `file`, or `epoll`
 */
export function articled(kind: string): string {
  return /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}
