/**
 * What a build can do wrong, as statements of TypeScript.
 *
 * @module
 */
import type { Moment, Place } from "./_types.ts";

/** What JavaScript can see. */
export const THROWS = 'throw new Error("no luck today");';
/** An exit that claims success. */
export const EXITS_0 = "Deno.exit(0);";
/** An exit with a failure. */
export const EXITS_7 = "Deno.exit(7);";
/** A rejection that nobody handles, in a program that goes on. */
export const REJECTS =
  'Promise.reject(new TypeError("nobody cares"));\nawait new Promise((resolve) => setTimeout(resolve, 60_000));';
/** An exception outside of any promise. */
export const THROWS_LATE =
  'setTimeout(() => { throw new Error("no luck today"); }, 1);\nawait new Promise((resolve) => setTimeout(resolve, 60_000));';
/** A promise that never resolves, with nothing to wait for. */
export const NEVER_RESOLVES = "await new Promise(() => {});";
/** A promise that never resolves in a program that is busy. */
export const WAITS_FOR_EVER = "setInterval(() => {}, 1000);\nawait new Promise(() => {});";

/** What JavaScript cannot see. */
export const LOOPS = "while (true);";
/** Ended from one moment to the next. */
export const KILLS_ITSELF = 'Deno.kill(Deno.pid, "SIGKILL");';
/** Stopped, and not ended. */
export const STOPS_ITSELF = 'Deno.kill(Deno.pid, "SIGSTOP");';
/** A write to address 0. */
export const CRASHES = `Deno.dlopen("libc.so.6", {
  memset: { parameters: ["pointer", "i32", "usize"], result: "pointer" },
}).symbols.memset(null, 0, 8n);`;
/** What a failed assertion in native code does. */
export const ABORTS =
  'Deno.dlopen("libc.so.6", { abort: { parameters: [], result: "void" } }).symbols.abort();';
/** Memory until a limit is reached. */
export const ALLOCATES =
  "const hoard = [];\nfor (;;) hoard.push(new Array(0x10000).fill(hoard.length + 0.5));";
/** Descriptors until a limit is reached. */
export const OPENS = 'const opened = [];\nfor (;;) opened.push(Deno.openSync("/dev/null"));';

/** Closes every descriptor of the log behind everybody's back, or puts something else in its place; then fails. */
export function losesLog(how: "close" | "replace"): string {
  return `const { close, dup2 } = Deno.dlopen("libc.so.6", {
  close: { parameters: ["i32"], result: "i32" },
  dup2: { parameters: ["i32", "i32"], result: "i32" },
}).symbols;
for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
  try {
    if (!Deno.readLinkSync("/proc/self/fd/" + name).endsWith("/app.log")) continue;
  } catch { continue; }
  ${how === "close" ? "close(Number(name));" : "dup2(0, Number(name));"}
}
void close, dup2;
${THROWS}`;
}

/** The places of a new build, with the phase in which they lie. */
export const PLACES: readonly (readonly [place: Place, phase: string])[] = [
  ["import", "booting"],
  ["open", "retrieving"],
  ["ready", "probation"],
];

/** The moments at which an application can be held, with the phase in which they lie. */
export const MOMENTS: readonly (readonly [moment: Moment, phase: string])[] = [
  ["checking", "loading"],
  ["quiescing", "quiescing"],
  ...PLACES,
];
