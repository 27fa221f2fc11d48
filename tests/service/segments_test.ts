import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  assertNoFailures,
  assertNothingLost,
  copyTree,
  heirloomRoot,
  snapshot,
  startLoad,
  tempDir,
  writeApp,
} from "../../testing/mod.ts";
import { Client, onlyForReal, opensInCheck } from "../update/_fixtures.ts";
import { startServing } from "./_serve.ts";

const SIZE = 300_000;

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

Deno.test("segments over HTTP survive updates to another version of Heirloom, and one that fails", async () => {
  await using dir = tempDir();
  const next = await copyTree(heirloomRoot(), `${dir.path}/next`, { version: "0.1.1" });
  await Deno.mkdir(`${dir.path}/bad`);
  const bad = await writeApp(`${dir.path}/bad`, {
    files: { "main.ts": opensInCheck('throw new Error("a bad release");\n') },
  });
  await using serving = await startServing(dir.path);
  const { app, ask, url } = serving;
  const content = crypto.getRandomValues(new Uint8Array(60_000));

  assertEquals((await ask(`/v1/segments/data?size=${SIZE}`, { method: "PUT" })).status, 201);
  assertEquals((await ask("/v1/segments/other?size=10", { method: "PUT" })).status, 201);
  const wrote = await ask("/v1/segments/data/bytes?offset=1000", { method: "PUT", body: content });
  assertEquals([wrote.status, wrote.json()], [200, { name: "data", offset: 1000, written: content.length }]);
  const hash = await sha256((await ask("/v1/segments/data/bytes")).bytes);
  const { bytes: part } = await ask(`/v1/segments/data/bytes?offset=1000&length=${content.length}`);
  assertEquals(part, content);

  const { hostname, port } = new URL(url);
  using client = await Client.open(Number(port));
  const holds = async (generation: number, version: string, path: string): Promise<void> => {
    assertEquals(await sha256((await ask("/v1/segments/data/bytes")).bytes), hash);
    const { segments } = (await ask("/v1/segments")).json();
    assertEquals(segments, [{ name: "data", size: SIZE }, { name: "other", size: 10 }]);
    // The status over HTTP is the one of the control socket.
    const status = JSON.parse(await client.text("/v1/status"));
    assertEquals(status.build, { ...status.build, path, version });
    assertEquals([status.generation, status.pid], [generation, app.pid]);
    assertEquals(client.closed, false);
  };
  const { version } = JSON.parse(await Deno.readTextFile(`${heirloomRoot()}/deno.json`));
  await holds(0, version, heirloomRoot());

  const load = startLoad({
    target: { hostname, port: Number(port) },
    path: "/v1/segments",
    keepAlive: 4,
    newPerSecond: 30,
  });
  const up = await app.upgradeCli(["--build", next]);
  assertEquals(up.code, 0, up.stderr);
  await holds(1, "0.1.1", next);
  const before = await snapshot(app);

  for (const build of [`${dir.path}/bad`, bad]) {
    const { code, stdout, stderr } = await app.upgradeCli(["--build", build, "--json"]);
    assertEquals(code, 1, stderr);
    const record = JSON.parse(stdout);
    assertEquals(record.outcome, "rolled-back");
    assertMatch(record.reason, /a bad release/);
    await holds(1, "0.1.1", next);
  }
  // And back to the older version: a downgrade is an update like any other.
  const down = await app.upgrade({ build: heirloomRoot() });
  assertEquals([down.outcome, down.from.version, down.to.version], ["committed", "0.1.1", version]);
  await holds(2, version, heirloomRoot());
  assertNoFailures(await load.stop());
  assertNothingLost(before, await snapshot(app), { updates: 1, ignore: (each) => each.includes(" to ") });

  // Segments are as alive as before.
  assertEquals((await ask("/v1/segments/other", { method: "DELETE" })).status, 204);
  assertEquals((await ask("/v1/segments/later?size=5", { method: "PUT" })).status, 201);
  assertEquals((await app.upgrade({ build: next })).dropped, []);
  const { segments } = (await ask("/v1/segments")).json();
  assertEquals(segments, [{ name: "data", size: SIZE }, { name: "later", size: 5 }]);
});

