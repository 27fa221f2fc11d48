import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { once } from "node:events";

import { handleOf } from "../http/runtime.ts";
import { Tap } from "../http/tap.ts";
import { joinBytes } from "./bytes.ts";
import { CarriedSocket, type CarriedSocketOptions } from "./carried_socket.ts";
import { connect, firstWrong, pattern, random, turn, waitFor } from "./helpers_test.ts";

/** What an exec makes of a connection: the same one, of which the old image knows nothing any more. */
function cross(old: CarriedSocket, options: CarriedSocketOptions = {}): CarriedSocket {
  old.hold();
  assert(!old.owing);
  const { fd, input, output, ended } = old.carry();
  const next = CarriedSocket.adopt(fd, { input, output }, options);
  old.destroy();
  if (ended) next.end();
  return next;
}

for (const unix of [false, true]) {
  const kind = unix ? "unix" : "TCP";

  Deno.test(`both directions cross at any moment, in any state of the stream, exactly once (${kind})`, async () => {
    const number = random(unix ? 23 : 11);
    await using pair = await connect({ unix, small: true });
    const { peer } = pair;
    let socket = CarriedSocket.over(pair.socket, { allowHalfOpen: true });
    const [taken, came]: [Uint8Array[], Uint8Array[]] = [[], []];
    let [sent, written, crossed, withInput, withOutput] = [0, 0, 0, 0, 0];
    while (crossed < 120) {
      const bytes = pattern(sent, 1 + number(2000));
      peer.write(bytes);
      sent += bytes.byteLength;
      const size = 1 + number(number(8) === 0 ? 20_000 : 300);
      socket.write(pattern(written, size));
      written += size;
      if (number(2) === 0) await turn();
      if (number(3) > 0) {
        const chunk: Uint8Array | null = number(2) === 0 ? socket.read(1 + number(500)) : socket.read();
        if (chunk !== null) taken.push(new Uint8Array(chunk));
        // Sometimes the consumer has taken too much.
        const last = taken.at(-1);
        if (chunk !== null && last !== undefined && last.byteLength > 3 && number(3) === 0) {
          taken.splice(-1, 1, last.slice(0, -2));
          socket.unshift(last.slice(-2));
        }
      }
      if (number(2) === 0) came.push(peer.readSome(8000)!);
      if (number(3) > 0) continue;
      if (number(3) === 0) {
        socket.hold();
        const { fd } = socket.carry();
        // The exec has failed.
        fd[Symbol.dispose]();
        socket.release();
        continue;
      }
      const { input, output } = socket.describe();
      withInput += input.byteLength > 0 ? 1 : 0;
      withOutput += output.byteLength > 0 ? 1 : 0;
      socket = cross(socket, { allowHalfOpen: true });
      if (number(2) === 0) await turn();
      assertEquals(socket.read(), null, "nothing is given before the release");
      if (number(4) === 0) socket = cross(socket, { allowHalfOpen: true });
      socket.release();
      crossed++;
    }
    peer.finish();
    socket.on("data", (chunk: Uint8Array) => taken.push(new Uint8Array(chunk)));
    await once(socket, "end");
    socket.end();
    came.push(await peer.readAll());
    const [there, here] = [joinBytes(came), joinBytes(taken)];
    assertEquals([here.byteLength, firstWrong(here)], [sent, -1]);
    assertEquals([there.byteLength, firstWrong(there)], [written, -1]);
    assert(
      withInput > 30 && withOutput > 30,
      `input in ${withInput}, output in ${withOutput} of the crossings`,
    );
    socket.destroy();
  });
}

Deno.test("a socket that flows gives what it reads at once, and has nothing to carry", async () => {
  await using pair = await connect();
  const socket = CarriedSocket.over(pair.socket);
  const chunks: Uint8Array[] = [];
  socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  pair.peer.write("hello");
  await waitFor(() => chunks.length > 0, { what: "the data" });
  assertEquals(new TextDecoder().decode(joinBytes(chunks)), "hello");
  assertEquals(socket.describe(), { input: new Uint8Array(), output: new Uint8Array(), ended: false });
  socket.destroy();
});

Deno.test("a held socket reads nothing: what arrives waits in the kernel", async () => {
  await using pair = await connect();
  const socket = CarriedSocket.over(pair.socket);
  let read = "";
  socket.on("data", (chunk: Uint8Array) => read += new TextDecoder().decode(chunk));
  socket.hold();
  pair.peer.write("abc");
  for (let count = 0; count < 5; count++) await turn();
  assertEquals([read, socket.describe().input.byteLength], ["", 0]);
  socket.write("def");
  assertEquals(pair.peer.readSome(), new Uint8Array());
  socket.release();
  await waitFor(() => read === "abc", { what: "the data" });
  assertEquals(await pair.peer.readBytes(3), new TextEncoder().encode("def"));
  socket.destroy();
});

Deno.test("a connection whose server had closed its tap reads again", async () => {
  await using pair = await connect();
  new Tap(pair.socket, handleOf(pair.socket)!).close();
  const socket = CarriedSocket.over(pair.socket);
  const data = once(socket, "data");
  pair.peer.write("hello");
  assertEquals(String((await data)[0]), "hello");
  socket.hold();
  pair.peer.write("later");
  for (let count = 0; count < 5; count++) await turn();
  const later = once(socket, "data");
  socket.release();
  assertEquals(String((await later)[0]), "later");
  socket.destroy();
});

