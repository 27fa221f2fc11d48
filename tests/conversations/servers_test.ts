import { assertEquals, assertMatch } from "@std/assert";
import { freePort, startApp } from "../../testing/mod.ts";
import { builds, Client, LIBRARY, rawConnection, readUntil } from "../update/_fixtures.ts";

const encoder = new TextEncoder();

/** A server of `node:http` and one of `node:net` with a protocol of lines. */
function servers(label: string): string {
  return `import { createServer as createHttp } from "node:http";
import { createServer as createNet } from "node:net";
import { open } from "${LIBRARY}";
const live = await open({ quiesceTimeoutMs: 500 });
const http = createHttp((request, response) => {
  let body = "";
  request.on("data", (chunk) => body += chunk);
  request.on("end", () => response.end("${label} " + request.url));
});
const net = createNet((socket) => {
  socket.on("error", () => {});
  socket.on("data", (chunk) => socket.write("${label}:" + chunk));
});
const [one, two] = Deno.args.map(Number);
await live.server("http", http, { hostname: "127.0.0.1", port: one });
await live.server("net", net, { hostname: "127.0.0.1", port: two });
await live.ready();
`;
}

Deno.test("servers of node:http and node:net are carried with their connections", async () => {
  await using all = builds();
  const ports = [freePort(), freePort()];
  const first = await all.write("first", servers("v1"));
  const second = await all.write("second", servers("v2"));
  await using app = await startApp({ entry: first, args: ports.map(String) });
  using client = await Client.open(ports[0]!);
  using line = await rawConnection(ports[1]!);
  assertEquals(await client.text("/x"), "v1 /x");
  await line.write(encoder.encode("ping\n"));
  assertEquals(await readUntil(line, "\n"), "v1:ping\n");

  for (const [build, label] of [[second, "v2"], [first, "v1"], [second, "v2"]] as const) {
    const record = await app.upgrade({ build });
    assertEquals([record.outcome, record.reason], ["committed", null]);
    assertEquals(await client.text("/y"), `${label} /y`);
    await line.write(encoder.encode("ping\n"));
    assertEquals(await readUntil(line, "\n"), `${label}:ping\n`);
    using fresh = await rawConnection(ports[1]!);
    await fresh.write(encoder.encode("hi\n"));
    assertEquals(await readUntil(fresh, "\n"), `${label}:hi\n`);
  }
});

Deno.test("a server that listens already, or speaks TLS, is refused when it is given", async () => {
  await using all = builds();
  const text = `import { createServer } from "node:http";
import { createServer as createSecure } from "node:https";
import { open } from "${LIBRARY}";
const live = await open();
const codes: string[] = [];
const listening = createServer(() => {});
await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
for (const server of [listening, createSecure({}, () => {})]) {
  await live.server("x", server, { port: 0 }).then(() => codes.push("taken"), (error) => codes.push(error.code));
}
for (const name of ["", "a#b", "a@b", "x".repeat(64), "\\ud800"]) {
  await live.segment(name, { size: 1 }).then(() => codes.push("taken"), (error) => codes.push(error.code));
}
await live.segment("twice", { size: 1 });
await live.segment("twice", { size: 1 }).then(() => codes.push("taken"), (error) => codes.push(error.code));
for (const size of [0, -1, 1.5, NaN]) {
  await live.segment("size", { size }).then(() => codes.push("taken"), (error) => codes.push(error.name));
}
await live.file("null", "/dev/null").then(() => codes.push("taken"), (error) => codes.push(error.code));
await live.file("none", "/nowhere/at/all").then(() => codes.push("taken"), (error) => codes.push(error.code));
await open().then(() => codes.push("open"), (error) => codes.push(error.code));
console.log("codes:", codes.join(" "));
listening.close();
await live.serve("web", { hostname: "127.0.0.1", port: 0 }, () => new Response(""));
await live.ready();
`;
  await using app = await startApp({ entry: await all.write("app", text) });
  const said = app.output().stdout;
  assertMatch(
    said,
    /codes: EINVAL EOPNOTSUPP (EINVAL ){5}EEXIST (RangeError ){4}ENOENT ENOENT EBUSY/,
    app.output().stderr,
  );
});
