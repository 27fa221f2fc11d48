/**
 * An application that keeps a number of descriptors of every kind, or as many memfds. A subject of `bench_kinds.ts`.
 *
 * @module
 */
import { open, type OwnedFd } from "../../mod.ts";
import { KINDS, watchWith } from "./kinds.ts";

const [kinds = "", count = "", folder = ""] = Deno.args;
const live = await open();
const held = new Map<string, OwnedFd>();
for (const kind of kinds.split(",")) {
  for (let index = 0; index < Number(count); index++) {
    const name = `${kind}-${index}`;
    held.set(
      name,
      await live.inherit(name, () => {
        const fd = KINDS[kind]!(index, folder);
        // Each set watches one descriptor that is there already.
        const watched = kind === "epoll" ? held.get(`eventfd-${index}`) : undefined;
        if (watched !== undefined) watchWith(fd.fd, watched.fd);
        return fd;
      }),
    );
  }
}
// A descriptor that is collected is closed.
(globalThis as { held?: unknown }).held = held;
await live.ready();
