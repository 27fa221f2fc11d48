import { assertEquals, assertMatch, assertRejects } from "@std/assert";

import type { Snapshot } from "./snapshot.ts";
import { makePlace, names, ONE, type Place } from "./snapshot_kit_test.ts";

/** A take that must fail; asserts that nothing of it is left. */
async function assertTakeFails(place: Place, message: RegExp, take: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(take, Error, "Cannot take a snapshot of the build: ");
  assertMatch(error.message, message);
  assertEquals(names(place.folder), []);
  assertEquals(place.snapshots.find(ONE), null);
}

Deno.test("Snapshots.take() of a file that is gone, or no file, fails and leaves nothing", async () => {
  await using place = makePlace();
  await assertTakeFails(place, /app\/gone\.ts/, () => place.take(ONE, ["app/main.ts", "app/gone.ts"]));
  await assertTakeFails(place, /app\/main\.ts\/x/, () => place.take(ONE, ["app/main.ts/x"]));
  await assertTakeFails(place, /app\/lib is no regular/, () => place.take(ONE, ["app/lib"]));
  await new Deno.Command("mkfifo", { args: [`${place.path}/app/fifo.ts`] }).output();
  await assertTakeFails(place, /fifo\.ts is no regular/, () => place.take(ONE, ["app/fifo.ts"]));
  assertEquals((await place.take(ONE)).has(`${place.path}/app/main.ts`), true);
});

Deno.test("Snapshots.take() of files that vanish or change meanwhile fails and leaves nothing", async () => {
  const many = Array.from({ length: 100 }, (_, index) => `app/module${index}.ts`);
  await using place = makePlace(Object.fromEntries(many.map((name) => [name, name])));
  const modules = many.map((name) => `${place.path}/${name}`);
  const hash = async (text: string): Promise<string> =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toHex();
  const hashes = new Map(
    await Promise.all(
      many.map(async (name): Promise<[string, string]> => [`${place.path}/${name}`, await hash(name)]),
    ),
  );
  const last = modules.at(-1) ?? "";
  const takeWhile = (happens: (path: string) => void): Promise<Snapshot> =>
    place.snapshots.take(ONE, {
      modules,
      configs: [],
      roots: [`${place.path}/app`],
      expect: (path) => (happens(path), hashes.get(path)),
    });
  const once = (happens: () => void) => (path: string): void => {
    if (path === modules[20]) happens();
  };
  await assertTakeFails(
    place,
    /module99\.ts is not what it was/,
    () => takeWhile(once(() => Deno.writeTextFileSync(last, "app/module98.ts"))),
  );
  await assertTakeFails(place, /module99\.ts/, () => takeWhile(once(() => Deno.removeSync(last))));
  Deno.writeTextFileSync(last, many.at(-1) ?? "");
  assertEquals((await takeWhile(() => {})).has(last), true);
});

Deno.test("Snapshots.take() that is killed leaves nothing that is found, and prune removes it", async () => {
  await using place = makePlace();
  const script = `import { Snapshots } from ${JSON.stringify(import.meta.resolve("./snapshot.ts"))};
await new Snapshots(Deno.args[1]).take(${JSON.stringify(ONE)}, {
  modules: ["main.ts", "other.ts", "lib/deep/one.ts"].map((name) => Deno.args[0] + "/app/" + name),
  configs: [],
  roots: [Deno.args[0] + "/app"],
  expect: (path) => {
    if (path.endsWith("one.ts")) Deno.kill(Deno.pid, "SIGKILL");
    return undefined;
  },
});`;
  await Deno.writeTextFile(`${place.path}/take.ts`, script);
  const { signal, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", "--no-lock", `${place.path}/take.ts`, place.path, place.folder],
  }).output();
  const left = names(place.folder);
  if (signal !== "SIGKILL" || left.length !== 1 || !left[0]?.endsWith(".tmp")) {
    throw new Error(`${signal}: ${left}: ${new TextDecoder().decode(stderr)}`);
  }
  assertEquals(place.snapshots.find(ONE), null);
  await place.snapshots.prune([]);
  assertEquals(names(place.folder), left, "somebody may still be at work on it");
  const hourAgo = new Date(Date.now() - 3_600_000);
  await Deno.utime(`${place.folder}/${left[0]}`, hourAgo, hourAgo);
  await place.snapshots.prune([]);
  assertEquals(names(place.folder), []);
  assertEquals(Deno.readTextFileSync(`${place.path}/app/static/logo.svg`), "logo");
});
