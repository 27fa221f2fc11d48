/**
 * The pause of an update with a number of connections that are carried, idle and kept alive.
 *
 * Happy path: {@linkcode measurePauses} updates each application in turn, round by round, so that a noisy machine is noisy
 * for all of them.
 *
 * Unhappy paths: an update that is not committed, or a connection that does not go on in the new build: an Error.
 *
 * @module
 */
import { freePort, startApp, type TestApp } from "../../testing/mod.ts";
import { getLimit, setLimit } from "../../sys/mod.ts";
import { HttpClient } from "./http_client.ts";
import { median } from "./summary.ts";

/** Updates of each application that find cold caches and are not counted. */
const WARM_UP = 2;

const REQUEST = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/** The pause with a number of connections. */
export interface PauseFigures {
  /** How many were carried. */
  readonly connections: number;
  /** The pause; median, in milliseconds. */
  readonly blackout_ms: number;
  /** The pause without any as 1; the median of the rounds. */
  readonly ratio: number;
  /** How far they were apart (ms). */
  readonly min_ms: number;
  /** How far they were apart (ms). */
  readonly max_ms: number;
}

/** An application with connections. */
class Crowded implements AsyncDisposable {
  readonly #app: TestApp;
  readonly #clients: DisposableStack;
  readonly #connections: readonly HttpClient[];

  private constructor(app: TestApp, clients: DisposableStack, connections: readonly HttpClient[]) {
    this.#app = app;
    this.#clients = clients;
    this.#connections = connections;
  }

  static async start(count: number): Promise<Crowded> {
    const port = freePort();
    await using undo = new AsyncDisposableStack();
    const entry = decodeURIComponent(new URL("app.ts", import.meta.url).pathname);
    const app = undo.use(
      await startApp({ entry, args: [String(port)], denoArgs: ["--no-config", "--no-lock"] }),
    );
    const clients = undo.use(new DisposableStack());
    const connections: HttpClient[] = [];
    // Each is accepted before the next one comes.
    for (let index = 0; index < count; index++) {
      const client = clients.use(new HttpClient(port));
      client.learn(REQUEST, "0\n");
      connections.push(client);
    }
    undo.move();
    return new Crowded(app, clients, connections);
  }

  /** All connections are used, and idle when the update comes. */
  async update(generation: number): Promise<number> {
    this.ask(generation);
    const { outcome, reason, blackout_ms: ms } = await this.#app.upgrade();
    if (outcome !== "committed" || ms === null) {
      throw new Error(`Cannot measure the update: it ended as ${outcome}: ${reason}`);
    }
    return ms;
  }

  /** Every connection is still the same, and this generation answers on it. */
  ask(generation: number): void {
    for (const connection of this.#connections) connection.learn(REQUEST, `${generation}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients.dispose();
    await this.#app[Symbol.asyncDispose]();
  }
}

/**
 * Measures.
 *
 * @param counts numbers of connections, 0 first
 * @param rounds how often
 * @param started what is started is ended behind it
 * @returns the figures, in the order of the numbers
 */
export async function measurePauses(
  counts: readonly number[],
  rounds: number,
  started: AsyncDisposableStack,
): Promise<PauseFigures[]> {
  const { hard } = getLimit("nofile");
  setLimit("nofile", { soft: hard, hard });
  const apps: Crowded[] = [];
  for (const count of counts) apps.push(started.use(await Crowded.start(count)));
  const pauses = counts.map((): number[] => []);
  for (let round = 0; round < rounds + WARM_UP; round++) {
    for (const [index, app] of apps.entries()) {
      const ms = await app.update(round);
      if (round >= WARM_UP) pauses[index]?.push(ms);
    }
  }
  for (const app of apps) app.ask(rounds + WARM_UP);
  const none = pauses[0] ?? [];
  return counts.map((connections, index) => {
    const found = pauses[index] ?? [];
    return {
      connections,
      blackout_ms: median(found),
      ratio: median(found.map((ms, round) => ms / (none[round] ?? Number.NaN))),
      min_ms: Math.min(...found),
      max_ms: Math.max(...found),
    };
  });
}