Deno.test("write() says when to stop, `drain` when to go on, a callback when its bytes are with the kernel", async () => {
  await using pair = await connect({ small: true });
  const socket = CarriedSocket.over(pair.socket);
  let written = 0;
  const done: number[] = [];
  while (
    socket.write(pattern(written, 10_000), (error?: Error | null) => {
      assertEquals(error ?? null, null);
      done.push(done.length);
    })
  ) written += 10_000;
  written += 10_000;
  assert(socket.writableNeedDrain && socket.writableLength > 64 * 1024);
  await turn();
  const early = done.length;
  assert(early < written / 10_000);
  let drained = false;
  socket.once("drain", () => drained = true);
  socket.end(pattern(written, 3));
  const bytes = await pair.peer.readAll();
  assertEquals([bytes.byteLength, firstWrong(bytes)], [written + 3, -1]);
  await waitFor(() => socket.writableFinished, { what: "the end" });
  assertEquals([done.length, drained], [written / 10_000, false]);
  socket.destroy();
});

Deno.test("after a drain there is one event, and room again", async () => {
  await using pair = await connect({ small: true });
  const socket = CarriedSocket.over(pair.socket);
  let written = 0;
  while (socket.write(pattern(written, 10_000))) written += 10_000;
  written += 10_000;
  let drains = 0;
  socket.on("drain", () => drains++);
  const bytes = await pair.peer.readBytes(written);
  assertEquals(firstWrong(bytes), -1);
  await waitFor(() => drains > 0, { what: "the drain" });
  assert(socket.write("x") && !socket.writableNeedDrain && drains === 1);
  socket.destroy();
});

Deno.test("an end that was said before the crossing is said by the next one, behind all that waits", async () => {
  await using pair = await connect({ small: true });
  const first = CarriedSocket.over(pair.socket, { allowHalfOpen: true });
  first.end(pattern(0, 300_000));
  const socket = cross(first, { allowHalfOpen: true });
  socket.release();
  const bytes = await pair.peer.readAll();
  assertEquals([bytes.byteLength, firstWrong(bytes)], [300_000, -1]);
  pair.peer.write("still heard");
  assertEquals(String((await once(socket, "data"))[0]), "still heard");
  const again = cross(socket, { allowHalfOpen: true });
  again.release();
  pair.peer.write("and again");
  assertEquals(String((await once(again, "data"))[0]), "and again");
  pair.peer.finish();
  again.resume();
  await once(again, "close");
});

Deno.test("without half-open connections the end of the other side is the end, behind all that waits", async () => {
  await using pair = await connect({ small: true });
  const socket = CarriedSocket.over(pair.socket);
  socket.write(pattern(0, 300_000));
  socket.resume();
  pair.peer.finish();
  const bytes = await pair.peer.readAll();
  assertEquals([bytes.byteLength, firstWrong(bytes)], [300_000, -1]);
  await waitFor(() => socket.destroyed, { what: "the end" });
});

Deno.test("what a corked stream has cannot be seen, and owes", async () => {
  await using pair = await connect();
  const socket = CarriedSocket.over(pair.socket);
  socket.cork();
  socket.write("a");
  socket.write("b");
  assertEquals([socket.owing, socket.writableLength], [true, 2]);
  socket.uncork();
  assertEquals([socket.owing, socket.writableLength], [false, 0]);
  assertEquals(await pair.peer.readBytes(2), new TextEncoder().encode("ab"));
  socket.destroy();
});

Deno.test("a peer that is gone ends the stream with its error, and writes fail", async () => {
  await using pair = await connect();
  const socket = CarriedSocket.over(pair.socket);
  const errors: string[] = [];
  socket.on("error", (error) => errors.push((error as Error & { code: string }).code));
  while (socket.write(pattern(0, 10_000)));
  const failed = new Promise((resolve) => socket.write("x", resolve));
  pair.peer[Symbol.dispose]();
  await waitFor(() => socket.destroyed, { what: "the end" });
  assert(await failed instanceof Error);
  assert(errors.length === 1 && ["ECONNRESET", "EPIPE"].includes(errors[0]!), errors.join());
});

Deno.test("it looks like a socket", async () => {
  await using pair = await connect();
  const socket = CarriedSocket.over(pair.socket);
  assertEquals([socket.remoteAddress, socket.remoteFamily, socket.localAddress], [
    "127.0.0.1",
    "IPv4",
    "127.0.0.1",
  ]);
  assertEquals([socket.remotePort, socket.localPort], [pair.socket.remotePort, pair.socket.localPort]);
  assertEquals([socket.connecting, "encrypted" in socket], [false, false]);
  assertEquals(socket.setNoDelay(true).setKeepAlive(true, 1000).ref().unref().ref(), socket);
  assertThrows(() => socket.setEncoding("utf8"), TypeError, "half a character");
  socket.destroySoon();
  await once(socket, "close");
  assertThrows(() => CarriedSocket.over(pair.socket), TypeError, "it is closed");
});

Deno.test("silence is told once it has lasted, not while the socket is held", async () => {
  await using pair = await connect();
  const socket = CarriedSocket.over(pair.socket);
  let timeouts = 0;
  socket.setTimeout(30, () => timeouts++);
  socket.hold();
  await new Promise((resolve) => setTimeout(resolve, 60));
  assertEquals(timeouts, 0);
  socket.release();
  await waitFor(() => timeouts === 1, { what: "the timeout" });
  socket.on("timeout", () => timeouts++);
  socket.write("x");
  await waitFor(() => timeouts === 2, { what: "the next timeout" });
  socket.setTimeout(0);
  socket.destroy();
});

Deno.test("a stream and its socket end together, and leave no descriptor", async () => {
  await using pair = await connect();
  const count = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = count();
  const socket = CarriedSocket.over(pair.socket);
  const next = cross(socket);
  assertEquals(Buffer.from(next.describe().output).length, 0);
  next.release();
  await waitFor(() => count() === before + 1, { what: "the old socket to be closed" });
  next.destroy();
  await waitFor(() => count() === before - 1, { what: "all to be closed" });
});
