/**
 * The second service of the demonstration: it holds conversations that do not end. An event stream that counts, an echo of
 * bytes, and a WebSocket that numbers what it is told.
 *
 * Happy path: it says where it listens, and goes on in the next build with every client.
 *
 * @module
 */
import * as ws from "npm:ws@8.23.0";

import { open } from "../../mod.ts";

const [ports = "0,0"] = Deno.args;
const [httpPort = 0, echoPort = 0] = ports.split(",").map(Number);
const loopback = { hostname: "127.0.0.1" };

const live = await open();

const counter = await live.eventStreams<{ count: number }>("counter");
setInterval(() => {
  for (const stream of counter) {
    const { state } = stream;
    stream.send({ data: `${++state.count}` });
  }
}, 5);

const numbered = await live.webSockets<{ count: number }>("numbered", ws, {
  open({ socket, state }) {
    socket.on("message", (data) => socket.send(`${++state.count}:${data}`));
  },
});

await live.listen("echo", { ...loopback, port: echoPort }, {
  open({ socket }) {
    socket.on("data", (chunk) => socket.write(chunk));
  },
});

await live.serve("talk", { ...loopback, port: httpPort }, (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/counter") return counter.respond(request, { count: 0 });
  if (pathname === "/numbered") return numbered.upgrade(request, { count: 0 });
  return new Response(null, { status: 404 });
});

await live.ready();
