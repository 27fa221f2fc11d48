import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { getCloexec, getFlags } from "./fd.ts";
import { openFile, read, write } from "./file.ts";
import { makeSocketPair, nextFreeFd, openTestLibc, waitUntil, withSameFds } from "./helpers_test.ts";
import { OwnedFd } from "./owned_fd.ts";
import { getUid } from "./process.ts";
import type { SocketAddress } from "./sockaddr.ts";
import {
  bindSocket,
  connectSocket,
  createSocket,
  decodeUcred,
  getpeername,
  getsockname,
  listenOn,
  openListener,
  peerCredentials,
  sendNow,
  shutdownSocket,
  socketCookie,
} from "./socket.ts";
import { getIntOption, SOCKET_OPTIONS } from "./socket_options.ts";

const ANY_PORT: SocketAddress = { family: "inet", host: "127.0.0.1", port: 0 };
const O_NONBLOCK = 0o4000;

function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

function portOf(fd: number): number {
  const address = getsockname(fd);
  return "port" in address ? address.port : 0;
}

/** A connection through a listener: the end that connected first. */
async function connectThrough(
  listener: OwnedFd,
  family: "inet" | "inet6" | "unix",
): Promise<[OwnedFd, OwnedFd]> {
  const client = createSocket(family, "stream");
  connectSocket(client.fd, getsockname(listener.fd));
  await waitUntil(() => getpeername(client.fd) !== null, "the connection");
  const libc = openTestLibc();
  try {
    let server = -1;
    await waitUntil(
      () => (server = libc.symbols.accept4(listener.fd, null, null, 0o2000000)) >= 0,
      "the accept",
    );
    return [client, OwnedFd.adopt(server)];
  } finally {
    libc.close();
  }
}

function withDirectory(body: (directory: string) => void): void {
  const directory = Deno.makeTempDirSync({ prefix: "heirloom-sys-" });
  try {
    withSameFds(() => body(directory));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("createSocket() makes close-on-exec, nonblocking sockets of each kind", () => {
  withSameFds(() => {
    const kinds = [
      ["inet", "stream"],
      ["inet", "datagram"],
      ["inet6", "stream"],
      ["inet6", "datagram"],
      [
        "unix",
        "stream",
      ],
      ["unix", "datagram"],
      ["unix", "seqpacket"],
    ] as const;
    for (const [family, type] of kinds) {
      using socket = createSocket(family, type);
      assert(getCloexec(socket.fd));
      assertEquals(getFlags(socket.fd) & O_NONBLOCK, O_NONBLOCK);
      assertEquals(
        getIntOption(socket.fd, ...SOCKET_OPTIONS.TYPE),
        { stream: 1, datagram: 2, seqpacket: 5 }[type],
      );
    }
    assertEquals(codeOf(() => createSocket("inet", "seqpacket")), "ESOCKTNOSUPPORT");
  });
});

Deno.test("openListener() listens on IPv4, IPv6, a path and an abstract name", () => {
  withDirectory((directory) => {
    const addresses: SocketAddress[] = [
      ANY_PORT,
      { family: "inet6", host: "::1", port: 0 },
      { family: "unix", path: `${directory}/socket` },
      { family: "abstract", name: `heirloom-test-${crypto.randomUUID()}` },
    ];
    for (const address of addresses) {
      using listener = openListener(address);
      assertEquals(getIntOption(listener.fd, ...SOCKET_OPTIONS.ACCEPTCONN), 1);
      assert(getCloexec(listener.fd));
      const port = portOf(listener.fd);
      assertEquals(getsockname(listener.fd), "port" in address ? { ...address, port } : address);
      assertEquals("port" in address, port > 0);
      assertEquals(getpeername(listener.fd), null);
    }
  });
});

Deno.test("a connection carries bytes, and each end knows both addresses", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "heirloom-sys-" });
  try {
    const cases: ["inet" | "inet6" | "unix", SocketAddress][] = [
      ["inet", ANY_PORT],
      ["inet6", { family: "inet6", host: "::1", port: 0 }],
      ["unix", { family: "unix", path: `${directory}/socket` }],
    ];
    for (const [family, address] of cases) {
      using listener = openListener(address);
      const [client, server] = await connectThrough(listener, family);
      using _client = client;
      using _server = server;
      assertEquals(getpeername(client.fd), getsockname(server.fd));
      assertEquals(getpeername(server.fd), getsockname(client.fd));
      assertEquals(getsockname(server.fd), getsockname(listener.fd));
      assertEquals(write(client.fd, new Uint8Array([1, 2, 3])), 3);
      const bytes = new Uint8Array(8);
      assertEquals([read(server.fd, bytes), ...bytes.subarray(0, 3)], [3, 1, 2, 3]);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("openListener() shares a port only if both say so", () => {
  withSameFds(() => {
    using first = openListener(ANY_PORT, { reusePort: true });
    const address: SocketAddress = { ...ANY_PORT, port: portOf(first.fd) } as SocketAddress;
    assertEquals(codeOf(() => openListener(address)), "EADDRINUSE");
    using second = openListener(address, { reusePort: true });
    assertEquals(getsockname(second.fd), address);
  });
});

Deno.test("openListener() leaves IPv4 alone if told so", () => {
  const mapped: SocketAddress = { family: "inet6", host: "::ffff:127.0.0.1", port: 0 };
  using listener = openListener(mapped, { v6only: false });
  using client = createSocket("inet", "stream");
  connectSocket(client.fd, { family: "inet", host: "127.0.0.1", port: portOf(listener.fd) });
  // Loopback answers at once: the connection is made before connect(2) returns.
  assertEquals(getpeername(client.fd), { family: "inet", host: "127.0.0.1", port: portOf(listener.fd) });

  assertEquals(codeOf(() => openListener(mapped, { v6only: true })), "EINVAL");
  using six = openListener({ family: "inet6", host: "::1", port: 0 }, { v6only: true });
  assertEquals(getIntOption(six.fd, ...SOCKET_OPTIONS.IPV6_V6ONLY), 1);
});

Deno.test("openListener() that fails leaves no descriptor and no path", () => {
  withDirectory((directory) => {
    const path = `${directory}/socket`;
    using _taken = openListener({ family: "unix", path });
    const failures: [SocketAddress, string][] = [
      [{ family: "unix", path }, "EADDRINUSE"],
      [{ family: "unix", path: `${directory}/missing/socket` }, "ENOENT"],
      [{ family: "inet", host: "192.0.2.1", port: 0 }, "EADDRNOTAVAIL"],
    ];
    const before = nextFreeFd();
    for (const [address, code] of failures) assertEquals(codeOf(() => openListener(address)), code);
    assertThrows(() => openListener({ family: "inet", host: "localhost", port: 0 }), RangeError);
    assertEquals(nextFreeFd(), before);
    // The path of the listener that was there before stays.
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), ["socket"]);
    assertThrows(
      () => openListener({ family: "unix", path: `${directory}/other` }, { backlog: NaN }),
      TypeError,
    );
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), ["socket"]);
    assertEquals(nextFreeFd(), before);
  });
});

