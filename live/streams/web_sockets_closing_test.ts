import { assert, assertEquals } from "@std/assert";
import { waitFor } from "../../testing/mod.ts";
import { clientFrame, closePayload, joined, OPCODE, RawWebSocket } from "./web_socket_kit_test.ts";
import { decode, heardIs, Service } from "./web_socket_service_test.ts";

const { text, close, ping } = OPCODE;

Deno.test("a closing handshake that the server has begun is finished by the next build", async () => {
  await using service = new Service();
  const port = await service.listen();
  using client = await RawWebSocket.open(port, "/dan");
  await waitFor(() => service.sockets.size === 1, { what: "the client" });
  service.peer().socket.close(4001, "enough");
  for (let round = 0; round < 2; round++) await service.update();
  assertEquals(await client.closing(), [4001, "enough"]);
  // A message that was on its way still counts.
  await client.send(clientFrame(text, "wait"));
  await heardIs(service, "dan came", "dan resumed closing", "dan resumed closing", "dan 1: wait");
  await client.send(clientFrame(close, closePayload(4001, "well")));
  assertEquals(await client.next(), null, "no second close frame");
  client[Symbol.dispose]();
  await heardIs(
    service,
    "dan came",
    "dan resumed closing",
    "dan resumed closing",
    "dan 1: wait",
    "dan closed 4001 well",
  );
});

Deno.test("a closing handshake that the client has begun is finished by the next build", async (t) => {
  const frame = clientFrame(close, closePayload(4002, "bye"));
  for (const [name, cut] of [["cut in its header", 1], ["cut in its payload", 8], ["unread", 0]] as const) {
    await t.step(name, async () => {
      await using service = new Service();
      const port = await service.listen();
      using client = await RawWebSocket.open(port, "/eve");
      await client.send(clientFrame(ping, "p0"), frame.subarray(0, cut));
      assertEquals(decode((await client.next())?.payload), "p0");
      await service.update({}, () => client.send(frame.subarray(cut)));
      assertEquals(await client.closing(), [4002, "bye"]);
      assertEquals(await client.next(), null);
      client[Symbol.dispose]();
      await heardIs(service, "eve came", "eve ping p0", "eve resumed", "eve closed 4002 bye");
    });
  }
  await t.step("answered, behind what the client does not read", async () => {
    await using service = new Service();
    const port = await service.listen();
    using client = await RawWebSocket.open(port, "/eve");
    await waitFor(() => service.sockets.size === 1, { what: "the client" });
    const big = "z".repeat(6_000_000);
    service.peer().socket.send(big);
    assert(service.peer().socket.bufferedAmount > 1_000_000);
    await client.send(frame);
    await waitFor(() => service.peer().socket.readyState === 2, { what: "the close frame to be read" });
    for (let round = 0; round < 2; round++) await service.update();
    assertEquals(await client.message(), big);
    assertEquals(await client.closing(), [4002, "bye"]);
    assertEquals(await client.next(), null);
    client[Symbol.dispose]();
    await heardIs(
      service,
      "eve came",
      "eve resumed closing",
      "eve resumed closing",
      "eve closed 4002 bye",
    );
  });
  await t.step("answered, and the client does not end the connection", async () => {
    await using service = new Service();
    const port = await service.listen();
    using client = await RawWebSocket.open(port, "/eve");
    await client.send(frame);
    assertEquals(await client.closing(), [4002, "bye"]);
    assertEquals(await client.next(), null);
    assertEquals(service.sockets.size, 1);
    await service.update();
    await client.send(clientFrame(text, "ignored"));
    client[Symbol.dispose]();
    await heardIs(service, "eve came", "eve resumed closing", "eve closed 4002 bye");
  });
});

Deno.test("a client that breaks the protocol is told once, before an update or after it", async (t) => {
  const garbage = joined(Uint8Array.of(0xff, 0xff, 0xff), "garbage");
  await t.step("after", async () => {
    await using service = new Service();
    const port = await service.listen();
    using client = await RawWebSocket.open(port, "/fay");
    await client.send(clientFrame(ping, "p0"), clientFrame(text, "half", false));
    assertEquals(decode((await client.next())?.payload), "p0");
    await service.update({}, () => client.send(garbage));
    assertEquals((await client.closing())[0], 1002);
    assertEquals(await client.next(), null);
    client[Symbol.dispose]();
    const error = "fay error Invalid WebSocket frame: RSV2 and RSV3 must be clear";
    await heardIs(service, "fay came", "fay ping p0", "fay resumed", error, "fay closed 1006 ");
  });
  await t.step("before", async () => {
    await using service = new Service();
    const port = await service.listen();
    using client = await RawWebSocket.open(port, "/fay");
    await client.send(clientFrame(text, Uint8Array.of(0xff, 0xfe)));
    assertEquals((await client.closing())[0], 1007);
    for (let round = 0; round < 2; round++) await service.update();
    assertEquals(await client.next(), null);
    await client.send(garbage, clientFrame(text, "ignored"));
    client[Symbol.dispose]();
    const error = "fay error Invalid WebSocket frame: invalid UTF-8 sequence";
    await heardIs(
      service,
      "fay came",
      error,
      "fay resumed closing",
      "fay resumed closing",
      "fay closed 1006 ",
    );
  });
});

Deno.test("a client that vanishes or half-closes meanwhile is closed by the next build", async () => {
  await using service = new Service();
  const port = await service.listen();
  const clients = [await RawWebSocket.open(port, "/gus"), await RawWebSocket.open(port, "/hal")];
  await clients[1]!.send(clientFrame(ping, "p0"), clientFrame(text, "half", false));
  assertEquals(decode((await clients[1]!.next())?.payload), "p0");
  await service.update({}, async () => {
    clients[0]![Symbol.dispose]();
    await clients[1]!.finish();
  });
  assertEquals(await clients[1]!.next(), null);
  clients[1]![Symbol.dispose]();
  await waitFor(() => service.sockets.size === 0, { what: "both to be closed" });
  assertEquals(service.heard.filter((line) => line.includes("closed")).toSorted(), [
    "gus closed 1006 ",
    "hal closed 1006 ",
  ]);
});
