import { assertEquals } from "@std/assert";
import { carries, fdInfoOf } from "./_kit.ts";

Deno.test("an open file has its position, its flags and its lock after each update, seen from outside", async (t) => {
  await carries(t, {
    before: `import { lockFile } from "${new URL("../../sys/lock.ts", import.meta.url)}";`,
    use: `const notes = await live.file("notes", "notes.txt", { read: true, write: true, create: true });
if (live.generation === 0) lockFile(notes.fd);`,
    routes: `  if (path === "/note") {
    notes.write("0123456789");
    return new Response(String(notes.seek(-3, "cur")));
  }`,
    async prepare({ ask }) {
      assertEquals(await ask("/note"), "7");
    },
    async look({ app }) {
      const info = await fdInfoOf(app, "notes");
      const line = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(info)?.[1] ?? "";
      // The PID in it is that of who took the lock, whoever has it now.
      const lock = line("lock").replace(/^\d+: /, "").replace(/WRITE \d+/, "WRITE");
      return [line("pos"), Number.parseInt(line("flags"), 8) & ~0o2000000, line("ino"), lock];
    },
  });
});
