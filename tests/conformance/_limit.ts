/**
 * The limit of descriptors, made real for what a step opens.
 *
 * In the kernel a scenario's descriptors begin at 3, so `rlimit n` allows n - 3 of them. Here the runtime has descriptors
 * of its own, and LUO a duplicate of everything that is preserved. So each time something is opened, and only for as long,
 * the process gets a limit under which exactly as many descriptors are free as the kernel would have.
 *
 * Unhappy path: what is opened within {@linkcode underLimit} and finds no number fails with EMFILE, for real.
 *
 * @module
 */
import { getLimit, listFds, setLimit } from "../../sys/mod.ts";
import type { World } from "./_world.ts";

/**
 * Opens something.
 *
 * @param world whose limit counts
 * @param open opens it
 * @returns what `open` gives
 */
export function underLimit<T>(world: World, open: () => T): T {
  const room = world.room();
  if (room === null) return open();
  const before = getLimit("nofile");
  const wanted = BigInt(limitFor(room));
  if (wanted >= before.soft) return open();
  setLimit("nofile", { soft: wanted, hard: before.hard });
  try {
    return open();
  } finally {
    setLimit("nofile", before);
  }
}

/** The lowest number that must not be given any more, so that this many are free below it. */
function limitFor(room: number): number {
  const used = new Set(listFds());
  let free = room;
  for (let number = 0;; number++) {
    if (!used.has(number) && free-- === 0) return number;
  }
}

/** Raises the limit as far as the system allows: thousands of sessions are thousands of descriptors. */
export function raiseLimit(): void {
  const { hard, soft } = getLimit("nofile");
  if (soft < hard) setLimit("nofile", { soft: hard, hard });
  try {
    const most = BigInt(Deno.readTextFileSync("/proc/sys/fs/nr_open").trim());
    if (hard < most) setLimit("nofile", { soft: most, hard: most });
  } catch {
    // Without the privilege, what there is must do.
  }
}
