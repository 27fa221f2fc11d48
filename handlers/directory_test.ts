import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { dupOnto, fdInfo, openFile } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import { directoryHandler } from "./directory.ts";
import { assertCarried, outgoingArgs, takerOf } from "./helpers_test.ts";

Deno.test("directoryHandler takes directories, and neither places nor those of a process", async () => {
  await using directory = tempDir();
  using folder = openFile(directory.path, { directory: true });
  using root = openFile("/");
  using place = openFile(directory.path, { path: true });
  using made = openFile("/proc/self/fd", { directory: true });
  using device = openFile("/dev/null");
  assertEquals(
    [folder, root, place, made, device].map(takerOf),
    ["directory-v1", "directory-v1", null, null, null],
  );
});

Deno.test("directoryHandler carries a directory with its position, whatever becomes of its path", async () => {
  await using directory = tempDir();
  const path = `${Deno.realPathSync(directory.path)}/folder`;
  Deno.mkdirSync(path);
  Deno.writeTextFileSync(`${path}/file`, "x");
  using folder = openFile(path, { directory: true });
  const seen = (): unknown[] => {
    const { path, path_state, pos } = assertCarried(directoryHandler, folder);
    assertEquals(BigInt(pos as bigint), BigInt(fdInfo(folder.fd).get("pos") ?? -1));
    return [path, path_state];
  };
  assertEquals(seen(), [path, "same"]);
  Deno.renameSync(path, `${path}2`);
  assertEquals(seen(), [`${path}2`, "same"]);
  assertEquals(Deno.readTextFileSync(`/proc/self/fd/${folder.fd}/file`), "x");
  Deno.removeSync(`${path}2`, { recursive: true });
  assertEquals(seen(), [`${path}2 (deleted)`, "unlinked"]);
  Deno.mkdirSync(`${path}2`);
  assertEquals(seen(), [`${path}2 (deleted)`, "replaced"]);
});

Deno.test("directoryHandler refuses to describe what has become something else", () => {
  using folder = openFile("/", { directory: true });
  const args = outgoingArgs(directoryHandler, folder.fd);
  directoryHandler.preserve(args);
  using device = openFile("/dev/null");
  dupOnto(device.fd, folder.fd);
  assertHandoverError(
    () => directoryHandler.freeze?.(args),
    "WRONG_DESCRIPTOR",
    "as a directory: it is /dev/null",
  );
  directoryHandler.unpreserve(args);
});
