import { assert, assertEquals } from "@std/assert";
import { type AddressInfo, createServer, type Server, type ServerOpts, type Socket } from "node:net";

import { RawConnections } from "./raw_connections.ts";
import { disposeAll, isSettled, pause, settled, until, Wire } from "./wire_test.ts";

class RawHost implements AsyncDisposable {
  readonly server: Server;
  readonly connections: RawConnections;
  readonly sockets: Socket[] = [];

  constructor(listener: (socket: Socket) => void, options: ServerOpts) {
    this.server = createServer(options);
    this.connections = new RawConnections(this.server);
    this.server.on("connection", (socket) => {
      this.sockets.push(socket);
      socket.on("error", () => {});
      listener(socket);
    });
  }

  static async start(listener: (socket: Socket) => void, options: ServerOpts = {}): Promise<RawHost> {
    const host = new RawHost(listener, options);
    await new Promise<void>((resolve) => host.server.listen(0, "127.0.0.1", resolve));
    return host;
  }

  async wire(): Promise<Wire> {
    const before = this.connections.size;
    const wire = await Wire.to((this.server.address() as AddressInfo).port);
    await until(() => this.connections.size > before, "the connection");
    return wire;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connections.resume();
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function echo(socket: Socket): void {
  socket.on("data", (data) => socket.write(data));
}

Deno.test("RawConnections.adopt goes on with a conversation, what waits in the kernel included", async () => {
  await using old = await RawHost.start(echo);
  await using young = await RawHost.start((socket) => {
    socket.on("data", (data) => socket.write(`young ${data}`));
  });
  using wire = await old.wire();
  await wire.send("one");
  await wire.receive("one");
  old.connections.pause();
  assert((old.connections.stalledSinceNs() ?? 0n) > 0n);
  await wire.send("two");
  await settled(old.connections);
  const fds = old.connections.takeDescriptors();
  assertEquals(fds.length, 1);
  old.sockets[0]?.destroy();
  await until(() => old.connections.size === 0, "the end of the old one");
  young.connections.pause();
  for (const { fd } of fds) young.connections.adopt(fd);
  await pause(30);
  assertEquals([wire.text, wire.ended], ["", false]);
  young.connections.resume();
  await wire.receive("young two");
  await wire.send("three");
  await wire.receive("young three");
});

Deno.test("RawConnections.resume does not make a stream flow that nobody reads", async () => {
  await using host = await RawHost.start(() => {});
  using wire = await host.wire();
  host.connections.pause();
  await wire.send("before there is a reader");
  host.connections.resume();
  await pause(30);
  let text = "";
  host.sockets[0]?.on("data", (data) => text += data);
  await until(() => text === "before there is a reader", "all of it");
});

Deno.test("RawConnections.owing counts bytes that the other end does not take", async () => {
  await using host = await RawHost.start((socket) => void socket.write(new Uint8Array(8_000_000)));
  using wire = await Wire.deafTo((host.server.address() as AddressInfo).port);
  await until(() => host.connections.size === 1, "the connection");
  host.connections.pause();
  await pause(30);
  assertEquals([host.connections.owing, host.connections.takeDescriptors().length], [1, 0]);
  assertEquals(await isSettled(host.connections.settled()), false);
  wire.listen();
  await settled(host.connections);
  const fds = host.connections.takeDescriptors();
  assertEquals(fds.length, 1);
  disposeAll(fds);
  await until(() => wire.text.length === 8_000_000, "all of it");
});

Deno.test("RawConnections.owing counts what the application writes when all was settled", async () => {
  await using host = await RawHost.start(() => {});
  using wire = await Wire.deafTo((host.server.address() as AddressInfo).port);
  await until(() => host.connections.size === 1, "the connection");
  host.connections.pause();
  await settled(host.connections);
  host.sockets[0]?.write(new Uint8Array(8_000_000));
  await pause(20);
  assertEquals([host.connections.owing, host.connections.takeDescriptors().length], [1, 0]);
  assertEquals(await isSettled(host.connections.settled()), false);
  wire.listen();
  await settled(host.connections);
});

Deno.test("RawConnections.owing counts bytes that the application has not taken", async () => {
  await using host = await RawHost.start((socket) => void socket.on("readable", () => {}));
  using wire = await host.wire();
  await wire.send("unread");
  await until(() => host.connections.owing === 1, "bytes in user space");
  host.connections.pause();
  assertEquals(host.connections.takeDescriptors().length, 0);
  assertEquals(host.sockets[0]?.read()?.toString(), "unread");
  await settled(host.connections);
});

Deno.test("RawConnections.closeOwing ends what owes and nothing else", async () => {
  await using host = await RawHost.start(echo);
  using idle = await host.wire();
  using owing = await Wire.deafTo((host.server.address() as AddressInfo).port);
  await until(() => host.connections.size === 2, "the connection");
  host.sockets[1]?.write(new Uint8Array(8_000_000));
  host.connections.pause();
  assertEquals(host.connections.closeOwing(), 1);
  await settled(host.connections);
  host.connections.resume();
  await idle.send("still");
  await idle.receive("still");
  owing.listen();
  await until(() => owing.ended, "the end");
});

Deno.test("RawConnections.adopt keeps to the server's rule for a client that has finished", async () => {
  for (const allowHalfOpen of [true, false]) {
    await using host = await RawHost.start((socket) => {
      socket.on("end", () => setTimeout(() => socket.writable && socket.end("late"), 20));
      socket.resume();
    }, { allowHalfOpen });
    using wire = await host.wire();
    host.connections.pause();
    await wire.finish();
    const [{ fd } = {}] = host.connections.takeDescriptors();
    host.sockets[0]?.destroy();
    host.connections.resume();
    if (fd !== undefined) host.connections.adopt(fd);
    await until(() => wire.ended, "the end");
    assertEquals([wire.text, wire.failed], [allowHalfOpen ? "late" : "", false]);
  }
});

Deno.test("RawConnections.adopt reads and writes first what crossed beside the descriptor", async () => {
  await using host = await RawHost.start((socket) =>
    void socket.on("data", (data) => socket.write(`[${data}]`))
  );
  using wire = await host.wire();
  host.connections.pause();
  const [{ fd } = {}] = host.connections.takeDescriptors();
  host.sockets[0]?.destroy();
  host.connections.resume();
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  if (fd !== undefined) host.connections.adopt(fd, { input: bytes("half a "), output: bytes("left over ") });
  await wire.receive("left over [half a ]");
  await wire.send("line");
  await wire.receive("[line]");
});
