import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";

import { Lifecycle } from "../live/lifecycle.ts";
import { Live } from "../live/live.ts";
import { SysError } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import { AccessLog } from "./access_log.ts";
import { printed } from "./helpers_test.ts";

const linesOf = async (path: string): Promise<Record<string, unknown>[]> =>
  (await Deno.readTextFile(path)).trimEnd().split("\n").map((line) => JSON.parse(line));

/** An application without live update: its resources are real, and nothing is preserved. */
const plainLive = (): Live => new Live(new Lifecycle(null, 0));

Deno.test("AccessLog.around() answers and writes one line per request", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/access.log`;
  await Deno.writeTextFile(path, '{"earlier":true}\n');
  const log = await AccessLog.open(plainLive(), path);
  const answer = async (request: Request): Promise<Response> =>
    new Response(await request.text(), { status: 201 });
  const request = new Request("http://x/a%20b?q=1\n2", { method: "PUT", body: "content" });
  const response = await log.around(request, answer);
  assertEquals([response.status, await response.text()], [201, "content"]);
  await log.around(new Request("http://x/"), () => Promise.resolve(new Response(null, { status: 404 })));

  const [earlier, first, second, ...more] = await linesOf(path);
  assertEquals([earlier, more], [{ earlier: true }, []]);
  const { time, ms, ...rest } = first ?? {};
  assertEquals(rest, { generation: 0, method: "PUT", path: "/a%20b?q=12", status: 201 });
  assertMatch(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert(typeof ms === "number" && ms >= 0 && ms < 60_000);
  assertEquals([second?.["method"], second?.["path"], second?.["status"]], ["GET", "/", 404]);
});

Deno.test("AccessLog.open() makes a file that others cannot read, or says why not", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/access.log`;
  await AccessLog.open(plainLive(), path);
  assertEquals((await Deno.stat(path)).mode! & 0o007, 0);
  const error = await assertRejects(() => AccessLog.open(plainLive(), `${dir.path}/gone/a.log`), SysError);
  assertEquals(error.code, "ENOENT");
});

Deno.test("AccessLog.around() does not keep an answer back that cannot be written down", async () => {
  // A file that is closed behind its back stands for a disk that is full.
  await using dir = tempDir();
  const path = `${dir.path}/access.log`;
  const live = plainLive();
  let file: { close(): void } | undefined;
  const opened = live.file.bind(live);
  live.file = async (...args) => {
    const made = await opened(...args);
    file = made;
    return made;
  };
  const log = await AccessLog.open(live, path);
  file?.close();
  let status = 0;
  const { err } = await printed(async () => {
    const response = await log.around(new Request("http://x/"), () => Promise.resolve(new Response("fine")));
    status = response.status;
  });
  assertEquals([status, err.length], [200, 1]);
  assertMatch(err[0] ?? "", /^heirloom: access log: /);
});

Deno.test("AccessLog.around() passes on what the handler throws", async () => {
  await using dir = tempDir();
  const log = await AccessLog.open(plainLive(), `${dir.path}/access.log`);
  await assertRejects(
    () => log.around(new Request("http://x/"), () => Promise.reject(new RangeError("no"))),
    RangeError,
  );
});
