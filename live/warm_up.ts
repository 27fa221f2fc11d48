/**
 * A rehearsal of what an update does with every connection, before anything stands still: the engine compiles code that runs
 * often, and an update runs once in the life of a process. What it would compile within the pause it compiles here.
 *
 * Happy path: some connections are duplicated, described, written down and let go of again.
 *
 * Unhappy path: no descriptor is left: the update finds that out itself, and says so.
 *
 * @module
 */
import { OutgoingKho } from "../kho/outgoing.ts";
import { type CborValue, encodeCbor } from "../kho/codec.ts";
import { verifyIdentity } from "../kho/identity.ts";
import { inheritableFds, SysError } from "../sys/mod.ts";
import type { Carrier } from "./port.ts";

/** Fewer than these are quicker than a rehearsal. */
const FEW = 64;

/** How many are enough for the engine. */
const ENOUGH = 400;

/**
 * Rehearses an update with the connections that are idle now.
 *
 * @param carriers whose connections
 */
export function warmUp(carriers: readonly Carrier[]): void {
  for (const { connections } of carriers) {
    if (connections.size < FEW) continue;
    try {
      rehearse(connections.takeDescriptors(ENOUGH).map(({ fd }) => fd));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }
}

function rehearse(fds: readonly (Disposable & { fd: number })[]): void {
  using stack = new DisposableStack();
  for (const fd of fds) stack.use(fd);
  const kho = new OutgoingKho();
  for (const { fd } of fds) kho.preserveFd(fd);
  const records = kho.fds();
  records.forEach(verifyIdentity);
  inheritableFds();
  encodeCbor(records as unknown as CborValue);
}
