/**
 * The wait for the moment in which no connection owes an answer.
 *
 * @module
 */
import type { Carrier } from "./port.ts";

/**
 * Waits until no connection owes an answer; when a port's time is over, its policy decides.
 *
 * @param ports the carried servers, their connections paused
 * @param deadline when the quiescing ends, in milliseconds since the epoch
 * @throws {Error} when connections of a port that refuses still owe an answer
 */
export async function settle(ports: readonly Carrier[], deadline: number): Promise<void> {
  const begun = Date.now();
  const lateAt = (port: Carrier): number => Math.min(deadline, begun + (port.options.patienceMs ?? Infinity));
  for (;;) {
    const owing = ports.filter((port) => port.connections.owing > 0);
    if (owing.length === 0) return;
    for (const port of owing.filter((port) => Date.now() >= lateAt(port))) {
      if (port.options.overdue === "refuse") {
        const count = port.connections.owing;
        throw new Error(
          `Cannot update: ${count} connection${
            count > 1 ? "s" : ""
          } of server "${port.name}" still owe an answer`,
        );
      }
      port.connections.closeOwing();
    }
    const next = Math.min(...owing.map(lateAt));
    await withTimeout(
      Promise.all(owing.map((port) => port.connections.settled())),
      Math.max(1, next - Date.now()),
    );
  }
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
