import { assertEquals, assertThrows } from "@std/assert";

import { bindSocket, createSocket, getFlags, openFile, type OwnedFd, SysError } from "../sys/mod.ts";
import { makeFifo, openFifo } from "../sys/pipe.ts";
import { pollNow } from "../sys/poll.ts";
import { tempDir } from "../testing/wait.ts";
import { assertLuoError, coldSide, nextSide, type Side } from "./helpers_test.ts";
import { checkRegular, LiveFile, type LiveFileOptions, openLiveFile } from "./file.ts";

/** A file under the name `log`, as `live.file` makes it. */
function liveFile(side: Side, path: string, options: LiveFileOptions): LiveFile {
  const handed = side.resources.claim("log", "file");
  let file: OwnedFd;
  if (handed === null) {
    file = openLiveFile(path, options);
    side.resources.add("log", "file", file.fd);
  } else file = handed;
  return new LiveFile("log", path, options, file, (fd) => {
    side.resources.drop("log");
    if (fd !== null) side.resources.add("log", "file", fd);
  });
}

Deno.test("LiveFile writes, reads, seeks, truncates and syncs", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/data`;
  const file = liveFile(coldSide(), path, { read: true, create: true });
  file.write("Grüße");
  file.write(new Uint8Array([33]));
  assertEquals(Deno.readTextFileSync(path), "Grüße!");
  assertEquals([file.seek(0, "cur"), file.seek(-1, "end"), file.seek(2)], [8, 7, 2]);
  const buffer = new Uint8Array(16);
  assertEquals(new TextDecoder().decode(buffer.subarray(0, file.read(buffer))), "üße!");
  assertEquals(file.read(buffer), 0);
  file.truncate(2);
  file.sync();
  assertEquals(Deno.readTextFileSync(path), "Gr");
  file.close();
});

Deno.test("LiveFile crosses with its position, and appends in the next build", async () => {
  await using dir = tempDir();
  const [path, other] = [`${dir.path}/app.log`, `${dir.path}/other.log`];
  const cold = coldSide();
  const old = liveFile(cold, path, { append: true, create: true });
  old.write("one\n");
  const next = nextSide(cold);
  // The path that the next build asks for does not matter, nor does `truncate`.
  const file = liveFile(next, other, { append: true, create: true, truncate: true });
  file.write("two\n");
  assertEquals(Deno.readTextFileSync(path), "one\ntwo\n");
  assertThrows(() => Deno.statSync(other), Deno.errors.NotFound);
  file.close();
  old.write("three\n");
  assertEquals(Deno.readTextFileSync(path), "one\ntwo\nthree\n");
});

Deno.test("LiveFile.path says whether the path still leads to it, reopen() follows the path", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/app.log`;
  const side = coldSide();
  const file = liveFile(side, path, { append: true, create: true, truncate: true });
  file.write("one\n");
  assertEquals(file.path, "same");
  Deno.renameSync(path, `${path}.1`);
  assertEquals(file.path, "unlinked");
  file.write("two\n");
  Deno.writeTextFileSync(path, "theirs\n");
  assertEquals(file.path, "replaced");

  const [before] = side.outgoing.files();
  file.reopen();
  assertEquals(file.path, "same");
  file.write("three\n");
  assertEquals(Deno.readTextFileSync(`${path}.1`), "one\ntwo\n");
  assertEquals(Deno.readTextFileSync(path), "theirs\nthree\n");
  const files = side.outgoing.files();
  assertEquals([files.length, files[0]?.token === before?.token], [1, false]);
  file.close();
});

