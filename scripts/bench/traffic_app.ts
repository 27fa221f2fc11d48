/**
 * The traffic of `bench_connections.ts`, answered by `live.serve`.
 *
 * @module
 */
import { open } from "../../mod.ts";
import { answerOfHeaders, HELLO, PAGE } from "./traffic.ts";

const live = await open();
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, (request) => {
  switch (new URL(request.url).pathname) {
    case "/hello":
      return new Response(HELLO);
    case "/headers":
      return new Response(answerOfHeaders(request.headers.get("user-agent"), request.headers.get("cookie")));
    case "/echo":
      return request.json().then((value) => Response.json(value));
    case "/page":
      return new Response(PAGE);
    default:
      return new Response("Not Found", { status: 404 });
  }
});
await live.ready();
