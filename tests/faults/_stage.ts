/**
 * Plays one row of the matrix on a service under load, and checks from outside what became of it.
 *
 * Happy path: the update ends as the row says, nobody noticed more than the row allows, and a good update commits.
 *
 * Unhappy paths: anything else is an error that says what was wrong.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type UpdateRecord, waitFor } from "../../testing/mod.ts";
import { Scene } from "./_scene.ts";
import type { Service } from "./_service.ts";
import { AVAILABLE, type Row, type Verdict } from "./_types.ts";

/** Seconds until the deadline of an update where a row says nothing. */
const DEADLINE_S = 30;

/** Milliseconds within which a verdict must be known that nobody waited for. */
const VERDICT_MS = 60_000;

/** What a row came to. */
export interface Played {
  /** How the update ended. */
  readonly outcome: Verdict;
  /** Why. */
  readonly reason: string | null;
  /** Requests that failed, all of them allowed. */
  readonly failed: number;
}

/** What was learned of an update; without a record the verdict is lost. */
interface Learned {
  readonly record: UpdateRecord | null;
}

/**
 * Plays a row.
 *
 * @param service a service that serves a good build
 * @param row the row
 * @throws {Error} when something is not as it should be
 */
export async function play(service: Service, row: Row): Promise<Played> {
  const scene = new Scene(service, await service.write(row.build));
  if (row.setAside === true) await scene.setAside();
  await row.prepare?.(scene);
  await using load = await service.load(row.path);
  let record: UpdateRecord | null;
  try {
    ({ record } = await (row.run === undefined ? update(scene, row) : row.run(scene).then(found)));
    assertVerdict(record, row);
  } finally {
    scene.release();
    // Also for a row that failed: what it did outside of the service must not stay.
    await row.restore?.(scene);
  }
  if (row.ends !== undefined) {
    await assertEnded(service, row.ends);
    return played(record, await service.judge(load, row.allowed, row.path));
  }
  if (record?.outcome === "committed") service.committed(scene.build.label);
  await assertTold(service, record);
  await row.afterwards?.(scene);
  await service.answered(load);
  const failed = await service.judge(load, row.allowed, row.path);
  await service.holds(row.allowed === undefined || row.path === "/");
  await service.kept(record?.outcome === "recovered");
  await goOn(service);
  return played(record, failed);
}

function played(record: UpdateRecord | null, failed: number): Played {
  return { outcome: record?.outcome ?? "none", reason: record?.reason ?? null, failed };
}

/** A good update commits, whatever was before it. */
async function goOn(service: Service): Promise<void> {
  await using load = await service.load();
  const { label, entry } = service.other;
  const record = await service.app.upgrade({ build: entry });
  assertEquals([record.outcome, record.reason], ["committed", null], "the good update afterwards");
  service.committed(label);
  await service.answered(load);
  await service.judge(load);
  await service.holds(true);
  await service.kept();
}

async function update(scene: Scene, row: Row): Promise<Learned> {
  const { outside } = row;
  const label = outside?.at === "quiescing" ? scene.service.label : scene.build.label;
  if (outside !== undefined) scene.hold(label, outside.at);
  const asked = row.cli === undefined ? askApi(scene, row) : askCli(scene, row, row.cli);
  if (outside === undefined) return await asked;
  const early = asked.then((learned) => {
    throw new Error(`the update ended before "${outside.at}": ${JSON.stringify(learned.record)}`);
  });
  // Once the moment has come, the end of the update is no surprise.
  early.catch(() => {});
  await Promise.race([scene.reached(label, outside.at), early]);
  await outside.act(scene);
  if (outside.keepHeld !== true) scene.release();
  return await asked;
}

async function askApi(scene: Scene, row: Row): Promise<Learned> {
  const { app } = scene.service;
  try {
    const request = row.request?.(scene) ?? { build: scene.build.entry };
    const guardian = row.unguarded === true ? { guardian: false } : {};
    return found(await app.upgrade({ ...request, ...guardian, timeoutS: row.timeoutS ?? DEADLINE_S }));
  } catch (error) {
    if (row.ends !== undefined && /no process of the service is left/.test(String(error))) return found(null);
    throw error;
  }
}

async function askCli(scene: Scene, row: Row, more: readonly string[]): Promise<Learned> {
  const { app } = scene.service;
  const known = (await app.history()).at(-1)?.id;
  const { build, deno } = row.request?.(scene) ?? { build: scene.build.entry };
  const cli = scene.startCli("upgrade", [
    ...build === undefined ? [] : ["--build", build],
    ...deno === undefined ? [] : ["--deno", deno],
    ...row.unguarded === true ? ["--no-guardian"] : [],
    ...["--timeout", String(row.timeoutS ?? DEADLINE_S), "--json", ...more],
  ]);
  const { code, stdout, stderr } = await cli.ended;
  if (code === 137) return found(await lastRecord(scene.service, known));
  if (code === 4) return found(null);
  const record = JSON.parse(stdout) as UpdateRecord;
  assertEquals(code, record.outcome === "committed" ? 0 : 1, "the exit code of the command line");
  if (record.reason !== null) {
    assert(stderr.includes(record.reason), `the reason is not on stderr: ${stderr}`);
  }
  return found(record);
}

/** The record of an update for which nobody waits any more. */
async function lastRecord(service: Service, known: string | undefined): Promise<UpdateRecord> {
  return await waitFor(async () => {
    const last = (await service.app.history()).at(-1);
    return last !== undefined && last.id !== known && last;
  }, { what: "the verdict of the update", timeoutMs: VERDICT_MS });
}

function found(record: UpdateRecord | null): Learned {
  return { record };
}

function assertVerdict(record: UpdateRecord | null, row: Row): void {
  const outcome = record?.outcome ?? "none";
  assert(
    row.expect.includes(outcome),
    `${outcome} instead of ${row.expect.join(" or ")}: ${record?.reason ?? "committed"}`,
  );
  if (row.reason !== undefined) assertMatch(record?.reason ?? "", row.reason, "the reason");
  const { guardian } = (record ?? {}) as { guardian?: string };
  if (row.guardian !== undefined && AVAILABLE.has("guardian")) {
    assertMatch(guardian ?? "", row.guardian, "the record's guardian");
  }
}

/** The service itself tells the same, and so does the next build. */
async function assertTold(service: Service, record: UpdateRecord | null): Promise<void> {
  const told = (await service.app.history()).at(-1);
  assertEquals([told?.id, told?.outcome, told?.reason], [record?.id, record?.outcome, record?.reason]);
  const { pid } = await service.app.status();
  assertEquals(record?.pid, pid, "the record names another process");
}

async function assertEnded(service: Service, ends: NonNullable<Row["ends"]>): Promise<void> {
  const exit = await service.app.exited;
  if (ends.code !== undefined) assertEquals(exit.code, ends.code, "the exit status of the service");
  if (ends.signal !== undefined) assertEquals(exit.signal, ends.signal, "the signal that ended the service");
  await service.gone();
}
