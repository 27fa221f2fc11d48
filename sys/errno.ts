/**
 * System-call errors.
 *
 * Happy path: a wrapper calls C through {@linkcode check}, which hands the result through.
 *
 * Unhappy path: the result is -1; {@linkcode check} reads errno at once and throws a {@linkcode SysError} that names the
 * call, its subject and the reason: `Cannot fcntl fd 7: EBADF (bad file descriptor)`. Callers compare
 * {@linkcode SysError.code} with the name, never the text.
 *
 * @module
 */

import { ERRNO, ERRNO_TEXT, type ErrnoName } from "./errno_table.ts";
import { lastErrno } from "./symbols.ts";

export { ERRNO, type ErrnoName };

/** Second names that the C headers give to numbers which have a name already. */
const ALIASES: Readonly<Record<string, ErrnoName>> = {
  EDEADLOCK: "EDEADLK",
  ENOTSUP: "EOPNOTSUPP",
  EWOULDBLOCK: "EAGAIN",
};

let names: Map<number, ErrnoName> | undefined;

/**
 * The name of an error number.
 *
 * @param errno error number, positive
 * @returns its name; `E` and the number, such as `E524`, for one that has no name
 */
export function errnoName(errno: number): string {
  names ??= new Map((Object.entries(ERRNO) as [ErrnoName, number][]).map(([name, number]) => [number, name]));
  return names.get(errno) ?? `E${errno}`;
}

/**
 * The number of a named error.
 *
 * @param name such as `"EBADF"`; the aliases of the C headers are understood, and what {@linkcode errnoName} makes of a
 * number without a name
 * @returns the error number
 * @throws {RangeError} if there is no such error
 */
export function errnoOf(name: string): number {
  const known = ALIASES[name] ?? name;
  if (Object.hasOwn(ERRNO, known)) return ERRNO[known as ErrnoName];
  const unnamed = /^E([1-9]\d{0,3})$/.exec(name);
  if (unnamed !== null) return Number(unnamed[1]);
  throw new RangeError(`Cannot look up error "${name}": Linux has none of that name`);
}

/** A system call that failed. */
export class SysError extends Error {
  /** Name of the class. */
  override readonly name = "SysError";
  /** Name of the error number, such as `"EBADF"`. */
  readonly code: string;
  /** The error number, such as 9. */
  readonly errno: number;
  /** The C function that failed, such as `"fcntl"`. */
  readonly syscall: string;

  /**
   * Makes the error.
   *
   * @param syscall the C function that failed
   * @param errno its error number, positive
   * @param detail what it was called on, such as `fd 7` or a quoted path
   */
  constructor(syscall: string, errno: number, detail?: string) {
    const code = errnoName(errno);
    const text = (ERRNO_TEXT as Readonly<Record<string, string>>)[code] ?? "unknown error";
    super(`Cannot ${syscall}${detail === undefined ? "" : ` ${detail}`}: ${code} (${text})`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/**
 * Hands the result of a C function through, or throws what errno says. To be called on the result directly, so that
 * nothing runs in between.
 *
 * @param result what the function answered; -1 is failure
 * @param syscall name of the function
 * @param subject what it was called on: a number is a descriptor
 * @returns `result`
 * @throws {SysError} if `result` is -1
 */
export function check(result: number, syscall: string, subject?: string | number): number {
  if (result !== -1) return result;
  throw new SysError(syscall, lastErrno(), typeof subject === "number" ? `fd ${subject}` : subject);
}

/**
 * Runs a C function until a signal no longer interrupts it (EINTR).
 *
 * @param operation makes the call; -1 is failure
 * @param syscall name of the function
 * @param subject what it was called on: a number is a descriptor
 * @returns what the function answered
 * @throws {SysError} any error but EINTR
 */
export function checkRetrying(operation: () => number, syscall: string, subject?: string | number): number {
  for (;;) {
    const result = operation();
    if (result !== -1 || lastErrno() !== ERRNO.EINTR) return check(result, syscall, subject);
  }
}
