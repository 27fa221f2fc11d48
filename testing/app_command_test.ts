import { assert, assertEquals, assertThrows } from "@std/assert";
import { APP_VARIABLE, appCommand, heirloomRoot } from "./app_command.ts";

const command = (options: Parameters<typeof appCommand>[0]) =>
  appCommand(options, "/dir", "/dir/control.sock");
const main = `${heirloomRoot()}/main.ts`;

Deno.test("heirloomRoot is where this module's deno.json is", async () => {
  const config = JSON.parse(await Deno.readTextFile(`${heirloomRoot()}/deno.json`));
  assertEquals(config.exports["./testing"], "./testing/mod.ts");
});

Deno.test("appCommand runs an application under the command line", () => {
  const { argv, cli } = command({
    entry: "app.ts",
    args: ["--port", "1"],
    denoArgs: ["--a", "--b=c"],
    deno: "/deno",
  });
  assertEquals(argv, [
    ...["/deno", "run", "-A", main, "run", "--socket", "/dir/control.sock", "--deno-args=--a --b=c"],
    ...[`${Deno.cwd()}/app.ts`, "--port", "1"],
  ]);
  assertEquals(cli, ["/deno", "run", "-A", main]);
});

Deno.test("appCommand serves, and runs plainly", () => {
  const serve = command({
    mode: "serve",
    args: ["--http", "x"],
    prefix: ["nice", "-5"],
    heirloom: "/h",
    denoArgs: ["-q"],
  });
  assertEquals(serve.argv, [
    ...[
      "nice",
      "-5",
      Deno.execPath(),
      "run",
      "-A",
      "-q",
      "/h/main.ts",
      "serve",
      "--socket",
      "/dir/control.sock",
    ],
    ...["--http", "x"],
  ]);
  const plain = command({ mode: "plain", entry: "/app.ts", args: ["x"], denoArgs: ["-q"] });
  assertEquals(plain.argv, [Deno.execPath(), "run", "-A", "-q", "/app.ts", "x"]);
  assertEquals([serve.env["HEIRLOOM_SOCKET"], plain.env["HEIRLOOM_SOCKET"]], [
    undefined,
    "/dir/control.sock",
  ]);
});

Deno.test("appCommand passes the environment on, but nothing of another service", () => {
  Deno.env.set("HEIRLOOM_HANDOVER", "v1:3:00:update");
  Deno.env.set("HEIRLOOM_TESTING_OTHER", "x");
  try {
    const { env, cliEnv } = command({ entry: "app.ts", env: { A: "1", NO_COLOR: "" } });
    assertEquals([env["HEIRLOOM_HANDOVER"], env["HEIRLOOM_TESTING_OTHER"]], [undefined, undefined]);
    assertEquals([env["A"], env["NO_COLOR"], env["PATH"]], ["1", "", Deno.env.get("PATH")]);
    assertEquals([env[APP_VARIABLE], env["XDG_STATE_HOME"]], ["/dir", "/dir/state"]);
    // A command must not count as a part of the service.
    assert(!(APP_VARIABLE in cliEnv));
    assertEquals(cliEnv["NO_COLOR"], "1");
  } finally {
    Deno.env.delete("HEIRLOOM_HANDOVER");
    Deno.env.delete("HEIRLOOM_TESTING_OTHER");
  }
});

Deno.test("appCommand rejects what cannot be started", () => {
  assertThrows(() => command({}), TypeError, 'mode "run" takes an entry');
  assertThrows(() => command({ mode: "plain" }), TypeError, 'mode "plain" takes an entry');
  assertThrows(() => command({ mode: "serve", entry: "x" }), TypeError, 'mode "serve" takes no entry');
  assertThrows(() => command({ entry: "x", denoArgs: ["--a b"] }), TypeError, "has a space");
});
