/**
 * How many requests `live.serve` answers, and how long the slowest wait, against plain `node:http` in the same run.
 *
 * Happy path: {@linkcode measureTraffic} puts the same load on both, in turn, round by round.
 *
 * 1. Each server answers as many requests as it can. The figures of a round are compared with each other.
 * 2. Both get the same requests at the same rate, a part of what the slower one of them could answer in that round. The
 *    slowest waits are rare, so those of all rounds are put together, and then compared. Why the first load does not tell
 *    how long clients wait is said in `http_load.ts`; what it finds is in the document as `saturated_p99_us`.
 *
 * Unhappy path: a server that does not answer as it should: an Error.
 *
 * @module
 */
import { freePort, startApp, waitFor } from "../../testing/mod.ts";
import { cpuMs } from "./cpu.ts";
import type { LoadFigures, LoadOrder } from "./http_load.ts";
import { median, percentile } from "./summary.ts";
import { WORKLOADS } from "./traffic.ts";

/** The load of each run. */
export const LOAD = { connections: 16, warmMs: 200, ms: 1000 } as const;

/**
 * The rate at which waits are measured, as a part of what the slower server can answer. Requests that come one by one cost a
 * server and the generator about twice what they cost when sixteen come at once, so both are busy for more than half of the
 * time; at much more the generator would be what is measured.
 */
export const RATE = 0.25;

/** How long each server is run in at first, per workload (ms). */
const RUN_IN_MS = 1500;

const SERVERS = ["live", "plain"] as const;

type ServerName = typeof SERVERS[number];

/** What one server did with one workload in one round. */
interface RoundFigures {
  /** Requests in a second. */
  readonly per_second: number;
  /** The wait that one in a hundred exceeded meanwhile (µs). */
  readonly saturated_p99_us: number;
  /** How long the server was busy with each request (µs). */
  readonly cpu_us: number;
  /** The part of the time for which it was busy: below 1 it had to wait for the generator. */
  readonly busy: number;
  /** The part of the time for which the generator was busy. */
  readonly generator_busy: number;
}

/** What one server did with one workload: medians of the rounds, but for the waits. */
export interface ServerFigures extends RoundFigures {
  /** The wait that one in a hundred exceeded at the given rate (µs), of all rounds. */
  readonly p99_us: number;
  /** The wait that half of them exceeded (µs). */
  readonly median_us: number;
  /** The part of the time for which the server was busy at that rate; median. */
  readonly paced_busy: number;
  /** The part of the time for which the generator was. */
  readonly paced_generator_busy: number;
}

/** One workload. */
export interface TrafficFigures {
  /** Its name. */
  readonly workload: string;
  /** The rate at which the waits were measured, in requests a second; median. */
  readonly rate: number;
  /** With `live.serve`. */
  readonly live: ServerFigures;
  /** With plain `node:http`. */
  readonly plain: ServerFigures;
  /** Live over plain: the median of the rounds. */
  readonly throughput_ratio: number;
  /** Live over plain: of all rounds. */
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
  const found = new Map(WORKLOADS.map(({ name }) => [name, new Rounds()]));
  for (let round = 0; round <= rounds; round++) {
    // Neither is always the first.
    const order = round % 2 === 0 ? SERVERS : SERVERS.toReversed();
    for (const [workload, all] of found) {
      const ms = round === 0 ? RUN_IN_MS : LOAD.ms;
      const most = { ...LOAD, workload, ms, perSecond: null };
      const figures = {} as Record<ServerName, RoundFigures>;
      for (const name of order) figures[name] = await saturate(generator, servers[name], most);
      const perSecond = Math.min(figures.live.per_second, figures.plain.per_second) * RATE;
      const waits = {} as Record<ServerName, Paced>;
      for (const name of order) waits[name] = await pace(generator, servers[name], { ...most, perSecond });
      if (round > 0) all.add(figures, waits, perSecond);
    }
  }
  return [...found].map(([workload, all]) => all.compare(workload));
}

async function saturate(
  generator: Generator,
  { port, pid }: Server,
  order: Omit<LoadOrder, "port">,
): Promise<RoundFigures> {
  const before = cpuMs(pid);
  const { requests, all, ms, p99Us, busy } = await generator.run({ ...order, port });
  const spent = cpuMs(pid) - before;
  return {
    per_second: requests / ms * 1000,
    saturated_p99_us: p99Us,
    cpu_us: spent / all * 1000,
    busy: spent / (ms + order.warmMs),
    generator_busy: busy,
  };
}

async function pace(
  generator: Generator,
  { port, pid }: Server,
  order: Omit<LoadOrder, "port">,
): Promise<Paced> {
  const before = cpuMs(pid);
  const { waitsUs, ms, busy } = await generator.run({ ...order, port });
  return { waitsUs, busy: (cpuMs(pid) - before) / (ms + order.warmMs), generatorBusy: busy };
}

/** What one server did at a given rate in one round. */
interface Paced {
  readonly waitsUs: readonly number[];
  readonly busy: number;
  readonly generatorBusy: number;
}

/** What the rounds of one workload have found. */
class Rounds {
  readonly #figures: Record<ServerName, RoundFigures[]> = { live: [], plain: [] };
  readonly #paced: Record<ServerName, Paced[]> = { live: [], plain: [] };
  readonly #rates: number[] = [];

  add(
    figures: Record<ServerName, RoundFigures>,
    paced: Record<ServerName, Paced>,
    rate: number,
  ): void {
    for (const name of SERVERS) {
      this.#figures[name].push(figures[name]);
      this.#paced[name].push(paced[name]);
    }
    this.#rates.push(rate);
  }

  compare(workload: string): TrafficFigures {
    const { live, plain } = this.#figures;
    const ratio = (key: keyof RoundFigures): number =>
      median(live.map((figures, round) => figures[key] / (plain[round]?.[key] ?? Number.NaN)));
    const [ours, theirs] = [this.#fold("live"), this.#fold("plain")];
    return {
      workload,
      rate: median(this.#rates),
      live: ours,
      plain: theirs,
      throughput_ratio: ratio("per_second"),
      p99_ratio: ours.p99_us / theirs.p99_us,
      cpu_ratio: ratio("cpu_us"),
    };
  }

  #fold(name: ServerName): ServerFigures {
    const of = (key: keyof RoundFigures): number => median(this.#figures[name].map((found) => found[key]));
    const paced = this.#paced[name];
    const waits = paced.flatMap(({ waitsUs }) => waitsUs);
    return {
      per_second: of("per_second"),
      saturated_p99_us: of("saturated_p99_us"),
      cpu_us: of("cpu_us"),
      busy: of("busy"),
      generator_busy: of("generator_busy"),
      p99_us: percentile(waits, 0.99),
      median_us: percentile(waits, 0.5),
      paced_busy: median(paced.map(({ busy }) => busy)),
      paced_generator_busy: median(paced.map(({ generatorBusy }) => generatorBusy)),
    };
  }
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
