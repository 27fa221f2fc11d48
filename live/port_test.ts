import { assert, assertEquals } from "@std/assert";
import { createServer, type Server } from "node:net";

import { createServer as createHttpServer } from "node:http";
import { dupFd, isOpenFd, type OwnedFd } from "../sys/mod.ts";
import { waitFor } from "../testing/wait.ts";
import { listenAt, socketAddressOf } from "./address.ts";
import { Conversations } from "./http/conversations.ts";
import type { Taken } from "./http/connections.ts";
import { RawConnections } from "./http/raw_connections.ts";
import { Port } from "./port.ts";

const LOOPBACK = socketAddressOf({ hostname: "127.0.0.1", port: 0 });

/** A server that answers every connection with a letter and what it reads. */
function echo(letter: string): Server {
  return createServer((socket) => {
    socket.write(letter);
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("error", () => {});
  });
}

/** A port of an echo server on a listener. */
function echoPort(letter: string, listener: OwnedFd, handed: Taken[] = []): Port {
  const server = echo(letter);
  return new Port("echo", server, listener, new RawConnections(server), handed, { overdue: "refuse" });
}

async function connect(port: Port): Promise<Deno.TcpConn> {
  return await Deno.connect({ hostname: "127.0.0.1", port: portOf(port) });
}

function portOf({ address }: Port): number {
  return "port" in address ? address.port : -1;
}

/** Reads that many characters, or fewer when the other side ends. */
async function readText(connection: Deno.Conn, length: number): Promise<string> {
  const buffer = new Uint8Array(1024);
  let text = "";
  while (text.length < length) {
    const size = await connection.read(buffer);
    if (size === null) break;
    text += new TextDecoder().decode(buffer.subarray(0, size));
  }
  return text;
}

Deno.test("Port lets clients wait until its tap is opened", async () => {
  const port = echoPort("a", listenAt(LOOPBACK));
  assert(portOf(port) > 0);
  using client = await connect(port);
  await client.write(new TextEncoder().encode("hello"));
  assertEquals(port.connections.size, 0);
  port.open();
  port.open();
  port.listen();
  assertEquals(await readText(client, 6), "ahello");
  assertEquals(port.connections.size, 1);
  port.close();
});

Deno.test("Port.listen() accepts new connections, those that were handed over wait for open()", async () => {
  const server = echo("a");
  const connections = new RawConnections(server);
  const first = new Port("echo", server, listenAt(LOOPBACK), connections, [], { overdue: "refuse" });
  first.open();
  using old = await connect(first);
  assertEquals(await readText(old, 1), "a");
  connections.pause();
  const handed = connections.takeDescriptors();
  assertEquals(handed.length, 1);
  // The image that handed over does not accept any more.
  server.close();

  const second = echoPort("b", dupFd(first.fd), handed);
  await old.write(new TextEncoder().encode("x"));
  second.listen();
  using fresh = await connect(second);
  assertEquals(await readText(fresh, 1), "b");
  assertEquals(second.connections.size, 1);
  second.open();
  assertEquals(await readText(old, 2), "bx");
  assertEquals(second.connections.size, 2);
  second.close();
  first.close();
  assertEquals([await readText(old, 1), await readText(fresh, 1)], ["", ""]);
});

Deno.test("Port.close() ends what waits, and gives the listener up", async () => {
  const first = echoPort("a", listenAt(LOOPBACK));
  first.open();
  using client = await connect(first);
  assertEquals(await readText(client, 1), "a");
  first.connections.pause();
  const second = echoPort("b", dupFd(first.fd), first.connections.takeDescriptors());
  const { fd } = second;
  second.close();
  assertEquals([isOpenFd(fd), await readText(client, 1)], [false, ""]);
  first.close();
});

Deno.test("Port.close() ends all connections", async () => {
  const raw = echoPort("a", listenAt(LOOPBACK));
  raw.open();
  using client = await connect(raw);
  assertEquals(await readText(client, 1), "a");
  const { fd } = raw;
  const number = portOf(raw);
  raw.close();
  assertEquals([isOpenFd(fd), await readText(client, 1)], [false, ""]);
  await waitFor(async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port: number })).close();
      return false;
    } catch {
      return true;
    }
  }, { what: "the socket to be closed" });

  const server = createHttpServer((_request, response) => void response.write("begun"));
  const http = new Port("web", server, listenAt(LOOPBACK), new Conversations(server), [], {
    overdue: "close",
  });
  http.open();
  using asking = await connect(http);
  await asking.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
  await waitFor(() => http.connections.owing === 1, { what: "the request" });
  http.close();
  const text = await readText(asking, 10_000);
  assert(text.includes("begun"), text);
  assertEquals(text.endsWith("0\r\n\r\n"), false, "an answer that was cut off does not look whole");
});
