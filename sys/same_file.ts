/**
 * Do two descriptors share one open file description, as duplicates do?
 *
 * Happy path: `F_DUPFD_QUERY` of fcntl(2), Linux 6.10 and later, which needs no right.
 *
 * Unhappy path: an older kernel answers EINVAL; then kcmp(2) tells, and where that is not allowed either (a seccomp
 * profile, a kernel without it), the answer is yes: refusing a resource twice is safer than carrying it twice.
 *
 * @module
 */
import { SYS_kcmp } from "./arch.ts";
import { check, ERRNO, SysError } from "./errno.ts";
import { getPid } from "./process.ts";
import { call, lastErrno } from "./symbols.ts";

const F_DUPFD_QUERY = 1027;
const KCMP_FILE = 0n;

/**
 * Compares two descriptors of this process.
 *
 * @param a an open descriptor, borrowed
 * @param b another one, borrowed
 * @returns true when they share offset and status flags
 * @throws {SysError} EBADF when one of them is closed
 */
export function sameOpenFile(a: number, b: number): boolean {
  const answer = call.fcntl(a, F_DUPFD_QUERY, b);
  if (answer >= 0) return answer === 1;
  const errno = lastErrno();
  if (errno !== ERRNO.EINVAL) throw new SysError("fcntl", errno, `fd ${a}`);
  check(call.fcntl(b, 1, 0), "fcntl", b);
  return kcmp(a, b) <= 0n;
}

/**
 * Puts two descriptors of this process into an order that is the same as long as both are open (kcmp(2)), so that one among
 * many is found without comparing it with each of them.
 *
 * @param a an open descriptor, borrowed
 * @param b another one, borrowed
 * @returns 0 when they share one open file description, below 0 when `a` comes first, above 0 when `b` does; null where the
 * kernel does not tell, or one of them is closed
 */
export function compareOpenFiles(a: number, b: number): number | null {
  const answer = kcmp(a, b);
  if (answer === 0n) return 0;
  return answer === 1n ? -1 : answer === 2n ? 1 : null;
}

function kcmp(a: number, b: number): bigint {
  const pid = BigInt(getPid());
  return call.syscall(BigInt(SYS_kcmp), pid, pid, KCMP_FILE, BigInt(a), BigInt(b));
}
