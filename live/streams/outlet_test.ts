import { assert, assertEquals } from "@std/assert";

import { streamOf } from "../http/connections.ts";
import { connect, firstWrong, pattern, random, turn, waitFor } from "./helpers_test.ts";
import { HIGH_WATER_BYTES, Outlet } from "./outlet.ts";
import type { Socket } from "node:net";

function outletOf(socket: Socket): Outlet {
  const outlet = Outlet.of(socket);
  if (outlet === null) throw new Error("the socket has no descriptor");
  return outlet;
}

/** Writes until the kernel takes no more; returns how many bytes were written. */
function fill(outlet: Outlet): number {
  let written = 0;
  while (outlet.queued === 0) {
    outlet.write(pattern(written, 10_000));
    written += 10_000;
  }
  return written;
}

for (const unix of [false, true]) {
  const kind = unix ? "unix" : "TCP";

  Deno.test(`an outlet sends at once what the kernel takes, and keeps the rest (${kind})`, async () => {
    await using pair = await connect({ unix, small: true });
    using outlet = outletOf(pair.socket);
    assert(outlet.write(pattern(0, 10)));
    assertEquals(outlet.queued, 0);
    assertEquals(await pair.peer.readBytes(10), pattern(0, 10));
    const written = fill(outlet);
    const { queued } = outlet;
    assertEquals(
      outlet.pending(),
      pattern(written - queued, queued),
      "all that is not in the kernel, in order",
    );
    outlet.end();
    const bytes = await pair.peer.readAll();
    assertEquals([bytes.byteLength, firstWrong(bytes)], [written, -1]);
    assertEquals([outlet.queued, outlet.pending().byteLength], [0, 0]);
  });

  Deno.test(`an outlet says when too much waits, and when all of it is sent (${kind})`, async () => {
    await using pair = await connect({ unix });
    using outlet = outletOf(pair.socket);
    let drained = 0;
    outlet.onDrain = () => drained++;
    let written = fill(outlet);
    const sent: (string | null)[] = [];
    outlet.whenSent((error) => sent.push(error && error.message));
    while (outlet.queued <= HIGH_WATER_BYTES) {
      assertEquals(outlet.write(pattern(written, 1000)), outlet.queued <= HIGH_WATER_BYTES);
      written += 1000;
    }
    assertEquals([drained, sent], [0, []]);
    const bytes = await pair.peer.readBytes(written);
    assertEquals(firstWrong(bytes), -1);
    await waitFor(() => drained === 1 && sent.length === 1, { what: "the drain" });
    assertEquals([sent, outlet.queued], [[null], 0]);
  });

  Deno.test(`whatever the moment, bytes cross to the next outlet of a connection exactly once (${kind})`, async () => {
    const number = random(unix ? 7 : 3);
    await using pair = await connect({ unix, small: true });
    let { socket } = pair;
    // Something was read: now the runtime's socket is lent a byte.
    pair.peer.write("x");
    await waitFor(() => socket.read() !== null, { what: "the byte" });
    let outlet = outletOf(socket);
    let written = 0;
    let read = 0;
    let crossed = 0;
    let withBytes = 0;
    let withLent = 0;
    while (crossed < 150) {
      const size = 1 + number(number(10) === 0 ? 30_000 : 500);
      outlet.write(pattern(written, size));
      written += size;
      if (number(3) === 0) await turn();
      if (number(2) === 0) {
        const bytes = pair.peer.readSome(number(12_000) + 1) ?? new Uint8Array();
        assertEquals(firstWrong(bytes, read), -1, `after ${read} bytes`);
        read += bytes.byteLength;
      }
      if (number(4) > 0) continue;
      outlet.hold();
      outlet.write(pattern(written, 5));
      written += 5;
      if (number(2) === 0) await turn();
      assert(!outlet.owing);
      const pending = outlet.pending();
      assertEquals(pending.byteLength, outlet.queued);
      if (pending.byteLength > 5) withBytes++;
      if (socket.writableLength > 0) withLent++;
      // Tried before.
      if (number(4) === 0) outlet.take()[Symbol.dispose]();
      const fd = outlet.take();
      if (number(3) === 0) {
        // The exec has failed.
        fd[Symbol.dispose]();
        outlet.release();
        continue;
      }
      // What the old image had of it is gone.
      const next = streamOf(fd.dup(), true);
      socket.destroy();
      socket = next;
      outlet = new Outlet(socket, fd, pending);
      outlet.hold();
      if (number(2) === 0) await turn();
      outlet.release();
      if (number(2) === 0) {
        pair.peer.write("x");
        await waitFor(() => next.read() !== null, { what: "the byte", intervalMs: 1 });
      }
      crossed++;
    }
    outlet.end();
    const rest = await pair.peer.readAll();
    assertEquals([firstWrong(rest, read), read + rest.byteLength], [-1, written]);
    assert(
      withBytes > 50 && withLent > 10,
      `bytes in ${withBytes}, a lent one in ${withLent} of the crossings`,
    );
    socket.destroy();
  });
}

