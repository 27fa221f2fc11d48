import { assert, assertEquals, assertThrows } from "@std/assert";

import { getPid, getsockname, listFds, type SocketAddress, SysError } from "../sys/mod.ts";
import { freePort, tempDir } from "../testing/wait.ts";
import {
  listenAt,
  ownerOf,
  satisfies,
  type ServerAddress,
  serverAddressOf,
  socketAddressOf,
} from "./address.ts";
import { runProgram } from "./helpers_test.ts";

const ADDRESSES: [ServerAddress, SocketAddress][] = [
  [{ port: 80 }, { family: "inet", host: "0.0.0.0", port: 80 }],
  [{ hostname: "localhost", port: 80 }, { family: "inet", host: "127.0.0.1", port: 80 }],
  [{ hostname: "10.0.0.1", port: 0 }, { family: "inet", host: "10.0.0.1", port: 0 }],
  [{ hostname: "::1", port: 80 }, { family: "inet6", host: "::1", port: 80 }],
  [{ hostname: "[::1]", port: 80 }, { family: "inet6", host: "::1", port: 80 }],
  [{ path: "/run/s.sock" }, { family: "unix", path: "/run/s.sock" }],
  [{ path: "@name" }, { family: "abstract", name: "name" }],
];

for (const [written, expected] of ADDRESSES) {
  Deno.test(`socketAddressOf() reads ${JSON.stringify(written)}`, () => {
    assertEquals(socketAddressOf(written), expected);
    assertEquals(socketAddressOf(serverAddressOf(expected)), expected);
  });
}

for (
  const [bound, wanted, expected] of [
    [{ port: 80 }, { port: 80 }, true],
    [{ port: 80 }, { port: 81 }, false],
    [{ port: 80 }, { port: 0 }, true],
    [{ port: 80 }, { hostname: "127.0.0.1", port: 80 }, false],
    [{ hostname: "127.0.0.1", port: 80 }, { hostname: "localhost", port: 0 }, true],
    [{ hostname: "127.0.0.2", port: 80 }, { hostname: "localhost", port: 0 }, false],
    [{ hostname: "::1", port: 80 }, { hostname: "0:0:0:0:0:0:0:1", port: 80 }, true],
    [{ hostname: "::1", port: 80 }, { hostname: "[0::0:01]", port: 0 }, true],
    [{ hostname: "::1", port: 80 }, { hostname: "::2", port: 80 }, false],
    [{ hostname: "::", port: 80 }, { hostname: "0.0.0.0", port: 80 }, false],
    [{ path: "/a" }, { path: "/a" }, true],
    [{ path: "/a" }, { path: "/b" }, false],
    [{ path: "/a" }, { path: "@/a" }, false],
    [{ path: "/a" }, { port: 0 }, false],
    [{ port: 80 }, { path: "/a" }, false],
  ] as const
) {
  Deno.test(`satisfies() says ${expected} of ${JSON.stringify(bound)} for ${JSON.stringify(wanted)}`, () => {
    assertEquals(satisfies(socketAddressOf(bound), socketAddressOf(wanted)), expected);
  });
}

Deno.test("listenAt() listens where getsockname() says so, on a free port if asked for", async () => {
  for (const hostname of ["127.0.0.1", "localhost"]) {
    using listener = listenAt(socketAddressOf({ hostname, port: 0 }));
    const bound = getsockname(listener.fd);
    assert(satisfies(bound, socketAddressOf({ hostname, port: 0 })));
    const { port } = bound as { port: number };
    using client = await Deno.connect({ hostname: "127.0.0.1", port });
    assertEquals(client.remoteAddr.port, port);
  }
});

