/**
 * Ending together with the parent.
 *
 * @module
 */

import { check } from "./errno.ts";
import { SIGNALS } from "./signals.ts";
import { call } from "./symbols.ts";

const PR_SET_PDEATHSIG = 1;

/**
 * Asks the kernel to send this process a signal when its parent ends (`PR_SET_PDEATHSIG` of prctl(2)); an exec keeps
 * that. Precisely, when the thread ends that started it. A parent that has ended before is not noticed: compare
 * `getParentPid()` with the PID it should be.
 *
 * @param signal its number; 0 takes the request back
 * @throws {SysError} EINVAL if it is no signal
 */
export function endWithParent(signal: number = SIGNALS.SIGKILL): void {
  check(call.prctl(PR_SET_PDEATHSIG, BigInt(signal), 0n, 0n, 0n), "prctl", `PR_SET_PDEATHSIG ${signal}`);
}
