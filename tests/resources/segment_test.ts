import { openFile, writeAll } from "../../sys/mod.ts";
import { carries, descriptorOf } from "./_kit.ts";

const WORDS = "seen from outside";

Deno.test("a segment is the same memory after each update, seen from outside", async (t) => {
  await carries(t, {
    use: "",
    async prepare(stage) {
      const { fd } = await descriptorOf(stage.app, "memory");
      using memory = openFile(`/proc/${stage.app.pid}/fd/${fd}`, { write: true });
      writeAll(memory.fd, new TextEncoder().encode(WORDS));
    },
    async look({ app }) {
      const { fd, description } = await descriptorOf(app, "memory");
      return [description, (await Deno.readTextFile(`/proc/${app.pid}/fd/${fd}`)).slice(0, WORDS.length)];
    },
  });
});