Deno.test("bindSocket() and listenOn() name the address that is refused", () => {
  using listener = openListener(ANY_PORT);
  using other = createSocket("inet", "stream");
  const address = { ...ANY_PORT, port: portOf(listener.fd) } as SocketAddress;
  const error = assertThrows(() => bindSocket(other.fd, address), SysError);
  assertEquals(
    error.message,
    `Cannot bind fd ${other.fd} to 127.0.0.1:${portOf(listener.fd)}: EADDRINUSE (address already in use)`,
  );
  using datagram = createSocket("inet", "datagram");
  assertEquals(codeOf(() => listenOn(datagram.fd, 1)), "EOPNOTSUPP");
});

Deno.test("bindSocket() of an unnamed unix address takes a free abstract name", () => {
  using socket = createSocket("unix", "datagram");
  assertEquals(getsockname(socket.fd), { family: "unnamed" });
  bindSocket(socket.fd, { family: "unnamed" });
  const address = getsockname(socket.fd);
  assert(address.family === "abstract" && /^[0-9a-f]{5}$/.test(address.name));
});

Deno.test("connectSocket() says who refuses", () => {
  withDirectory((directory) => {
    using client = createSocket("unix", "stream");
    const path = `${directory}/socket`;
    assertEquals(codeOf(() => connectSocket(client.fd, { family: "unix", path })), "ENOENT");
    openListener({ family: "unix", path })[Symbol.dispose]();
    assertEquals(codeOf(() => connectSocket(client.fd, { family: "unix", path })), "ECONNREFUSED");
  });
});

