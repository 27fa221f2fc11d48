import { assert, assertEquals, assertThrows } from "@std/assert";
import * as ws from "npm:ws@8.23.0";
import { waitFor } from "../../testing/mod.ts";
import { clientFrame, joined, OPCODE, RawWebSocket } from "./web_socket_kit_test.ts";
import { crossed, decode, type Options, Service, type State } from "./web_socket_service_test.ts";
import { WebSocketChannel } from "./web_sockets.ts";

const { text, continuation, ping, pong } = OPCODE;

Deno.test("a message goes on wherever it was cut, and control frames between its parts are dealt with once", async () => {
  await using service = new Service();
  const port = await service.listen();
  using client = await RawWebSocket.open(port, "/ann");
  const long = "x".repeat(300);
  const whole = joined(
    clientFrame(text, "ab", false),
    clientFrame(ping, "p1"),
    clientFrame(continuation, long, false),
    clientFrame(ping, "p2"),
    clientFrame(continuation, "", false),
    clientFrame(continuation, "yz"),
  );
  const wanted = ["ann came"];
  let count = 0;
  for (let cut = 1; cut < whole.byteLength; cut += cut < 40 || cut > 320 ? 1 : 37) {
    await client.send(clientFrame(ping, "p0"), whole.subarray(0, cut));
    // Its answer says that what came in one piece with it was read as well.
    assertEquals(decode((await client.next())?.payload), "p0");
    await service.update({}, () => client.send(whole.subarray(cut)));
    for (const control of ["p1", "p2"]) {
      const frame = await client.next();
      assertEquals([frame?.opcode, decode(frame?.payload)], [pong, control], `cut at ${cut}`);
    }
    assertEquals(await client.message(), `ab${long}yz`, `cut at ${cut}`);
    wanted.push("ann ping p0", "ann ping p1", "ann ping p2", `ann ${++count}: 304`);
    const heard = service.heard.filter((line) => line !== "ann resumed");
    assertEquals(heard, wanted, `cut at ${cut}`);
  }
  assert(count > 50, `${count} cuts`);
  assertEquals(service.peer().state, { name: "ann", count });
});

Deno.test("what a client does not read crosses with it, and comes in order behind what the kernel has", async () => {
  await using service = new Service();
  const port = await service.listen();
  using client = await RawWebSocket.open(port, "/bob");
  await waitFor(() => service.sockets.size === 1, { what: "the client" });
  const messages = Array.from({ length: 40 }, (_, at) => `${at} ${"y".repeat(250_000)}`);
  for (const message of messages) service.peer().socket.send(message);
  const queued = service.peer().socket.bufferedAmount;
  assert(queued > 1_000_000, `${queued} bytes wait`);
  for (let round = 0; round < 3; round++) await service.update();
  service.peer().socket.send("last");
  const got: string[] = [];
  while (got.length <= messages.length) got.push(await client.message());
  assertEquals(
    got.map((message) => message.slice(0, 4)),
    [...messages, "last"].map((message) => message.slice(0, 4)),
  );
  assertEquals(got, [...messages, "last"]);
  await waitFor(() => service.peer().socket.bufferedAmount === 0, { what: "nothing to wait any more" });
});

Deno.test("what the application did not want to read yet is read by the next build", async () => {
  await using service = new Service({ open: ({ socket }) => socket.pause() });
  const port = await service.listen();
  const messages = ["one", "two", "x".repeat(200_000)].map((message) => clientFrame(text, message));
  const last = clientFrame(text, "last");
  using client = await RawWebSocket.open(port, "/bea", [], messages[0]);
  await client.send(...messages.slice(1), last.subarray(0, 3));
  await service.update();
  await service.update({ open: ({ socket }) => socket.on("message", (data) => socket.send(data)) });
  await client.send(last.subarray(3));
  for (const wanted of ["one", "two", "x".repeat(200_000), "last"]) {
    assertEquals(await client.message(), wanted);
  }
});

Deno.test("what was said before the taps open goes out when they do", async () => {
  await using service = new Service();
  const port = await service.listen();
  using client = await RawWebSocket.open(port, "/cy");
  await client.send(clientFrame(text, "hello"));
  assertEquals(await client.message(), "hello");
  await service.update({
    open: ({ socket }, resumed) => {
      socket.send(`back ${resumed}`);
      socket.on("message", (data) => socket.send(`new ${data}`));
    },
  }, () => client.send(clientFrame(text, "there?")));
  assertEquals([await client.message(), await client.message()], ["back true", "new there?"]);
});

Deno.test("states are read in the versions that a build reads, and by its load", async () => {
  await using service = new Service();
  const port = await service.listen();
  using client = await RawWebSocket.open(port, "/ned");
  await client.send(clientFrame(text, "1"));
  await client.message();
  const versions: number[] = [];
  await service.update({
    version: 3,
    reads: [1, 3],
    load(value, version) {
      versions.push(version);
      const { name, count } = value as unknown as State;
      return { name: `${name}!`, count: count + 10 };
    },
  });
  await client.send(clientFrame(text, "2"));
  await client.message();
  assertEquals(service.heard, ["ned came", "ned 1: 1", "ned! resumed", "ned! 12: 2"]);
  assertEquals(versions, [1]);
});

Deno.test("what cannot go on fails before anything was read or sent, and the connection is still there", async () => {
  await using service = new Service();
  const port = await service.listen();
  using client = await RawWebSocket.open(port, "/ole");
  await waitFor(() => service.sockets.size === 1, { what: "the client" });
  const { members } = service;
  members.pause();
  await members.settled();
  const failures: [string, Partial<Options>, string | null][] = [
    ["a version", { reads: [2, 2], version: 2 }, null],
    ["load", { load: () => nothing("load failed") }, null],
    ["open", { open: () => nothing("open failed") }, null],
    ["a stage", {}, "half-open"],
  ];
  for (const [name, options, stage] of failures) {
    const taken = crossed(members.takeDescriptors());
    if (stage !== null) taken[0]!.about!.stage = stage;
    assertThrows(
      () => new WebSocketChannel<State>("chat", ws, { open: () => {}, ...options }).channel(taken),
      Error,
      { "a version": "this build reads 2 to 2", load: "load failed", open: "open failed" }[name] ??
        "half-open",
    );
    // Back to the build that has it.
    members.resume();
    await client.send(clientFrame(text, name));
    assertEquals(await client.message(), name);
    members.pause();
  }
  members.resume();
});

Deno.test("a message that is not whole in the socket's hands is waited for", async () => {
  await using service = new Service();
  const port = await service.listen();
  using client = await RawWebSocket.open(port, "/pia");
  await waitFor(() => service.sockets.size === 1, { what: "the client" });
  const { socket } = service.peer();
  const { members } = service;
  socket.send("one ", { fin: false });
  assertEquals(members.owing, 1);
  socket.send("two", { fin: true });
  assertEquals(members.owing, 0);
  socket.send(new Blob(["a blob"]));
  socket.send("behind it");
  assertEquals(members.owing, 1);
  await service.update();
  const frames = [await client.next(), await client.next(), await client.next(), await client.next()];
  assertEquals(frames.map((frame) => decode(frame?.payload)), ["one ", "two", "a blob", "behind it"]);
  assertEquals(frames.map((frame) => [frame?.opcode, frame?.fin]), [[1, false], [0, true], [2, true], [
    1,
    true,
  ]]);
});

function nothing(message: string): never {
  throw new Error(message);
}
