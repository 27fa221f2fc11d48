/**
 * Tells the service manager which process is the main one.
 *
 * Happy path: under systemd with `NotifyAccess=all`, `MAINPID=` is sent and has been dealt with when the promise resolves.
 *
 * Unhappy paths: there is no service manager, or it does not listen: nothing is done. One that does not answer in time is
 * not waited for any longer.
 *
 * @module
 */

/** How long to wait until the manager has dealt with a message, in milliseconds. */
const BARRIER_MS = 1000;

/**
 * What keeps a guardian from doing its work under systemd.
 *
 * @returns a sentence, or nothing where all is well
 */
export function supervisorWarnings(): string[] {
  if (Deno.env.has("NOTIFY_SOCKET") || !Deno.env.has("INVOCATION_ID")) return [];
  let unit: string | undefined;
  try {
    unit = /([^/]+\.service)$/m.exec(Deno.readTextFileSync("/proc/self/cgroup"))?.[1];
  } catch {
    // Nobody says which unit this is.
  }
  if (unit === undefined) return [];
  return [
    `systemd would end the guardian together with ${unit}: set NotifyAccess=all there, or a crash of the new build ends the service`,
  ];
}

/** Is there a service manager that can be told something? */
export function hasManager(): boolean {
  return managerSocket() !== null;
}

function managerSocket(): string | null {
  return Deno.env.get("NOTIFY_SOCKET") || null;
}

/**
 * Announces the main process.
 *
 * @param pid a process of this service
 */
export async function announceMainPid(pid: number): Promise<void> {
  const socket = managerSocket();
  if (socket === null) return;
  const [{ announceMain }, { poll, POLLHUP, POLLIN }] = await Promise.all([
    import("../sys/notify.ts"),
    import("../sys/poll.ts"),
  ]);
  try {
    using barrier = announceMain(socket, pid);
    const deadline = performance.now() + BARRIER_MS;
    while (performance.now() < deadline) {
      const [events = 0] = poll([{ fd: barrier.fd, events: POLLIN }], 0);
      if ((events & POLLHUP) !== 0) return;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  } catch (error) {
    console.error(
      `heirloom: Cannot announce the main process: ${error instanceof Error ? error.message : error}`,
    );
  }
}
