import { assertEquals } from "@std/assert";
import { startHttp } from "./_http_app.ts";
import { playShapes, references } from "./_http_play.ts";
import { gatedShapes, SHAPES } from "./_http_shapes.ts";

/** Where an update fails when connections stand still already, and how that ends. */
const FAILURES = [
  ["freezing:throw", "refused"],
  ["jumping:e2big", "refused"],
  ["booting:throw", "rolled-back"],
  ["jumping:kill", "recovered"],
  ["probation:kill", "recovered"],
] as const;

for (const [fault, outcome] of FAILURES) {
  Deno.test(`no shape of traffic notices an update that is ${outcome} (${fault}), to the byte`, async () => {
    await using service = await startHttp({ kind: "serve" }, { env: { HEIRLOOM_FAULT: fault } });
    const gate = `${service.all.path}/gate`;
    const shapes = [...SHAPES, ...gatedShapes(gate)];
    await Deno.writeTextFile(gate, "");
    const wanted = await references(service, shapes);
    await playShapes(service, shapes, wanted, gate, async (still) => {
      const update = service.upgrade("b");
      await service.still(1);
      await still();
      assertEquals((await update).outcome, outcome);
      return { old: "a", next: "a" };
    });
    // And the next one is an update like any other.
    await playShapes(service, shapes, wanted, gate, async (still) => {
      const update = service.commits("b");
      await service.still(2);
      await still();
      await update;
      return { old: "a", next: "b" };
    });
  });
}
