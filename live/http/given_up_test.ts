import { assertEquals, assertThrows } from "@std/assert";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

import { giveUp } from "./given_up.ts";
import { isTakenOver } from "./taken_over.ts";

interface Asked extends AsyncDisposable {
  req: IncomingMessage;
  res: ServerResponse;
  client: Socket;
  read(): string;
}

/** A request that nobody has answered yet. */
async function ask(text: string): Promise<Asked> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  let read = "";
  client.on("data", (chunk) => read += chunk);
  client.write(text);
  const [req, res] = await once(server, "request") as [IncomingMessage, ServerResponse];
  return {
    req,
    res,
    client,
    read: () => read,
    async [Symbol.asyncDispose]() {
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const GET = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

Deno.test("giveUp() sends the head that was made, without framing, and what follows is whoever's it is", async () => {
  await using asked = await ask(GET);
  const { res, client } = asked;
  res.setHeader("content-length", "7");
  res.setHeader("Keep-Alive", "timeout=5");
  res.setHeader("x-own", "1");
  let ended = 0;
  const socket = giveUp(res, () => ended++);
  assertEquals([isTakenOver(socket), res.headersSent], [true, true]);
  const data = once(socket, "data");
  client.write("anything");
  assertEquals(String((await data)[0]), "anything");
  socket.write("body");
  const closed = once(res, "close");
  res.end(() => ended++);
  assertEquals(ended, 1);
  socket.end();
  await once(client, "close");
  await closed;
  assertEquals(
    asked.read().replace(/date: [^\r]*\r\n/i, ""),
    "HTTP/1.1 200 OK\r\nx-own: 1\r\nconnection: close\r\n\r\nbody",
  );
  assertEquals(ended, 2);
});

Deno.test("giveUp() does nothing to an answer that has begun, or has no connection any more", async () => {
  await using asked = await ask(GET);
  asked.res.writeHead(200);
  assertThrows(() => giveUp(asked.res, () => {}), TypeError, "begun already");
  asked.res.end();
  await using gone = await ask(GET);
  gone.client.destroy();
  await once(gone.res, "close");
  assertThrows(() => giveUp(gone.res, () => {}), TypeError, "no connection");
  assertEquals(isTakenOver(asked.req.socket) || isTakenOver(gone.req.socket), false);
});

Deno.test("giveUp() works on a connection that was broken in the same turn", async () => {
  await using asked = await ask(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf`);
  const socket = giveUp(asked.res, () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {}).resume();
  asked.client.resetAndDestroy();
  await closed;
  assertEquals(asked.req.destroyed, true, "the request is told");
});
