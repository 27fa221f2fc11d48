import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { runScript } from "./helpers_test.ts";
import { endWithParent } from "./parent.ts";
import { openPidfd } from "./pidfd.ts";
import { poll, POLLIN } from "./poll.ts";

const PARENT = JSON.stringify(import.meta.resolve("./parent.ts"));

Deno.test("endWithParent() ends the child with its parent, across an exec", async () => {
  const { lines, code, stderr } = await runScript(`
    if (Deno.args[0] === "child") {
      const { endWithParent } = await import(${PARENT});
      endWithParent();
      sys.execve("/bin/sleep", ["sleep", "600"], []);
    }
    const child = new Deno.Command(Deno.execPath(), {
      args: [...ARGV.slice(1), "child"],
      stdout: "null",
      stderr: "null",
    }).spawn();
    while (!Deno.readTextFileSync("/proc/" + child.pid + "/comm").startsWith("sleep")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    say(child.pid);
    await new Promise((resolve) => setTimeout(resolve, 50));
    Deno.exit(3);
  `);
  assertEquals(code, 3, stderr);
  const pid = Number(lines[0]);
  assert(pid > 1);
  try {
    using child = openPidfd(pid);
    const [events = 0] = poll([{ fd: child.fd, events: POLLIN }], 20_000);
    assert((events & POLLIN) !== 0, "it did not end in 20 s");
  } catch (error) {
    // Its new parent may have reaped it by now.
    assertEquals(error instanceof SysError ? error.code : error, "ESRCH");
  }
});

Deno.test("endWithParent() refuses what is no signal", () => {
  assertEquals(assertThrows(() => endWithParent(65), SysError).code, "EINVAL");
  endWithParent(0);
});
