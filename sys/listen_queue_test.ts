import { assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { decodeListenQueue, listenQueue } from "./listen_queue.ts";
import { connectSocket, createSocket, getsockname, openListener } from "./socket.ts";

Deno.test("decodeListenQueue() reads struct tcp_info of a socket that listens, and of no other", () => {
  const info = new Uint8Array(32);
  info.set([10, 0, 0, 0], 0);
  info.set([3, 0, 0, 0, 0, 16, 0, 0], 24);
  assertEquals(decodeListenQueue(info), { waiting: 3, limit: 4096 });
  info[0] = 1;
  assertEquals(decodeListenQueue(info), null);
});

Deno.test("listenQueue() counts who waits, and knows the limit", () => {
  using listener = openListener({ family: "inet", host: "127.0.0.1", port: 0 }, { backlog: 5 });
  assertEquals(listenQueue(listener.fd), { waiting: 0, limit: 5 });
  using client = createSocket("inet", "stream");
  connectSocket(client.fd, getsockname(listener.fd));
  assertEquals(listenQueue(listener.fd), { waiting: 1, limit: 5 });
  assertEquals(listenQueue(client.fd), null);
});

Deno.test("listenQueue() is null for other sockets, and fails for what is none", () => {
  using unix = createSocket("unix", "stream");
  using udp = createSocket("inet", "datagram");
  assertEquals([listenQueue(unix.fd), listenQueue(udp.fd)], [null, null]);
  assertEquals(assertThrows(() => listenQueue(-1), SysError).code, "EBADF");
});
