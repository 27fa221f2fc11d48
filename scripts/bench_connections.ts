/**
 * Measures what connections cost: the pause of an update that carries them, and what `live.serve` adds to `node:http`
 * while there is no update.
 *
 *     deno task bench:connections [--rounds N] [--json]
 *
 * Happy path: two tables (with `--json` one document), exit 0.
 *
 * Unhappy paths: a pause that grows by more than it may, or a server that is slower than it may be: exit 1; so is an update
 * that does not commit, or a connection that does not survive it. SIGINT and SIGTERM: everything is ended, and the exit
 * status is 128 and the signal's number.
 *
 * @module
 */
import { type BenchOptions, runBench } from "./bench/command.ts";
import { type Crowd, measurePauses, type PauseFigures } from "./bench/pauses.ts";
import { LOAD, measureTraffic, RATE, type ServerFigures, type TrafficFigures } from "./bench/throughput.ts";
import { WORKLOADS } from "./bench/traffic.ts";
import { columns, strong } from "../service/text.ts";

const DEFAULT_ROUNDS = 9;

const CROWDS: readonly Crowd[] = [
  ...[0, 100, 1_000, 5_000].map((connections) => ({ connections, kind: "idle" } as const)),
  { connections: 1_000, kind: "streams" },
];

const LIMITS = {
  /** The pause with so many connections, as a multiple of that with none. */
  pause: { connections: 1_000, ratio: 1.5 },
  /** `live.serve` over plain `node:http`. */
  traffic: { workload: "hello", throughput: 0.95, p99: 1 / 0.95 },
} as const;

/**
 * Runs the benchmark.
 *
 * @param args the flags
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  return await runBench("bench_connections", args, DEFAULT_ROUNDS, async (options, started) => {
    const traffic = await alone(started, (own) => measureTraffic(options.rounds, own));
    const pauses = await alone(started, (own) => measurePauses(CROWDS, options.rounds, own));
    const met = pauses.every(isShort) && traffic.every(isFast);
    return {
      document: { rounds: options.rounds, pauses, traffic, limits: LIMITS, met },
      text: report(options, pauses, traffic),
      met,
    };
  });
}

/** What one half has started is ended before the other begins. */
async function alone<T>(
  started: AsyncDisposableStack,
  measure: (own: AsyncDisposableStack) => Promise<T>,
): Promise<T> {
  const own = started.use(new AsyncDisposableStack());
  const result = await measure(own);
  await own.disposeAsync();
  return result;
}

/** Is there a limit for so many? What an application keeps about each event stream is no matter of the connection. */
function isLimited({ connections, kind }: PauseFigures): boolean {
  return kind === "idle" && connections === LIMITS.pause.connections;
}

function isShort(figures: PauseFigures): boolean {
  return !isLimited(figures) || figures.ratio <= LIMITS.pause.ratio;
}

function isFast({ workload, throughput_ratio, p99_ratio }: TrafficFigures): boolean {
  const { traffic } = LIMITS;
  return workload !== traffic.workload ||
    (throughput_ratio >= traffic.throughput && p99_ratio <= traffic.p99);
}

function report(
  { rounds }: BenchOptions,
  pauses: readonly PauseFigures[],
  traffic: readonly TrafficFigures[],
): string {
  const pauseRows = pauses.map((figures) => [
    `${figures.connections} ${figures.kind === "idle" ? "connections" : "event streams"}`,
    figures.blackout_ms.toFixed(1),
    `${figures.min_ms.toFixed(1)}-${figures.max_ms.toFixed(1)}`,
    figures.ratio.toFixed(2),
    isLimited(figures) ? verdict(isShort(figures), `at most ${LIMITS.pause.ratio}`) : "",
  ]);
  const trafficRows = traffic.flatMap((figures) => [
    [
      WORKLOADS.find(({ name }) => name === figures.workload)?.title ?? figures.workload,
      figures.throughput_ratio.toFixed(2),
      figures.p99_ratio.toFixed(2),
      (figures.live.median_us / figures.plain.median_us).toFixed(2),
      figures.cpu_ratio.toFixed(2),
      "",
      figures.workload === LIMITS.traffic.workload
        ? verdict(
          isFast(figures),
          `at least ${LIMITS.traffic.throughput}, at most ${LIMITS.traffic.p99.toFixed(2)}`,
        )
        : "",
    ],
    serverRow("  live.serve", figures.live),
    serverRow("  node:http", figures.plain),
  ]);
  return [
    strong(
      `The pause with carried connections, idle and kept alive, or event streams: medians of ${rounds} updates each, in turn`,
    ),
    `Deno ${Deno.version.deno}, Linux ${Deno.osRelease()}, ${navigator.hardwareConcurrency} CPUs; milliseconds`,
    "",
    columns([["", "pause", "min-max", "ratio", ""], ...pauseRows]),
    "",
    strong(
      `live.serve against plain node:http: medians of ${rounds} runs of ${LOAD.ms / 1000} s each, in turn`,
    ),
    `${LOAD.connections} connections that keep alive, one request at a time on each, from one process`,
    `median and p99: the waits of all runs with ${
      RATE * 100
    } % of what the slower one can answer, from when a request is due`,
    "",
    columns([
      ["", "requests/s", "p99 µs", "median µs", "CPU µs", "busy server, generator", ""],
      ...trafficRows,
    ]),
  ].join("\n");
}

function serverRow(
  name: string,
  { per_second, p99_us, median_us, cpu_us, busy, generator_busy }: ServerFigures,
): string[] {
  return [
    name,
    per_second.toFixed(0),
    p99_us.toFixed(0),
    median_us.toFixed(0),
    cpu_us.toFixed(1),
    `${(busy * 100).toFixed(0)} %, ${(generator_busy * 100).toFixed(0)} %`,
  ];
}

function verdict(met: boolean, limit: string): string {
  return `${met ? strong("met", "green") : strong("missed", "red")}: ${limit}`;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