Deno.test("listenAt() refuses a port in use and a host that is no address, and leaves nothing open", () => {
  const port = freePort();
  using _owner = Deno.listen({ hostname: "127.0.0.1", port });
  const before = listFds();
  const error = assertThrows(() => listenAt(socketAddressOf({ hostname: "127.0.0.1", port })), SysError);
  assertEquals(error.code, "EADDRINUSE");
  assertThrows(() => listenAt(socketAddressOf({ hostname: "example.org", port })), RangeError, "example.org");
  assertThrows(() => listenAt(socketAddressOf({ port: 65536 })), RangeError, "65536");
  assertEquals(listFds(), before);
});

Deno.test("listenAt() replaces a unix socket that nobody serves any more", async () => {
  await using dir = tempDir();
  const address = { family: "unix", path: `${dir.path}/s.sock` } as const;
  assertEquals(ownerOf(address), null);
  listenAt(address)[Symbol.dispose]();
  assert(Deno.lstatSync(address.path).isSocket);
  assertEquals(ownerOf(address), null);
  using _listener = listenAt(address);
  assertEquals(ownerOf(address)?.pid, getPid());
});

Deno.test("listenAt() never displaces an owner, and ownerOf() names it", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/s.sock`;
  const script =
    `Deno.listen({ transport: "unix", path: "${path}" }); console.log("up"); setInterval(() => {}, 1000);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", "--no-lock", script],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  try {
    await reader.read();
    assertEquals(ownerOf({ family: "unix", path })?.pid, child.pid);
    const error = assertThrows(() => listenAt({ family: "unix", path }), SysError);
    assertEquals(error.code, "EADDRINUSE");
    assertEquals(ownerOf({ family: "unix", path })?.pid, child.pid);
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
  }
  using _listener = listenAt({ family: "unix", path });
  assertEquals(ownerOf({ family: "unix", path })?.pid, getPid());
});

Deno.test("listenAt() leaves what is no socket alone", async () => {
  await using dir = tempDir();
  const file = `${dir.path}/notes.txt`;
  Deno.writeTextFileSync(file, "precious");
  Deno.mkdirSync(`${dir.path}/empty`);
  Deno.symlinkSync(file, `${dir.path}/link`);
  for (const name of ["notes.txt", "empty", "link"]) {
    const error = assertThrows(() => listenAt({ family: "unix", path: `${dir.path}/${name}` }), SysError);
    assertEquals(error.code, "EADDRINUSE", name);
  }
  assertEquals(Deno.readTextFileSync(`${dir.path}/link`), "precious");
  assert(Deno.statSync(`${dir.path}/empty`).isDirectory);
});

Deno.test("listenAt() lets one of many starters have a stale socket, and the others see its owner", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/s.sock`;
  listenAt({ family: "unix", path })[Symbol.dispose]();
  const script = `import { listenAt } from "${new URL("address.ts", import.meta.url)}";
try {
  const listener = listenAt({ family: "unix", path: "${path}" });
  console.log("listens");
  const gate = "${dir.path}/gate";
  for (;;) { try { Deno.statSync(gate); break; } catch { await new Promise((done) => setTimeout(done, 10)); } }
  listener[Symbol.dispose]();
} catch (error) {
  console.log(error.code);
}`;
  let ended = 0;
  const starters = Array.from({ length: 4 }, async () => {
    const args = ["eval", "--no-config", "--no-lock", "--ext=js", script];
    const { stdout, stderr } = await runProgram(Deno.execPath(), args);
    // The last one that is left is the one that listens.
    if (++ended === 3) Deno.writeTextFileSync(`${dir.path}/gate`, "");
    return `${stdout}${stderr}`;
  });
  const said = (await Promise.all(starters)).sort();
  assertEquals(said, ["EADDRINUSE\n", "EADDRINUSE\n", "EADDRINUSE\n", "listens\n"]);
});

Deno.test("listenAt() in a folder that is not there says so", async () => {
  await using dir = tempDir();
  const error = assertThrows(() => listenAt({ family: "unix", path: `${dir.path}/gone/s.sock` }), SysError);
  assertEquals(error.code, "ENOENT");
});
