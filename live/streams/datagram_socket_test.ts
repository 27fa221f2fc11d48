import { assert, assertEquals, assertThrows } from "@std/assert";

import {
  bindSocket,
  connectSocket,
  createSocket,
  dupFd,
  getsockname,
  isOpenFd,
  OwnedFd,
  type SysError,
} from "../../sys/mod.ts";
import { dupOnto } from "../../sys/fd.ts";
import { receiveDatagram, sendDatagram } from "../../sys/network.ts";
import { waitFor } from "../../testing/wait.ts";
import {
  bindDatagram,
  type DatagramAddress,
  datagramAddressOf,
  socketAddressFrom,
} from "./datagram_address.ts";
import { type DatagramHandlers, DatagramPort } from "./datagram_socket.ts";

const ANY: DatagramAddress = { hostname: "127.0.0.1", port: 0 };
const decoder = new TextDecoder();

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A port on a socket of its own, and what became of it. */
function portOf(
  handlers: DatagramHandlers,
  fd: OwnedFd | null = bindDatagram(socketAddressFrom(ANY), () => {}),
): { port: DatagramPort; log: string[] } {
  const log: string[] = [];
  const port = new DatagramPort({
    name: "udp",
    address: ANY,
    fd,
    handlers,
    overdue: "refuse",
    settle: () => void log.push("settled"),
    drop: () => void log.push("dropped"),
  });
  return { port, log };
}

/** A plain socket, as another process has it. */
class Peer implements Disposable {
  readonly socket = createSocket("inet", "datagram");
  constructor() {
    bindSocket(this.socket.fd, socketAddressFrom(ANY));
  }
  get address(): DatagramAddress {
    return datagramAddressOf(getsockname(this.socket.fd)) ?? ANY;
  }
  send(to: DatagramPort, text: string): void {
    assert(sendDatagram(this.socket.fd, bytes(text), getsockname(to.fd)));
  }
  async next(): Promise<string> {
    const datagram = await waitFor(() => receiveDatagram(this.socket.fd), {
      what: "an answer",
      intervalMs: 1,
    });
    return decoder.decode(datagram.bytes);
  }
  [Symbol.dispose](): void {
    this.socket[Symbol.dispose]();
  }
}

