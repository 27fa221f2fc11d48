import { assertEquals, assertThrows } from "@std/assert";

import { SysError } from "../../sys/mod.ts";
import { planCommand } from "./child_command.ts";

Deno.test("planCommand() searches PATH as a shell does, from the directory that the program will have", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/bin`);
  await Deno.writeTextFile(`${folder}/bin/tool`, "#!/bin/sh\n", { mode: 0o755 });
  await Deno.writeTextFile(`${folder}/bin/text`, "", { mode: 0o644 });
  const find = (name: string, PATH: string, cwd?: string): string =>
    planCommand("x", { command: [name], env: { PATH }, ...(cwd === undefined ? {} : { cwd }) }).path;
  assertEquals(find("tool", `/nowhere:${folder}/bin`), `${folder}/bin/tool`);
  assertEquals(find("bin/tool", "", folder), "bin/tool");
  assertEquals(find("tool", "bin", folder), "bin/tool");
  assertEquals(find("tool", "", `${folder}/bin`), "./tool");
  assertThrows(() => find("text", `${folder}/bin`), SysError, 'Cannot execve "text": EACCES');
  // What may not be executed hides nothing that comes later.
  await Deno.mkdir(`${folder}/more`);
  await Deno.writeTextFile(`${folder}/more/text`, "", { mode: 0o755 });
  assertEquals(find("text", `${folder}/bin:${folder}/more`), `${folder}/more/text`);
  assertThrows(() => find("bin", folder), SysError, "EACCES");
  assertThrows(() => find("none", folder), SysError, 'Cannot execve "none": ENOENT');
  await Deno.remove(folder, { recursive: true });
});
