import { assert, assertEquals, assertThrows } from "@std/assert";

import { LuoError } from "../../luo/errors.ts";
import { connectSocket, createSocket, dupFd, isOpenFd, type OwnedFd } from "../../sys/mod.ts";
import { poll, POLLIN } from "../../sys/poll.ts";
import { listenAt, type ServerAddress, socketAddressOf } from "../address.ts";
import type { Taken } from "../http/connections.ts";
import type { Carrier } from "../port.ts";
import { firstWrong, pattern, Peer, turn, waitFor } from "./helpers_test.ts";
import { Listening, type ListenOptions } from "./listen.ts";

const LOOPBACK: ServerAddress = { hostname: "127.0.0.1", port: 0 };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A build: a server and what an update sees of it. */
class Build<State> implements Disposable {
  readonly server: Listening<State>;
  readonly carrier: Carrier;
  readonly listener: OwnedFd;
  #closed = false;

  constructor(options: ListenOptions<State>, before?: { listener: OwnedFd; handed: Taken[] }) {
    this.server = new Listening("raw", LOOPBACK, options);
    const listener = before?.listener ?? listenAt(socketAddressOf(LOOPBACK));
    this.listener = dupFd(listener.fd);
    this.carrier = this.server.carry(listener, before?.handed ?? [], { overdue: "refuse" });
  }

  /** A client that is connected; the server may not know yet. */
  connect(): Peer {
    const fd = createSocket("inet", "stream");
    connectSocket(fd.fd, socketAddressOf(this.server.address));
    return new Peer(fd);
  }

  /** What crosses; this build is then as gone as after an exec. */
  async leave(): Promise<{ listener: OwnedFd; handed: Taken[] }> {
    this.carrier.pause();
    await this.carrier.connections.settled();
    const handed = this.carrier.connections.takeDescriptors();
    for (const { socket } of this.server) socket.destroy();
    this.#close();
    return { listener: dupFd(this.listener.fd), handed };
  }

  /** The update to the next build, up to `ready()`. */
  async next<Next>(options: ListenOptions<Next>): Promise<Build<Next>> {
    return new Build(options, await this.leave());
  }

  #close(): void {
    if (!this.#closed) this.carrier.close();
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.#close();
    this.listener[Symbol.dispose]();
  }
}

/** Counts lines for each connection; half a line stays unread. */
function lines(label: string): ListenOptions<{ count: number }> {
  return {
    initial: () => ({ count: 0 }),
    open(connection) {
      connection.socket.on("data", (bytes: Uint8Array) => {
        const all = decoder.decode(connection.unread) + decoder.decode(bytes);
        const [rest = "", ...whole] = all.split("\n").reverse();
        connection.unread = encoder.encode(rest);
        for (const line of whole.reverse()) {
          connection.socket.write(`${label} ${++connection.state.count} ${line}\n`);
        }
      });
    },
  };
}

async function reads(peer: Peer, text: string): Promise<void> {
  assertEquals(decoder.decode(await peer.readBytes(text.length)), text);
}

Deno.test("a connection goes on in the next build with its state and what was not dealt with", async () => {
  using first = new Build(lines("a"));
  assertEquals((first.server.address as { port: number }).port > 0, true);
  using peer = first.connect();
  await turn();
  assertEquals(first.server.size, 0, "nothing is accepted before the tap is open");
  first.carrier.open();
  peer.write("one\ntw");
  await reads(peer, "a 1 one\n");
  await waitFor(() => [...first.server][0]?.unread.byteLength === 2, { what: "half a line" });
  const [before] = first.server;
  assertEquals([first.server.size, before?.resumed, before?.state], [1, false, { count: 1 }]);

  using second = await first.next(lines("b"));
  const [after] = second.server;
  assertEquals([second.server.size, after?.resumed, after?.state], [1, true, { count: 1 }]);
  assertEquals(second.server.address, first.server.address);
  peer.write("o\nthree\n");
  await turn();
  assertEquals(peer.readSome()?.byteLength, 0, "nothing is read before the tap is open");
  second.carrier.open();
  await reads(peer, "b 2 two\nb 3 three\n");
  assertEquals(after?.unread.byteLength, 0);
});

Deno.test("what is written before the tap is open goes out when it is", async () => {
  using first = new Build({ open() {} });
  first.carrier.open();
  using peer = first.connect();
  await waitFor(() => first.server.size === 1, { what: "the connection" });
  using second = await first.next({
    open({ socket }, resumed) {
      socket.write(resumed ? "resumed" : "new");
    },
  });
  await turn();
  assertEquals(peer.readSome()?.byteLength, 0);
  second.carrier.open();
  await reads(peer, "resumed");
  using other = second.connect();
  await reads(other, "new");
});

Deno.test("an update that fails leaves every connection as it was", async () => {
  using build = new Build(lines("a"));
  build.carrier.open();
  using peer = build.connect();
  peer.write("one\ntw");
  await reads(peer, "a 1 one\n");
  for (let round = 0; round < 2; round++) {
    build.carrier.pause();
    await build.carrier.connections.settled();
    for (const { fd } of build.carrier.connections.takeDescriptors()) fd[Symbol.dispose]();
    peer.write("oo");
    using fresh = build.connect();
    fresh.write("x\n");
    await turn();
    assertEquals([peer.readSome()?.byteLength, fresh.readSome()?.byteLength], [0, 0]);
    build.carrier.connections.resume();
    await reads(fresh, "a 1 x\n");
  }
  peer.write("\n");
  await reads(peer, "a 2 twoooo\n");
});

