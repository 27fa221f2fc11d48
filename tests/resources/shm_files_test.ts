import { assertEquals, assertMatch } from "@std/assert";
import { freePort, startApp, type TestApp } from "../../testing/mod.ts";
import { HUGE_PAGE_BYTES, noHugePages, reserveHugePages, shmName } from "../../sys/helpers_test.ts";
import { hugePageFacts } from "../../sys/shm.ts";
import { appText, builds, LIBRARY, once, READY_IN_CHECK } from "../update/_fixtures.ts";
import { carries, descriptorOf, fdInfoOf } from "./_kit.ts";

const FOLDER = LIBRARY.slice(0, -"mod.ts".length);

/** The handler that carries a resource. */
async function handlerOf(app: TestApp, name: string): Promise<string | undefined> {
  return (await app.sessions()).flatMap(({ files }) => files).find((file) => file.name === name)?.compatible;
}

Deno.test("files without a name in a tmpfs, and named ones on /dev/shm, keep content and position", async (t) => {
  using place = shmName();
  await carries(t, {
    before: `
      import * as sys from "${FOLDER}sys/mod.ts";
      import { call } from "${FOLDER}sys/symbols.ts";
      const unnamed = () => {
        const made = call.open(new TextEncoder().encode("/dev/shm\\0"), 0o22200002, 0o600);
        sys.writeAll(made, new TextEncoder().encode("unnamed"));
        return sys.OwnedFd.adopt(made);
      };`,
    use: `
      const tmp = await live.inherit("tmp", unnamed, { type: "shm" });
      const named = await live.file("named", Deno.args[1], { read: true, write: true, create: true });`,
    routes: `
      if (path === "/read") {
        const bytes = new Uint8Array(2);
        const count = named.read(bytes);
        return new Response(new TextDecoder().decode(bytes.subarray(0, count)) + named.path);
      }
      if (path === "/write") { named.seek(0); named.write("0123456789abcdef"); named.seek(4); return new Response(""); }`,
    args: [place.path],
    async prepare({ ask }) {
      await ask("/write");
      assertEquals(await ask("/read"), "45same");
      Deno.removeSync(place.path);
    },
    async look({ app }) {
      const seen = [];
      for (const name of ["tmp", "named"]) {
        const { fd, description, flags } = await descriptorOf(app, name);
        const path = `/proc/${app.pid}/fd/${fd}`;
        const position = /^pos:\s*(\d+)$/m.exec(await fdInfoOf(app, name))?.[1];
        seen.push(description, flags, position, (await Deno.stat(path)).ino, await Deno.readTextFile(path));
      }
      return [seen, await handlerOf(app, "tmp"), await handlerOf(app, "named")];
    },
    async works({ app, ask }) {
      assertEquals(await ask("/read"), "67unlinked");
      assertEquals(await handlerOf(app, "tmp"), "shm-v1");
      // Back to where the look wants it.
      await ask("/write");
      await ask("/read");
    },
  });
});

/** Statements that make a build one of before there was a handler for shared memory. */
const OLD = `
import { unregisterHandler } from "${LIBRARY}";
import { shmHandler } from "${FOLDER}handlers/mod.ts";
unregisterHandler(shmHandler);`;

