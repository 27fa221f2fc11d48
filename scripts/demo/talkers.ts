/**
 * The clients of `talk.ts`: each holds one conversation from the first line of the demonstration to the last, and looks at
 * everything that it is told.
 *
 * Happy path: {@linkcode Talkers.start}, updates, {@linkcode Talkers.stop}: what each of them saw.
 *
 * Unhappy path: what is missing, repeated, out of order or cut is in what they say; nothing is thrown.
 *
 * @module
 */
import { delay } from "../../testing/mod.ts";

/** How long an answer may take before a client goes on with its next word (ms). */
const PATIENCE_MS = 10_000;

/** How often the clients that have to ask say something (ms). */
const PERIOD_MS = 5;

/** What one of them saw. */
export interface Talk {
  /** How many events, messages or blocks of bytes. */
  readonly heard: number;
  /** What was wrong, or null. */
  readonly fault: string | null;
}

/** What all of them saw. */
export interface Talks {
  /** The event stream. */
  readonly events: Talk;
  /** The WebSocket. */
  readonly webSocket: Talk;
  /** The echo connection. */
  readonly echo: Talk;
}

/** A client that talks until it is stopped. */
interface Talker {
  readonly done: Promise<Talk>;
  stop(): void;
}

/** The clients. */
export class Talkers implements AsyncDisposable {
  readonly #events: Talker;
  readonly #webSocket: Talker;
  readonly #echo: Talker;
  #stopped: Promise<Talks> | undefined;

  private constructor(events: Talker, webSocket: Talker, echo: Talker) {
    this.#events = events;
    this.#webSocket = webSocket;
    this.#echo = echo;
  }

  /**
   * Starts them.
   *
   * @param httpPort where `talk.ts` speaks HTTP
   * @param echoPort where it echoes
   */
  static async start(httpPort: number, echoPort: number): Promise<Talkers> {
    const events = await listen(httpPort);
    const webSocket = await converse(httpPort);
    return new Talkers(events, webSocket, await shout(echoPort));
  }

  /** Stops them, and tells what they saw. */
  stop(): Promise<Talks> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<Talks> {
    for (const talker of [this.#events, this.#webSocket, this.#echo]) talker.stop();
    const [events, webSocket, echo] = await Promise.all(
      [this.#events, this.#webSocket, this.#echo].map(({ done }) => done),
    );
    return { events: events!, webSocket: webSocket!, echo: echo! };
  }

  /** Stops them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Reads numbers that must come one after the other. */
async function listen(port: number): Promise<Talker> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode("GET /counter HTTP/1.1\r\nHost: demo\r\n\r\n"));
  let stopped = false;
  const done = (async (): Promise<Talk> => {
    let heard = 0;
    let text = "";
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const size = await connection.read(buffer);
        if (size === null) return { heard, fault: "the stream ended" };
        text += decoder.decode(buffer.subarray(0, size), { stream: true });
        const events = text.split("\n\n");
        text = events.pop() ?? "";
        for (const event of events) {
          const data = /^data: (\d+)$/m.exec(event)?.[1];
          if (data === undefined) continue;
          if (Number(data) !== ++heard) return { heard, fault: `event ${data} came as number ${heard}` };
        }
      }
    } catch (error) {
      return { heard, fault: stopped ? null : String(error) };
    }
  })();
  return { done, stop: () => (stopped = true, connection.close()) };
}

/** Says numbers over a WebSocket, each of which must be answered with its own. */
async function converse(port: number): Promise<Talker> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/numbered`);
  const opened = Promise.withResolvers<void>();
  const { promise: done, resolve } = Promise.withResolvers<Talk>();
  let heard = 0;
  let stopped = false;
  socket.onopen = () => opened.resolve();
  socket.onerror = () => opened.reject(new Error("Cannot open a WebSocket"));
  socket.onmessage = ({ data }) => {
    heard++;
    if (data !== `${heard}:${heard}`) resolve({ heard, fault: `message "${data}" came as number ${heard}` });
    else if (stopped) resolve({ heard, fault: null });
    else setTimeout(() => socket.send(`${heard + 1}`), PERIOD_MS);
  };
  socket.onclose = ({ code }) => resolve({ heard, fault: `it was closed (${code})` });
  await opened.promise;
  socket.send("1");
  const ended = done.finally(() => socket.close());
  return {
    done: ended,
    stop() {
      stopped = true;
      setTimeout(() => resolve({ heard, fault: "the last message was not answered" }), PATIENCE_MS);
    },
  };
}

/** Sends blocks of random bytes, which must come back as they are. */
async function shout(port: number): Promise<Talker> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  let stopped = false;
  const done = (async (): Promise<Talk> => {
    let heard = 0;
    try {
      while (!stopped) {
        const block = crypto.getRandomValues(new Uint8Array(1024));
        await connection.write(block);
        const back = new Uint8Array(block.byteLength);
        for (let at = 0; at < back.byteLength;) {
          const size = await connection.read(back.subarray(at));
          if (size === null) return { heard, fault: "the connection was closed" };
          at += size;
        }
        heard++;
        if (back.some((byte, at) => byte !== block[at])) {
          return { heard, fault: `block ${heard} came back changed` };
        }
        await delay(PERIOD_MS);
      }
      return { heard, fault: null };
    } catch (error) {
      return { heard, fault: String(error) };
    } finally {
      connection.close();
    }
  })();
  return { done, stop: () => void (stopped = true) };
}
