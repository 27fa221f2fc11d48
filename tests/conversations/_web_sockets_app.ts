/**
 * An application with a channel of WebSockets, and clients that count what they hear.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import WebSocket from "npm:ws@8.23.0";
import { waitFor } from "../../testing/mod.ts";
import { LIBRARY } from "../update/_fixtures.ts";

/** The version of `ws` that all of this was made with. */
export const WS = "npm:ws@8.23.0";

/** Milliseconds that an answer may take on a busy machine. */
const PATIENCE_MS = 30_000;

/** What differs between builds. */
export interface WebSocketsAppParts {
  /** What answers begin with. */
  label?: string;
  /** More options of the channel. */
  options?: string;
  /** Statements before `open()`. */
  before?: string;
  /** Statements at the begin of the channel's `open`, which knows `peer`, `socket`, `state` and `resumed`. */
  opening?: string;
  /** What replaces `await live.ready();`. */
  ready?: string;
}

/**
 * The text of an application whose clients connect to `/ws?NAME`. Messages are echoed behind the label, except for those
 * that begin with:
 *
 * - `n I`: the client's message number I, which is answered if it is the next one, and else with `bad`;
 * - `push`: from now on the server sends `p 1`, `p 2`, and so on;
 * - `flood N SIZE`: the server sends N messages of that size;
 * - `close CODE REASON`: the server begins to close;
 * - `who`: the server tells the state, its label, and how many clients there are.
 *
 * What is binary is sent back. The first argument is the port.
 */
export function webSocketsApp(parts: WebSocketsAppParts = {}): string {
  const { label = "v1", options = "", before = "", opening = "", ready = "await live.ready();" } = parts;
  return `import * as ws from "${WS}";
import { open } from "${LIBRARY}";
${before}
const live = await open();
live.on("quiesce", () => console.log("quiescing"));
const chat = await live.webSockets("chat", ws, {
  open(peer, resumed) {
    const { socket, state } = peer;
${opening}
    console.log(state.name, resumed ? "resumed" : "came", socket.readyState);
    const verbs = {
      n(number) {
        if (Number(number) !== state.heard + 1) return socket.send(\`bad \${number} after \${state.heard}\`);
        state.heard++;
        socket.send(\`n \${number}\`);
      },
      push: () => state.pushes = true,
      flood(count, size) {
        for (let at = 0; at < Number(count); at++) socket.send(\`\${at} \`.padEnd(Number(size), "."));
        console.log(state.name, "waits", socket.bufferedAmount);
      },
      close: (code, reason) => socket.close(Number(code), reason),
      who: () => socket.send(JSON.stringify({ ...state, label: "${label}", size: chat.size })),
    };
    socket.on("message", (data, isBinary) => {
      if (isBinary) return socket.send(data);
      const [verb, ...rest] = \`\${data}\`.split(" ");
      if (verb in verbs) verbs[verb](...rest);
      else socket.send(\`${label} \${data}\`);
    });
    socket.on("ping", (data) => console.log(state.name, "ping", String(data)));
    socket.on("error", (error) => console.log(state.name, "error", error.message));
    socket.on("close", (code, reason) => console.log(state.name, "closed", code, String(reason)));
  },
${options}
});
setInterval(() => {
  for (const { socket, state } of chat) if (state.pushes) socket.send(\`p \${++state.pushed}\`);
}, 2);
const handler = (request) => {
  const { pathname, search } = new URL(request.url);
  if (pathname !== "/ws") return new Response("${label}");
  return chat.upgrade(request, { name: search.slice(1), heard: 0, pushes: false, pushed: 0 });
};
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, handler);
${ready}
`;
}

/** A client of the `ws` package that counts in both directions, and sends bytes as well. */
export class CountingClient implements Disposable {
  readonly #socket: WebSocket;
  readonly #name: string;
  readonly #waiting: Uint8Array[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #sent = 0;
  #answered = 0;
  #fault: string | null = null;
  /** The last number that the server has sent by itself. */
  pushed = 0;
  /** How many binary messages have come back. */
  returned = 0;

  private constructor(name: string, socket: WebSocket) {
    this.#name = name;
    this.#socket = socket;
    socket.on("message", (data: Uint8Array, isBinary: boolean) => this.#hear(data, isBinary));
    socket.on("close", (code: number) => this.#fail(`it was closed with ${code}`));
  }

  /** Connects. */
  static async open(port: number, name: string): Promise<CountingClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?${name}`);
    await new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    return new CountingClient(name, socket);
  }

  /** Begins to talk: a number and some bytes every few milliseconds. */
  start(): void {
    this.#socket.send("push");
    this.#timer = setInterval(() => {
      this.#socket.send(`n ${++this.#sent}`);
      const bytes = new Uint8Array(1 + this.#sent * 37 % 5000).fill(this.#sent & 255);
      this.#waiting.push(bytes);
      this.#socket.send(bytes);
    }, 3);
  }

  /** Stops, waits until all is answered, and says how many messages that were. */
  async stop(): Promise<number> {
    clearInterval(this.#timer);
    await waitFor(
      () => this.#fault !== null || (this.#answered === this.#sent && this.#waiting.length === 0),
      { what: `${this.#name} to be answered`, timeoutMs: PATIENCE_MS },
    );
    this.check();
    return this.#answered;
  }

  /** Fails if something was lost, repeated or mixed up. */
  check(): void {
    assertEquals(this.#fault, null, this.#name);
  }

  /** Waits until the server has said something new. */
  async hears(): Promise<void> {
    const { pushed } = this;
    await waitFor(() => this.pushed > pushed || this.#fault !== null, { what: `news for ${this.#name}` });
    this.check();
  }

  /** Closes in order, and waits for the end. */
  async close(): Promise<void> {
    this.#socket.removeAllListeners("close");
    const closed = new Promise((resolve) => this.#socket.once("close", resolve));
    this.#socket.close(1000);
    assertEquals(await closed, 1000);
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#socket.removeAllListeners("close");
    this.#socket.terminate();
  }

  #hear(data: Uint8Array, isBinary: boolean): void {
    if (isBinary) return this.#compare(data);
    const text = `${data}`;
    if (text === `n ${this.#answered + 1}`) this.#answered++;
    else if (text === `p ${this.pushed + 1}`) this.pushed++;
    else this.#fail(`"${text}" came after n ${this.#answered} and p ${this.pushed}`);
  }

  #compare(data: Uint8Array): void {
    const wanted = this.#waiting.shift();
    this.returned++;
    const same = wanted?.byteLength === data.byteLength && wanted.every((byte, at) => byte === data[at]);
    if (!same) this.#fail(`${data.byteLength} bytes came back instead of ${wanted?.byteLength}`);
  }

  #fail(fault: string): void {
    this.#fault ??= fault;
  }
}
