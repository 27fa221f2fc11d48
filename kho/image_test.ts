import { assert, assertEquals } from "@std/assert";

import { runScriptForJson } from "../sys/helpers_test.ts";
import {
  currentDirectory,
  getLimit,
  getMask,
  getUmask,
  initialEnvironmentBytes,
  maskToHex,
} from "../sys/mod.ts";
import { sampleImage } from "./helpers_test.ts";
import { captureImage, type ImageFacts } from "./image.ts";

const FACTS: ImageFacts = {
  argv: ["a"],
  entry: "/entry.ts",
  config: null,
  version: "1",
  names: { entry: "entry.ts", exec: null },
  previous: null,
};

Deno.test("captureImage() of a cold start is what the process is", () => {
  const { soft, hard } = getLimit("nofile");
  assertEquals(captureImage(FACTS), {
    argv: ["a"],
    config: null,
    cwd: currentDirectory(),
    deno_dir: Deno.env.get("DENO_DIR") ?? null,
    entry: "/entry.ts",
    env: initialEnvironmentBytes(),
    exec: Deno.execPath(),
    fingerprint: null,
    limits: [{ name: "nofile", soft, hard }],
    names: { entry: "entry.ts", exec: null },
    sigmask: maskToHex(getMask()),
    umask: getUmask(),
    version: "1",
  });
});

Deno.test("captureImage() keeps the surroundings of the cold start across updates", () => {
  const previous = sampleImage();
  const image = captureImage({ ...FACTS, previous });
  for (const name of ["cwd", "limits", "sigmask", "umask"] as const) {
    assertEquals(image[name], previous[name]);
  }
  assertEquals(image.entry, "/entry.ts");
  assert(image.env.length > 0);
});

Deno.test("captureImage() takes the initial environment, without the announcement", async () => {
  const script = `
    import { captureImage } from "${import.meta.resolve("./image.ts")}";
    Deno.env.set("LATER", "1");
    Deno.env.delete("KEPT");
    const facts = { argv: [], entry: "", config: null, version: null, names: { entry: null, exec: null }, previous: null };
    const env = captureImage(facts).env.map((bytes) => new TextDecoder().decode(bytes));
    say(env.filter((entry) => /^(KEPT|LATER|HEIRLOOM_)/.test(entry)).sort());
  `;
  const env = { KEPT: "yes", HEIRLOOM_HANDOVER: "v1:3:00:update", HEIRLOOM_SOCKET: "/s" };
  assertEquals(await runScriptForJson(script, env), [["HEIRLOOM_SOCKET=/s", "KEPT=yes"]]);
});
