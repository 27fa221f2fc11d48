import { assertEquals } from "@std/assert";

import { HandlerRegistry } from "../luo/handler.ts";
import { assertLuoError } from "../luo/helpers_test.ts";
import { createMemfd, openFile } from "../sys/mod.ts";
import { Device } from "../luo/device.ts";
import { Orchestrator } from "../luo/orchestrator.ts";
import { tempDir } from "../testing/wait.ts";
import { takerOf } from "./helpers_test.ts";
import { registerBuiltins } from "./mod.ts";

Deno.test("registerBuiltins() registers each handler once", () => {
  const registry = new HandlerRegistry();
  registerBuiltins(registry);
  const names = ["memfd", "shm", "file", "listener", "stream", "datagram", "pipe", "directory", "pty"];
  for (
    const name of [...names, "eventfd", "timerfd", "signalfd", "inotify", "epoll", "pidfd"].map((kind) =>
      `${kind}-v1`
    )
  ) {
    assertEquals(registry.get(name)?.compatible, name);
  }
  assertLuoError(() => registerBuiltins(registry), "EEXIST", "streams-v1");
});

Deno.test("The built-in handlers leave alone what they do not know", () => {
  using stack = new DisposableStack();
  const unknown = [
    openFile("/dev/null"),
    openFile("/dev/zero"),
    openFile("/proc/self/status"),
  ];
  for (const owned of unknown) stack.use(owned);
  assertEquals(unknown.map(takerOf), unknown.map(() => null));
});

Deno.test("A session with the built-in handlers refuses the same resource and takes two opens of one file", async () => {
  await using directory = tempDir("heirloom-ids-");
  const path = `${directory.path}/file`;
  Deno.writeTextFileSync(path, "x");
  const luo = new Orchestrator(null);
  registerBuiltins(luo.registry);
  using device = Device.open(luo);
  using session = device.createSession("web");
  using other = device.createSession("other");

  using memory = createMemfd("m");
  using copy = memory.dup();
  using reopened = openFile(`/proc/self/fd/${memory.fd}`);
  session.preserveFd(memory, 1n);
  assertLuoError(() => session.preserveFd(copy, 2n), "EBUSY");
  assertLuoError(() => other.preserveFd(reopened, 2n), "EBUSY");

  using first = openFile(path);
  using second = openFile(path);
  using duplicate = first.dup();
  session.preserveFd(first, 3n);
  session.preserveFd(second, 4n);
  assertLuoError(() => other.preserveFd(duplicate, 5n), "EBUSY");
  session[Symbol.dispose]();
  other.preserveFd(reopened, 2n);
  other.preserveFd(duplicate, 5n);
  assertEquals(other.files().map(({ compatible }) => compatible), ["memfd-v1", "file-v1"]);
});
