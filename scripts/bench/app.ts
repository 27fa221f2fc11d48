/**
 * The smallest application under live update: it answers with its generation. A subject of `bench_blackout.ts`.
 *
 * @module
 */
import { open } from "../../mod.ts";

const live = await open();
await live.serve(
  "web",
  { hostname: "127.0.0.1", port: Number(Deno.args[0]) },
  () => new Response(`${live.generation}\n`),
);
await live.ready();
