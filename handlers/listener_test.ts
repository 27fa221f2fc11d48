import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { bindSocket, createSocket, listenOn, openListener, socketCookie } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import { assertCarried, carry, takerOf } from "./helpers_test.ts";
import { listenerHandler } from "./listener.ts";
import { encodeRecord } from "./record.ts";

Deno.test("listenerHandler takes what listens, whatever its family and type", async () => {
  await using directory = tempDir("heirloom-listen-");
  using tcp = openListener({ family: "inet", host: "127.0.0.1", port: 0 });
  using path = openListener({ family: "unix", path: `${directory.path}/s` });
  using abstract = openListener({ family: "abstract", name: `heirloom-test-${crypto.randomUUID()}` });
  using packets = createSocket("unix", "seqpacket");
  bindSocket(packets.fd, { family: "unix", path: `${directory.path}/p` });
  assertEquals(takerOf(packets), null);
  listenOn(packets.fd, 1);
  for (const listener of [tcp, path, abstract, packets]) assertEquals(takerOf(listener), "listener-v1");
});

Deno.test("listenerHandler leaves sockets that do not listen to others", () => {
  using datagram = createSocket("inet", "datagram");
  using stream = createSocket("unix", "stream");
  assertEquals([datagram, stream].map((socket) => listenerHandler.canPreserve({ fd: socket.fd })), [
    false,
    false,
  ]);
});

Deno.test("listenerHandler carries address, family, type and cookie", () => {
  using listener = openListener({ family: "inet", host: "127.0.0.1", port: 0 });
  const { address, domain, type, cookie } = assertCarried(listenerHandler, listener);
  assertEquals([/^127\.0\.0\.1:\d+$/.test(String(address)), domain, type], [true, 2, 1]);
  assertEquals(BigInt(cookie as number), socketCookie(listener.fd));
});

Deno.test("listenerHandler refuses another socket, and one that does not listen", () => {
  using listener = openListener({ family: "inet", host: "127.0.0.1", port: 0 });
  const swapped = (_: Uint8Array, held: { fd: number }): Uint8Array =>
    encodeRecord(1, { fd: held.fd, cookie: socketCookie(held.fd) + 1n });
  using other = carry(listenerHandler, listener, swapped);
  assertHandoverError(
    () => listenerHandler.retrieve(other.args),
    "WRONG_DESCRIPTOR",
    "is not the listening socket",
  );
  listenerHandler.finish(other.args);

  using idle = createSocket("inet", "stream");
  assertHandoverError(() => carry(listenerHandler, idle), "WRONG_DESCRIPTOR", "is not the listening socket");
});
