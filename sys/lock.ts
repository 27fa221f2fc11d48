/**
 * Advisory locks on a whole open file, flock(2).
 *
 * @module
 */
import { check } from "./errno.ts";
import { call } from "./symbols.ts";

const LOCK_EX = 2;

/**
 * Locks an open file or directory exclusively; waits for whoever holds it. The lock ends with the last descriptor of
 * that open file description.
 *
 * @param fd the open file, borrowed
 * @throws {SysError} EBADF, or ENOLCK without memory for it
 */
export function lockFile(fd: number): void {
  check(call.flock(fd, LOCK_EX), "flock", fd);
}
