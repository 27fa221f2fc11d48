import { assertEquals, assertRejects } from "@std/assert";

import type { Live } from "../live/live.ts";
import { coldSide, commit, nextSide, type Side } from "../live/helpers_test.ts";
import { SharedSegment } from "../live/segment.ts";
import { States } from "../live/states.ts";
import { LuoError } from "../luo/errors.ts";
import { createMemfd } from "../sys/mod.ts";
import { LiveStore } from "./live_store.ts";

/** What the store needs of `live`, over the resources of one side of an update in this process. */
function liveOf(side: Side, states: States): Live {
  const live: Pick<Live, "state" | "segment"> = {
    state: (name, options) => states.add(name, options),
    // deno-lint-ignore require-await -- a failure has to be a rejection, as it is in `live`
    async segment(name, { size }) {
      let memory = side.resources.claim(name, "segment");
      if (memory === null) {
        memory = createMemfd(`heirloom:${name}`, { size });
        try {
          side.resources.add(name, "segment", memory.fd);
        } catch (error) {
          memory[Symbol.dispose]();
          throw error;
        }
      }
      return new SharedSegment(name, memory, size, () => side.resources.drop(name));
    },
  };
  return live as unknown as Live;
}

Deno.test("LiveStore creates, lists, gives and removes segments", async () => {
  const side = coldSide();
  const store = await LiveStore.open(liveOf(side, new States(null)));
  assertEquals([store.list(), store.get("a"), await store.remove("a")], [[], undefined, false]);
  assertEquals(await store.create("b", 4096), { name: "b", size: 4096 });
  assertEquals(await store.create("a", 10), { name: "a", size: 10 });
  assertEquals(store.list(), [{ name: "b", size: 4096 }, { name: "a", size: 10 }]);
  assertEquals([...store.get("a")?.bytes ?? []], new Array(10).fill(0));
  assertEquals(side.outgoing.files().length, 2);

  const error = await assertRejects(() => store.create("a", 20), LuoError);
  assertEquals([error.code, store.list().length], ["EEXIST", 2]);

  const view = store.get("b")?.bytes;
  assertEquals([await store.remove("b"), view?.length, store.get("b")], [true, 0, undefined]);
  assertEquals([store.list(), side.outgoing.files().length], [[{ name: "a", size: 10 }], 1]);
  assertEquals(await store.create("b", 1), { name: "b", size: 1 });
});

Deno.test("LiveStore takes back all segments after an update, with what is in them", async () => {
  const cold = coldSide();
  const states = new States(null);
  const old = await LiveStore.open(liveOf(cold, states));
  await old.create("one", 5000);
  await old.create("two", 3);
  await old.create("gone", 3);
  old.get("one")?.bytes.fill(7);
  old.get("two")?.bytes.set([1, 2, 3]);
  await old.remove("gone");

  const next = nextSide(cold);
  const store = await LiveStore.open(liveOf(next, new States(states.save())));
  assertEquals(store.list(), [{ name: "one", size: 5000 }, { name: "two", size: 3 }]);
  assertEquals(store.get("one")?.bytes, new Uint8Array(5000).fill(7));
  assertEquals([...store.get("two")?.bytes ?? []], [1, 2, 3]);
  assertEquals(next.resources.unclaimed(), []);
  // Both images see the same memory, as long as the old one is there.
  store.get("two")?.bytes.set([9]);
  assertEquals(old.get("two")?.bytes[0], 9);
  commit(next);
  assertEquals(next.outgoing.files().length, 2);
});
