import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { shmName } from "../../sys/helpers_test.ts";
import { openFile, SysError, truncate } from "../../sys/mod.ts";
import { canMount } from "../faults/_settings.ts";
import { type AppParts, LIBRARY, READY_IN_CHECK } from "../update/_fixtures.ts";
import { descriptorOf, type Running, running } from "./_kit.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Takes memory of a size as `shared`, and says what is in it. */
const use = (size: number): string => `
const shared = await live.shm("shared", Deno.args[1], { size: ${size} });
`;

const ROUTES = `
  if (path === "/put") { shared.bytes.fill(Number(query.get("value"))); return new Response("put"); }
  if (path === "/memory") {
    const { bytes } = shared;
    return Response.json([bytes.length, shared.size, bytes[0] ?? null, bytes.at(-1) ?? null, shared.path]);
  }
  if (path === "/seal") { sys.addSeals(table.fd, sys.SEALS.GROW); return new Response("sealed"); }
  if (path === "/unlink") return new Response(String(shared.unlink()));
`;

/** A segment that is sealed against growing once it is there. */
const TABLE = `
const table = await live.segment("table", { size: 4096 });
const sys = await import("${LIBRARY.replace("mod.ts", "sys/mod.ts")}");
`;

const more = (statements: string, size = 64 * KIB): string => use(size) + statements;

/** An update that must not happen. */
interface Row {
  /** What is wrong, in words. */
  name: string;
  /** The statements of the build. */
  use: string;
  /** How it ends. */
  outcome: "refused" | "rolled-back";
  /** What the record says. */
  reason: RegExp;
}

const ROWS: readonly Row[] = [
  {
    name: "a bad name of shared memory",
    use: more(`await live.shm("other", "no-slash", { size: 1 });`),
    outcome: "refused",
    reason: /Cannot take shared memory "other" as "no-slash": such a name is a slash and 1 to 254 bytes/,
  },
  {
    name: "a size that is none",
    use: more(`await live.shm("other", "/other", { size: 0 });`),
    outcome: "refused",
    reason: /Cannot take shared memory "other": size 0 is no positive integer/,
  },
  {
    name: "a segment under the name of shared memory",
    use: `const shared = await live.segment("shared", { size: 1 });`,
    outcome: "refused",
    reason: /Cannot take "shared" as a segment: it was handed over as a shm/,
  },
  {
    name: "more than the machine has",
    use: more("", 2 ** 50),
    outcome: "refused",
    reason: /1125899906842624 bytes are asked for, this machine has \d+ of memory/,
  },
  {
    name: "a segment beyond RLIMIT_FSIZE, where growing it would end the process",
    use: more(`await live.segment("other", { size: ${200 * MIB} });`),
    outcome: "refused",
    reason: /Cannot ftruncate fd \d+ to 209715200 bytes: RLIMIT_FSIZE is 104857600: EFBIG/,
  },
  {
    name: "shared memory that grows beyond RLIMIT_FSIZE",
    use: more(`await live.segment("other", { size: 1 });`, 200 * MIB),
    outcome: "refused",
    reason: /RLIMIT_FSIZE is 104857600: EFBIG/,
  },
  {
    name: "a segment that is sealed against growing",
    use: more(`await live.segment("table", { size: 8192 });`),
    outcome: "rolled-back",
    reason: /Cannot take segment "table": its memory is sealed against growing, and 8192 bytes are asked for/,
  },
  {
    name: "another kind of file under the name",
    use: more(`await live.shm("other", Deno.args[1] + "-fifo", { size: 1 });`),
    outcome: "rolled-back",
    reason: /Cannot take shared memory "other": \/dev\/shm\/heirloom-test-\S+-fifo is a FIFO/,
  },
  {
    name: "shared memory that must be there and is not",
    use: more(`await live.shm("other", Deno.args[1] + "-none", { size: 1, create: false });`),
    outcome: "rolled-back",
    reason: /Cannot take shared memory "other": there is no \/dev\/shm\/heirloom-test-\S+-none/,
  },
  {
    name: "shared memory when no descriptor is left",
    use: more(`
      const held = [];
      if (!live.checking) { try { for (;;) held.push(Deno.openSync("/dev/null")); } catch { /* full */ } }
      try { await live.shm("other", Deno.args[1] + "-other", { size: 1 }); }
      finally { for (const file of held) file.close(); }`),
    outcome: "rolled-back",
    reason: /Cannot shm_open "\/heirloom-test-\S+-other": EMFILE/,
  },
  {
    name: "more shared memory than there is room for",
    use: more("", 16 * MIB),
    outcome: "rolled-back",
    reason: /Cannot fallocate fd \d+: ENOSPC/,
  },
  {
    name: "new shared memory for which there is no room",
    use: more(`await live.shm("other", Deno.args[1] + "-other", { size: ${16 * MIB} });`),
    outcome: "rolled-back",
    reason: /Cannot fallocate fd \d+: ENOSPC/,
  },
];

const UNMOUNTABLE = await canMount();
if (UNMOUNTABLE !== null) console.log(`ignored: ${UNMOUNTABLE}`);

/** Starts where `/dev/shm` has 2 MiB, files may have 100 MiB, and there are few descriptors. */
const NARROW = [
  ...["unshare", "--map-root-user", "--mount", "sh", "-c"],
  'mount -t tmpfs -o size=2m none /dev/shm && mkfifo "/dev/shm$0-fifo" && ulimit -n 512 && exec "$@"',
];

