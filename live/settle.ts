/**
 * The wait for the moment in which no connection owes an answer. Before it, those that do not cross are ended politely.
 *
 * @module
 */
import type { Carrier } from "./port.ts";

/**
 * Looks whether a connection that is open keeps the update from happening.
 *
 * @param ports the carried servers
 * @throws {Error} when there is one, or when nobody can tell
 */
export function checkRefusals(ports: readonly Carrier[]): void {
  for (const { name, connections } of ports) {
    const count = refusing(name, connections);
    if (count === 0) continue;
    const subject = count === 1 ? "1 connection" : `${count} connections`;
    const verb = count === 1 ? "is open and refuses" : "are open and refuse";
    throw new Error(`Cannot update: ${subject} of server "${name}" ${verb} it`);
  }
}

function refusing(name: string, connections: Carrier["connections"]): number {
  try {
    return connections.uncarried?.refusing() ?? 0;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const unknown = `what becomes of a connection of server "${name}" is not known`;
    throw new Error(`Cannot update: ${unknown}: ${reason}`, { cause: error });
  }
}

/**
 * Ends the connections that are to be closed, while the others still go on.
 *
 * @param ports the carried servers
 * @param deadline when the quiescing ends, in milliseconds since the epoch
 * @param ended called for each connection that was ended
 * @returns when they are gone, or at the deadline
 * @throws {Error} when a connection keeps the update from happening
 */
export async function partPolitely(
  ports: readonly Carrier[],
  deadline: number,
  ended: () => void,
): Promise<void> {
  for (const port of ports) port.begin?.();
  checkRefusals(ports);
  await Promise.all(ports.map(({ connections }) => connections.uncarried?.part(deadline, ended)));
  // A handshake may have been completed meanwhile.
  checkRefusals(ports);
}

/**
 * Waits until no connection owes an answer; when a port's time is over, its policy decides.
 *
 * @param ports the carried servers, their connections paused
 * @param deadline when the quiescing ends, in milliseconds since the epoch
 * @returns how many connections of the application were cut off
 * @throws {Error} when connections of a port that refuses still owe an answer
 */
export async function settle(ports: readonly Carrier[], deadline: number): Promise<number> {
  const begun = Date.now();
  let closed = 0;
  const lateAt = (port: Carrier): number => Math.min(deadline, begun + (port.options.patienceMs ?? Infinity));
  for (;;) {
    const owing = ports.filter((port) => port.connections.owing > 0);
    if (owing.length === 0) return closed;
    const late = owing.filter((port) => Date.now() >= lateAt(port));
    const refuser = late.find((port) => port.options.overdue === "refuse");
    // Before anything is closed: that would be for nothing.
    if (refuser !== undefined) throw stillOwing(refuser);
    for (const port of late) {
      const count = port.connections.closeOwing();
      // Names of our own begin so: an operator who listens is none of the application's clients.
      if (!port.name.startsWith("@")) closed += count;
    }
    const next = Math.min(...owing.map(lateAt));
    await withTimeout(
      Promise.all(owing.map((port) => port.connections.settled())),
      Math.max(1, next - Date.now()),
    );
  }
}

function stillOwing(carrier: Carrier): Error {
  const count = carrier.connections.owing;
  return new Error(`Cannot update: ${carrier.owed?.(count) ?? owedAnswers(carrier.name, count)}`);
}

function owedAnswers(name: string, count: number): string {
  const subject = count === 1 ? "1 connection" : `${count} connections`;
  return `${subject} of server "${name}" still ${count === 1 ? "owes" : "owe"} an answer`;
}

/** Resolves with the promise or after the time, whichever comes first. */
async function withTimeout(promise: Promise<unknown>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
