import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { freePort, waitFor } from "../../testing/mod.ts";
import { builds, Client, LIBRARY, runCommand } from "./_fixtures.ts";

/** What the library answers where it is off; a service of its own process, since nobody can ask it by the socket. */
const ROUTES = `  if (path === "/off") {
    const codes = [];
    for (const call of [() => live.device, () => Device.open(), () => live.upgrade()]) {
      try { await call(); codes.push("worked"); } catch (error) { codes.push(error.code); }
    }
    return Response.json(codes);
  }`;

for (
  const [name, env, options] of [
    ["HEIRLOOM=off", { HEIRLOOM: "off" }, ""],
    ["open({ enabled: false })", {}, "{ enabled: false }"],
  ] as const
) {
  Deno.test(`with ${name} an application runs as ever, and is not updated`, async () => {
    await using all = builds();
    const before = `import { Device } from "${LIBRARY}";`;
    const entry = await all.write("app", { before, options, routes: ROUTES });
    const port = freePort();
    const socket = `${all.path}/s.sock`;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        new URL("../../main.ts", import.meta.url).pathname,
        "run",
        "--socket",
        socket,
        entry,
        `${port}`,
      ],
      cwd: all.path,
      env,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(child.stderr).text();
    try {
      const what = { what: "the service", timeoutMs: 30_000 };
      using client = await waitFor(() => Client.open(port), what);
      assertEquals(await client.text("/"), "v1");
      assertEquals(await client.text("/fill"), "filled");
      assertEquals([await client.text("/line"), await client.text("/line")], ["1", "2"]);
      assertEquals(await client.text("/generation"), "0");
      const codes = JSON.parse(await client.text("/off"));
      const device = name === "HEIRLOOM=off" ? "EOPNOTSUPP" : "worked";
      assertEquals(codes, ["EOPNOTSUPP", device, "EOPNOTSUPP"]);
    } finally {
      child.kill("SIGTERM");
      await child.status;
    }
    assertEquals(await Deno.readTextFile(`${all.path}/app.log`), "1\n2\n");
    assertEquals(await stderr, "");
    await assertRejects(() => Deno.stat(socket), Deno.errors.NotFound);
    const { code, stderr: said } = await runCommand([
      ...[Deno.execPath(), "run", "-A", new URL("../../main.ts", import.meta.url).pathname],
      ...["upgrade", "--socket", socket],
    ]);
    assertEquals(code, 3);
    assertMatch(said, /nobody serves it/);
  });
}
