/**
 * What the cross-process tests share: one application with every kind of resource in it, clients that hold a connection,
 * and the look at both from outside.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  ClientConnection,
  heirloomRoot,
  type HttpAnswer,
  startApp,
  type StartOptions,
  type TempDir,
  tempDir,
  type TestApp,
  type UpdateRecord,
  waitFor,
  writeApp,
} from "../../testing/mod.ts";

/** The library, as an application without an import map imports it. */
export const LIBRARY: string = `file://${heirloomRoot()}/mod.ts`;

/** Size of the segment of {@linkcode appText}. */
export const SEGMENT_BYTES = 65_536;

/** Milliseconds that an answer may take on a busy machine. */
const PATIENCE_MS = 30_000;

/** Where the pieces of a test's own go in {@linkcode appText}. */
export interface AppParts {
  /** What `/` answers, to tell builds apart. */
  label?: string;
  /** Statements before `open()`, imports among them. */
  before?: string;
  /** The argument of `open()`. */
  options?: string;
  /** Statements after the resources are there, before `serve()`. */
  use?: string;
  /** Statements at the beginning of the request handler, which knows `request`, `path` and `query`. */
  routes?: string;
  /** Instead of `await live.ready()`. */
  ready?: string;
  /** The specifier of the library. */
  library?: string;
}

/**
 * The text of an application that holds a segment, an appending log, a saved state and a server. Its first argument is
 * the port.
 */
export function appText(parts: AppParts = {}): string {
  const { label = "v1", before = "", options = "", use = "", routes = "", ready = "await live.ready();" } =
    parts;
  return `import { open } from "${parts.library ?? LIBRARY}";
${before}
const live = await open(${options});
const memory = await live.segment("memory", { size: ${SEGMENT_BYTES} });
const log = await live.file("log", "app.log", { append: true, create: true });
let lines = 0;
live.state("lines", { version: 1, save: () => lines, load: (value) => void (lines = Number(value)) });
${use}
const answer = async (request: Request): Promise<Response> => {
  const { pathname: path, searchParams: query } = new URL(request.url);
${routes}
  switch (path) {
    case "/": return new Response("${label}");
    case "/line": log.write(\`\${++lines}\\n\`); return new Response(String(lines));
    case "/lines": return new Response(String(lines));
    case "/fill": crypto.getRandomValues(memory.bytes.subarray(0, ${SEGMENT_BYTES})); return new Response("filled");
    case "/hash":
      return new Response(new Uint8Array(await crypto.subtle.digest("SHA-256", memory.bytes)).toHex());
    case "/slow":
      await new Promise((resolve) => setTimeout(resolve, Number(query.get("ms"))));
      return new Response("${label}");
    case "/generation": return new Response(String(live.generation));
    default: return new Response("no such path", { status: 404 });
  }
};
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, answer);
${ready}
`;
}

/** Statements that are executed where a build takes over for real, and not in its check. */
export function onlyForReal(code: string): string {
  return `if (!Deno.env.has("HEIRLOOM_PREFLIGHT")) {\n${code}\n}`;
}

/** A whole module that never opens live update: in the check it is ready, and only what takes over for real runs it. */
export function opensInCheck(text: string): string {
  const open = `await (await (await import("${LIBRARY}")).open()).ready();`;
  return `if (Deno.env.has("HEIRLOOM_PREFLIGHT")) ${open}\n${text}`;
}

/** For {@linkcode AppParts.ready}: in the check the build is ready, and what follows is for real. */
export const READY_IN_CHECK = "if (live.checking) await live.ready();\n";

/** A directory of builds. */
export interface Builds extends AsyncDisposable {
  /** Its path. */
  readonly path: string;
  /** Writes an application into a directory of its own and gives the path of its entry. */
  write(name: string, parts?: AppParts | string): Promise<string>;
}