Deno.test("what an older build carried as a file is taken back as shared memory, and the way back is there", async () => {
  using place = shmName();
  await using all = builds();
  const port = freePort();
  const parts = {
    use: `const data = await live.file("data", Deno.args[1], { read: true, write: true, create: true });`,
    routes:
      `if (path === "/next") { data.write(query.get("text")); return new Response(String(data.seek(0, "cur"))); }`,
  };
  const entry = await all.write("old", { ...parts, before: OLD, label: "old" });
  await using app = await startApp({ entry, args: [String(port), place.path] });
  assertEquals([await once(port, "/next?text=abc"), await handlerOf(app, "data")], ["3", "file-v1"]);

  const failing = await all.write(
    "failing",
    appText({ ...parts, ready: `${READY_IN_CHECK}throw new Error("no");` }),
  );
  assertEquals((await app.upgrade({ build: failing })).outcome, "rolled-back");
  assertEquals([await once(port, "/next?text=def"), await handlerOf(app, "data")], ["6", "file-v1"]);

  const record = await app.upgrade({ build: await all.write("new", { ...parts, label: "new" }) });
  assertEquals([record.outcome, record.reason], ["committed", null]);
  assertEquals([await once(port, "/next?text=ghi"), await handlerOf(app, "data")], ["9", "shm-v1"]);
  assertEquals(await Deno.readTextFile(place.path), "abcdefghi");

  // A build that does not know the handler says so before anything stands still.
  const back = await app.upgrade({ build: entry });
  assertEquals(back.outcome, "refused");
  assertMatch(back.reason ?? "", /Cannot take back "data": no handler is called "shm-v1"/);
  assertEquals((await app.upgrade()).outcome, "committed");
  assertEquals(await once(port, "/next?text=j"), "10");
});

Deno.test({
  name: "a segment on huge pages grows by pages that there are, and says how many are missing",
  ignore: noHugePages() !== null,
  async fn() {
    await using pages = await reserveHugePages(3);
    if (pages === null) return;
    await using all = builds();
    const port = freePort();
    const on = (name: string, options: string): Promise<string> =>
      all.write(name, {
        label: name,
        use: `const cache = await live.segment("cache", { ${options} });`,
        routes: `
          if (path === "/put") { cache.bytes[cache.bytes.length - 1] = 7; return new Response("put"); }
          if (path === "/cache") return Response.json([cache.bytes.length, cache.bytes[${
          HUGE_PAGE_BYTES - 1
        }]]);`,
      });
    const entry = await on("one", `size: ${HUGE_PAGE_BYTES}, hugePages: true`);
    await using app = await startApp({ entry, args: [String(port)] });
    await once(port, "/put");
    const look = async (): Promise<unknown> => JSON.parse(await once(port, "/cache"));
    const bad: [options: string, outcome: string, reason: RegExp][] = [
      [`size: 4096, hugePages: "2MB"`, "refused", /size 4096 is no multiple of its pages of 2097152 bytes/],
      [
        `size: ${HUGE_PAGE_BYTES}`,
        "rolled-back",
        /on ordinary pages: it was handed over on pages of 2048 kB/,
      ],
      [
        `size: ${2 ** 20 * HUGE_PAGE_BYTES}, hugePages: true`,
        "rolled-back",
        /1048575 more huge pages of 2048 kB are needed, \d+ are reserved and \d+ of them are free/,
      ],
      [
        `size: ${HUGE_PAGE_BYTES}, hugePages: true });
         await live.segment("more", { size: ${2 ** 20 * HUGE_PAGE_BYTES}, hugePages: true`,
        "refused",
        /Cannot take segment "more": 1048576 more huge pages of 2048 kB are needed/,
      ],
    ];
    for (const [index, [options, outcome, reason]] of bad.entries()) {
      const record = await app.upgrade({ build: await on(`bad-${index}`, options) });
      assertEquals(record.outcome, outcome, `${record.reason}`);
      assertMatch(record.reason ?? "", reason);
      assertEquals(await look(), [HUGE_PAGE_BYTES, 7]);
      assertEquals((await app.upgrade({ build: entry })).outcome, "committed");
    }
    const { available } = hugePageFacts(HUGE_PAGE_BYTES)!;
    const larger = await on("larger", `size: ${3 * HUGE_PAGE_BYTES}, hugePages: "2MB"`);
    assertEquals((await app.upgrade({ build: larger })).outcome, "committed");
    assertEquals(await look(), [3 * HUGE_PAGE_BYTES, 7]);
    assertEquals(await once(port, "/put"), "put");
    assertEquals(hugePageFacts(HUGE_PAGE_BYTES)!.available, available - 2);
  },
});
