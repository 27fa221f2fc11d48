import { assertEquals, assertRejects } from "@std/assert";
import { LuoError } from "../luo/errors.ts";
import { createMemfd, OwnedFd } from "../sys/mod.ts";
import { coldSide } from "./helpers_test.ts";
import { take } from "./take.ts";

Deno.test("take() says that a descriptor is closed, and the name stays free", async () => {
  const { resources } = coldSide();
  const closed = async (): Promise<OwnedFd> => {
    using memory = createMemfd("gone");
    return await Promise.resolve(OwnedFd.adopt(memory.fd));
  };
  const error = await assertRejects(() => take(resources, "memory", "descriptor", closed), LuoError);
  assertEquals(error.code, "EBADF");
  using _memory = await take(resources, "memory", "descriptor", () => createMemfd("here"));
  assertEquals(resources.names().map(({ name }) => name), ["memory"]);
});
