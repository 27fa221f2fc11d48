/**
 * The time that a process was busy, as the kernel counts it.
 *
 * @module
 */

/** How long a tick is (ms): `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Deno runs on. */
const TICK_MS = 10;

/**
 * How long a process was busy since its start: all its threads, in user mode and in the kernel.
 *
 * @param pid the process
 * @returns milliseconds
 */
export function cpuMs(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The command may hold spaces and parentheses itself; the last one ends it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
