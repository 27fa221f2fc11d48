import { type HttpService, KINDS, startHttp } from "./_http_app.ts";
import { answeredBy, complaints, concludes, everything, reference } from "./_http_exact.ts";
import { gatedShapes, type Shape, SHAPES } from "./_http_shapes.ts";
import type { Peer } from "./_peer.ts";
import { assertEquals } from "@std/assert";

/** What comes for each shape when nothing else happens. */
async function references(service: HttpService, shapes: readonly Shape[]): Promise<Map<Shape, string>> {
  const wanted = new Map<Shape, string>();
  for (const shape of shapes) {
    const { before, still = "", after = "", like, ends } = shape;
    wanted.set(shape, await reference(service, like ?? before + still + after, ends));
  }
  return wanted;
}

for (const kind of KINDS) {
  Deno.test(`live.${kind}: no shape of traffic notices an update, to the byte`, async (t) => {
    await using service = await startHttp({ kind });
    const gate = `${service.all.path}/gate`;
    const shapes = [...SHAPES, ...gatedShapes(gate)];
    await Deno.writeTextFile(gate, "");
    const wanted = await references(service, shapes);

    for (const [round, [old, next]] of ([["a", "b"], ["b", "a"], ["a", "b"]] as const).entries()) {
      await t.step(`update ${round + 1}`, async () => {
        await Deno.remove(gate);
        using held = new DisposableStack();
        const peers = new Map<Shape, Peer>();
        for (const shape of shapes) {
          const peer = held.use(await service.connect());
          if (shape.slow) peer.hold();
          peer.send(shape.before);
          peers.set(shape, peer);
        }
        await service.seen();
        const update = service.commits(next);
        await service.still(round + 1);
        for (const [shape, peer] of peers) peer.send(shape.still ?? "");
        await Deno.writeTextFile(gate, "");
        for (const peer of peers.values()) peer.goOn();
        await update;
        for (const [shape, peer] of peers) peer.send(shape.after ?? "");
        await everything([...peers].map(async ([shape, peer]) => {
          const alone = shape.like !== undefined;
          if (alone) await peer.until("answers", ({ text }) => answeredBy(text).length >= shape.by.length);
          const by = shape.by.replaceAll("o", old).replaceAll("n", next) + (shape.ends ? "" : next);
          await concludes(shape.name, peer, wanted.get(shape)!, by, shape.ends);
        }));
      });
    }
    assertEquals(complaints(service.app.output().stderr), []);
  });
}