Deno.test({
  name: "trouble with memory is an error in words, loses nothing, and the next update is a good one",
  ignore: UNMOUNTABLE !== null,
  async fn(t) {
    using place = shmName();
    const good = (label: string): AppParts => ({ label, use: use(64 * KIB) + TABLE, routes: ROUTES });
    await using service = await running({ ...good("first"), args: [place.name] }, {
      prefix: [...NARROW, place.name, "prlimit", `--fsize=${100 * MIB}`],
    });
    const { app, ask } = service;
    const path = `/proc/${app.pid}/root${place.path}`;
    const { ino } = Deno.statSync(path);
    assertEquals([await ask("/put?value=7"), await ask("/seal")], ["put", "sealed"]);
    const held = async (): Promise<void> => {
      assertEquals(JSON.parse(await ask("/memory")), [64 * KIB, 64 * KIB, 7, 7, "same"]);
      const { ino: found, size } = Deno.statSync(path);
      assertEquals([found, size], [ino, 64 * KIB]);
    };
    for (const [index, row] of ROWS.entries()) {
      await t.step(row.name, async () => {
        assertMatch((await service.ends(row.outcome, { use: row.use })).reason ?? "", row.reason);
        await held();
        await service.commits(good(`good-${index}`));
        assertEquals(await ask("/"), `good-${index}`);
        await held();
      });
    }
  },
});

/** A build with shared memory of a size, which {@linkcode ROUTES} show. */
const build = (label: string, size: number): AppParts => ({ label, use: use(size), routes: ROUTES });

async function started(name: string, size: number): Promise<Running> {
  return await running({ ...build("first", size), args: [name] });
}

Deno.test("shared memory whose name was taken by somebody else stays what was open, and says so", async () => {
  using place = shmName();
  await using service = await started(place.name, 8 * KIB);
  const { ask } = service;
  assertEquals(await ask("/put?value=5"), "put");
  Deno.removeSync(place.path);
  Deno.writeTextFileSync(place.path, "somebody else's");
  await service.commits(build("second", 8 * KIB));
  assertEquals(JSON.parse(await ask("/memory")), [8 * KIB, 8 * KIB, 5, 5, "replaced"]);
  assertEquals(await ask("/unlink"), "false");
  assertEquals(Deno.readTextFileSync(place.path), "somebody else's");
  Deno.removeSync(place.path);
  await service.commits(build("third", 16 * KIB));
  assertEquals(JSON.parse(await ask("/memory")), [16 * KIB, 16 * KIB, 5, 0, "unlinked"]);
});

Deno.test("shared memory that somebody else has made smaller is taken as it is, and grown at the commit", async () => {
  using place = shmName();
  await using service = await started(place.name, 16 * KIB);
  const { ask } = service;
  assertEquals(await ask("/put?value=5"), "put");
  using other = openFile(place.path, { write: true });
  truncate(other.fd, 100);
  assertEquals(JSON.parse(await ask("/memory")), [100, 100, 5, 5, "same"]);
  // A build that does not come up leaves it as it is.
  const ready = `${READY_IN_CHECK}throw new Error("no");`;
  await service.ends("rolled-back", { ...build("failing", 16 * KIB), ready });
  assertEquals(JSON.parse(await ask("/memory")), [16 * KIB, 16 * KIB, 5, 0, "same"]);
  truncate(other.fd, 0);
  await service.commits(build("second", 16 * KIB));
  assertEquals(JSON.parse(await ask("/memory")), [16 * KIB, 16 * KIB, 0, 0, "same"]);
  assertEquals(await ask("/put?value=6"), "put");
  await service.commits(build("third", 4 * KIB));
  assertEquals(JSON.parse(await ask("/memory")), [4 * KIB, 16 * KIB, 6, 6, "same"]);
});

Deno.test("the memory of a segment cannot be made smaller by those who have its descriptor", async () => {
  using place = shmName();
  await using service = await started(place.name, KIB);
  const { app } = service;
  for (const label of ["second", "third"]) {
    const { fd } = await descriptorOf(app, "memory");
    using other = openFile(`/proc/${app.pid}/fd/${fd}`, { read: true, write: true });
    assertEquals(assertThrows(() => truncate(other.fd, 100), SysError).code, "EPERM");
    await service.commits(build(label, KIB));
  }
});

Deno.test("a segment for which there are no addresses is refused, and one of a terabyte costs nothing", async () => {
  const sized = (label: string, size: number): AppParts => ({
    label,
    use: `const large = await live.segment("large", { size: ${size} });`,
    routes:
      `if (path === "/last") { large.bytes[large.bytes.length - 1]++; return new Response(String(large.bytes.at(-1))); }`,
  });
  const TIB = 2 ** 40;
  await using service = await running(sized("first", TIB));
  const { app, ask } = service;
  assertEquals(await ask("/last"), "1");
  await service.refuses(sized("second", 2 ** 53 - 1), /Cannot mmap 9007199254740991 bytes of fd \d+: ENOMEM/);
  await service.commits(sized("third", TIB));
  assertEquals(await ask("/last"), "2");
  const { fd } = await descriptorOf(app, "large");
  const { blocks } = await Deno.stat(`/proc/${app.pid}/fd/${fd}`);
  assertEquals((blocks ?? 0) * 512, 4096, "one page is used");
});
