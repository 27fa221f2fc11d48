/**
 * An application with a server of HTTP and one of lines, of whose connections something was said.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { freePort, startApp, type TestApp, type UpdateRecord } from "../../testing/mod.ts";
import { type Builds, builds, LIBRARY } from "../update/_fixtures.ts";

/** What differs between builds. */
export interface PoliciesAppParts {
  /** What answers begin with. */
  label?: string;
  /** The argument of `open()`. */
  options?: string;
  /** How the server of HTTP is carried; `policies` is known, a map from sockets. */
  web?: string;
  /** How the server of lines is carried; `policies` is known. */
  line?: string;
}

/**
 * The text of an application. Its arguments are two ports and the path of a gate. Every request is answered with
 * `LABEL PATH`; `/held` only when there is a file at the gate, `/events` never ends, and `/policy?WORD` sets what becomes
 * of its connection. A line `policy WORD` does the same, every other is sent back behind the label.
 */
export function policiesApp(parts: PoliciesAppParts = {}): string {
  const { label = "v1", options = "", web = "{}", line = "{}" } = parts;
  return `import { createServer } from "node:http";
import { createServer as createNet } from "node:net";
import { open } from "${LIBRARY}";
const live = await open(${options});
live.on("quiesce", () => console.log("quiescing"));
const [one, two, gate] = Deno.args;
const policies = new Map();
const http = createServer(async (request, response) => {
  const { pathname, search } = new URL(request.url, "http://localhost");
  if (pathname === "/policy") policies.set(request.socket, search.slice(1));
  if (pathname === "/events") return response.write("begun");
  if (pathname === "/held") {
    console.log("held");
    for (;;) {
      try { Deno.statSync(gate); break; } catch { await new Promise((resolve) => setTimeout(resolve, 10)); }
    }
  }
  response.end("${label} " + pathname);
});
const lines = createNet((socket) => {
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    const [verb, word] = String(chunk).trimEnd().split(" ");
    if (verb === "policy") policies.set(socket, word);
    socket.write("${label}:" + chunk);
  });
});
await live.server("web", http, { hostname: "127.0.0.1", port: Number(one) }, ${web});
await live.server("line", lines, { hostname: "127.0.0.1", port: Number(two) }, ${line});
await live.ready();
`;
}

/** A running application of {@linkcode policiesApp}. */
export interface PoliciesService extends AsyncDisposable {
  readonly app: TestApp;
  /** The port of HTTP. */
  readonly web: number;
  /** The port of lines. */
  readonly line: number;
  /** Where the gate belongs. */
  readonly gate: string;
  /** Updates to the same application with another label. */
  update(label: string): Promise<UpdateRecord>;
  /** The same, and it must commit. Gives how many connections were ended. */
  commits(label: string): Promise<number>;
}

/** Starts an application of {@linkcode policiesApp}. */
export async function startPolicies(parts: PoliciesAppParts = {}): Promise<PoliciesService> {
  await using undo = new AsyncDisposableStack();
  const all: Builds = undo.use(builds());
  const [web, line] = [freePort(), freePort()];
  const gate = `${all.path}/gate`;
  const entry = await all.write("first", policiesApp(parts));
  const app = undo.use(await startApp({ entry, args: [`${web}`, `${line}`, gate] }));
  const kept = undo.move();
  const update = async (label: string): Promise<UpdateRecord> =>
    await app.upgrade({ build: await all.write(label, policiesApp({ ...parts, label })) });
  return {
    app,
    web,
    line,
    gate,
    update,
    async commits(label) {
      const record = await update(label);
      assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
      return record.closed;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
