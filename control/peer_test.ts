import { assertEquals } from "@std/assert";
import { connect, createServer, type Socket } from "node:net";

import { getUid, openFile } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import { peerUid } from "./peer.ts";

Deno.test("peerUid() is the user at the other end, and leaves no descriptor behind", async () => {
  await using directory = tempDir("heirloom-peer-");
  const path = `${directory.path}/s`;
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer((socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = connect(path);
  const socket = await accepted.promise;
  const free = nextFree();
  for (let round = 0; round < 3; round++) assertEquals(peerUid(socket), getUid());
  assertEquals(nextFree(), free);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  client.destroy();
  socket.destroy();
  await closed;
  assertEquals(peerUid(socket), -1);
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

Deno.test("peerUid() of something that has no descriptor is -1", () => {
  assertEquals(peerUid({} as Socket), -1);
});

function nextFree(): number {
  using file = openFile("/dev/null");
  return file.fd;
}
