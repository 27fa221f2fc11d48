/**
 * The signals that start an update: SIGUSR2, and SIGHUP where it does not mean that the terminal was closed.
 *
 * Happy path: {@linkcode listenForUpdates} as early as possible, {@linkcode onUpdateSignal} once somebody can update. The
 * first listener of a process starts the runtime's signal thread, which inherits the mask: with the mask of a launch or of
 * a jump still in place, no thread but the main one ever takes a signal, so that blocking it there holds it for the next
 * image.
 *
 * Unhappy path: a signal before the service can update is answered with a line on stderr, not with the end of the process.
 *
 * @module
 */
import { openFile, SysError } from "../sys/mod.ts";

type UpdateSignal = "SIGUSR2" | "SIGHUP";

const listening = new Set<UpdateSignal>();
let react: ((signal: UpdateSignal) => void) | undefined;

/** Listens for SIGUSR2 from here on. */
export function listenForUpdates(): void {
  listen("SIGUSR2");
}

/**
 * Says what a signal does.
 *
 * @param listener starts an update
 * @param hup listen for SIGHUP even with a controlling terminal?
 */
export function onUpdateSignal(listener: (signal: UpdateSignal) => void, hup: boolean): void {
  react = listener;
  listen("SIGUSR2");
  // With a terminal, SIGHUP says that it was closed; without one, operators use it to say: load yourself anew.
  if (hup || !hasTerminal()) listen("SIGHUP");
}

function listen(signal: UpdateSignal): void {
  if (listening.has(signal)) return;
  listening.add(signal);
  Deno.addSignalListener(signal, () => {
    if (react !== undefined) react(signal);
    else console.error(`heirloom: ${signal}: Cannot update: the service is starting`);
  });
}

function hasTerminal(): boolean {
  try {
    using _terminal = openFile("/dev/tty", { read: true });
    return true;
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
}

const listeners = new Map<string, Set<() => void>>();

/** Counts the application's signal listeners from here on. Call it before the application runs. */
export function countListeners(): void {
  const { addSignalListener, removeSignalListener } = Deno;
  // No other property of the runtime tells; calls go through unchanged.
  Object.defineProperties(Deno, {
    addSignalListener: {
      configurable: true,
      enumerable: true,
      writable: true,
      value: (signal: Deno.Signal, listener: () => void): void => {
        addSignalListener(signal, listener);
        const set = listeners.get(signal) ?? new Set();
        listeners.set(signal, set.add(listener));
      },
    },
    removeSignalListener: {
      configurable: true,
      enumerable: true,
      writable: true,
      value: (signal: Deno.Signal, listener: () => void): void => {
        removeSignalListener(signal, listener);
        listeners.get(signal)?.delete(listener);
      },
    },
  });
}

/** The listeners for a signal that were added since {@linkcode countListeners}. */
export function listenersOf(signal: Deno.Signal): (() => void)[] {
  return [...listeners.get(signal) ?? []];
}
