/**
 * An application that keeps a number of descriptors of every kind, or as many memfds. A subject of `bench_kinds.ts`.
 *
 * @module
 */
import { open, type OwnedFd } from "../../mod.ts";
import { KINDS } from "./kinds.ts";

const [kinds = "", count = "", folder = ""] = Deno.args;
const live = await open();
const held = new Map<string, OwnedFd>();
for (const kind of kinds.split(",")) {
  for (let index = 0; index < Number(count); index++) {
    const name = `${kind}-${index}`;
    if (kind === "epoll") await watch(name, held.get(`eventfd-${index}`));
    else held.set(name, await live.inherit(name, () => KINDS[kind]!(index, folder)));
  }
}

/** Each set watches one descriptor that is there already, if there is one. */
async function watch(name: string, watched: OwnedFd | undefined): Promise<void> {
  const set = await live.epoll(name);
  if (watched !== undefined && live.generation === 0) set.add(watched, ["in"], 7n);
}

// A descriptor that is collected is closed.
(globalThis as { held?: unknown }).held = held;
await live.ready();
