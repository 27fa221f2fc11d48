/**
 * An application with event streams whose every byte is known beforehand, and clients that look at each of them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { waitFor } from "../../testing/mod.ts";
import { LIBRARY } from "../update/_fixtures.ts";

/** Milliseconds that something may take on a busy machine. */
export const PATIENCE_MS = 30_000;

/** What differs between builds. */
export interface EventStreamsAppParts {
  /** What `/label` answers. */
  label?: string;
  /** More options of the feed. */
  options?: string;
  /** Statements at the beginning of the feed's `open`, which knows `stream` and `resumed`. */
  opening?: string;
  /** What replaces `await live.ready();`. */
  ready?: string;
}

/**
 * The text of an application whose clients get a stream from `/events?NAME`, or from `/attached?NAME` of a server of
 * `node:http`. Event number N of a stream is {@linkcode eventText}; N is kept in the stream's state. Other paths:
 *
 * - `/send?COUNT-SIZE`: the next COUNT events to every stream;
 * - `/run`: from now on an event a millisecond to every stream, in every build; `/stop` ends that;
 * - `/streams`: name, number and `resumed` of all streams; `/close?NAME`: ends one.
 *
 * The arguments are the ports of both servers.
 */
export function eventStreamsApp(parts: EventStreamsAppParts = {}): string {
  const { label = "v1", options = "", opening = "", ready = "await live.ready();" } = parts;
  return `import { createServer } from "node:http";
import { open } from "${LIBRARY}";
const live = await open();
live.on("quiesce", () => console.log("quiescing"));
const feed = await live.eventStreams("feed", {
  maxQueueBytes: 32_000_000,
  open(stream, resumed) {
${opening}
    stream.closed.then(() => console.log("closed", stream.state.name));
  },
  ${options}
});
let runs = false;
const send = (size) => {
  for (const stream of feed) {
    const id = stream.state.next++;
    stream.send({ id: String(id), data: \`\${id}:\${"x".repeat(size)}\` });
  }
};
live.state("runs", { version: 1, save: () => runs, load: (value) => void (runs = value) });
const [web, plain] = Deno.args.map(Number);
const newState = (url) => ({ name: new URL(url, "http://x/").search.slice(1), next: 1 });
await live.serve("web", { hostname: "127.0.0.1", port: web }, (request) => {
  const { pathname, search } = new URL(request.url);
  switch (pathname) {
    case "/events": return feed.respond(request, newState(request.url));
    case "/send": {
      const [count, size] = search.slice(1).split("-").map(Number);
      for (let sent = 0; sent < count; sent++) send(size);
      return new Response("sent");
    }
    case "/run": runs = true; return new Response("runs");
    case "/stop": runs = false; return new Response("stopped");
    case "/streams":
      return Response.json([...feed].map(({ state, resumed, queued }) => [state.name, state.next, resumed, queued]));
    case "/close":
      for (const stream of feed) if (stream.state.name === search.slice(1)) stream.close();
      return new Response("closed");
    default: return new Response("${label}");
  }
});
const server = createServer((req, res) => void feed.attach(res, newState(req.url)));
await live.server("plain", server, { hostname: "127.0.0.1", port: plain });
setInterval(() => runs && send(0), 1);
${ready}
`;
}

/** Event number N of a stream, as it has to come. */
export function eventText(id: number, size = 0): string {
  return `id: ${id}\ndata: ${id}:${"x".repeat(size)}\n\n`;
}

/** Events of a stream, as they have to come. */
export function eventsText(from: number, to: number, size = 0): string {
  let text = "";
  for (let id = from; id <= to; id++) text += eventText(id, size);
  return text;
}

/** Looks at every byte of a stream of events without padding. */
export class EventReader {
  #rest = "";
  #head = "";
  #next = 1;
  readonly #hasHead: boolean;

  /** @param hasHead do the bytes begin with the head of an HTTP answer? */
  constructor(hasHead: boolean) {
    this.#hasHead = hasHead;
  }

  /** How many events have come. */
  get count(): number {
    return this.#next - 1;
  }

  /** The head of the answer. */
  get head(): string {
    return this.#head;
  }

  /** Takes what has come. Throws at the first byte that is not what it should be. */
  take(text: string): void {
    this.#rest += text;
    if (this.#hasHead && this.#head === "") {
      const end = this.#rest.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.#head = this.#rest.slice(0, end + 4);
      this.#rest = this.#rest.slice(end + 4);
    }
    for (;;) {
      const wanted = eventText(this.#next);
      const got = this.#rest.slice(0, wanted.length);
      assertEquals(got, wanted.slice(0, got.length), `event ${this.#next}`);
      if (got.length < wanted.length) return;
      this.#rest = this.#rest.slice(wanted.length);
      this.#next++;
    }
  }
}

/** A client that reads when it is told to. */
export class RawClient implements Disposable {
  readonly #connection: Deno.TcpConn;
  readonly #decoder = new TextDecoder();
  readonly #buffer = new Uint8Array(256 * 1024);

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Connects and sends a request. */
  static async open(port: number, request: string): Promise<RawClient> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode(request));
    return new RawClient(connection);
  }

  /** Sends what an event stream expects nobody to send. */
  async send(text: string): Promise<void> {
    await this.#connection.write(new TextEncoder().encode(text));
  }

  /** Says that it will send nothing more. */
  async finish(): Promise<void> {
    await this.#connection.closeWrite();
  }

  /** What has come, at least something; null at the end. */
  async read(): Promise<string | null> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("nothing has come in time")), PATIENCE_MS);
    try {
      const count = await Promise.race([this.#connection.read(this.#buffer), late]);
      return count === null ? null : this.#decoder.decode(this.#buffer.subarray(0, count), { stream: true });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads to the end of the connection. */
  async readAll(): Promise<string> {
    let all = "";
    for (;;) {
      const text = await this.read();
      if (text === null) return all;
      all += text;
    }
  }

  /** Gives a reader all that comes, until that many events are there. */
  async readTo(reader: EventReader, count: number): Promise<void> {
    while (reader.count < count) {
      const text = await this.read();
      if (text === null) throw new Error(`the stream has ended after ${reader.count} events`);
      reader.take(text);
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // It is closed already.
    }
  }
}

/** `curl -N`, and what it prints. */
export class Curl implements AsyncDisposable {
  readonly reader: EventReader = new EventReader(false);
  readonly #child: Deno.ChildProcess;
  readonly #done: Promise<void>;
  fault: unknown = null;

  /** @param url what it asks for */
  constructor(url: string) {
    this.#child = new Deno.Command("curl", {
      args: ["--no-progress-meter", "-N", url],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#done = this.#read().catch((error) => void (this.fault = error));
  }

  /** Is there a `curl` on this machine? */
  static async isThere(): Promise<boolean> {
    try {
      return (await new Deno.Command("curl", { args: ["--version"], stdout: "null" }).output()).success;
    } catch {
      return false;
    }
  }

  /** Waits until that many events have come. */
  async readTo(count: number): Promise<void> {
    await waitFor(() => this.fault !== null || this.reader.count >= count, {
      what: `curl to print event ${count}`,
      timeoutMs: PATIENCE_MS,
    });
    if (this.fault !== null) throw this.fault;
  }

  /** Waits for its end; gives its exit code. */
  async end(): Promise<number> {
    await this.#done;
    return (await this.#child.status).code;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) this.reader.take(decoder.decode(chunk, { stream: true }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended already.
    }
    await this.#done;
    await this.#child.status;
  }
}
