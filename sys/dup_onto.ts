/**
 * A descriptor onto a number of our choice.
 *
 * @module
 */

import { checkRetrying } from "./errno.ts";
import { call } from "./symbols.ts";

const O_CLOEXEC = 0o2000000;

/**
 * Makes a number refer to the same open file as a descriptor, close-on-exec (`dup3(2)`). What the number referred to
 * before is closed in the same step.
 *
 * @param fd an open descriptor, borrowed
 * @param number where to; not `fd` itself
 * @throws {SysError} EBADF if `fd` is closed or `number` is beyond the limit; EINVAL if both are the same
 */
export function dupOnto(fd: number, number: number): void {
  checkRetrying(() => call.dup3(fd, number, O_CLOEXEC), "dup3", `fd ${fd} onto ${number}`);
}
