/**
 * How many requests `live.serve` answers, and how long the slowest wait, against plain `node:http` in the same run.
 *
 * Happy path: {@linkcode measureTraffic} puts the same load on both, in turn, round by round. Each figure is compared with
 * that of the same round.
 *
 * Unhappy path: a server that does not answer as it should: an Error.
 *
 * @module
 */
import { freePort, startApp, waitFor } from "../../testing/mod.ts";
import { cpuMs } from "./cpu.ts";
import type { LoadFigures, LoadOrder } from "./http_load.ts";
import { median } from "./summary.ts";
import { WORKLOADS } from "./traffic.ts";

/** The load of each run. */
export const LOAD = { connections: 16, warmMs: 200, ms: 1000 } as const;

/** How long each server is run in at first, per workload (ms). */
const RUN_IN_MS = 1500;

const SERVERS = ["live", "plain"] as const;

type ServerName = typeof SERVERS[number];

/** What one server did with one workload; medians. */
export interface ServerFigures {
  /** Requests in a second. */
  readonly per_second: number;
  /** The wait that one in a hundred exceeded (µs). */
  readonly p99_us: number;
  /** How long the server was busy with each request (µs). */
  readonly cpu_us: number;
  /** The part of the time for which it was busy: below 1 it had to wait for the generator. */
  readonly busy: number;
  /** The part of the time for which the generator was busy. */
  readonly generator_busy: number;
}

/** One workload. */
export interface TrafficFigures {
  /** Its name. */
  readonly workload: string;
  /** With `live.serve`. */
  readonly live: ServerFigures;
  /** With plain `node:http`. */
  readonly plain: ServerFigures;
  /** Live over plain: the median of the rounds. */
  readonly throughput_ratio: number;
  /** Live over plain: the median of the rounds. */
  readonly p99_ratio: number;
  /** Live over plain: the median of the rounds. */
  readonly cpu_ratio: number;
}

/** A server under load. */
interface Server {
  readonly port: number;
  readonly pid: number;
}

/**
 * Measures.
 *
 * @param rounds how often
 * @param started what is started is ended behind it
 * @returns the figures, in the order of the workloads
 */
export async function measureTraffic(
  rounds: number,
  started: AsyncDisposableStack,
): Promise<TrafficFigures[]> {
  const servers: Record<ServerName, Server> = {
    live: await startLive(started),
    plain: await startPlain(started),
  };
  const generator = started.use(new Generator());
  const found = new Map(
    WORKLOADS.map(({ name }) => [name, { live: [], plain: [] } as Record<ServerName, ServerFigures[]>]),
  );
  for (let round = 0; round <= rounds; round++) {
    // Neither is always the first.
    const order = round % 2 === 0 ? SERVERS : SERVERS.toReversed();
    for (const { name: workload } of WORKLOADS) {
      for (const server of order) {
        const ms = round === 0 ? RUN_IN_MS : LOAD.ms;
        const figures = await measure(generator, servers[server], {
          ...LOAD,
          workload,
          port: servers[server].port,
          ms,
        });
        if (round > 0) found.get(workload)?.[server].push(figures);
      }
    }
  }
  return WORKLOADS.map(({ name }) =>
    compare(name, found.get(name)?.live ?? [], found.get(name)?.plain ?? [])
  );
}

async function measure(generator: Generator, server: Server, order: LoadOrder): Promise<ServerFigures> {
  const before = cpuMs(server.pid);
  const { requests, all, ms, p99Us, busy } = await generator.run(order);
  const spent = cpuMs(server.pid) - before;
  return {
    per_second: requests / ms * 1000,
    p99_us: p99Us,
    cpu_us: spent / all * 1000,
    busy: spent / (ms + order.warmMs),
    generator_busy: busy,
  };
}

function compare(
  workload: string,
  live: readonly ServerFigures[],
  plain: readonly ServerFigures[],
): TrafficFigures {
  const ratio = (key: keyof ServerFigures): number =>
    median(live.map((figures, round) => figures[key] / (plain[round]?.[key] ?? Number.NaN)));
  return {
    workload,
    live: medians(live),
    plain: medians(plain),
    throughput_ratio: ratio("per_second"),
    p99_ratio: ratio("p99_us"),
    cpu_ratio: ratio("cpu_us"),
  };
}

function medians(found: readonly ServerFigures[]): ServerFigures {
  const of = (key: keyof ServerFigures): number => median(found.map((figures) => figures[key]));
  return {
    per_second: of("per_second"),
    p99_us: of("p99_us"),
    cpu_us: of("cpu_us"),
    busy: of("busy"),
    generator_busy: of("generator_busy"),
  };
}

const DENO_ARGS = ["--no-config", "--no-lock"];

function path(module: string): string {
  return decodeURIComponent(new URL(module, import.meta.url).pathname);
}

async function startLive(started: AsyncDisposableStack): Promise<Server> {
  const port = freePort();
  const app = started.use(
    await startApp({ entry: path("traffic_app.ts"), args: [String(port)], denoArgs: DENO_ARGS }),
  );
  return { port, pid: app.pid };
}

async function startPlain(started: AsyncDisposableStack): Promise<Server> {
  const port = freePort();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...DENO_ARGS, path("traffic_plain.ts"), String(port)],
    stdin: "null",
    stdout: "null",
  }).spawn();
  started.defer(async () => {
    child.kill("SIGKILL");
    await child.status;
  });
  await waitFor(() => isListening(port), { what: "plain node:http to serve" });
  return { port, pid: child.pid };
}

async function isListening(port: number): Promise<boolean> {
  using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
  return true;
}

/** The generator's process. */
class Generator implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array>;
  readonly #figures: ReadableStreamDefaultReader<string>;

  constructor() {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", ...DENO_ARGS, path("http_load.ts")],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#orders = this.#child.stdin.getWriter();
    this.#figures = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async run(order: LoadOrder): Promise<LoadFigures> {
    await this.#orders.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
    let line = "";
    while (!line.endsWith("\n")) {
      const { value } = await this.#figures.read();
      if (value === undefined) throw new Error(`Cannot measure "${order.workload}": the generator has ended`);
      line += value;
    }
    return JSON.parse(line) as LoadFigures;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#orders.close().catch(() => {});
    await this.#child.status;
  }
}
