import { assertEquals, assertMatch } from "@std/assert";
import { Mapping, openFile } from "../../sys/mod.ts";
import { descriptors, heirloomRoot, startApp, type TestApp, waitFor } from "../../testing/mod.ts";
import {
  ARENA_BYTES,
  type ArenaAppOptions,
  type ArenaReport,
  contentOf,
  SESSIONS,
  sizeOf,
} from "./_arena_app.ts";
import { type Builds, builds } from "./_fixtures.ts";

/** Writes a build. */
function write(all: Builds, options: ArenaAppOptions): Promise<string> {
  const app = `file://${heirloomRoot()}/tests/update/_arena_app.ts`;
  const text = `import { runArenaApp } from "${app}";\nawait runArenaApp(${JSON.stringify(options)});\n`;
  return all.write(options.label, text);
}

/** Waits for the report of a start. */
async function reportOf(app: TestApp, start: number): Promise<ArenaReport> {
  return await waitFor(() => {
    const line = app.output().stdout.split("\n").filter((each) => each.startsWith("{"))[start];
    return line === undefined ? undefined : JSON.parse(line) as ArenaReport;
  }, { what: `start ${start}`, timeoutMs: 30_000 });
}

/** The arena of a process, mapped by this one. */
function mapArena(pid: number, fd: number): Mapping {
  using file = openFile(`/proc/${pid}/fd/${fd}`, { read: true, write: true });
  return Mapping.map(file.fd, ARENA_BYTES, { writable: true });
}

/** Asserts what is in the slices, as somebody sees it who has mapped the arena. */
function assertContent({ bytes }: Mapping, { slices }: ArenaReport): void {
  for (const [session, places] of Object.entries(slices)) {
    for (const [at, [offset, size]] of places.entries()) {
      assertEquals(size, sizeOf(session, at));
      assertEquals(bytes.slice(offset, offset + size), contentOf(session, at), `${session} ${at}`);
    }
  }
}

/** How many descriptors of the arena the service has. */
function arenaFds(pid: number): number {
  return descriptors(pid).filter(({ description }) => description.includes("heirloom-arena")).length;
}

const COUNT = Object.values(SESSIONS).reduce((sum, each) => sum + each);

Deno.test("an arena with fifty slices in three sessions crosses as one descriptor, again and again", async () => {
  await using all = builds();
  await using app = await startApp({ entry: await write(all, { label: "v1" }) });
  const first = await reportOf(app, 0);
  const { pid } = app;
  using watched = mapArena(pid, first.fd);
  assertContent(watched, first);
  assertEquals([COUNT, first.crossed, arenaFds(pid)], [50, null, 2 * COUNT + 1]);
  const sessions = (await app.sessions()).filter(({ name }) => name in SESSIONS);
  assertEquals(sessions.map(({ name, files }) => [name, files.length]), Object.entries(SESSIONS));

  for (const [at, label] of ["v2", "v3", "v4"].entries()) {
    const record = await app.upgrade({ build: await write(all, { label }) });
    assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
    assertEquals([record.pid, record.generation], [pid, at + 1]);
    const report = await reportOf(app, at + 1);
    // Nothing but the number of its descriptor may differ.
    assertEquals(report, { ...first, label, generation: at + 1, fd: report.fd, crossed: 1 });
    assertContent(watched, report);
    using now = mapArena(pid, report.fd);
    assertContent(now, report);
    // It is the same memory, for those who watched all the time too.
    now.bytes[ARENA_BYTES - 1] = at + 100;
    assertEquals(watched.bytes[ARENA_BYTES - 1], at + 100);
    await waitFor(() => arenaFds(pid) === 2 * COUNT + 1, { what: "the descriptors of the arena" });
  }
});

Deno.test("a build that fails leaves all slices to the one before, although it filled what was free", async () => {
  await using all = builds();
  await using app = await startApp({ entry: await write(all, { label: "v1" }) });
  const first = await reportOf(app, 0);
  const { pid } = app;
  using watched = mapArena(pid, first.fd);

  const record = await app.upgrade({ build: await write(all, { label: "bad", fails: true }) });
  assertEquals(record.outcome, "rolled-back", app.output().stderr);
  assertMatch(record.reason ?? "", /out of order, with 0 bytes free/);
  const back = await reportOf(app, 1);
  assertEquals(back, { ...first, fd: back.fd, crossed: 1 });
  assertContent(watched, back);
  using now = mapArena(pid, back.fd);
  assertContent(now, back);
  assertEquals(now.bytes[ARENA_BYTES - 1], 0xee, "the build that failed did write");
  assertEquals((await app.status()).pid, pid);

  const next = await app.upgrade({ build: await write(all, { label: "v2" }) });
  assertEquals([next.outcome, next.generation], ["committed", 1], app.output().stderr);
  const last = await reportOf(app, 2);
  assertEquals(last, { ...first, label: "v2", generation: 1, fd: last.fd, crossed: 1 });
  assertContent(watched, last);
  await waitFor(() => arenaFds(pid) === 2 * COUNT + 1, { what: "the descriptors of the arena" });
});

Deno.test("what no session holds at the update is free in the next build", async () => {
  await using all = builds();
  await using app = await startApp({ entry: await write(all, { label: "v1", forgets: "green" }) });
  const first = await reportOf(app, 0);
  const record = await app.upgrade({ build: await write(all, { label: "v2" }) });
  assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
  const second = await reportOf(app, 1);
  const { red, blue, green } = first.slices;
  assertEquals(second.slices, { red: red!, green: [], blue: blue! });
  const units = green!.reduce((sum, [, size]) => sum + Math.ceil(size / 64), 0);
  assertEquals(second.free, first.free + units * 64);
  using now = mapArena(app.pid, second.fd);
  assertContent(now, second);
});

Deno.test("a check of a build sees slices, and the service does not", async () => {
  await using all = builds();
  await using app = await startApp({ entry: await write(all, { label: "v1" }) });
  const first = await reportOf(app, 0);
  using watched = mapArena(app.pid, first.fd);
  const report = await app.check({ build: await write(all, { label: "bad", fails: true }) });
  const tokens = report.tokens.filter(({ compatible }) => compatible === "arena-slice-v1");
  assertEquals([report.ok, tokens.length, report.reason ?? null], [true, COUNT, null]);
  assertEquals(tokens.filter(({ verdict }) => verdict !== "ok"), []);
  assertContent(watched, first);
  assertEquals(arenaFds(app.pid), 2 * COUNT + 1);
});
