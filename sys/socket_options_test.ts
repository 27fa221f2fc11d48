import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { openFile, read, writeAll } from "./file.ts";
import { makeSocketPair } from "./helpers_test.ts";
import { createSocket, openListener } from "./socket.ts";
import {
  getIntOption,
  getOptionBytes,
  setIntOption,
  setSocketTimeouts,
  SOCKET_OPTIONS,
} from "./socket_options.ts";

function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

Deno.test("getIntOption() tells what a socket is", () => {
  using listener = openListener({ family: "inet", host: "127.0.0.1", port: 0 });
  using datagram = createSocket("inet6", "datagram");
  assertEquals(getIntOption(listener.fd, ...SOCKET_OPTIONS.DOMAIN), 2);
  assertEquals(getIntOption(listener.fd, ...SOCKET_OPTIONS.TYPE), 1);
  assertEquals(getIntOption(listener.fd, ...SOCKET_OPTIONS.PROTOCOL), 6);
  assertEquals(getIntOption(listener.fd, ...SOCKET_OPTIONS.ACCEPTCONN), 1);
  assertEquals(getIntOption(datagram.fd, ...SOCKET_OPTIONS.DOMAIN), 10);
  assertEquals(getIntOption(datagram.fd, ...SOCKET_OPTIONS.TYPE), 2);
  assertEquals(getIntOption(datagram.fd, ...SOCKET_OPTIONS.PROTOCOL), 17);
  assertEquals(getIntOption(datagram.fd, ...SOCKET_OPTIONS.ACCEPTCONN), 0);
});

Deno.test("setIntOption() sets what getIntOption() reads", () => {
  using socket = createSocket("inet", "stream");
  const values = [
    ["KEEPALIVE", 1],
    ["REUSEADDR", 1],
    ["REUSEPORT", 1],
    ["OOBINLINE", 1],
    ["RCVLOWAT", 7],
    ["PRIORITY", 3],
    ["IP_TTL", 33],
    ["IP_TOS", 0x10],
    ["TCP_NODELAY", 1],
    ["TCP_KEEPIDLE", 11],
    ["TCP_KEEPINTVL", 12],
    ["TCP_KEEPCNT", 13],
    ["TCP_SYNCNT", 4],
    ["TCP_USER_TIMEOUT", 5000],
    ["TCP_NOTSENT_LOWAT", 9000],
  ] as const;
  for (const [name, value] of values) {
    assert(getIntOption(socket.fd, ...SOCKET_OPTIONS[name]) !== value, name);
    setIntOption(socket.fd, ...SOCKET_OPTIONS[name], value);
    assertEquals(getIntOption(socket.fd, ...SOCKET_OPTIONS[name]), value, name);
  }
  // The kernel doubles sizes of buffers, for its own use.
  setIntOption(socket.fd, ...SOCKET_OPTIONS.SNDBUF, 20_000);
  assertEquals(getIntOption(socket.fd, ...SOCKET_OPTIONS.SNDBUF), 40_000);

  using six = createSocket("inet6", "stream");
  const before = getIntOption(six.fd, ...SOCKET_OPTIONS.IPV6_V6ONLY);
  setIntOption(six.fd, ...SOCKET_OPTIONS.IPV6_V6ONLY, 1 - before);
  assertEquals(getIntOption(six.fd, ...SOCKET_OPTIONS.IPV6_V6ONLY), 1 - before);
  setIntOption(six.fd, ...SOCKET_OPTIONS.IPV6_TCLASS, 0x20);
  assertEquals(getIntOption(six.fd, ...SOCKET_OPTIONS.IPV6_TCLASS), 0x20);
});

Deno.test("getOptionBytes() reads a structure", () => {
  using socket = createSocket("inet", "stream");
  assertEquals(getOptionBytes(socket.fd, ...SOCKET_OPTIONS.LINGER, 8), new Uint8Array(8));
});

Deno.test("socket options say what the kernel refuses", () => {
  using file = openFile("/dev/null");
  using unix = createSocket("unix", "stream");
  using tcp = createSocket("inet", "stream");
  assertEquals(codeOf(() => getIntOption(file.fd, ...SOCKET_OPTIONS.TYPE)), "ENOTSOCK");
  assertEquals(codeOf(() => getIntOption(0x7ffffff0, ...SOCKET_OPTIONS.TYPE)), "EBADF");
  assertEquals(codeOf(() => setIntOption(tcp.fd, 1, 9999, 1)), "ENOPROTOOPT");
  assertEquals(codeOf(() => getIntOption(unix.fd, ...SOCKET_OPTIONS.TCP_NODELAY)), "EOPNOTSUPP");
  const error = assertThrows(() => setIntOption(tcp.fd, ...SOCKET_OPTIONS.IP_TTL, 999), SysError);
  assertEquals(error.message, `Cannot setsockopt fd ${tcp.fd} option 0/2: EINVAL (invalid argument)`);
});

Deno.test("setIntOption() refuses what does not fit into 32 bits", () => {
  using tcp = createSocket("inet", "stream");
  for (const value of [1.5, NaN, 2 ** 32, -(2 ** 31) - 1]) {
    assertThrows(() => setIntOption(tcp.fd, ...SOCKET_OPTIONS.KEEPALIVE, value), RangeError);
  }
});

Deno.test("setSocketTimeouts() limits how long a blocking socket waits, in both directions", () => {
  const [a, b] = makeSocketPair();
  using ours = a;
  using _theirs = b;
  setSocketTimeouts(ours.fd, 30);
  const begin = performance.now();
  assertEquals(codeOf(() => read(ours.fd, new Uint8Array(1))), "EAGAIN");
  const took = performance.now() - begin;
  assert(took >= 29 && took < 5000, `${took} ms`);
  assertEquals(
    codeOf(() => {
      for (;;) writeAll(ours.fd, new Uint8Array(65536));
    }),
    "EAGAIN",
  );
  assert(performance.now() - begin >= took + 29);
  for (const ms of [-1, 0.5, NaN, 2 ** 31]) assertThrows(() => setSocketTimeouts(ours.fd, ms), RangeError);
  using file = openFile("/dev/null");
  assertEquals(codeOf(() => setSocketTimeouts(file.fd, 1)), "ENOTSOCK");
});
