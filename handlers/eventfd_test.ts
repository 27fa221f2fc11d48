import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { addCount, createEventfd, MAX_COUNT, takeCount } from "../sys/eventfd.ts";
import { dupOnto, fdInfo } from "../sys/mod.ts";
import { createTimerfd } from "../sys/timerfd.ts";
import { assertCarried, carry, outgoingArgs, recordOf, takerOf } from "./helpers_test.ts";
import { eventfdHandler, isSemaphore } from "./eventfd.ts";
import { encodeRecord } from "./record.ts";

/** Does this kernel say which eventfd it is, and of which mode? */
const SAYS = (() => {
  using eventfd = createEventfd();
  const info = fdInfo(eventfd.fd);
  return { id: info.has("eventfd-id"), semaphore: info.has("eventfd-semaphore") };
})();

Deno.test("eventfdHandler carries an eventfd of each mode, with its count", () => {
  for (const semaphore of [false, true]) {
    using eventfd = createEventfd({ semaphore });
    addCount(eventfd.fd, 300n);
    assertEquals(takerOf(eventfd), "eventfd-v1");
    const record = assertCarried(eventfdHandler, eventfd);
    assertEquals([record["count"], Number(record["flags"]) & 0o4000], [300, 0o4000]);
    if (SAYS.semaphore) {
      assertEquals([record["semaphore"], isSemaphore(eventfd.fd)], [Number(semaphore), semaphore]);
    }
    if (SAYS.id) assertEquals(String(record["id"]), fdInfo(eventfd.fd).get("eventfd-id"));
    assertEquals(takeCount(eventfd.fd), semaphore ? 1n : 300n);
  }
});

Deno.test("eventfdHandler carries the largest count, and does not mind one that changes meanwhile", () => {
  using eventfd = createEventfd();
  addCount(eventfd.fd, MAX_COUNT);
  using arrived = carry(eventfdHandler, eventfd, (_, held) => void takeCount(held.fd));
  assertEquals(arrived.record["count"], MAX_COUNT);
  const fd = eventfdHandler.retrieve(arrived.args) as number;
  assertEquals(takeCount(fd), null);
  eventfdHandler.finish({ ...arrived.args, fd, retrieveStatus: 1 });
});

Deno.test("eventfdHandler refuses another eventfd, and what has become another kind", () => {
  using eventfd = createEventfd();
  if (SAYS.id) {
    using other = createEventfd();
    using swapped = carry(eventfdHandler, eventfd, (_, held) => dupOnto(other.fd, held.fd));
    assertHandoverError(
      () => eventfdHandler.retrieve(swapped.args),
      "WRONG_DESCRIPTOR",
      "the eventfd it was",
    );
    eventfdHandler.finish(swapped.args);
  }
  using timer = createTimerfd("monotonic");
  using gone = carry(eventfdHandler, eventfd, (_, held) => dupOnto(timer.fd, held.fd));
  assertHandoverError(() => eventfdHandler.retrieve(gone.args), "WRONG_DESCRIPTOR", "anon_inode:[timerfd]");
  eventfdHandler.finish(gone.args);

  // Before the jump: the freeze finds it, and nothing of the record is changed.
  const held = eventfd.dup();
  const args = outgoingArgs(eventfdHandler, held.fd);
  eventfdHandler.preserve(args);
  const [, before] = recordOf(args);
  dupOnto(timer.fd, held.fd);
  assertHandoverError(() => eventfdHandler.freeze?.(args), "WRONG_DESCRIPTOR", "Cannot use fd");
  assertEquals(recordOf(args)[1], before);
  held[Symbol.dispose]();
});

Deno.test("eventfdHandler refuses a mode that is another one", () => {
  if (!SAYS.semaphore) {
    console.log("ignored: this kernel does not tell the mode of an eventfd");
    return;
  }
  using eventfd = createEventfd({ semaphore: true });
  const id = Number(fdInfo(eventfd.fd).get("eventfd-id"));
  using other = carry(
    eventfdHandler,
    eventfd,
    (_, held) => encodeRecord(1, { fd: held.fd, id, semaphore: 0, count: 0, flags: 0 }),
  );
  assertHandoverError(
    () => eventfdHandler.retrieve(other.args),
    "WRONG_DESCRIPTOR",
    "semaphore is 1 instead of 0",
  );
  eventfdHandler.finish(other.args);
});

Deno.test("eventfdHandler stands in with an empty eventfd of the same mode", () => {
  using eventfd = createEventfd({ semaphore: true });
  addCount(eventfd.fd, 5n);
  using arrived = carry(eventfdHandler, eventfd);
  const standIn = eventfdHandler.standIn?.(arrived.args);
  if (typeof standIn !== "object") throw new TypeError("It stands in with nothing of its own");
  using owned = standIn;
  assertEquals([takerOf(owned), takeCount(owned.fd), takeCount(eventfd.fd)], ["eventfd-v1", null, 1n]);
  if (SAYS.semaphore) assertEquals(isSemaphore(owned.fd), true);
  eventfdHandler.finish(arrived.args);
});