Deno.test("what somebody wrote to the socket before goes first, and is owed until it is sent", async () => {
  await using pair = await connect({ small: true });
  const { socket, peer } = pair;
  peer.write("x");
  await waitFor(() => socket.read() !== null, { what: "the byte" });
  const size = 1_000_000;
  socket.write(pattern(0, size));
  using outlet = outletOf(socket);
  outlet.write(pattern(size, 100));
  assert(outlet.owing);
  assertEquals(outlet.pending(), pattern(size, 100));
  const bytes = await peer.readBytes(size + 100);
  assertEquals(firstWrong(bytes), -1);
  await waitFor(() => !outlet.owing && outlet.queued === 0, { what: "the end of what was owed" });
});

Deno.test("a byte that the kernel took as soon as it was lent does not cross", async () => {
  await using pair = await connect({ unix: true });
  const { socket, peer } = pair;
  peer.write("x");
  await waitFor(() => socket.read() !== null, { what: "the byte" });
  using outlet = outletOf(socket);
  const write = socket.write.bind(socket);
  let read = new Uint8Array();
  let lent = 0;
  socket.write = (...args: unknown[]): boolean => {
    // Between the moment at which the buffer was full and this one the peer has read.
    read = new Uint8Array(peer.readSome(10_000_000)!);
    lent = socket.writableLength;
    return write(...args as [Uint8Array, () => void]);
  };
  let written = 0;
  while (read.byteLength === 0) {
    outlet.write(pattern(written, 10_000));
    written += 10_000;
  }
  assertEquals([lent, socket.writableLength], [0, 0]);
  outlet.hold();
  const pending = outlet.pending();
  assertEquals([firstWrong(read), firstWrong(pending, written - pending.byteLength)], [-1, -1]);
  const rest = written - pending.byteLength - read.byteLength;
  assertEquals(firstWrong(await peer.readBytes(rest), read.byteLength), -1);
  assertEquals([outlet.queued, peer.readSome()], [pending.byteLength, new Uint8Array()]);
});

Deno.test("a held outlet sends nothing, not even the end", async () => {
  await using pair = await connect();
  using outlet = outletOf(pair.socket);
  outlet.hold();
  outlet.write(pattern(0, 100));
  outlet.end();
  for (let count = 0; count < 5; count++) await turn();
  assertEquals(pair.peer.readSome(), new Uint8Array());
  assertEquals(outlet.queued, 100);
  outlet.release();
  assertEquals(await pair.peer.readAll(), pattern(0, 100));
});

Deno.test("a peer that is gone is told once, and what waits is dropped", async () => {
  await using pair = await connect();
  using outlet = outletOf(pair.socket);
  pair.socket.on("error", () => {});
  const errors: string[] = [];
  outlet.onError = (error) => errors.push((error as Error & { code: string }).code);
  fill(outlet);
  let said: Error | null = null;
  outlet.whenSent((error) => said = error);
  pair.peer[Symbol.dispose]();
  await waitFor(() => errors.length > 0 || pair.socket.destroyed, { what: "the error" });
  assertEquals(outlet.queued, 0);
  assert(said !== null);
  assertEquals(outlet.write(pattern(0, 1)), false);
  assert(errors.length <= 1, errors.join());
});

Deno.test("a peer that has only finished gets all that waits, also from an outlet that has crossed", async () => {
  await using pair = await connect({ small: true });
  const first = outletOf(pair.socket);
  let written = fill(first);
  for (; written < 500_000; written += 10_000) first.write(pattern(written, 10_000));
  first.hold();
  const pending = first.pending();
  const fd = first.take();
  const socket = streamOf(fd.dup(), true);
  pair.socket.destroy();
  using outlet = new Outlet(socket, fd, pending);
  let ended = false;
  socket.on("end", () => ended = true).on("error", () => {}).resume();
  pair.peer.finish();
  outlet.hold();
  outlet.release();
  await waitFor(() => ended, { what: "the end of what the peer sends" });
  assert(outlet.queued > 100_000);
  outlet.end();
  const bytes = await pair.peer.readAll();
  assertEquals([bytes.byteLength, firstWrong(bytes)], [written, -1]);
  socket.destroy();
});

Deno.test("an outlet ends with its socket, and leaves no descriptor", async () => {
  await using pair = await connect();
  const fds = [...Deno.readDirSync("/proc/self/fd")].length;
  const outlet = outletOf(pair.socket);
  assertEquals([...Deno.readDirSync("/proc/self/fd")].length, fds + 1);
  pair.socket.destroy();
  await waitFor(() => [...Deno.readDirSync("/proc/self/fd")].length === fds - 1, {
    what: "both to be closed",
  });
  assertEquals(outlet.write(pattern(0, 1)), false);
  outlet.release();
  outlet.end();
  assertEquals(Outlet.of(pair.socket), null);
});
