import { assertEquals } from "@std/assert";
import { createEventfd } from "./eventfd.ts";
import { descriptorsForOwnUse, forOwnUse } from "./own_use.ts";

Deno.test("descriptorsForOwnUse() lists what was written down, as long as its owner has it", () => {
  const before = [...descriptorsForOwnUse()];
  {
    using eventfd = forOwnUse(createEventfd(), "a bell");
    assertEquals([...descriptorsForOwnUse()], [...before, [eventfd.fd, "a bell"]]);
  }
  assertEquals([...descriptorsForOwnUse()], before);
  // The number may be another file by now.
  using _other = createEventfd();
  assertEquals([...descriptorsForOwnUse()], before);
});
