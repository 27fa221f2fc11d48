/**
 * One update, as its clients see it.
 *
 * Happy path: {@linkcode observe} puts a load on a subject, updates it, waits until the next generation answers, and gives
 * what clients saw around that moment. {@linkcode observeMemory} gives what the process used meanwhile.
 *
 * Unhappy path: no answer of the next generation in time, or an update that is not committed: an Error, for then there is
 * nothing to compare.
 *
 * @module
 */
import {
  delay,
  type LoadWindow,
  residentBytes,
  sampleResident,
  startLoad,
  type UpdateRecord,
} from "../../testing/mod.ts";
import type { Subject } from "./subjects.ts";

/** How far around the first answer of the next generation requests count, in milliseconds. */
const WINDOW_MS = 1000;

/** How long the next generation may take to answer, in milliseconds. */
const PATIENCE_MS = 15_000;

/** The time between two looks at the memory, in milliseconds. */
const SAMPLE_MS = 2;

/** What one update came to. */
export interface Trial {
  /** The requests within a second of it. */
  readonly window: LoadWindow;
  /** The failures of the whole load. */
  readonly failed: number;
  /** Keep-alive connections that the server ended. */
  readonly keepAliveClosed: number;
  /** By how much the generator of the load itself was late at most, in milliseconds. */
  readonly lagMs: number;
  /** Heirloom's record, or null. */
  readonly record: UpdateRecord | null;
}

/** What an update took of memory, in bytes. */
export interface MemoryTrial {
  /** Before it. */
  readonly steady: number;
  /** The most that the process had. */
  readonly peak: number;
  /** The most that it and its children had; pages that they share count twice. */
  readonly familyPeak: number;
}

/** Updates a subject under load. */
export async function observe(subject: Subject): Promise<Trial> {
  const next = await generationOf(subject) + 1;
  const appeared = Promise.withResolvers<void>();
  let answered = false;
  await using load = startLoad({
    target: { hostname: "127.0.0.1", port: subject.port },
    check(body): string | null {
      if (!answered && Number(body) === next) {
        answered = true;
        load.mark("answered");
        appeared.resolve();
      }
      return /^\d+\n$/.test(body) ? null : `Not a generation: ${body.slice(0, 40)}`;
    },
  });
  await delay(WINDOW_MS);
  const record = subject.update();
  await Promise.all([within(appeared.promise, `${subject.name} to answer after its update`), record]);
  await delay(WINDOW_MS);
  const report = await load.stop();
  return {
    window: report.around("answered", WINDOW_MS),
    failed: report.failed,
    keepAliveClosed: report.keepAliveClosed,
    lagMs: report.generatorLagMs,
    record: committed(await record),
  };
}

/** Updates a subject under load and watches its memory. The waits of that load mean nothing. */
export async function observeMemory(subject: Subject): Promise<MemoryTrial> {
  await using load = startLoad({ target: { hostname: "127.0.0.1", port: subject.port } });
  await delay(WINDOW_MS);
  const steady = residentBytes(subject.pid);
  using process = sampleResident(subject.pid, SAMPLE_MS);
  using family = sampleResident(subject.pid, SAMPLE_MS * 4, { descendants: true });
  committed(await subject.update());
  await delay(WINDOW_MS);
  await load.stop();
  return { steady, peak: process.stop().peak, familyPeak: family.stop().peak };
}

function committed(record: UpdateRecord | null): UpdateRecord | null {
  if (record === null || record.outcome === "committed") return record;
  throw new Error(`Cannot measure the update: it ended as ${record.outcome}: ${record.reason}`);
}

async function generationOf(subject: Subject): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${subject.port}/`, { headers: { connection: "close" } });
  return Number(await response.text());
}

async function within(promise: Promise<void>, what: string): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Cannot wait for ${what}: not within ${PATIENCE_MS} ms`)),
      PATIENCE_MS,
    );
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
