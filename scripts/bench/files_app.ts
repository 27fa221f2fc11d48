/**
 * An application that keeps a given number of memfds. A subject of `bench_blackout.ts`.
 *
 * @module
 */
import { open } from "../../mod.ts";
import { createMemfd } from "../../sys/mod.ts";

const live = await open();
const held = [];
for (let number = 1; number <= Number(Deno.args[0]); number++) {
  const name = `file-${number}`;
  held.push(await live.inherit(name, () => createMemfd(name, { size: 4096 })));
}
// A descriptor that is collected is closed.
(globalThis as { held?: unknown }).held = held;
await live.ready();
