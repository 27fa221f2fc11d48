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
  /** The pipe: bytes that wait in it from the beginning to the end. */
  readonly pipe: Talk;
  /** The child of the service, and what it writes. */
  readonly child: Talk;
}

/** A client that talks until it is stopped. */
interface Talker {
  readonly done: Promise<Talk>;
  stop(): void;
}

/** The clients. */
export class Talkers implements AsyncDisposable {
  readonly #all: Readonly<Record<keyof Talks, Talker>>;
  #stopped: Promise<Talks> | undefined;

  private constructor(all: Readonly<Record<keyof Talks, Talker>>) {
    this.#all = all;
  }

  /**
   * Starts them.
   *
   * @param httpPort where `talk.ts` speaks HTTP
   * @param echoPort where it echoes
   */
  static async start(httpPort: number, echoPort: number): Promise<Talkers> {
    return new Talkers({
      events: await listen(httpPort),
      webSocket: await converse(httpPort),
      echo: await shout(echoPort),
      pipe: await post(httpPort),
      child: await visit(httpPort),
    });
  }

  /** Stops them, and tells what they saw. */
  stop(): Promise<Talks> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<Talks> {
    const { events, webSocket, echo, pipe, child } = this.#all;
    for (const talker of Object.values(this.#all)) talker.stop();
    return {
      events: await events.done,
      webSocket: await webSocket.done,
      echo: await echo.done,
      pipe: await pipe.done,
      child: await child.done,
    };
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

/** Bytes that wait in the pipe: so many that it is nearly full. */
const PARCEL_BYTES = 60_000;

/** Puts random bytes into the pipe of the service, and takes them out at the end. */
async function post(port: number): Promise<Talker> {
  const url = `http://127.0.0.1:${port}/parcel`;
  const bytes = crypto.getRandomValues(new Uint8Array(PARCEL_BYTES));
  const { status } = await fetch(url, { method: "POST", body: bytes, headers: { connection: "close" } });
  if (status !== 204) throw new Error(`Cannot put anything into the pipe: status ${status}`);
  return atTheEnd(async () => {
    const back = await (await fetch(url, { headers: { connection: "close" } })).bytes();
    const same = back.byteLength === bytes.byteLength && back.every((byte, at) => byte === bytes[at]);
    return {
      heard: back.byteLength,
      fault: same ? null : `${back.byteLength} bytes came out, not those that went in`,
    };
  });
}

/** Asks in the end what became of the child. */
async function visit(port: number): Promise<Talker> {
  const ask = async (): Promise<Talk> => {
    const answer = await fetch(`http://127.0.0.1:${port}/child`, { headers: { connection: "close" } });
    return await answer.json() as Talk;
  };
  // The first look is what the last one is held against: the same process.
  await ask();
  return atTheEnd(ask);
}

/** A client that has nothing to do but to look in the end. */
function atTheEnd(look: () => Promise<Talk>): Talker {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = promise.then(look).catch((error): Talk => ({ heard: 0, fault: String(error) }));
  return { done, stop: resolve };
}
