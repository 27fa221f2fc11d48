import { assert, assertEquals, assertThrows } from "@std/assert";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { Buffer } from "node:buffer";
import * as ws from "npm:ws@8.23.0";
import type { LuoError } from "../../luo/errors.ts";
import { waitFor } from "../../testing/mod.ts";
import { clientFrame, closePayload, OPCODE, RawWebSocket } from "./web_socket_kit_test.ts";
import { type Options, Service, type State } from "./web_socket_service_test.ts";
import { WebSocketChannel } from "./web_sockets.ts";

const { text, binary, close, ping, pong } = OPCODE;

Deno.test("protocol, headers, and what came behind the request", async () => {
  await using service = new Service();
  const port = await service.listen();
  const offer = ["sec-websocket-protocol: old, chat.v2", "sec-websocket-extensions: permessage-deflate"];
  service.init = { protocol: "chat.v2", headers: { "x-room": "7" } };
  using chosen = await RawWebSocket.open(port, "/ida", offer, clientFrame(text, "early"));
  assertEquals(await chosen.message(), "early");
  assert(/^sec-websocket-protocol: chat\.v2$/im.test(chosen.head), chosen.head);
  assert(/^x-room: 7$/im.test(chosen.head), chosen.head);
  assert(!/extensions/i.test(chosen.head), chosen.head);
  service.init = {};
  using first = await RawWebSocket.open(port, "/jo", [`sec-websocket-protocol: ${"p".repeat(300)}, old`]);
  using none = await RawWebSocket.open(port, "/kim");
  assert(!/websocket-protocol/i.test(none.head), none.head);
  service.init = { protocol: "other" };
  using refused = await RawWebSocket.open(port, "/lea", offer);
  assert(!/websocket-protocol/i.test(refused.head), refused.head);
  assert(/protocol: old$/im.test(first.head), first.head);
  for (let round = 0; round < 2; round++) {
    await waitFor(() => service.sockets.size === 4, { what: "all to be there" });
    assertEquals([...service.sockets].map(({ socket }) => socket.protocol), ["chat.v2", "old", "", ""]);
    await service.update();
  }
  await chosen.send(clientFrame(binary, "on"));
  assertEquals(await chosen.message(), "on");
});

Deno.test("an improper request is answered by the package, and nobody is added", async () => {
  await using service = new Service();
  const port = await service.listen();
  using client = await RawWebSocket.open(port, "/mo", ["sec-websocket-key: again"]);
  assert(client.head.startsWith("HTTP/1.1 400 "), client.head);
  await client.rest();
  assertEquals([service.sockets.size, service.heard], [0, []]);
});

Deno.test("a client that gives no sign is ended, and one that does is not", async () => {
  await using service = new Service({ heartbeatMs: 400 });
  const port = await service.listen();
  using silent = await RawWebSocket.open(port, "/quin");
  using answering = await RawWebSocket.open(port, "/ron");
  let pings = 0;
  let answers = true;
  const listening = (async () => {
    for (let frame = await answering.next(); frame !== null; frame = await answering.next()) {
      if (frame.opcode === ping) pings++;
      if (frame.opcode === ping && answers) await answering.send(clientFrame(pong, frame.payload));
    }
  })();
  await waitFor(() => service.heard.includes("quin closed 1006 "), { what: "the silent one to be ended" });
  await silent.rest();
  // The next build goes on with it.
  await service.update();
  const before = pings;
  await waitFor(() => pings > before + 1, { what: "two more pings" });
  assertEquals(service.sockets.size, 1);
  answers = false;
  await waitFor(() => service.sockets.size === 0, { what: "the other one to be ended" });
  await listening;
});

Deno.test("an application that fails at a new client closes it, and nobody else", async () => {
  await using service = new Service({
    open({ socket, state }) {
      if (state.name === "bad") throw new Error("(this error is expected)");
      socket.on("message", (data) => socket.send(data));
    },
  });
  const port = await service.listen();
  using good = await RawWebSocket.open(port, "/good");
  using bad = await RawWebSocket.open(port, "/bad");
  assertEquals(await bad.closing(), [1011, ""]);
  await bad.send(clientFrame(close, closePayload(1011)));
  assertEquals(await bad.next(), null);
  await good.send(clientFrame(text, "still here"));
  assertEquals(await good.message(), "still here");
});

Deno.test("options and headers that are none are refused at once", () => {
  const wrong: [Partial<Options>, string][] = [
    [{ version: 0 }, "version 0"],
    [{ maxPayload: -1 }, "maxPayload -1"],
    [{ heartbeatMs: 0.5 }, "heartbeatMs 0.5"],
  ];
  for (const [options, message] of wrong) {
    const error = assertThrows(
      () => new WebSocketChannel<State>("chat", ws, { open: () => {}, ...options }),
      Error,
      message,
    ) as LuoError;
    assertEquals(error.code, "EINVAL");
  }
  const sockets = new WebSocketChannel("chat", ws, { open: () => {} });
  const none = {} as never;
  for (
    const headers of [{ "a b": "c" }, { a: "b\r\nc: d" }, { Upgrade: "x" }, { "Sec-WebSocket-Accept": "x" }]
  ) {
    assertThrows(() => sockets.accept(none, none, none, null, { headers }), TypeError, "cannot be sent");
  }
  const protocol = "p".repeat(129);
  assertThrows(() => sockets.accept(none, none, none, null, { protocol }), TypeError, "at most 128");
  assertThrows(() => sockets.upgrade(new Request("http://x/"), null), TypeError, "not the request");
});

Deno.test("a connection that cannot be carried is refused, and nothing else happens", async () => {
  const sockets = new WebSocketChannel<null>("chat", ws, { open: () => {} });
  let written = "";
  const stream = new Duplex({
    read: () => {},
    write(chunk, _encoding, done) {
      written += chunk;
      done();
    },
  });
  sockets.accept({} as IncomingMessage, stream, Buffer.alloc(0), null);
  assert(written.startsWith("HTTP/1.1 503 "), written);
  assertEquals([stream.writableEnded, sockets.size], [true, 0]);
  await new Promise((resolve) => stream.destroy().once("close", resolve));
  sockets.accept({} as IncomingMessage, stream, Buffer.alloc(0), null);
  assertEquals(sockets.size, 0);
});

Deno.test("a client that the application does not read is not asked for a sign", async () => {
  const heard: string[] = [];
  await using service = new Service({
    heartbeatMs: 20,
    open({ socket }) {
      socket.pause();
      socket.on("message", (data) => heard.push(`${data}`));
    },
  });
  const port = await service.listen();
  using client = await RawWebSocket.open(port, "/sue", [], clientFrame(text, "later"));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assertEquals([service.sockets.size, heard], [1, []]);
  service.peer().socket.resume();
  await waitFor(() => heard.length > 0, { what: "the message" });
  assertEquals(heard, ["later"]);
  assert(client.head.startsWith("HTTP/1.1 101 "));
});
