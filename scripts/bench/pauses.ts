/**
 * The pause of an update with a number of connections that are carried: idle and kept alive, or event streams.
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

const EVENTS = "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/** A number of connections. */
export interface Crowd {
  /** How many. */
  readonly connections: number;
  /** What they are: idle connections that keep alive, or event streams. */
  readonly kind: "idle" | "streams";
}

/** The pause with a number of connections. */
export interface PauseFigures extends Crowd {
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
  /** Who asks for an event on all streams; null where there are none. */
  readonly #teller: HttpClient | null;

  private constructor(
    app: TestApp,
    clients: DisposableStack,
    connections: readonly HttpClient[],
    teller: HttpClient | null,
  ) {
    this.#app = app;
    this.#clients = clients;
    this.#connections = connections;
    this.#teller = teller;
  }

  static async start({ connections: count, kind }: Crowd): Promise<Crowded> {
    const port = freePort();
    await using undo = new AsyncDisposableStack();
    const program = kind === "idle" ? "app.ts" : "streams_app.ts";
    const entry = decodeURIComponent(new URL(program, import.meta.url).pathname);
    const app = undo.use(
      await startApp({ entry, args: [String(port)], denoArgs: ["--no-config", "--no-lock"] }),
    );
    const clients = undo.use(new DisposableStack());
    const connections: HttpClient[] = [];
    // Each is accepted before the next one comes.
    for (let index = 0; index < count; index++) {
      const client = clients.use(new HttpClient(port));
      if (kind === "idle") client.learn(REQUEST, "0\n");
      else client.open(EVENTS);
      connections.push(client);
    }
    const teller = kind === "idle" ? null : clients.use(new HttpClient(port));
    undo.move();
    return new Crowded(app, clients, connections, teller);
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
    if (this.#teller === null) {
      for (const connection of this.#connections) connection.learn(REQUEST, `${generation}\n`);
    } else {
      this.#teller.learn(REQUEST, `${generation}\n`);
      for (const connection of this.#connections) connection.expect(`data: ${generation}\n\n`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients.dispose();
    await this.#app[Symbol.asyncDispose]();
  }
}

/**
 * Measures.
 *
 * @param crowds numbers of connections, none first
 * @param rounds how often
 * @param started what is started is ended behind it
 * @returns the figures, in their order
 */
export async function measurePauses(
  crowds: readonly Crowd[],
  rounds: number,
  started: AsyncDisposableStack,
): Promise<PauseFigures[]> {
  const { hard } = getLimit("nofile");
  setLimit("nofile", { soft: hard, hard });
  const apps: Crowded[] = [];
  for (const crowd of crowds) apps.push(started.use(await Crowded.start(crowd)));
  const pauses = crowds.map((): number[] => []);
  for (let round = 0; round < rounds + WARM_UP; round++) {
    for (const [index, app] of apps.entries()) {
      const ms = await app.update(round);
      if (round >= WARM_UP) pauses[index]?.push(ms);
    }
  }
  for (const app of apps) app.ask(rounds + WARM_UP);
  const none = pauses[0] ?? [];
  return crowds.map((crowd, index) => {
    const found = pauses[index] ?? [];
    return {
      ...crowd,
      blackout_ms: median(found),
      ratio: median(found.map((ms, round) => ms / (none[round] ?? Number.NaN))),
      min_ms: Math.min(...found),
      max_ms: Math.max(...found),
    };
  });
}
