/**
 * Plays the shapes of traffic across an update.
 *
 * @module
 */
import type { HttpService } from "./_http_app.ts";
import { answeredBy, concludes, everything, reference } from "./_http_exact.ts";
import type { Shape } from "./_http_shapes.ts";
import type { Peer } from "./_peer.ts";

/** What comes for each shape when nothing else happens. */
export async function references(
  service: HttpService,
  shapes: readonly Shape[],
): Promise<Map<Shape, string>> {
  const wanted = new Map<Shape, string>();
  for (const shape of shapes) {
    const { before, still = "", after = "", like, ends } = shape;
    wanted.set(shape, await reference(service, like ?? before + still + after, ends));
  }
  return wanted;
}

/**
 * Has all conversations at once, and checks every byte of them.
 *
 * @param service who is updated
 * @param shapes the conversations
 * @param wanted what has to come, from {@linkcode references}
 * @param gate the file for which some answers wait
 * @param update begins an update, calls back when connections stand still, and tells who ran before it and who runs after it
 */
export async function playShapes(
  service: HttpService,
  shapes: readonly Shape[],
  wanted: ReadonlyMap<Shape, string>,
  gate: string,
  update: (still: () => Promise<void>) => Promise<{ old: string; next: string }>,
): Promise<void> {
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
  const { old, next } = await update(async () => {
    for (const [shape, peer] of peers) peer.send(shape.still ?? "");
    await Deno.writeTextFile(gate, "");
    for (const peer of peers.values()) peer.goOn();
  });
  for (const [shape, peer] of peers) peer.send(shape.after ?? "");
  await everything([...peers].map(async ([shape, peer]) => {
    const { name, by, like, ends } = shape;
    // What comes in one piece with a request to upgrade is lost without an update as well.
    if (like !== undefined) await peer.until("answers", ({ text }) => answeredBy(text).length >= by.length);
    const builds = by.replaceAll("o", old).replaceAll("n", next) + (ends ? "" : next);
    await concludes(name, peer, wanted.get(shape)!, builds, ends);
  }));
}