Deno.test("what the other end does not read crosses, and the end of it as well", async () => {
  const size = 5_000_000;
  using first = new Build({
    allowHalfOpen: true,
    open: ({ socket }) => void socket.on("data", () => socket.end(pattern(0, size))),
  });
  first.carrier.open();
  using peer = first.connect();
  peer.write("x");
  peer.finish();
  const begin = await peer.readBytes(100_000);
  await waitFor(() => [...first.server][0]?.socket.readableEnded, { what: "the end of the client" });
  let ends = 0;
  using second = await first.next({
    allowHalfOpen: true,
    open({ socket }) {
      assert(socket.writableEnded);
      socket.on("end", () => ends++).resume();
    },
  });
  second.carrier.open();
  const rest = await peer.readAll();
  assertEquals(begin.byteLength + rest.byteLength, size);
  assertEquals([firstWrong(begin), firstWrong(rest, begin.byteLength)], [-1, -1]);
  await waitFor(() => second.server.size === 0, { what: "the end" });
  assertEquals(ends, 1);
});

Deno.test("a client that leaves, or resets, ends nothing but its own connection", async () => {
  let closed = 0;
  using build = new Build({
    open: ({ socket }) => void socket.on("close", () => closed++).on("data", (bytes) => socket.write(bytes)),
  });
  build.carrier.open();
  const leaving = build.connect();
  const resetting = build.connect();
  using staying = build.connect();
  resetting.write("an answer that nobody reads when it closes: that is a reset");
  await waitFor(() => poll([{ fd: resetting.fd.fd, events: POLLIN }], 0)[0] === POLLIN, {
    what: "the answer",
  });
  await waitFor(() => build.server.size === 3, { what: "all of them" });
  resetting[Symbol.dispose]();
  leaving[Symbol.dispose]();
  await waitFor(() => build.server.size === 1, { what: "two to leave" });
  assertEquals(closed, 2);
  staying.write("still here");
  await reads(staying, "still here");
});

Deno.test("open that throws closes a new connection, and fails a build that takes connections over", async () => {
  const broken: ListenOptions<undefined> = {
    open() {
      throw new RangeError("not today");
    },
  };
  using first = new Build(lines("a"));
  first.carrier.open();
  using peer = first.connect();
  peer.write("one\n");
  await reads(peer, "a 1 one\n");
  const before = await first.leave();
  const numbers = [...before.handed.map(({ fd }) => fd.fd), before.listener.fd];
  assertThrows(() => new Build(broken, before), RangeError, "not today");
  await waitFor(() => numbers.every((fd) => !isOpenFd(fd)), { what: "the descriptors to be closed" });

  const { error } = console;
  const logged: unknown[][] = [];
  console.error = (...args: unknown[]) => void logged.push(args);
  try {
    using second = new Build(broken);
    second.carrier.open();
    using client = second.connect();
    assertEquals((await client.readAll().catch(() => new Uint8Array())).byteLength, 0);
    await waitFor(() => logged.length === 1 && second.server.size === 0, { what: "the end" });
  } finally {
    console.error = error;
  }
  assertEquals(String(logged[0]?.[0]), 'heirloom: connection of "raw":');
});

Deno.test("a state that cannot be saved is an error that names the connection, and takes nothing", async () => {
  using build = new Build<{ value: unknown }>({ initial: () => ({ value: 1 }), open() {} });
  build.carrier.open();
  using peer = build.connect();
  await waitFor(() => build.server.size === 1, { what: "the connection" });
  const connection = [...build.server][0]!;
  build.carrier.pause();
  connection.state.value = () => {};
  const take = () => build.carrier.connections.takeDescriptors();
  assertThrows(take, TypeError, 'Cannot save the state of a connection of "raw" (127.0.0.1:');
  connection.state.value = 1;
  connection.unread = "text" as unknown as Uint8Array;
  assertThrows(take, TypeError, "it is no Uint8Array");
  connection.unread = new Uint8Array();
  const taken = take();
  assertEquals(taken.length, 1);
  for (const { fd } of taken) fd[Symbol.dispose]();
  build.carrier.connections.resume();
  peer.write("x");
});

Deno.test("Listening.load() says which states this build does not read", () => {
  const server = new Listening("raw", LOOPBACK, {
    version: 3,
    reads: [2, 3],
    open() {},
    load: (value, version) => ({ value, version }),
  });
  server.load({ version: 2, state: new Uint8Array([1]) });
  server.load({ version: 9, state: null });
  const error = assertThrows(() => server.load({ version: 1, state: new Uint8Array([1]) }), LuoError);
  assertEquals([error.code, server.size, server.address], ["EOPNOTSUPP", 0, LOOPBACK]);
  assertThrows(() => new Listening("raw", LOOPBACK, { version: 0, open() {} }), LuoError, "version 0");
  assertThrows(
    () => new Listening("raw", LOOPBACK, {} as ListenOptions<undefined>),
    LuoError,
    "function open",
  );
});

Deno.test("a connection that stands where this build does not know is not gone on with", async () => {
  using first = new Build({ open() {} });
  first.carrier.open();
  using _peer = first.connect();
  await waitFor(() => first.server.size === 1, { what: "the connection" });
  const { listener, handed } = await first.leave();
  for (const taken of handed) taken.about = { stage: "somewhere else" };
  assertThrows(
    () => new Build({ open() {} }, { listener, handed }),
    TypeError,
    'it stands at "somewhere else"',
  );
  assertEquals([...handed.map(({ fd }) => fd.disposed), listener.disposed], [true, true]);
});
