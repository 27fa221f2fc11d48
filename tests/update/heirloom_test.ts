import { assertEquals, assertMatch } from "@std/assert";
import { copyTree, freePort, heirloomRoot } from "../../testing/mod.ts";
import { builds, LIBRARY, startHeld } from "./_fixtures.ts";

Deno.test("an application moves to a newer Heirloom, to another runtime, and back", async () => {
  await using all = builds();
  const next = await copyTree(heirloomRoot(), `${all.path}/next`, { version: "0.1.7" });
  const runtime = `${all.path}/deno`;
  await Deno.symlink(Deno.execPath(), runtime);
  const tellsBoot = `  if (path === "/boot") return new Response(Deno.mainModule + " " + Deno.execPath());`;
  const first = await all.write("first", { routes: tellsBoot });
  // The application brings its own copy, of the new version; the one that booted it is the one that counts.
  const library = LIBRARY.replace(heirloomRoot(), next);
  const second = await all.write("second", { label: "v2", routes: tellsBoot, library });
  await using held = await startHeld(first, freePort());
  const boot = async (): Promise<string> =>
    (await held.client.text("/boot")).replace("file://", "").split(" ")[0]!;
  assertEquals(await boot(), `${heirloomRoot()}/live/boot.ts`);

  const { code, stderr } = await held.app.upgradeCli(["--heirloom", next]);
  assertEquals(code, 0, stderr);
  await held.holds("v1", 1);
  assertEquals(await boot(), `${next}/live/boot.ts`);

  // It stays there until it is told otherwise.
  await held.commits(second, "v2");
  assertEquals(await boot(), `${next}/live/boot.ts`);

  // A tree that does not even load is refused or undone, and the one that ran comes back.
  const broken = await copyTree(heirloomRoot(), `${all.path}/broken`);
  await Deno.writeTextFile(`${broken}/kho/incoming.ts`, "export const = ;\n");
  const record = await held.app.upgrade({ heirloom: broken });
  assertEquals(record.outcome, "refused", `${record.outcome}: ${record.reason}`);
  assertMatch(record.reason ?? "", /incoming\.ts/);
  await held.holds("v2", 2);

  const back = await held.app.upgrade({ heirloom: heirloomRoot(), deno: runtime, build: first });
  assertEquals([back.outcome, back.reason], ["committed", null]);
  await held.holds("v1", 3);
  assertEquals(await boot(), `${heirloomRoot()}/live/boot.ts`);
});
