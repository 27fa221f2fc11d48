import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";

import { tempDir } from "../testing/wait.ts";
import { stateFolder } from "./state_folder.ts";

const VARIABLES = ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"];

/** The folder in an environment that has only these of the variables. */
function folderIn(environment: Record<string, string>, key = "/run/heirloom/control.sock"): string | null {
  const saved = VARIABLES.map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const name of VARIABLES) {
      const value = environment[name];
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
    return stateFolder(key);
  } finally {
    for (const [name, value] of saved) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

const NAME = "run-heirloom-control.sock-[0-9a-f]{8}$";

Deno.test("stateFolder() goes by systemd, then XDG, then the home directory", () => {
  const all = { STATE_DIRECTORY: "/var/lib/app", XDG_STATE_HOME: "/xdg", HOME: "/home/u" };
  assertMatch(folderIn(all) ?? "", new RegExp(`^/var/lib/app/${NAME}`));
  const { STATE_DIRECTORY: _, ...user } = all;
  assertMatch(folderIn(user) ?? "", new RegExp(`^/xdg/heirloom/${NAME}`));
  assertMatch(folderIn({ HOME: "/home/u" }) ?? "", new RegExp(`^/home/u/.local/state/heirloom/${NAME}`));
  assertEquals(folderIn({}), null);
});

Deno.test("stateFolder() takes the first of several state directories", () => {
  const folder = folderIn({ STATE_DIRECTORY: "/var/lib/first:/var/lib/second", HOME: "/home/u" });
  assertMatch(folder ?? "", new RegExp(`^/var/lib/first/${NAME}`));
});

Deno.test("stateFolder() passes over what is empty or no absolute path", () => {
  const home = folderIn({ HOME: "/home/u" });
  for (const value of ["", "relative", "./x", "~/state", ":/var/lib/second"]) {
    assertEquals(folderIn({ STATE_DIRECTORY: value, XDG_STATE_HOME: value, HOME: "/home/u" }), home, value);
    assertEquals(folderIn({ HOME: value }), null, value);
  }
  assertEquals(folderIn({ HOME: "/home/u//" }), home);
});

Deno.test("stateFolder() gives each service a folder of its own, with a name that can be read", () => {
  const keys = [
    "/run/heirloom/control.sock",
    "/run/heirloom/control-sock",
    "/run/heirloom control.sock",
    "run/heirloom/control.sock",
    "/run/../heirloom/control.sock",
    `/${"x".repeat(200)}/control.sock`,
    `/${"x".repeat(201)}/control.sock`,
    "/ä/ß",
    "...",
    "",
    "/",
  ];
  const folders = keys.map((key) => folderIn({ XDG_STATE_HOME: "/xdg" }, key) ?? "");
  assertEquals(new Set(folders).size, keys.length);
  for (const folder of folders) assertMatch(folder, /^\/xdg\/heirloom\/[A-Za-z0-9_][A-Za-z0-9._-]{0,48}$/);
  assert(folders[5]?.includes("control.sock"), folders[5]);
  assertEquals(folderIn({ XDG_STATE_HOME: "/xdg" }, keys[0]), folders[0]);
  assertNotEquals(folderIn({ XDG_STATE_HOME: "/other" }, keys[0]), folders[0]);
});

Deno.test("stateFolder() of a process that may not read its environment is null", async () => {
  await using directory = tempDir("heirloom-state-");
  const script = `${directory.path}/main.ts`;
  const module = import.meta.resolve("./state_folder.ts");
  await Deno.writeTextFile(
    script,
    `import { stateFolder } from ${JSON.stringify(module)};\nconsole.log(stateFolder("key"));\n`,
  );
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-config", "--no-lock", "--no-prompt", script],
    env: { HOME: "/home/u" },
    stdin: "null",
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, "null\n"]);
});
