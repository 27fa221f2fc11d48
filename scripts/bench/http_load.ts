/**
 * The load generator of `bench_connections.ts`: a process of its own, so that it disturbs no server. Its connections keep
 * alive.
 *
 * Happy path: for each line on stdin, a {@linkcode LoadOrder}, one on stdout, a {@linkcode LoadFigures}.
 *
 * There are two kinds of load, and each answers one question. How much can a server do? Each connection asks again when it
 * was answered (a closed loop), so that it always has something to do. How long do clients wait? Requests come at moments
 * that are fixed beforehand (an open loop), fewer than the server can answer, and the wait counts from that moment: a
 * server that stops for a while keeps all those waiting who would have come meanwhile. In a closed loop they would not
 * come, and their waits would be missing; and at the limit of what the machine can do a wait tells whether it was the
 * server or the generator that had no processor.
 *
 * Unhappy path: an answer that is not the right one: an exception, and the process ends.
 *
 * @module
 */
import { poll, POLLIN } from "../../sys/poll.ts";
import { HttpClient } from "./http_client.ts";
import { cpuMs } from "./cpu.ts";
import { percentile } from "./summary.ts";
import { Ticker } from "./ticker.ts";
import { WORKLOADS } from "./traffic.ts";

/** What to do. */
export interface LoadOrder {
  /** The server's port on 127.0.0.1. */
  readonly port: number;
  /** The name of the workload. */
  readonly workload: string;
  /** How many connections. */
  readonly connections: number;
  /** How many requests come in a second, whatever the server does; null for as many as it answers. */
  readonly perSecond: number | null;
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
  /** All waits (µs), where requests came at a given rate. */
  readonly waitsUs: readonly number[];
  /** The part of the time for which the generator itself was busy. */
  readonly busy: number;
}

/** How long nothing at all may come (ms). */
const PATIENCE_MS = 20_000;

function run({ port, workload, connections, perSecond, warmMs, ms }: LoadOrder): LoadFigures {
  const found = WORKLOADS.find(({ name }) => name === workload);
  if (found === undefined) throw new Error(`Cannot make this load: no workload "${workload}"`);
  using owned = new DisposableStack();
  const clients = Array.from({ length: connections }, () => owned.use(new HttpClient(port)));
  for (const client of clients) client.learn(found.request, found.answer);
  const load = (time: number): number[] =>
    perSecond === null ? drive(clients, time) : pace(clients, time, perSecond);
  const warm = load(warmMs).length + connections;
  const before = cpuMs(Deno.pid);
  const begin = performance.now();
  const waits = load(ms);
  const took = performance.now() - begin;
  const busy = (cpuMs(Deno.pid) - before) / took;
  const waitsUs = waits.map((wait) => Math.round(wait * 1000));
  return {
    requests: waits.length,
    all: warm + waits.length,
    ms: took,
    p99Us: percentile(waitsUs, 0.99),
    waitsUs: perSecond === null ? [] : waitsUs,
    busy,
  };
}

/** Asks on all connections for a time, on each again when it was answered. Gives the wait of each request (ms). */
function drive(clients: readonly HttpClient[], ms: number): number[] {
  const entries = clients.map(({ fd }) => ({ fd, events: POLLIN }));
  const begin = performance.now();
  const sent = clients.map((client) => {
    client.send();
    return performance.now();
  });
  const waits: number[] = [];
  for (let open = clients.length; open > 0;) {
    const ready = poll(entries, PATIENCE_MS);
    if (!ready.some((bits) => bits !== 0)) throw silence();
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
  return waits;
}

/**
 * Asks at moments with the same time between them, on the connection that has been silent for longest. Where all of them
 * wait for an answer a request has to wait as well, and that counts. Gives the wait of each request (ms).
 */
function pace(clients: readonly HttpClient[], ms: number, perSecond: number): number[] {
  using ticker = new Ticker(1e9 / perSecond);
  const entries = [...clients.map(({ fd }) => ({ fd, events: POLLIN })), { fd: ticker.fd, events: POLLIN }];
  const total = Math.floor(ms * perSecond / 1000);
  const free = clients.map((_, index) => index);
  const meant = clients.map(() => 0);
  const waits: number[] = [];
  const begin = performance.now();
  let lastNews = begin;
  for (let next = 0; waits.length < total;) {
    const ready = poll(entries, PATIENCE_MS);
    if (ready.at(-1) !== 0) ticker.read();
    clients.forEach((client, index) => {
      if (ready[index] === 0 || !client.receive()) return;
      lastNews = performance.now();
      waits.push(lastNews - meant[index]!);
      free.push(index);
    });
    const now = performance.now();
    if (now - lastNews > PATIENCE_MS) throw silence();
    for (let due = 0; next < total && (due = begin + next * 1000 / perSecond) <= now; next++) {
      const index = free.shift();
      if (index === undefined) break;
      meant[index] = due;
      clients[index]!.send();
    }
  }
  return waits;
}

function silence(): Error {
  return new Error("The server does not answer any more");
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
