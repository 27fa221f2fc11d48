/**
 * The second service of the demonstration: it holds conversations that do not end. An event stream that counts, an echo of
 * bytes, and a WebSocket that numbers what it is told. It also has a pipe with bytes in it that nobody reads until the end,
 * and a child that counts.
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

const parcel = await live.pipe("parcel");

// A child that counts. What it says is looked at here, because only a parent can.
const child = { pid: 0, lines: 0, rest: "", fault: null as string | null };
live.state("child", { version: 1, save: () => ({ ...child }), load: (value) => Object.assign(child, value) });
const worker = await live.spawn("worker", {
  command: ["sh", "-c", "n=0; while :; do n=$((n + 1)); echo $n; sleep 0.01; done"],
  stdout(bytes) {
    const lines = (child.rest + new TextDecoder().decode(bytes)).split("\n");
    child.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (Number(line) !== ++child.lines) child.fault ??= `line ${line} came as number ${child.lines}`;
    }
  },
  exit: ({ code, signal }) => void (child.fault ??= `it ended (${signal ?? code})`),
});

async function answer(request: Request): Promise<Response> {
  switch (`${request.method} ${new URL(request.url).pathname}`) {
    case "POST /parcel":
      await parcel.writeAll(await request.bytes());
      return new Response(null, { status: 204 });
    case "GET /parcel":
      return new Response(parcel.read());
    case "GET /child": {
      const { pid } = worker;
      if (child.pid === 0) child.pid = pid;
      if (pid !== child.pid) child.fault ??= `its pid is ${pid}, and was ${child.pid}`;
      return Response.json({ heard: child.lines, fault: child.fault });
    }
    default:
      return new Response(null, { status: 404 });
  }
}

await live.serve("talk", { ...loopback, port: httpPort }, (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/counter") return counter.respond(request, { count: 0 });
  if (pathname === "/numbered") return numbered.upgrade(request, { count: 0 });
  return answer(request);
});

await live.ready();
