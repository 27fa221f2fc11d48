import { assert, assertEquals } from "@std/assert";
import { type TestApp, waitFor } from "../../testing/mod.ts";
import { HUGE_PAGE_BYTES, noHugePages, reserveHugePages, shmName } from "../../sys/helpers_test.ts";
import { attach, type Attached } from "./_attached.ts";
import { carries, descriptorOf } from "./_kit.ts";

/**
 * Statements that take memory as `shared`, and wait in a new build until another process has written on: before `ready()`,
 * so that it has written between the freeze and the commit.
 */
const use = (take: string): string => `
const shared = ${take};
const cells = new BigUint64Array(shared.bytes.buffer, 0, 512);
let frozen = null;
live.state("frozen", { version: 1, save: () => String(cells[0]), load: (value) => void (frozen = BigInt(value)) });
if (!live.checking && frozen !== null) {
  while (cells[0] <= frozen) await new Promise((resolve) => setTimeout(resolve, 1));
}
const found = [frozen, cells[0]].map(String);
`;

const ROUTES = `
  if (path === "/found") return Response.json(found);
  if (path === "/cell") return new Response(String(cells[Number(query.get("at"))]));
  if (path === "/put") { cells[Number(query.get("at"))] = BigInt(query.get("value")); return new Response("put"); }
`;

/** Where another process opens the memory. */
type Place = (app: TestApp) => Promise<string> | string;

/** Carries memory with a process attached from before the first update to after the last, and others later. */
async function carriesMemory(
  t: Deno.TestContext,
  take: string,
  place: Place,
  options: { named?: boolean; args?: readonly string[] } = {},
): Promise<void> {
  const { named = false, args = [] } = options;
  let first: Attached | null = null;
  let mark = 0n;
  try {
    await carries(t, {
      use: use(take),
      routes: ROUTES,
      args,
      async prepare({ app }) {
        first = await attach(await place(app), { named });
      },
      async look({ app }) {
        const { fd, description } = await descriptorOf(app, "shared");
        const { ino, size } = await Deno.stat(`/proc/${app.pid}/fd/${fd}`);
        assertEquals(String(ino), first!.inode);
        return [description, ino, size, first!.ended];
      },
      async works({ app, ask }) {
        const [frozen, taken] = JSON.parse(await ask("/found")).map(BigInt) as [bigint, bigint];
        assert(taken > frozen, `written during the pause: ${frozen} before, ${taken} after`);
        const cell = async (at: number): Promise<bigint> => BigInt(await ask(`/cell?at=${at}`));
        const seen = await cell(0);
        assert(seen >= taken);
        await waitFor(async () => await cell(0) > seen, { what: "the counter to go on", timeoutMs: 30_000 });
        // What the service writes, the process that was there before has, and one that comes now.
        await using second = await attach(await place(app), { named, cell: 8 });
        assertEquals(second.inode, first!.inode);
        mark += 1000n;
        await ask(`/put?at=1&value=${mark}`);
        await ask(`/put?at=9&value=${mark + 1n}`);
        const echo = async (): Promise<boolean> => await cell(2) === mark && await cell(10) === mark + 1n;
        await waitFor(echo, { what: "the other processes to read", timeoutMs: 30_000 });
        assert(await second.detach() > 0n);
      },
    });
    assert(await first!.detach() > 0n);
  } finally {
    await (first as Attached | null)?.detach();
  }
}

Deno.test("shared memory that others open by name is the same after each update, without a gap", async (t) => {
  using place = shmName();
  const take = `await live.shm("shared", Deno.args[1], { size: 65536 })`;
  await carriesMemory(t, take, () => place.path, { named: true, args: [place.name] });
  assertEquals(Deno.statSync(place.path).size, 65_536);
});

const byDescriptor: Place = async (app) => {
  const { fd } = await descriptorOf(app, "shared");
  return `/proc/${app.pid}/fd/${fd}`;
};

Deno.test("a segment that others have by descriptor is the same after each update, without a gap", async (t) => {
  await carriesMemory(t, `await live.segment("shared", { size: 65536 })`, byDescriptor);
});

Deno.test({
  name: "a segment on huge pages is the same after each update, without a gap",
  ignore: noHugePages() !== null,
  async fn(t) {
    await using pages = await reserveHugePages(2);
    if (pages === null) return;
    const take = `await live.segment("shared", { size: ${2 * HUGE_PAGE_BYTES}, hugePages: true })`;
    await carriesMemory(t, take, byDescriptor);
  },
});