Deno.test("connectSocket() answers true when connected, false under way, and EAGAIN at a full unix backlog", () => {
  using tcp = openListener(ANY_PORT);
  using client = createSocket("inet", "stream");
  assertEquals(connectSocket(client.fd, getsockname(tcp.fd)), false);

  const name = `heirloom-test-${crypto.randomUUID()}`;
  using listener = openListener({ family: "abstract", name }, { backlog: 1 });
  using stack = new DisposableStack();
  const codes: string[] = [];
  for (let i = 0; i < 4; i++) {
    const socket = stack.use(createSocket("unix", "stream"));
    try {
      codes.push(String(connectSocket(socket.fd, getsockname(listener.fd))));
    } catch (error) {
      codes.push((error as SysError).code);
    }
  }
  assertEquals(codes, ["true", "true", "EAGAIN", "EAGAIN"]);
});

Deno.test("socketCookie() is one number for all duplicates of a socket, and another for each other socket", () => {
  const [left, right] = makeSocketPair();
  using _left = left;
  using _right = right;
  using copy = left.dup();
  const cookie = socketCookie(left.fd);
  assertEquals(typeof cookie, "bigint");
  assertEquals([socketCookie(copy.fd), socketCookie(left.fd)], [cookie, cookie]);
  assert(socketCookie(right.fd) !== cookie);
});

Deno.test("peerCredentials() tells who connected", async () => {
  using listener = openListener({ family: "abstract", name: `heirloom-test-${crypto.randomUUID()}` });
  const [client, server] = await connectThrough(listener, "unix");
  using _client = client;
  using _server = server;
  const { pid, uid, gid } = peerCredentials(server.fd);
  assertEquals([pid, uid, gid], [Deno.pid, getUid(), Deno.gid()]);
});

Deno.test("decodeUcred() reads three 32-bit numbers", () => {
  assertEquals(decodeUcred(Uint8Array.fromHex("04030201" + "feffffff" + "08070605")), {
    pid: 0x01020304,
    uid: 0xfffffffe,
    gid: 0x05060708,
  });
});

Deno.test("shutdownSocket() ends a direction although a duplicate is open", () => {
  const [left, right] = makeSocketPair();
  using _left = left;
  using _right = right;
  using _copy = left.dup();
  shutdownSocket(left.fd, "write");
  assertEquals(read(right.fd, new Uint8Array(1)), 0);
  assertEquals(write(right.fd, new Uint8Array(1)), 1);
  shutdownSocket(left.fd, "both");
  assertEquals(codeOf(() => write(right.fd, new Uint8Array(1))), "EPIPE");
  using listener = createSocket("inet", "stream");
  assertEquals(codeOf(() => shutdownSocket(listener.fd, "read")), "ENOTCONN");
});

Deno.test("sendNow() gives the kernel what it takes, and no more", () => {
  const [left, right] = makeSocketPair();
  using _left = left;
  using there = right;
  const bytes = new Uint8Array(100_000).map((_, index) => index % 251);
  let sent = 0;
  let last = 0;
  do {
    last = sendNow(left.fd, bytes.subarray(sent % 251));
    sent += last;
  } while (last > 0);
  assert(sent > 0);
  assertEquals(sendNow(left.fd, new Uint8Array(1)), 0, "full");
  const got = new Uint8Array(sent);
  let received = 0;
  while (received < sent) received += read(there.fd, got.subarray(received));
  assert(got.every((byte, index) => byte === index % 251), "in order, without a gap");
  assertEquals(sendNow(left.fd, bytes.subarray(0, 7)), 7, "there is room again");
  assertEquals(read(there.fd, new Uint8Array(100)), 7);
});

Deno.test("sendNow() with nothing to send sends nothing, and says when the other end is gone", () => {
  const [left, right] = makeSocketPair();
  using _left = left;
  assertEquals(sendNow(left.fd, new Uint8Array()), 0);
  right[Symbol.dispose]();
  assertEquals(codeOf(() => sendNow(left.fd, new Uint8Array(1))), "EPIPE");
});

Deno.test("socket functions say ENOTSOCK and EBADF", () => {
  using file = openFile("/dev/null");
  for (const [fd, code] of [[file.fd, "ENOTSOCK"], [0x7ffffff0, "EBADF"]] as const) {
    for (
      const body of [
        () => bindSocket(fd, ANY_PORT),
        () => listenOn(fd, 1),
        () => connectSocket(fd, ANY_PORT),
        () => getsockname(fd),
        () => getpeername(fd),
        () => socketCookie(fd),
        () => peerCredentials(fd),
        () => sendNow(fd, new Uint8Array(1)),
        () => shutdownSocket(fd, "read"),
      ]
    ) assertEquals(codeOf(body), code);
  }
});
