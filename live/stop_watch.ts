/**
 * Who asks a service to stop in the middle of an update is heard: before the freeze the update is refused and the service
 * stops, as it would have without an update.
 *
 * Happy path: nobody asks. {@linkcode watchForStop} listens for SIGTERM and SIGINT while an update prepares.
 *
 * Unhappy paths:
 * 1. A signal comes. The update is told; if the application has no listener of its own, the signal then does what it does
 *    without one, which is to end the process. The runtime does not say whether there is a listener, so `countListeners` in
 *    `signals.ts` counts them from the beginning.
 * 2. It comes while the listening ends. A signal that the runtime has taken, and that no listener has heard of yet, would be
 *    lost with the listener. So from then on signals wait in the kernel (on the conditions of `sys/signals.ts`), until those
 *    before them were heard and nobody listens; then they do what they do without an update.
 *
 * @module
 */
import { listenersOf } from "./signals.ts";
import { getMask, getPid, killProcess, pendingSignals, setMask, SIGNALS } from "../sys/mod.ts";
import { decodeMask, encodeMask } from "../sys/signals.ts";

/** The signals that ask a service to stop. */
export type StopSignal = "SIGTERM" | "SIGINT";

const STOP_SIGNALS: readonly StopSignal[] = ["SIGTERM", "SIGINT"];

/** Milliseconds that a signal which the runtime has taken needs to its listener. */
const LAST_TURN_MS = 20;

/** The listeners of updates, which are nobody else's. */
const own = new Set<() => void>();

/**
 * Listens for the signals that ask the service to stop.
 *
 * @param refuse tells the update; called at once, before the signal takes its effect
 * @returns what ends the listening; resolves when nobody listens any more
 */
export function watchForStop(refuse: (signal: StopSignal) => void): () => Promise<void> {
  const added = STOP_SIGNALS.map((signal) => {
    const listener = (): void => {
      const heard = isHeard(signal);
      refuse(signal);
      end();
      // Without a listener the signal has its default action again.
      if (!heard) killProcess(getPid(), SIGNALS[signal]);
    };
    own.add(listener);
    Deno.addSignalListener(signal, listener);
    return { signal, listener };
  });
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    for (const { signal, listener } of added) {
      Deno.removeSignalListener(signal, listener);
      own.delete(listener);
    }
  };
  return async () => {
    if (ended) return;
    const before = decodeMask(getMask());
    setMask(encodeMask([...before, ...STOP_SIGNALS.map((signal) => SIGNALS[signal])]));
    // A turn that took long may have made the first timer late: others come behind what has waited meanwhile.
    for (const wait of [LAST_TURN_MS, 0, 0]) await new Promise((resolve) => setTimeout(resolve, wait));
    end();
    // What waits takes its effect now, or as soon as the runtime sees it: until then the update must know.
    const waiting = pendingSignals();
    for (const signal of STOP_SIGNALS) if (waiting.includes(SIGNALS[signal])) refuse(signal);
    setMask(encodeMask(before));
  };
}

/** Does the application listen for it, with the runtime's own function or as Node.js does? */
function isHeard(signal: StopSignal): boolean {
  if (listenersOf(signal).some((listener) => !own.has(listener))) return true;
  const { process } = globalThis as { process?: { listenerCount?(name: string): number } };
  return (process?.listenerCount?.(signal) ?? 0) > 0;
}