Deno.test("LiveFile.reopen() that fails leaves the file as it was, and preserved", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/app.log`;
  const side = coldSide();
  const file = liveFile(side, path, { append: true, create: true });
  Deno.renameSync(path, `${path}.1`);
  Deno.symlinkSync("/dev/null", path);
  assertLuoError(() => file.reopen(), "ENOENT", "no handler accepts");
  Deno.removeSync(path);
  Deno.mkdirSync(path);
  assertEquals(assertThrows(() => file.reopen(), SysError).code, "EISDIR");
  file.write("still here\n");
  assertEquals(Deno.readTextFileSync(`${path}.1`), "still here\n");
  assertEquals(side.resources.names().map(({ name }) => name), ["log"]);
  assertEquals(side.outgoing.files().length, 1);
  file.close();
});

Deno.test("LiveFile.close() frees the name once", async () => {
  await using dir = tempDir();
  const side = coldSide();
  const file = liveFile(side, `${dir.path}/a`, { create: true });
  file.close();
  file.close();
  assertEquals([side.resources.names(), side.outgoing.files()], [[], []]);
  assertThrows(() => file.write("x"), TypeError);
  liveFile(side, `${dir.path}/a`, {}).close();
});

Deno.test("openLiveFile() opens as it is told", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/file`;
  const codeOf = (body: () => OwnedFd): string => assertThrows(body, SysError).code;
  assertEquals(codeOf(() => openLiveFile(path, {})), "ENOENT");
  assertEquals(codeOf(() => openLiveFile(path, { write: true })), "ENOENT");
  openLiveFile(path, { create: true, mode: 0o600 })[Symbol.dispose]();
  assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  Deno.writeTextFileSync(path, "content");

  const flagsOf = (options: LiveFileOptions): string => {
    using file = openLiveFile(path, options);
    const [, flags = ""] = /^flags:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${file.fd}`)) ??
      [];
    const bits = Number.parseInt(flags, 8);
    return `${["r", "w", "rw"][bits & 3]}${(bits & 0o2000) === 0 ? "" : " append"}`;
  };
  assertEquals(flagsOf({}), "r");
  assertEquals(flagsOf({ write: true }), "w");
  assertEquals(flagsOf({ append: true }), "w append");
  assertEquals(flagsOf({ create: true, read: true }), "rw");
  assertEquals(Deno.readTextFileSync(path), "content");
  assertEquals(flagsOf({ truncate: true }), "w");
  assertEquals(Deno.readTextFileSync(path), "");
});

Deno.test("openLiveFile() waits for nobody: a FIFO is refused at once, and not touched", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/fifo`;
  makeFifo(path);
  const all: LiveFileOptions[] = [{}, { write: true }, { append: true, create: true }, {
    read: true,
    write: true,
  }];
  for (const options of all) {
    assertLuoError(() => openLiveFile(path, options), "ENOENT", "it is no regular file");
  }
  using reader = openFifo(path, { read: true, write: false });
  for (const options of all) assertLuoError(() => openLiveFile(path, options), "ENOENT");
  // Where there was a writer for a moment, its reader is told that it has gone (POLLHUP).
  assertEquals(pollNow([reader.fd], 1), [0]);
  using socket = createSocket("unix", "stream");
  bindSocket(socket.fd, { family: "unix", path: `${dir.path}/socket` });
  for (const options of all) assertLuoError(() => openLiveFile(`${dir.path}/socket`, options), "ENOENT");

  const file = liveFile(coldSide(), `${dir.path}/log`, { append: true, create: true });
  Deno.removeSync(`${dir.path}/log`);
  makeFifo(`${dir.path}/log`);
  assertLuoError(() => file.reopen(), "ENOENT", "it is no regular file");
  file.write("still here");
  assertEquals(file.seek(0, "cur"), 10);
  file.close();
});

/** Holds a read lease on its argument, and gives it back a moment after somebody wants to write. */
const LEASES = `
const { call } = await import("${new URL("../sys/symbols.ts", import.meta.url)}");
const { fd } = (await import("${new URL("../sys/mod.ts", import.meta.url)}")).openFile(Deno.args[0]);
const [F_SETLEASE, F_RDLCK, F_UNLCK] = [1024, 0, 2];
Deno.addSignalListener("SIGIO", () => setTimeout(() => {
  console.log(call.fcntl(fd, F_SETLEASE, F_UNLCK));
  Deno.exit();
}, 50));
console.log(call.fcntl(fd, F_SETLEASE, F_RDLCK));
setTimeout(() => {}, 30_000);
`;

Deno.test("openLiveFile() waits until a lease of another process is given back, as open(2) does", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/leased`;
  Deno.writeTextFileSync(path, "");
  Deno.writeTextFileSync(`${dir.path}/leases.ts`, LEASES);
  await using holder = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", "--no-check", `${dir.path}/leases.ts`, path],
    stdout: "piped",
  }).spawn();
  const said = holder.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assertEquals((await said.read()).value, "0\n");
  using file = openLiveFile(path, { write: true });
  assertEquals(getFlags(file.fd) & 0o4000, 0);
  assertEquals((await said.read()).value, "0\n");
  assertEquals((await said.read()).done, true);
});

Deno.test("checkRegular() lets files through, and nothing that other handlers would carry", async () => {
  await using dir = tempDir();
  makeFifo(`${dir.path}/fifo`);
  using file = openFile(`${dir.path}/file`, { write: true, create: true });
  using fifo = openFifo(`${dir.path}/fifo`, { read: true, write: false });
  using folder = openFile(dir.path, { directory: true });
  checkRegular("x", file.fd);
  for (const { fd } of [fifo, folder]) {
    assertLuoError(() => checkRegular("x", fd), "ENOENT", 'Cannot take "x" as a file: it is a');
  }
});
