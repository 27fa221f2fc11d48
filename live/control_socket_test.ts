import { assert, assertEquals, assertThrows } from "@std/assert";

import { getPid, getsockname, sameOpenFile } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import { listenAt, ownerOf } from "./address.ts";
import { CONTROL_NAME, openControlSocket, prepareFolder } from "./control_socket.ts";
import { assertLuoError, coldSide, moduleUrl, nextSide, runProgram } from "./helpers_test.ts";

const modeOf = (path: string): number => (Deno.statSync(path).mode ?? 0) & 0o777;

Deno.test("openControlSocket() binds it for its user alone, in a folder of its own", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/a/b/s.sock`;
  const { resources } = coldSide();
  using listener = openControlSocket(path, resources);
  assertEquals(getsockname(listener.fd), { family: "unix", path });
  assertEquals(ownerOf({ family: "unix", path })?.pid, getPid());
  assertEquals([modeOf(path), modeOf(`${dir.path}/a/b`), modeOf(`${dir.path}/a`)], [0o600, 0o700, 0o700]);
  assertEquals(resources.names(), [{ name: CONTROL_NAME, kind: "control", token: 1n }]);
});

Deno.test("openControlSocket() takes back the socket that was handed over", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/s.sock`;
  const cold = coldSide();
  using listener = openControlSocket(path, cold.resources);
  const next = nextSide(cold);
  using back = openControlSocket("/another/path", next.resources);
  assert(sameOpenFile(listener.fd, back.fd));
  assertEquals(next.resources.unclaimed(), []);
});

Deno.test("openControlSocket() names the process that serves it, and holds no name then", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/s.sock`;
  using _owner = listenAt({ family: "unix", path });
  const { resources } = coldSide();
  assertLuoError(
    () => openControlSocket(path, resources),
    "EADDRINUSE",
    `Cannot open the control socket unix:${path}: process ${getPid()} serves it`,
  );
  assertEquals(resources.names(), []);
});

Deno.test("openControlSocket() replaces a stale socket, and no other file", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/s.sock`;
  listenAt({ family: "unix", path })[Symbol.dispose]();
  using _listener = openControlSocket(path, coldSide().resources);
  assertEquals(ownerOf({ family: "unix", path })?.pid, getPid());
  Deno.writeTextFileSync(`${dir.path}/file`, "precious");
  assertLuoError(() => openControlSocket(`${dir.path}/file`, coldSide().resources), "EADDRINUSE", "file");
  assertEquals(Deno.readTextFileSync(`${dir.path}/file`), "precious");
});

Deno.test("prepareFolder() leaves a folder that is there as it is", async () => {
  await using dir = tempDir();
  Deno.chmodSync(dir.path, 0o750);
  prepareFolder(`${dir.path}/s.sock`);
  assertEquals(modeOf(dir.path), 0o750);
  prepareFolder("/s.sock");
});

Deno.test("prepareFolder() makes nothing for a name without a folder", async () => {
  await using dir = tempDir();
  const script = `import { prepareFolder } from "${moduleUrl("control_socket.ts")}";
prepareFolder("s.sock");
prepareFolder("a/s.sock");
console.log([...Deno.readDirSync(".")].map(({ name }) => name).join());`;
  const args = ["eval", "--no-config", "--no-lock", "--ext=js", script];
  const { stdout, stderr } = await runProgram(Deno.execPath(), args, { cwd: dir.path });
  assertEquals([stdout, stderr], ["a\n", ""]);
});

Deno.test("prepareFolder() says what keeps the folder from being made", async () => {
  await using dir = tempDir();
  Deno.writeTextFileSync(`${dir.path}/file`, "");
  assertLuoError(
    () => prepareFolder(`${dir.path}/file/s.sock`),
    "EACCES",
    "Cannot make the folder of the control socket: ",
  );
  assertThrows(() => prepareFolder(`${dir.path}/file/s.sock`), Error, "choose another with --socket");
});
