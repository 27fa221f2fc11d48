import { assert, assertEquals, assertRejects } from "@std/assert";
import { SegmentChanges } from "./changes.ts";
import { HttpError } from "./errors.ts";
import { errnoError, FakeStore } from "./fake_store_test.ts";
import { DEFAULT_QUOTAS, type Quotas } from "./quotas.ts";

function changes(quotas: Partial<Quotas> = {}): { store: FakeStore; queue: SegmentChanges } {
  const store = new FakeStore();
  return { store, queue: new SegmentChanges(store, { ...DEFAULT_QUOTAS, ...quotas }) };
}

async function refusal(promise: Promise<unknown>): Promise<[number, string]> {
  const error = await assertRejects(() => promise, HttpError);
  return [error.status, error.code];
}

Deno.test("SegmentChanges.create creates once, and then finds", async () => {
  const { store, queue } = changes();
  assertEquals(await queue.create("a", 10), { info: { name: "a", size: 10 }, created: true });
  assertEquals(await queue.create("a", 10), { info: { name: "a", size: 10 }, created: false });
  assertEquals(await refusal(queue.create("a", 11)), [409, "EEXIST"]);
  assertEquals(store.creations, 1);
});

Deno.test("SegmentChanges.create of one new name at once creates one segment", async () => {
  const { store, queue } = changes();
  const all = await Promise.all(Array.from({ length: 20 }, () => queue.create("a", 10)));
  assertEquals(all.filter(({ created }) => created).length, 1);
  assertEquals(store.creations, 1);
});

Deno.test("SegmentChanges.create at once keeps the quotas exactly", async () => {
  const { store, queue } = changes({ maxSegments: 5, maxTotalBytes: 35 });
  const all = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => queue.create(`s${i}`, 10)));
  assertEquals(all.filter(({ status }) => status === "fulfilled").length, 3);
  assertEquals(store.list().length, 3);
  assertEquals(await refusal(queue.create("x", 6)), [507, "EDQUOT"]);
  assert((await queue.create("x", 4)).created);
  assert((await queue.create("y", 1)).created);
  assertEquals(await refusal(queue.create("z", 1)), [507, "EDQUOT"]);
});

Deno.test("SegmentChanges.create finds what is there although the quota is used up", async () => {
  const { queue } = changes({ maxSegments: 1 });
  await queue.create("a", 10);
  assertEquals((await queue.create("a", 10)).created, false);
});

Deno.test("SegmentChanges.create copes with another user of the store that was faster", async () => {
  const { store, queue } = changes();
  store.beforeCreate = (name) => store.add(name, 10);
  assertEquals((await queue.create("a", 10)).created, false);
  assertEquals(await refusal(queue.create("b", 20)), [409, "EEXIST"]);
});

Deno.test("SegmentChanges goes on after a failure of the store", async () => {
  const { store, queue } = changes();
  store.fault = errnoError("ENOMEM");
  assertEquals(await refusal(queue.create("a", 10)), [507, "ENOMEM"]);
  assertEquals(await refusal(queue.remove("a")), [507, "ENOMEM"]);
  store.fault = null;
  assert((await queue.create("a", 10)).created);
});

Deno.test("SegmentChanges.remove frees the name and the quota, once", async () => {
  const { queue } = changes({ maxSegments: 1 });
  await queue.create("a", 10);
  assertEquals(await Promise.all([queue.remove("a"), queue.remove("a")]), [true, false]);
  assert((await queue.create("b", 10)).created);
});
