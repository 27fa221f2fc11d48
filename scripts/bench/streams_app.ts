/**
 * An application with event streams, of which each has a small state: `/events` opens one, and `/` tells all of them its
 * generation, which it also answers. A subject of `bench_connections.ts`.
 *
 * @module
 */
import { open } from "../../mod.ts";

const live = await open();
const feed = await live.eventStreams<{ number: number }>("feed");
let number = 0;
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, (request) => {
  if (request.url.endsWith("/events")) return feed.respond(request, { number: number++ });
  feed.broadcast({ data: String(live.generation) });
  return new Response(`${live.generation}\n`);
});
await live.ready();
