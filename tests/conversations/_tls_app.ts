/**
 * An application with two servers that speak TLS, one of HTTP and one of lines, and clients of both.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import { delay, freePort, startApp, type TestApp } from "../../testing/mod.ts";
import { type Certificate, makeCertificate } from "./_certificate.ts";
import { type Builds, builds, LIBRARY } from "../update/_fixtures.ts";

/** What differs between builds. */
export interface TlsAppParts {
  /** What answers begin with. */
  label?: string;
  /** The argument of `open()`. */
  options?: string;
  /** What becomes of the connections of the server of HTTP, an expression; `gate` and `policies` are known. */
  web?: string;
  /** What becomes of the connections of the server of lines. */
  line?: string;
}

/**
 * The text of an application. Its arguments are two ports and the directory of certificate, key and gate. Every request is
 * answered with `LABEL METHOD PATH BODY`; `/held` only when there is a file `gate`; `/big?N` with N bytes more.
 */
export function tlsApp(parts: TlsAppParts = {}): string {
  const { label = "v1", options = "", web = '"close"', line = '"close"' } = parts;
  return `import { createServer } from "node:https";
import { createServer as createTls } from "node:tls";
import { open } from "${LIBRARY}";
const live = await open(${options});
live.on("quiesce", () => console.log("quiescing"));
const [web, line, dir] = Deno.args;
const own = { cert: Deno.readTextFileSync(dir + "/cert.pem"), key: Deno.readTextFileSync(dir + "/key.pem") };
const policies = new Map();
const https = createServer(own, async (request, response) => {
  const { pathname, search } = new URL(request.url, "https://localhost");
  let body = "";
  for await (const chunk of request) body += chunk;
  if (pathname === "/held") {
    console.log("held");
    for (;;) {
      try { Deno.statSync(dir + "/gate"); break; } catch { await new Promise((resolve) => setTimeout(resolve, 10)); }
    }
  }
  if (pathname === "/policy") policies.set(request.socket, search.slice(1));
  if (pathname === "/big") body += "x".repeat(Number(search.slice(1)));
  response.end("${label} " + request.method + " " + pathname + " " + body);
});
const lines = createTls(own, (socket) => {
  socket.on("error", () => {});
  socket.on("data", (chunk) => socket.write("${label}:" + chunk));
});
await live.server("web", https, { hostname: "127.0.0.1", port: Number(web) }, { connections: ${web} });
await live.server("line", lines, { hostname: "127.0.0.1", port: Number(line) }, { connections: ${line} });
await live.ready();
`;
}

/** A running application of {@linkcode tlsApp}. */
export interface TlsService extends AsyncDisposable {
  readonly app: TestApp;
  readonly all: Builds;
  readonly certificate: Certificate;
  /** The port of HTTP. */
  readonly web: number;
  /** The port of lines. */
  readonly line: number;
  /** Where the file `gate` belongs. */
  readonly gate: string;
  /** Updates to another build that must commit. */
  commits(parts?: TlsAppParts): Promise<number>;
}

/** Starts an application of {@linkcode tlsApp}. */
export async function startTls(parts: TlsAppParts = {}): Promise<TlsService> {
  await using undo = new AsyncDisposableStack();
  const all = undo.use(builds());
  const certificate = await makeCertificate(all.path);
  const [web, line] = [freePort(), freePort()];
  const entry = await all.write("first", tlsApp(parts));
  const app = undo.use(await startApp({ entry, args: [`${web}`, `${line}`, all.path] }));
  const kept = undo.move();
  let written = 0;
  return {
    app,
    all,
    certificate,
    web,
    line,
    gate: `${all.path}/gate`,
    async commits(next = {}) {
      const build = await all.write(`build${++written}`, tlsApp({ ...parts, ...next }));
      const record = await app.upgrade({ build });
      assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
      return record.closed;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Connects with TLS to a port of the loopback. */
export async function connectTls(port: number, { text }: Certificate): Promise<Deno.TlsConn> {
  const connection = await Deno.connectTls({ hostname: "localhost", port, caCerts: [text] });
  await connection.handshake();
  return connection;
}

/** Sends text. */
export async function send(connection: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.byteLength;) at += await connection.write(bytes.subarray(at));
}

/** Reads until the other side ends the connection; a reset, or an end without a word in TLS, throws. */
export async function readToEnd(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(65_536);
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const size = await connection.read(buffer);
    if (size === null) return text;
    text += decoder.decode(buffer.subarray(0, size), { stream: true });
  }
}

/** The head of a request that keeps its connection. */
export function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
}

/** A client of `node:https` that keeps its connection as long as the server does. */
export class HttpsClient implements Disposable {
  readonly #agent: Agent;
  readonly #port: number;
  /** How many connections it has made. */
  connects = 0;
  /** How many answers it has got. */
  answered = 0;

  constructor(port: number, { text }: Certificate, keepAlive = true) {
    this.#port = port;
    this.#agent = new Agent({ keepAlive, maxSockets: 1, ca: text, servername: "localhost" });
  }

  /** Asks and gives the body of a 200. Nothing is asked again. */
  async ask(path: string, body = ""): Promise<string> {
    const options = { agent: this.#agent, host: "127.0.0.1", port: this.#port, path };
    const sent = request({ ...options, method: body === "" ? "GET" : "POST" });
    const reply = Promise.withResolvers<IncomingMessage>();
    sent.on("response", reply.resolve);
    sent.on("error", reply.reject);
    sent.end(body);
    try {
      const response = await reply.promise;
      let text = "";
      for await (const chunk of response) text += chunk;
      assertEquals([response.statusCode, response.complete], [200, true]);
      this.answered++;
      if (!sent.reusedSocket) this.connects++;
      return text;
    } catch (error) {
      const on = sent.reusedSocket ? "a connection that was used before" : "a new connection";
      throw new Error(`Cannot get ${path} over ${on}: ${error}`, { cause: error });
    }
  }

  /** Ends its connection. */
  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** Clients that ask all the time, until they are stopped. */
export class HttpsLoad {
  readonly #clients: HttpsClient[];
  readonly #loops: Promise<void>[];
  readonly failures: string[] = [];
  #stopped = false;

  /** Half of the clients keep their connections, the others make one for each request. */
  constructor({ web, certificate }: TlsService, count: number, pauseMs: number) {
    this.#clients = Array.from({ length: count }, (_, at) => new HttpsClient(web, certificate, at % 2 === 0));
    this.#loops = this.#clients.map((client, at) => this.#loop(client, at, pauseMs));
  }

  /** How many answers there were. */
  get answered(): number {
    return this.#clients.reduce((sum, { answered }) => sum + answered, 0);
  }

  /** How many connections were made. */
  get connects(): number {
    return this.#clients.reduce((sum, { connects }) => sum + connects, 0);
  }

  /** Ends it, when every request that is under way has its answer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    for (const client of this.#clients) client[Symbol.dispose]();
  }

  async #loop(client: HttpsClient, at: number, pauseMs: number): Promise<void> {
    for (let count = 0; !this.#stopped; count++) {
      const [path, body] = [`/${at}/${count}`, count % 3 === 0 ? `body ${count}` : ""];
      const wanted = `${body === "" ? "GET" : "POST"} ${path} ${body}`;
      try {
        const text = await client.ask(path, body);
        if (!/^[a-z]\d /.test(text) || text.slice(3) !== wanted) this.failures.push(`wrong answer ${text}`);
      } catch (error) {
        this.failures.push(String(error));
      }
      await delay(pauseMs);
    }
  }
}
