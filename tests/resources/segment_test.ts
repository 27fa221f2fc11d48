import { carries, descriptorOf } from "./_kit.ts";

const WORDS = "seen from outside";

Deno.test("a segment is the same memory after each update, seen from outside", async (t) => {
  await carries(t, {
    use: "",
    async prepare(stage) {
      const { fd } = await descriptorOf(stage.app, "memory");
      await Deno.writeTextFile(`/proc/${stage.app.pid}/fd/${fd}`, WORDS, { create: false });
    },
    async look({ app }) {
      const { fd, description } = await descriptorOf(app, "memory");
      return [description, (await Deno.readTextFile(`/proc/${app.pid}/fd/${fd}`)).slice(0, WORDS.length)];
    },
  });
});
