import { assertEquals } from "@std/assert";

import { tempDir } from "../../testing/mod.ts";
import { carries, descriptorOf, fdInfoOf } from "./_kit.ts";

Deno.test("directories stay what they were, moved, removed or hidden by another, seen from outside", async (t) => {
  await using dir = tempDir();
  const names = ["moved", "removed", "current"];
  for (const name of ["moved", "removed", "old", "new"]) {
    await Deno.mkdir(`${dir.path}/${name}`);
    await Deno.writeTextFile(`${dir.path}/${name}/${name}`, name);
  }
  await Deno.symlink("old", `${dir.path}/current`);
  await carries(t, {
    use: `const all = [];
for (const name of ${
      JSON.stringify(names)
    }) all.push(await live.directory(name, \`\${Deno.args[1]}/\${name}\`));`,
    routes:
      '  if (path === "/list") return Response.json(all.map((each) => [each.name, each.path, ...each.list()]));',
    args: [dir.path],
    async prepare({ ask }) {
      await ask("/list");
      await Deno.rename(`${dir.path}/moved`, `${dir.path}/elsewhere`);
      await Deno.remove(`${dir.path}/removed`, { recursive: true });
      await Deno.remove(`${dir.path}/current`);
      await Deno.symlink("new", `${dir.path}/current`);
      await ask("/list");
    },
    async look({ app }) {
      const seen = [];
      for (const name of names) {
        const { fd, link, flags } = await descriptorOf(app, name);
        const { ino, dev } = await Deno.stat(`/proc/${app.pid}/fd/${fd}`);
        const [position] = /^pos:.*$/m.exec(await fdInfoOf(app, name)) ?? [];
        seen.push({ name, link, flags, ino, dev, position });
      }
      return seen;
    },
    async works({ ask }) {
      assertEquals(JSON.parse(await ask("/list")), [
        ["moved", "unlinked", "moved"],
        ["removed", "unlinked"],
        ["current", "replaced", "old"],
      ]);
    },
  });
});
