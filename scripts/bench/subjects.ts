/**
 * What is measured: three servers that answer with their generation, each with a way to update it.
 *
 * Happy path: {@linkcode startHeirloom} and {@linkcode startBaseline} give a {@linkcode Subject} that serves.
 *
 * Unhappy path: one that does not serve in time, or ends, is an Error.
 *
 * @module
 */
import { freePort, startApp, type TestApp, type UpdateRecord, waitFor } from "../../testing/mod.ts";

/** A server under test. Disposing it ends it. */
export interface Subject extends AsyncDisposable {
  /** What it is called in the report. */
  readonly name: string;
  /** Its process. */
  readonly pid: number;
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  /**
   * Starts an update, and does not wait for it.
   *
   * @returns the record when the update has ended; null where nobody keeps one
   */
  update(): Promise<UpdateRecord | null>;
}

/** Flags that keep a configuration out of the measurement: it costs each of them the same. */
const DENO_ARGS = ["--no-config", "--no-lock"];

function path(module: string): string {
  return decodeURIComponent(new URL(module, import.meta.url).pathname);
}

/** The minimal application under `heirloom run`. */
export async function startHeirloom(): Promise<Subject> {
  const port = freePort();
  const app = await startApp({ entry: path("app.ts"), args: [String(port)], denoArgs: DENO_ARGS });
  return {
    name: "heirloom",
    get pid(): number {
      return app.pid;
    },
    port,
    update: () => app.upgrade(),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

/** A server that starts itself anew without Heirloom. */
export async function startBaseline(form: "floor" | "naive"): Promise<Subject> {
  const port = freePort();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...DENO_ARGS, path("baseline.ts"), form, String(port)],
    stdin: "null",
    stdout: "null",
  }).spawn();
  let ended = false;
  void child.status.then(() => ended = true);
  const subject: Subject = {
    name: form,
    pid: child.pid,
    port,
    update(): Promise<null> {
      child.kill("SIGUSR2");
      return Promise.resolve(null);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      if (!ended) child.kill("SIGKILL");
      await child.status;
    },
  };
  try {
    await waitFor(() => ended || isListening(port), { what: `${form} to serve` });
    if (ended) throw new Error(`Cannot start ${form}: it ended`);
  } catch (error) {
    await subject[Symbol.asyncDispose]();
    throw error;
  }
  return subject;
}

async function isListening(port: number): Promise<boolean> {
  using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
  return true;
}

/** What an update of an application with many files came to. */
export interface ManyFiles {
  /** How many were preserved. */
  readonly files: number;
  /** The size of the handover segment. */
  readonly segmentBytes: number;
  /** The pause in milliseconds. */
  readonly blackoutMs: number;
}

/** An application that keeps a number of memfds. */
export function startFiles(count: number): Promise<TestApp> {
  return startApp({ entry: path("files_app.ts"), args: [String(count)], denoArgs: DENO_ARGS });
}

/** Updates an application that keeps a number of memfds. */
export async function measureFiles(count: number): Promise<ManyFiles> {
  await using app = await startFiles(count);
  // The first record carries no history yet; the second does.
  await app.upgrade();
  const record = await app.upgrade();
  if (record.outcome !== "committed") {
    throw new Error(`Cannot update an application with ${count} files: ${record.outcome}: ${record.reason}`);
  }
  const { files, segment_bytes: segmentBytes, blackout_ms: blackoutMs } = record;
  return { files, segmentBytes, blackoutMs: blackoutMs ?? Number.NaN };
}
