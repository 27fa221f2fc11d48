/**
 * What happens in the demonstration, from the first line to the report.
 *
 * Happy path: {@linkcode play} starts the service, fills its memory, puts load on it, updates it three times, tries the
 * build that breaks, and looks at what is left.
 *
 * Unhappy paths: what did not survive is in the report; only what keeps the demonstration from going on is thrown.
 *
 * @module
 */
import {
  delay,
  freePort,
  heirloomRoot,
  type Load,
  snapshot,
  type TestApp,
  type UpdateRecord,
} from "../../testing/mod.ts";
import { duration, size } from "../../service/text.ts";
import { type Evidence, judge } from "./checks.ts";
import { readAccessLog } from "./log_check.ts";
import type { Narrator } from "./narrator.ts";
import { fillSegment, hashSegment, type SegmentTarget } from "./segment.ts";
import type { Stage } from "./stage.ts";
import { Talkers } from "./talkers.ts";
import type { DemoReport, UpdateReport } from "./types.ts";

/** Bytes of the shared memory. */
const SEGMENT_BYTES = 64 * 1024 * 1024;

/** The keep-alive clients, each with a request in this many milliseconds, and the new connections a second. */
const CLIENTS = { keepAlive: 8, keepAlivePeriodMs: 20, newPerSecond: 100 } as const;

/** How many updates are to succeed. */
const UPDATES = 3;

/** How far around an update the waits of clients are looked at, in milliseconds. */
const WINDOW_MS = 1000;

/** Seconds that an update may take. */
const UPDATE_SECONDS = 10;

const NAME = "demo";

/**
 * Plays it.
 *
 * @param stage what is started is started here
 * @param narrator told what happens
 * @returns the report
 * @throws {Error} when the service or a build cannot be made
 */
export async function play(stage: Stage, narrator: Narrator): Promise<DemoReport> {
  const begun = performance.now();
  const version = await versionHere();
  narrator.title(`Heirloom ${version} replaces a service in place, while it is in use`);

  narrator.begin("service", "starting");
  const log = `${stage.dir}/access.log`;
  const token = crypto.randomUUID();
  await Deno.writeTextFile(`${stage.dir}/token`, token, { mode: 0o600 });
  const app = await stage.service([
    ...["--http", "127.0.0.1:0", "--http-token-file", `${stage.dir}/token`, "--access-log", log],
  ]);
  const target: SegmentTarget = { ...addressOf(app), token, name: NAME };
  narrator.end(`pid ${app.pid}, http://${target.hostname}:${target.port}/`);

  narrator.begin("memory", `filling a segment of ${size(SEGMENT_BYTES)}`);
  const hash = await fillSegment(target, SEGMENT_BYTES);
  narrator.end(`SHA-256 ${hash.slice(0, 16)}...`);

  narrator.begin("builds", "copying this tree");
  const versions = Array.from({ length: UPDATES + 1 }, (_, index) => bumped(version, index + 1));
  const builds: string[] = [];
  for (const next of versions) builds.push(await stage.build(next));
  await breakBuild(builds[UPDATES]!);
  narrator.end(`${versions.slice(0, UPDATES).join(", ")}; ${versions[UPDATES]} throws when it takes over`);

  narrator.begin("talk", "an event stream, a WebSocket, an echo, a full pipe, a child");
  const [httpPort, echoPort] = [freePort(), freePort()];
  const talk = await stage.application(TALK(heirloomRoot()), [`${httpPort},${echoPort}`]);
  const talkers = stage.use(await Talkers.start(httpPort, echoPort));
  narrator.end(`pid ${talk.pid}, clients that never hang up, a child that counts`);

  const before = await snapshot(app);
  narrator.begin(
    "load",
    `${CLIENTS.keepAlive} keep-alive clients, ${CLIENTS.newPerSecond} new connections/s`,
  );
  const answer = JSON.stringify({ name: NAME, size: SEGMENT_BYTES });
  const load = stage.load({
    target,
    path: `/v1/segments/${NAME}`,
    check: (body) => body.trim() === answer ? null : `Another answer: ${body.slice(0, 80)}`,
    ...CLIENTS,
  });
  await delay(WINDOW_MS);
  narrator.end(`${load.answered} requests answered so far`);

  const talks: string[] = [];
  const updates: { report: Omit<UpdateReport, "longest_wait_ms">; windowMs: number }[] = [];
  for (const [index, build] of builds.entries()) {
    const from = index === UPDATES ? versions[UPDATES - 1]! : [version, ...versions][index]!;
    narrator.begin(`update ${index + 1}`, `${from} to ${versions[index]}`);
    const update = await upgrade(stage, app, load, build, versions[index]!);
    narrator.end(told(update.report, from));
    updates.push(update);
    talks.push(await outcomeOf(stage, talk, TALK(build)));
    await delay(update.windowMs);
  }

  narrator.begin("reading", "ending the load, reading everything back");
  const report = await load.stop();
  const evidence: Evidence = {
    talks: await talkers.stop(),
    talkOutcomes: talks,
    hash: { before: hash, after: await hashSegment(target) },
    load: report,
    keepAlive: CLIENTS.keepAlive,
    updates: updates.map(({ report }) => report),
    committing: UPDATES,
    // The load asks for this path and nobody else does; two requests filled the memory, and one read it.
    log: await readAccessLog(log, `GET /v1/segments/${NAME}`),
    otherRequests: 3,
    before,
    after: await snapshot(app),
    status: await app.status(),
    version: versions[UPDATES - 1]!,
    processes: app.processes().length,
  };
  narrator.end("done");
  const checks = judge(evidence);
  return {
    ok: checks.every(({ held }) => held),
    checks,
    updates: updates.map(({ report: update, windowMs }) => ({
      ...update,
      longest_wait_ms: report.around(update.version, windowMs).longestWaitMs,
    })),
    requests: {
      sent: report.sent,
      answered: report.answered,
      failed: report.failed,
      connections: report.connects,
      keep_alive_closed: report.keepAliveClosed,
      p50_ms: report.p50Ms,
      p99_ms: report.p99Ms,
      failures: report.failures.map((each) => `${each.kind}: ${each.reason}: ${each.detail}`),
    },
    pid: evidence.status.pid,
    generation: evidence.status.generation,
    segment: { bytes: SEGMENT_BYTES, sha256: hash },
    elapsed_ms: Math.round(performance.now() - begun),
  };
}

