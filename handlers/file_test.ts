import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { fstat, openFile, pread, seek, writeAll } from "../sys/mod.ts";
import { type TempDir, tempDir } from "../testing/wait.ts";
import { fileHandler, pathState } from "./file.ts";
import { assertCarried, carry, takerOf } from "./helpers_test.ts";
import { encodeRecord } from "./record.ts";

const BYTES = new TextEncoder().encode("0123456789");

function writeFile(directory: TempDir, name = "file"): string {
  const path = `${directory.path}/${name}`;
  Deno.writeFileSync(path, BYTES);
  return path;
}

Deno.test("fileHandler takes regular files, and none that the kernel makes up", async () => {
  await using directory = tempDir("heirloom-file-");
  using file = openFile(writeFile(directory));
  using made = openFile("/proc/self/stat");
  using device = openFile("/dev/null");
  using folder = openFile(directory.path, { directory: true });
  assertEquals([file, made, device, folder].map(takerOf), ["file-v1", null, null, "directory-v1"]);
});

Deno.test("fileHandler carries position, flags and path", async () => {
  await using directory = tempDir("heirloom-file-");
  const path = writeFile(directory);
  using file = openFile(path, { read: true, write: true, append: true });
  seek(file.fd, 4, "set");
  const { pos, path: found, path_state } = assertCarried(fileHandler, file);
  assertEquals({ pos, found, path_state }, { pos: 4, found: Deno.realPathSync(path), path_state: "same" });
  assertEquals(seek(file.fd, 0, "cur"), 4);
});

Deno.test("fileHandler carries a file that is gone from its path", async () => {
  await using directory = tempDir("heirloom-file-");
  const path = writeFile(directory);
  using file = openFile(path);
  Deno.removeSync(path);
  assertEquals(assertCarried(fileHandler, file).path_state, "unlinked");
  const byte = new Uint8Array(1);
  pread(file.fd, byte, 9);
  assertEquals(byte[0], BYTES[9]);
});

Deno.test("fileHandler refuses a descriptor with another access mode", async () => {
  await using directory = tempDir("heirloom-file-");
  using file = openFile(writeFile(directory));
  const forged = (_: Uint8Array, held: { fd: number }): Uint8Array =>
    encodeRecord(1, { fd: held.fd, flags: 2, path: "", path_state: "same", pos: 0 });
  using arrived = carry(fileHandler, file, forged);
  assertHandoverError(() => fileHandler.retrieve(arrived.args), "WRONG_DESCRIPTOR", "its access mode");
  fileHandler.finish(arrived.args);
});

Deno.test("fileHandler minds neither another content nor other status flags", async () => {
  await using directory = tempDir("heirloom-file-");
  const path = writeFile(directory);
  using file = openFile(path, { write: true });
  using arrived = carry(fileHandler, file);
  writeAll(file.fd, new Uint8Array(100));
  assertEquals(fileHandler.retrieve(arrived.args), arrived.record.fd);
  fileHandler.finish(arrived.args);
});

Deno.test("pathState() follows what becomes of the path", async () => {
  await using directory = tempDir("heirloom-file-");
  const path = writeFile(directory);
  using file = openFile(path);
  assertEquals(pathState(file.fd), "same");
  Deno.renameSync(path, `${path}2`);
  assertEquals(pathState(file.fd), "same");
  writeFile(directory, "new");
  Deno.renameSync(`${directory.path}/new`, `${path}2`);
  assertEquals(fstat(file.fd).nlink, 0n);
  assertEquals(pathState(file.fd), "replaced");
  Deno.removeSync(`${path}2`);
  assertEquals(pathState(file.fd), "unlinked");
});

Deno.test("pathState() is replaced after the file was removed and made anew", async () => {
  await using directory = tempDir("heirloom-file-");
  const path = writeFile(directory);
  using file = openFile(path);
  Deno.removeSync(path);
  writeFile(directory);
  assertEquals(pathState(file.fd), "replaced");
});

Deno.test("pathState() takes a name that ends like a removed one for what it is", async () => {
  await using directory = tempDir("heirloom-file-");
  const path = writeFile(directory, "x (deleted)");
  using file = openFile(path);
  assertEquals(pathState(file.fd), "same");
  writeFile(directory, "x");
  assertEquals(pathState(file.fd), "same");
  Deno.removeSync(path);
  assertEquals(pathState(file.fd), "unlinked");
});

Deno.test("pathState() of a removed file is not fooled by another of the kernel's name for it", async () => {
  await using directory = tempDir("heirloom-file-");
  const path = writeFile(directory);
  using file = openFile(path);
  Deno.removeSync(path);
  writeFile(directory, "file (deleted)");
  assertEquals(pathState(file.fd), "unlinked");
});

Deno.test("pathState() of a file whose directory is gone is unlinked", async () => {
  await using directory = tempDir("heirloom-file-");
  Deno.mkdirSync(`${directory.path}/below`);
  using file = openFile(writeFile(directory, "below/file"));
  Deno.removeSync(`${directory.path}/below`, { recursive: true });
  assertEquals(pathState(file.fd), "unlinked");
});