/** Some turns of the event loop, in which something could happen that should not. */
function turns(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("DatagramPort hands over datagrams in order with their senders, from its opening on", async () => {
  using one = new Peer();
  using two = new Peer();
  const seen: [string, DatagramAddress | null][] = [];
  const { port, log } = portOf({
    message(data, from, socket) {
      seen.push([decoder.decode(data), from]);
      if (from !== null) assert(socket.send(bytes(`re: ${decoder.decode(data)}`), from));
    },
  });
  one.send(port, "a");
  two.send(port, "b");
  one.send(port, "");
  await turns();
  assertEquals([seen, log], [[], []]);
  port.open();
  port.open();
  await waitFor(() => seen.length === 3, { what: "all three" });
  assertEquals(seen, [["a", one.address], ["b", two.address], ["", one.address]]);
  assertEquals([await one.next(), await one.next(), await two.next()], ["re: a", "re: ", "re: b"]);
  assertEquals([port.address, port.peer, log], [datagramAddressOf(getsockname(port.fd)), null, ["settled"]]);
  await port.close();
  assertEquals(log, ["settled", "dropped"]);
});

Deno.test("DatagramPort receives nothing during a pause, and everything after it", async () => {
  using peer = new Peer();
  const seen: string[] = [];
  const { port } = portOf({ message: (data) => void seen.push(decoder.decode(data)) });
  port.open();
  peer.send(port, "before");
  await waitFor(() => seen.length === 1, { what: "the first" });
  assertEquals(port.stalledSinceNs(), null);
  port.pause();
  const since = port.stalledSinceNs();
  assert(since !== null && since > 0n);
  port.pause();
  assertEquals(port.stalledSinceNs(), since);
  for (let number = 0; number < 50; number++) peer.send(port, `${number}`);
  await turns();
  assertEquals(seen, ["before"]);
  // It may still send.
  assert(port.send(bytes("still here"), peer.address));
  assertEquals(await peer.next(), "still here");
  port.resume();
  await waitFor(() => seen.length === 51, { what: "all of them" });
  assertEquals(seen.slice(1), Array.from({ length: 50 }, (_, number) => `${number}`));
  await port.close();
});

Deno.test("DatagramPort stops in the middle of a batch when a handler pauses it", async () => {
  using peer = new Peer();
  const seen: string[] = [];
  const { port } = portOf({
    message(data) {
      seen.push(decoder.decode(data));
      if (seen.length === 2) port.pause();
    },
  });
  for (const text of ["1", "2", "3"]) peer.send(port, text);
  port.open();
  await waitFor(() => seen.length === 2, { what: "the pause" });
  await turns();
  assertEquals(seen, ["1", "2"]);
  assertEquals(decoder.decode(receiveDatagram(port.fd)?.bytes), "3", "it waits in the kernel");
  await port.close();
});

Deno.test("DatagramPort opened during a pause waits for its end", async () => {
  using peer = new Peer();
  const seen: string[] = [];
  const { port } = portOf({ message: (data) => void seen.push(decoder.decode(data)) });
  peer.send(port, "x");
  port.pause();
  port.open();
  await turns();
  assertEquals(seen, []);
  port.resume();
  await waitFor(() => seen.length === 1, { what: "it" });
  await port.close();
});

Deno.test("DatagramPort owes for handlers that have given a promise, and can forget them", async () => {
  using peer = new Peer();
  const gates: PromiseWithResolvers<void>[] = [];
  const { port } = portOf({
    message: async (_, from, socket) => {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
      if (from !== null) socket.send(bytes("done"), from);
    },
  });
  port.open();
  for (const text of ["1", "2"]) peer.send(port, text);
  await waitFor(() => gates.length === 2, { what: "both" });
  port.pause();
  assertEquals([port.owing, port.size, port.takeDescriptors()], [2, 0, []]);
  let settled = false;
  const waiting = port.settled().then(() => settled = true);
  gates[0]?.resolve();
  assertEquals(await peer.next(), "done");
  await turns();
  assertEquals([port.owing, settled], [1, false]);
  gates[1]?.resolve();
  await waiting;
  assertEquals(port.owing, 0);
  port.resume();
  peer.send(port, "3");
  await waitFor(() => gates.length === 3, { what: "the third" });
  assertEquals([port.closeOwing(), port.owing], [1, 0]);
  await port.settled();
  gates[2]?.resolve();
  await port.close();
});

Deno.test("DatagramPort.send() waits for the opening, and has a limit", async () => {
  using peer = new Peer();
  const { port } = portOf({ message() {} });
  const data = bytes("early 0");
  assert(port.send(data, peer.address));
  data.fill(0);
  let taken = 1;
  while (port.send(bytes(`early ${taken}`), peer.address)) taken++;
  assertEquals(taken, 1024);
  assertThrows(() => port.send(bytes("?"), { hostname: "nowhere", port: 1 }), RangeError);
  await turns();
  assertEquals(receiveDatagram(peer.socket.fd), null);
  port.open();
  assertEquals([await peer.next(), await peer.next()], ["early 0", "early 1"]);
  await port.close();
});

Deno.test("DatagramPort.send() answers false for what cannot be sent, whatever a peer has done", async () => {
  const errors: string[] = [];
  const { port } = portOf({ message() {}, error: (error) => void errors.push(error.code) });
  port.open();
  assertEquals(port.send(bytes("x"), { hostname: "127.0.0.1", port: 0 }), false);
  assertEquals(port.send(new Uint8Array(70_000), { hostname: "127.0.0.1", port: 9 }), false);
  assertEquals(errors, ["EINVAL", "EMSGSIZE"]);
  assertThrows(() => port.send(bytes("x")), TypeError, "not connected");
  assertThrows(() => port.send(bytes("x"), { hostname: "127.0.0.1", port: 65_536 }), RangeError);
  await port.close();
  assertEquals([port.send(bytes("x"), ANY), port.fd, port.address, port.peer], [false, -1, ANY, null]);
});

Deno.test("DatagramPort.send() on a connected socket is not stopped by what an earlier one has met", async () => {
  const errors: string[] = [];
  const socket = bindDatagram(socketAddressFrom(ANY), () => {});
  const { port } = portOf({ message() {}, error: (error) => void errors.push(error.code) }, socket);
  const peer = new Peer();
  const { address } = peer;
  connectSocket(socket.fd, getsockname(peer.socket.fd));
  peer[Symbol.dispose]();
  port.open();
  assertEquals(port.peer, address);
  // Nobody is there: the answer comes with the next call, to receive or to send, and that goes through all the same.
  for (let count = 0; count < 20; count++) assertEquals(port.send(bytes("into the void")), true);
  await waitFor(() => errors.length > 0, { what: "the answer" });
  assert(errors.every((code) => code === "ECONNREFUSED"), `${errors}`);
  await port.close();
});

Deno.test("DatagramPort takes turns with others when it is flooded", async () => {
  using peer = new Peer();
  let seen = 0;
  const turnsSeen: number[] = [];
  const { port } = portOf({
    message() {
      seen++;
      // It never runs dry.
      if (seen < 20_000) peer.send(port, "again");
    },
  });
  const timer = setInterval(() => turnsSeen.push(seen), 0);
  peer.send(port, "first");
  port.open();
  await waitFor(() => seen >= 20_000, { what: "the flood", intervalMs: 1 });
  clearInterval(timer);
  const between = turnsSeen.filter((count) => count > 0 && count < 20_000).length;
  assert(between > 5, `${between} turns of others in 20000 datagrams`);
  await port.close();
});

Deno.test("DatagramPort does not spin on a descriptor that somebody has closed", async () => {
  const errors: string[] = [];
  const { port } = portOf({ message() {}, error: (error: SysError) => void errors.push(error.code) });
  port.open();
  const { fd } = port;
  const kept = dupFd(fd);
  OwnedFd.adopt(fd)[Symbol.dispose]();
  port.pause();
  port.resume();
  await waitFor(() => errors.length >= 2, { what: "the error" });
  const before = errors.length;
  await turns();
  assert(errors.length - before < 40, `${errors.length - before} errors in 20 ms`);
  assert(errors.every((code) => code === "EBADF"));
  // Put back, so that its owner has something to close.
  dupOnto(kept.fd, fd);
  kept[Symbol.dispose]();
  await port.close();
  assertEquals(isOpenFd(fd), false);
});

Deno.test("DatagramPort without a socket, as in a check, takes part in everything and does nothing", async () => {
  const { port, log } = portOf({ message() {} }, null);
  assertEquals([port.send(bytes("x"), ANY), port.address, port.peer, port.fd], [true, ANY, null, -1]);
  port.open();
  port.pause();
  port.resume();
  assertEquals(port.owing, 0);
  await port.close();
  assertEquals(log, ["dropped"]);
});