/** A build that passes the check, for else it would be refused before it could break anything. */
const BREAK = `if (!Deno.env.has("HEIRLOOM_PREFLIGHT")) throw new Error("this build is broken on purpose");
`;

/** Makes a build break where it takes over, and only there. */
async function breakBuild(build: string): Promise<void> {
  const entry = `${build}/main.ts`;
  for (const module of [entry, TALK(build)]) {
    await Deno.writeTextFile(module, `${BREAK}${await Deno.readTextFile(module)}`);
  }
}

/** The second service in a tree. */
const TALK = (tree: string): string => `${tree}/scripts/demo/talk.ts`;

/** Updates the second service as well; its clients notice if anything is wrong with that. */
async function outcomeOf(stage: Stage, talk: TestApp, build: string): Promise<string> {
  const { stdout, stderr } = await stage.cli(talk, [
    ...["upgrade", "--json", "--build", build, "--timeout", String(UPDATE_SECONDS)],
  ]);
  if (stdout.trim() === "") {
    throw new Error(`Cannot update the second service: ${stderr.trim() || "no word"}`);
  }
  return (JSON.parse(stdout) as UpdateRecord).outcome ?? "none";
}

async function upgrade(
  stage: Stage,
  app: TestApp,
  load: Load,
  build: string,
  version: string,
): Promise<{ report: Omit<UpdateReport, "longest_wait_ms">; windowMs: number }> {
  const begun = performance.now();
  const result = await stage.cli(app, [
    ...["upgrade", "--json", "--build", build, "--timeout", String(UPDATE_SECONDS)],
  ]);
  load.mark(version);
  const windowMs = Math.max(WINDOW_MS, performance.now() - begun);
  if (result.stdout.trim() === "") {
    throw new Error(
      `Cannot update to ${version}: exit code ${result.code}: ${result.stderr.trim() || "no word"}`,
    );
  }
  const record = JSON.parse(result.stdout) as UpdateRecord;
  const report = {
    version,
    outcome: record.outcome ?? "none",
    exit_code: result.code,
    generation: record.generation,
    blackout_ms: record.blackout_ms,
    reason: record.reason,
  };
  return { report, windowMs };
}

function told(
  { outcome, blackout_ms, generation }: Omit<UpdateReport, "longest_wait_ms">,
  from: string,
): string {
  const pause = blackout_ms === null ? "" : `, pause ${duration(blackout_ms)}`;
  if (outcome === "committed") return `committed, generation ${generation}${pause}`;
  return outcome === "rolled-back" ? `rolled back, ${from} serves again${pause}` : `${outcome}${pause}`;
}

/** The service says where it listens, for the port was free and not known before. */
function addressOf(app: TestApp): { hostname: string; port: number } {
  const url = /serving (http:\/\/\S+)/.exec(app.output().stdout)?.[1];
  if (url === undefined) throw new Error("Cannot find the service: it did not say where it listens");
  const { hostname, port } = new URL(url);
  return { hostname, port: Number(port) };
}

async function versionHere(): Promise<string> {
  const config = JSON.parse(await Deno.readTextFile(`${heirloomRoot()}/deno.json`)) as { version: string };
  return config.version;
}

/** A later version: the last number grows. */
function bumped(version: string, by: number): string {
  const [base = version] = version.split(/[-+]/);
  const parts = base.split(".").map(Number);
  parts[parts.length - 1]! += by;
  return parts.join(".");
}
