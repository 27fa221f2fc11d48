/**
 * The load generator of `bench_connections.ts`: a process of its own, so that it disturbs no server. Its connections keep
 * alive, and each asks again when it was answered.
 *
 * Happy path: for each line on stdin, a {@linkcode LoadOrder}, one on stdout, a {@linkcode LoadFigures}.
 *
 * Unhappy path: an answer that is not the right one: an exception, and the process ends.
 *
 * @module
 */
import { poll, POLLIN } from "../../sys/poll.ts";
import { HttpClient } from "./http_client.ts";
import { cpuMs } from "./cpu.ts";
import { WORKLOADS } from "./traffic.ts";

/** What to do. */
export interface LoadOrder {
  /** The server's port on 127.0.0.1. */
  readonly port: number;
  /** The name of the workload. */
  readonly workload: string;
  /** How many connections. */
  readonly connections: number;
  /** How long not to count yet (ms). */
  readonly warmMs: number;
  /** How long to count (ms). */
  readonly ms: number;
}

/** What came of it. */
export interface LoadFigures {
  /** Answers that count. */
  readonly requests: number;
  /** All answers, those to warm up among them. */
  readonly all: number;
  /** How long that took (ms). */
  readonly ms: number;
  /** The wait that one in a hundred exceeded (µs). */
  readonly p99Us: number;
  /** The part of the time for which the generator itself was busy. */
  readonly busy: number;
}

/** How long nothing at all may come (ms). */
const PATIENCE_MS = 20_000;

function run({ port, workload, connections, warmMs, ms }: LoadOrder): LoadFigures {
  const found = WORKLOADS.find(({ name }) => name === workload);
  if (found === undefined) throw new Error(`Cannot make this load: no workload "${workload}"`);
  using owned = new DisposableStack();
  const clients = Array.from({ length: connections }, () => owned.use(new HttpClient(port)));
  for (const client of clients) client.learn(found.request, found.answer);
  const warm = drive(clients, warmMs).length + connections;
  const before = cpuMs(Deno.pid);
  const begin = performance.now();
  const waits = drive(clients, ms);
  const took = performance.now() - begin;
  const busy = (cpuMs(Deno.pid) - before) / took;
  waits.sort();
  const p99Us = (waits[Math.ceil(waits.length * 0.99) - 1] ?? Number.NaN) * 1000;
  return { requests: waits.length, all: warm + waits.length, ms: took, p99Us, busy };
}

/** Asks on all connections for a time. Gives the wait of each request (ms). */
function drive(clients: readonly HttpClient[], ms: number): Float64Array {
  const entries = clients.map(({ fd }) => ({ fd, events: POLLIN }));
  const begin = performance.now();
  const sent = clients.map((client) => {
    client.send();
    return performance.now();
  });
  const waits: number[] = [];
  for (let open = clients.length; open > 0;) {
    const ready = poll(entries, PATIENCE_MS);
    if (!ready.some((bits) => bits !== 0)) throw new Error("The server does not answer any more");
    ready.forEach((bits, index) => {
      const client = clients[index]!;
      if (bits === 0 || !client.receive()) return;
      const now = performance.now();
      waits.push(now - sent[index]!);
      sent[index] = now;
      if (now - begin < ms) return client.send();
      entries[index]!.fd = -1;
      open--;
    });
  }
  return Float64Array.from(waits);
}

async function main(): Promise<void> {
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) console.log(JSON.stringify(run(JSON.parse(line) as LoadOrder)));
  }
}

if (import.meta.main) await main();