Deno.test("a Heirloom tree that is broken, wherever it is, does not take the service along", async (t) => {
  await using dir = tempDir();
  await using serving = await startServing(dir.path);
  const { app, ask } = serving;
  assertEquals((await ask("/v1/segments/data?size=4", { method: "PUT" })).status, 201);
  assertEquals((await ask("/v1/segments/data/bytes", { method: "PUT", body: "kept" })).status, 200);
  const syntax = (): string => "export const = ;\n";
  const late = (text: string): string => `${onlyForReal('throw new Error("broken");')}\n${text}`;
  const breaks = [
    ["main.ts", syntax, "refused"],
    ["kho/incoming.ts", syntax, "refused"],
    ["service/serve.ts", syntax, "refused"],
    ["service/live_store.ts", late, "rolled-back"],
  ] as const;
  for (const [file, broken, outcome] of breaks) {
    await t.step(file, async () => {
      const tree = await copyTree(heirloomRoot(), `${dir.path}/${file.replaceAll("/", "-")}`);
      await Deno.writeTextFile(`${tree}/${file}`, broken(await Deno.readTextFile(`${tree}/${file}`)));
      const record = await app.upgrade({ build: tree });
      assertEquals(record.outcome, outcome, `${record.reason}`);
      assert(record.reason?.includes(file), `${record.reason}`);
      assertEquals(new TextDecoder().decode((await ask("/v1/segments/data/bytes")).bytes), "kept");
    });
  }
  assertEquals((await app.upgrade()).outcome, "committed");
  assertEquals(new TextDecoder().decode((await ask("/v1/segments/data/bytes")).bytes), "kept");
});

Deno.test("quotas, token and Host are asked for, before and after an update", async () => {
  await using dir = tempDir();
  const args = [
    ...[
      "--max-segments",
      "2",
      "--max-segment-bytes",
      "1000",
      "--max-total-bytes",
      "1500",
      "--max-body-bytes",
      "100",
    ],
  ];
  await using serving = await startServing(dir.path, { args });
  const { app, ask, url } = serving;
  const put = (path: string, token?: string | null): Promise<{ status: number }> =>
    ask(path, { method: "PUT", ...(token === undefined ? {} : { token }) });
  const check = async (): Promise<void> => {
    const refused = async (
      status: number,
      code: string,
      path: string,
      init: Parameters<typeof ask>[1] = {},
    ) => {
      const answer = await ask(path, { method: "PUT", ...init });
      const { error } = answer.json() as { error: { code: string; message: string; allowed: string } };
      assertEquals([answer.status, error.code], [status, code], `${path}: ${error.message}`);
      assert(error.allowed.length > 0, "what is allowed is said");
    };
    await refused(401, "EACCES", "/v1/segments/a?size=1", { token: null });
    await refused(401, "EACCES", "/v1/segments/a?size=1", { token: "guess" });
    await refused(413, "EFBIG", "/v1/segments/a?size=1001");
    await refused(400, "EINVAL", "/v1/segments/a?size=0");
    await refused(400, "EINVAL", "/v1/segments/a?size=1e3");
    await refused(400, "EINVAL", "/v1/segments/a");
    await refused(400, "EINVAL", "/v1/segments/.hidden?size=1");
    await refused(400, "EINVAL", "/v1/segments/a%2Fb?size=1");
    await refused(404, "ENOENT", "/v1/segments/none/bytes", { body: "x" });
    await refused(404, "ENOENT", "/v2/segments");
    await refused(416, "ERANGE", "/v1/segments/first/bytes?offset=1001", { body: "x" });
    await refused(413, "EFBIG", "/v1/segments/first/bytes", { body: "x".repeat(101) });
    await refused(405, "EOPNOTSUPP", "/v1/segments", { method: "POST" });
    await refused(403, "EACCES", "/v1/segments/a?size=1", { headers: { origin: "http://evil.example" } });
  };
  assertEquals((await put("/v1/segments/first?size=1000")).status, 201);
  await check();
  assertEquals((await app.upgrade()).outcome, "committed");
  await check();

  assertEquals((await put("/v1/segments/second?size=501")).status, 507, "1500 bytes in all");
  assertEquals((await put("/v1/segments/second?size=500")).status, 201);
  assertEquals((await put("/v1/segments/third?size=1")).status, 507, "two segments");
  assertEquals((await put("/v1/segments/second?size=500")).status, 200, "it is there already");

  // A page of another site reaches us under its own name.
  const { port } = new URL(url);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  await connection.write(
    new TextEncoder().encode("GET /v1/segments HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"),
  );
  assertMatch(await new Response(connection.readable).text(), /^HTTP\/1\.1 421 /);
});

Deno.test("without a token nothing can be written, and reading works", async () => {
  await using dir = tempDir();
  await using serving = await startServing(dir.path, { token: false });
  const answer = await serving.ask("/v1/segments/a?size=1", { method: "PUT" });
  assertEquals([answer.status, (answer.json()["error"] as { code: string }).code], [403, "EPERM"]);
  assertEquals((await serving.ask("/v1/segments", { token: null })).status, 200);
});
