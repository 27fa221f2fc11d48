/**
 * What `bench_luo.ts` starts: one process that preserves memfds, jumps to itself with nothing but `luo/` and `kho/`, takes
 * everything back, and says how long each step took. No `live/`, no guardian: what is measured is the handover itself.
 *
 * Happy path: the first image prints its line just before the jump, the second one its own behind the last `finish`.
 *
 * Unhappy path: anything that fails is thrown, and the process ends with 1.
 *
 * @module
 */
import { memfdHandler } from "../../handlers/memfd.ts";
import { captureImage } from "../../kho/image.ts";
import { takeOver } from "../../kho/incoming.ts";
import { Journal } from "../../kho/journal.ts";
import { buildSegment } from "../../kho/segment_build.ts";
import { Device } from "../../luo/device.ts";
import { orchestrator, receiveHandover } from "../../luo/process.ts";
import { reboot } from "../../luo/reboot.ts";
import {
  commandLine,
  createMemfd,
  dupFd,
  fstat,
  getLimit,
  monotonicNs,
  setCloexec,
  setLimit,
} from "../../sys/mod.ts";

/** What an image says. */
export interface StepTimes {
  /** `CLOCK_MONOTONIC` at the end of each step, in nanoseconds, as text; `start` is the beginning. */
  [step: string]: string | number;
}

/** How many files are open twice at once: there may be no more than twenty thousand descriptors. */
const CHUNK = 500;

const [files = 0, sessions = 0] = Deno.args.map(Number);
const times: StepTimes = {};
const stamp = (step: string): void => void (times[step] = monotonicNs().toString());

stamp("start");
const incoming = await takeOver();
stamp("takeover");
const luo = incoming === null ? orchestrator() : receiveHandover(incoming);
luo.registry.register(memfdHandler);
if (incoming === null) await prepare();
else finish();

/** The first image: preserve, freeze, serialise, jump. */
async function prepare(): Promise<never> {
  const limit = getLimit("nofile");
  setLimit("nofile", { ...limit, soft: limit.hard });
  const device = Device.open(luo);
  const open = Array.from({ length: sessions }, (_, index) => device.createSession(`session-${index}`));
  let preserving = 0n;
  for (let index = 0; index < files; index += CHUNK) {
    const made = Array.from(
      { length: Math.min(CHUNK, files - index) },
      () => createMemfd("bench", { size: 1 }),
    );
    const begin = monotonicNs();
    made.forEach((file, at) => open[(index + at) % sessions]?.preserveFd(file, BigInt(index + at)));
    preserving += monotonicNs() - begin;
    for (const file of made) file[Symbol.dispose]();
  }
  times["preserve_ns"] = Number(preserving);
  const image = captureImage({
    argv: commandLine(),
    entry: new URL(import.meta.url).pathname,
    config: null,
    version: null,
    names: { entry: null, exec: null },
    previous: null,
  });
  measureBaseline();
  await new Promise((resolve) => setTimeout(resolve, 0));
  stamp("begin");
  reboot(luo, {
    image,
    next: image,
    journal: Journal.create(),
    inherited: [],
    count: 0n,
    subtrees: () => (stamp("freeze"), []),
    build: buildSegment,
    written(segment) {
      stamp("serialise");
      console.log(JSON.stringify({ ...times, bytes: segment.bytes }));
    },
  });
}

/** The second image: deserialise, retrieve, finish. */
function finish(): void {
  const device = Device.open(luo);
  stamp("deserialise");
  const found = Array.from({ length: sessions }, (_, index) => device.retrieveSession(`session-${index}`));
  let back = 0;
  for (const session of found) {
    for (const { token } of session.files()) {
      session.retrieveFd(token)[Symbol.dispose]();
      back++;
    }
  }
  stamp("retrieve");
  for (const session of found) session.finish();
  incoming?.commit();
  stamp("finish");
  if (back !== files) throw new Error(`Cannot measure: ${back} files came back of ${files}`);
  console.log(JSON.stringify(times));
}

/** The same system calls as a handover of these files needs, and nothing else. */
function measureBaseline(): void {
  const numbers = luo.sessions().flatMap((session) => session.files().map(({ fd }) => fd ?? -1));
  const begin = monotonicNs();
  for (const fd of numbers) {
    fstat(fd);
    setCloexec(fd, false);
  }
  for (const fd of numbers) {
    fstat(fd);
    setCloexec(fd, true);
    dupFd(fd)[Symbol.dispose]();
  }
  times["baseline_ns"] = Number(monotonicNs() - begin);
}
