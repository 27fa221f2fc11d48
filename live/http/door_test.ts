import { assertEquals } from "@std/assert";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

import { streamOf } from "./connections.ts";
import { Door } from "./door.ts";
import { disposeAll, pause, until, Wire } from "./wire_test.ts";

/** A server that answers each line with a letter in front, and counts who has come. */
class Echo implements AsyncDisposable {
  readonly server: Server;
  readonly door: Door;
  readonly sockets: Socket[] = [];

  private constructor(letter: string) {
    this.server = createServer((socket) => {
      this.sockets.push(socket);
      socket.on("data", (data) => socket.write(`${letter}${data}`));
      socket.on("error", () => {});
    });
    this.door = new Door(this.server);
  }

  static async listening(letter: string, path?: string): Promise<Echo> {
    const echo = new Echo(letter);
    const where = path === undefined ? { host: "127.0.0.1", port: 0 } : { path };
    await new Promise<void>((resolve) => echo.server.listen(where, resolve));
    return echo;
  }

  wire(): Promise<Wire> {
    const address = this.server.address() as AddressInfo | string;
    return typeof address === "string" ? Wire.toPath(address) : Wire.to(address.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.door.open();
    for (const socket of this.sockets) socket.destroy();
    if (this.server.listening) await new Promise((resolve) => this.server.close(resolve));
  }
}

for (const kind of ["TCP", "a unix socket"]) {
  Deno.test(`Door lets those who come over ${kind} wait unheard, and in again`, async () => {
    const dir = await Deno.makeTempDir();
    try {
      await using echo = await Echo.listening("a", kind === "TCP" ? undefined : `${dir}/socket`);
      using before = await echo.wire();
      await before.send("one");
      await before.receive("aone");
      echo.door.shut();
      echo.door.shut();
      using first = await echo.wire();
      await first.send("two");
      using second = await echo.wire();
      await second.send("three");
      await until(() => echo.door.size === 2, "both to wait");
      await before.send("four");
      await before.receive("afour");
      assertEquals([echo.sockets.length, first.text, second.text], [1, "", ""]);
      echo.door.open();
      echo.door.open();
      await first.receive("atwo");
      await second.receive("athree");
      assertEquals([echo.door.size, echo.sockets.length], [0, 3]);
      using late = await echo.wire();
      await late.send("five");
      await late.receive("afive");
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

Deno.test("Door.duplicates() of those who wait go on elsewhere, with all that they have sent", async () => {
  await using old = await Echo.listening("a");
  await using young = await Echo.listening("b");
  old.door.shut();
  const wires = [await old.wire(), await old.wire(), await old.wire()];
  for (const [at, wire] of wires.entries()) await wire.send(`number ${at}`);
  await until(() => old.door.size === 3, "all to wait");
  await pause(20);
  const [some, fds] = [old.door.duplicates(2), old.door.duplicates(Infinity)];
  assertEquals([some.length, fds.length], [2, 3]);
  disposeAll(some.map((fd) => ({ fd, about: null })));
  for (const fd of fds) {
    const socket = streamOf(fd, false);
    young.server.emit("connection", socket);
  }
  for (const [at, wire] of wires.entries()) await wire.receive(`bnumber ${at}`);
  assertEquals(old.sockets.length, 0);
  wires.forEach((wire) => wire[Symbol.dispose]());
});

Deno.test("Door sends those away who wait for a server that was closed", async () => {
  await using echo = await Echo.listening("a");
  echo.door.shut();
  using wire = await echo.wire();
  await until(() => echo.door.size === 1, "somebody to wait");
  echo.server.close();
  echo.door.open();
  await until(() => wire.ended, "the end");
  assertEquals([echo.sockets.length, wire.failed], [0, false]);
});

Deno.test("Door leaves what others have put in front of a server's events", async () => {
  await using echo = await Echo.listening("a");
  const { server, door } = echo;
  const heard: string[] = [];
  const own = server.emit.bind(server);
  const mine = ((event: string, ...rest: unknown[]) => {
    heard.push(event);
    return own(event, ...rest);
  }) as Server["emit"];
  server.emit = mine;
  door.shut();
  door.open();
  assertEquals(server.emit === mine, true, "what was there before is there again");

  door.shut();
  const guarded = server.emit;
  const later = function (this: Server, ...args: Parameters<Server["emit"]>): boolean {
    return guarded.apply(this, args);
  } as Server["emit"];
  server.emit = later;
  door.open();
  assertEquals(server.emit === later, true, "what came later stays");
  using wire = await echo.wire();
  await wire.send("x");
  await wire.receive("ax");
  assertEquals(heard.includes("connection"), true);
});
