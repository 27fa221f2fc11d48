import { assertEquals } from "@std/assert";
import { KINDS, startHttp } from "./_http_app.ts";
import { complaints } from "./_http_exact.ts";
import { playShapes, references } from "./_http_play.ts";
import { gatedShapes, SHAPES } from "./_http_shapes.ts";

for (const kind of KINDS) {
  Deno.test(`live.${kind}: no shape of traffic notices an update, to the byte`, async (t) => {
    await using service = await startHttp({ kind });
    const gate = `${service.all.path}/gate`;
    const shapes = [...SHAPES, ...gatedShapes(gate)];
    await Deno.writeTextFile(gate, "");
    const wanted = await references(service, shapes);

    for (const [round, [old, next]] of ([["a", "b"], ["b", "a"], ["a", "b"]] as const).entries()) {
      await t.step(`update ${round + 1}`, async () => {
        await playShapes(service, shapes, wanted, gate, async (still) => {
          const update = service.commits(next);
          await service.still(round + 1);
          await still();
          await update;
          return { old, next };
        });
      });
    }
    assertEquals(complaints(service.app.output().stderr), []);
  });
}
