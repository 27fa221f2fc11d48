/**
 * Preflight: a build is started as a child that checks whether it would take over, on the bytes of a current segment and
 * without any of its descriptors.
 *
 * Happy path: the child reads the segment, loads the application in check mode, prints its report and exits 0. On the
 * way it fills the runtime's caches, which the jump profits from.
 *
 * Unhappy paths, none of which throws: a runtime that does not start, a child that ends without a report or with another
 * status, one that is killed, or that has not ended in time and is killed here. {@linkcode PreflightResult} says which,
 * with the end of what the child wrote to stderr. However much it prints, no more than a tail is kept.
 *
 * @module
 */
import { getPid } from "../sys/mod.ts";
import type { ImageRecord } from "./abi/image.ts";
import { formatMark, parseReport, PREFLIGHT_VARIABLE } from "./abi/preflight.ts";

/** What is kept of the child's standard output, which holds the report, in bytes. */
const OUTPUT_BYTES = 16 * 1024 * 1024;

/** What is kept of its standard error, in bytes. */
const ERROR_BYTES = 4096;

/** How long after the end of the child its pipes are read, in milliseconds: a grandchild may keep them open. */
const DRAIN_MS = 250;

/** The environment may ask for colours (`FORCE_COLOR`). */
// deno-lint-ignore no-control-regex -- that is how they begin
const COLOURS = /\x1b\[[0-9;]*m/g;

/** How a preflight ended. */
export interface PreflightResult {
  /** The report, or undefined where there was none. */
  report: unknown;
  /** Why the build would not come up, as far as the child's end tells; null when it ended as it should. */
  failure: string | null;
  /** Milliseconds from the start of the child until its end. */
  elapsedMs: number;
  /** The end of what it wrote to standard error. */
  stderr: string;
}

/**
 * Starts a build in check mode and waits for its end.
 *
 * @param image the build
 * @param segment the bytes of a segment
 * @param signal kills the child
 */
export async function preflight(
  image: ImageRecord,
  segment: Uint8Array,
  signal: AbortSignal,
): Promise<PreflightResult> {
  const begun = performance.now();
  const nonce = crypto.getRandomValues(new Uint8Array(16)).toHex();
  const result = (rest: Partial<PreflightResult>): PreflightResult => ({
    report: undefined,
    failure: null,
    elapsedMs: performance.now() - begun,
    stderr: "",
    ...rest,
  });
  let child: Deno.ChildProcess;
  try {
    child = start(image, nonce);
  } catch (error) {
    return result({ failure: `it cannot be started: ${error instanceof Error ? error.message : error}` });
  }
  const kill = (): void => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
  };
  signal.addEventListener("abort", kill);
  if (signal.aborted) kill();
  const feeding = feed(child.stdin, segment);
  const output = new Tail(child.stdout, OUTPUT_BYTES);
  const errors = new Tail(child.stderr, ERROR_BYTES);
  const status = await child.status;
  const elapsedMs = performance.now() - begun;
  signal.removeEventListener("abort", kill);
  await Promise.all([output.end(DRAIN_MS), errors.end(DRAIN_MS), feeding]);
  const stderr = errors.text.trim();
  const report = parseReport(nonce, output.text);
  return result({ report, failure: failureOf(status, report, signal.aborted), elapsedMs, stderr });
}

function start(image: ImageRecord, nonce: string): Deno.ChildProcess {
  const decoder = new TextDecoder();
  const entries = image.env.map((entry) => {
    const text = decoder.decode(entry);
    const at = text.indexOf("=", 1);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  }).filter(([name]) => name !== "");
  return new Deno.Command(image.exec, {
    args: image.argv.slice(1),
    cwd: image.cwd,
    clearEnv: true,
    env: { ...Object.fromEntries(entries), [PREFLIGHT_VARIABLE]: formatMark({ parent: getPid(), nonce }) },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** A child that ends before it has read everything is told about by its status. */
async function feed(stdin: WritableStream<Uint8Array>, bytes: Uint8Array): Promise<void> {
  const writer = stdin.getWriter();
  await writer.write(bytes).catch(() => {});
  await writer.close().catch(() => {});
}

function failureOf(status: Deno.CommandStatus, report: unknown, late: boolean): string | null {
  if (late) return "it was not ready in time";
  const how = status.signal === null ? `exit status ${status.code}` : `${status.signal}`;
  if (report === undefined) return `it ended before ready() (${how})`;
  return status.success ? null : `it said that it is ready, and ended with ${how}`;
}

/** The end of a stream. */
class Tail {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #limit: number;
  readonly #done: Promise<void>;
  #chunks: Uint8Array[] = [];
  #size = 0;

  constructor(stream: ReadableStream<Uint8Array>, limit: number) {
    this.#reader = stream.getReader();
    this.#limit = limit;
    this.#done = this.#read();
  }

  /** What is kept, as text. */
  get text(): string {
    const decoder = new TextDecoder();
    const text = this.#chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("");
    return text.replaceAll(COLOURS, "").slice(-this.#limit);
  }

  /** Reads what is there, for some milliseconds at most. */
  async end(patienceMs: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, patienceMs));
    await Promise.race([this.#done, late]);
    clearTimeout(timer);
    await this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done) return;
        this.#chunks.push(value);
        this.#size += value.byteLength;
        while (this.#size - (this.#chunks[0]?.byteLength ?? 0) >= this.#limit) {
          this.#size -= this.#chunks.shift()?.byteLength ?? 0;
        }
      }
    } catch {
      // The reader was cancelled.
    }
  }
}