/** Makes a directory for builds. */
export function builds(): Builds {
  const dir: TempDir = tempDir("heirloom-builds-");
  return {
    path: dir.path,
    write: (name, parts = {}) =>
      writeApp(`${dir.path}/${name}`, {
        files: { "main.ts": typeof parts === "string" ? parts : appText(parts) },
      }),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

/** A client that holds its connection open. */
export class Client implements Disposable {
  readonly #connection: ClientConnection;
  readonly #host: string;

  private constructor(connection: ClientConnection, host: string) {
    this.#connection = connection;
    this.#host = host;
  }

  /** Connects to a port of the loopback, or to a unix socket. */
  static async open(target: number | { unix: string }): Promise<Client> {
    const address = typeof target === "number" ? { hostname: "127.0.0.1", port: target } : target;
    const host = typeof target === "number" ? `127.0.0.1:${target}` : "localhost";
    return new Client(await ClientConnection.open(address, { timeoutMs: PATIENCE_MS }), host);
  }

  /** Did the other side end the connection? */
  get closed(): boolean {
    return this.#connection.fault !== null;
  }

  /** Asks and gives the whole answer. */
  async ask(path: string, method = "GET"): Promise<HttpAnswer> {
    const head = `${method} ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n\r\n`;
    return await this.#connection.exchange(new TextEncoder().encode(head), PATIENCE_MS);
  }

  /** Asks and gives the text of a 200. */
  async text(path: string): Promise<string> {
    const { status, body } = await this.ask(path);
    const text = new TextDecoder().decode(body);
    assertEquals(status, 200, `${path}: ${text}`);
    return text;
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}

/** One request over a connection of its own. */
export async function once(target: number | { unix: string }, path: string): Promise<string> {
  using client = await Client.open(target);
  return await client.text(path);
}

/** A running application of {@linkcode appText} with a client whose connection stays open. */
export interface Held extends AsyncDisposable {
  /** The service. */
  readonly app: TestApp;
  /** The client. */
  readonly client: Client;
  /** Its port. */
  readonly port: number;
  /** Checks from outside that everything is still there, and that this build serves it. */
  holds(label: string, generation: number): Promise<void>;
  /** Updates to a build that must commit. */
  commits(build: string, label: string): Promise<UpdateRecord>;
}

/**
 * Starts an application of {@linkcode appText} and gives it something to lose: a filled segment, a log, a state, a
 * connection.
 */
export async function startHeld(
  entry: string,
  port: number,
  options: Partial<StartOptions> = {},
): Promise<Held> {
  await using undo = new AsyncDisposableStack();
  const app = undo.use(await startApp({ entry, ...options, args: [String(port), ...options.args ?? []] }));
  const client = undo.use(await Client.open(port));
  assertEquals(await client.text("/fill"), "filled");
  const hash = await client.text("/hash");
  let lines = Number(await client.text("/line"));
  const { pid } = app;
  const file = `${options.cwd ?? app.dir}/app.log`;
  const holds = async (label: string, generation: number): Promise<void> => {
    assertEquals(client.closed, false, "the keep-alive connection was closed");
    assertEquals(await client.text("/"), label);
    assertEquals(await once(port, "/"), label);
    assertEquals(await client.text("/hash"), hash);
    assertEquals(Number(await client.text("/line")), ++lines);
    const written = Array.from({ length: lines }, (_, at) => `${at + 1}\n`).join("");
    assertEquals(await Deno.readTextFile(file), written);
    const status = await app.status();
    assertEquals([status.pid, status.generation, status.state], [pid, generation, "serving"]);
  };
  const kept = undo.move();
  return {
    app,
    client,
    port,
    holds,
    async commits(build, label) {
      const { generation } = await app.status();
      const record = await app.upgrade({ build });
      assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
      await holds(label, generation + 1);
      return record;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A raw TCP connection whose bytes the test writes and reads itself. */
export async function rawConnection(port: number): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  return connection;
}

/** Reads until a text has come; fails when the other side closes before. */
export async function readUntil(connection: Deno.Conn, wanted: string | RegExp): Promise<string> {
  const buffer = new Uint8Array(4096);
  const decoder = new TextDecoder();
  const timer = setTimeout(() => connection.close(), PATIENCE_MS);
  let read = "";
  try {
    while (typeof wanted === "string" ? !read.includes(wanted) : !wanted.test(read)) {
      const size = await connection.read(buffer);
      if (size === null) throw new Error(`The connection ended after ${JSON.stringify(read)}`);
      read += decoder.decode(buffer.subarray(0, size), { stream: true });
    }
  } finally {
    clearTimeout(timer);
  }
  return read;
}

/**
 * A statement for an application: it says when an update is about to let the connections stand still. Who reads that and
 * then sends something can be sure that nothing of it is read before the pause: the pause follows in the same turn.
 */
export const SAYS_QUIESCING = 'live.on("quiesce", () => console.log("quiescing"));';

/** Waits until an application with {@linkcode SAYS_QUIESCING} has said so a number of times. */
export async function untilQuiescing(app: TestApp, times = 1): Promise<void> {
  const count = (): number => app.output().stdout.split("quiescing").length - 1;
  await waitFor(() => count() >= times, {
    what: `update ${times} to let the connections stand still`,
    timeoutMs: PATIENCE_MS,
  });
}

/** How a command ended. */
export interface CommandEnd {
  /** The exit code. */
  readonly code: number;
  /** Standard output. */
  readonly stdout: string;
  /** Standard error. */
  readonly stderr: string;
}

/** Runs a command that must end by itself; one that hangs is ended and has code 137. */
export async function runCommand(
  argv: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<CommandEnd> {
  const [program = "", ...args] = argv;
  const child = new Deno.Command(program, {
    args,
    ...options,
    env: { NO_COLOR: "1", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
