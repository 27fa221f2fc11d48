/**
 * Callbacks of a handler that fail: in the old build the update is refused, in the new one it is undone.
 *
 * @module
 */
import type { Row } from "./_types.ts";

/** Callbacks of a handler that fail. */
export const HANDLER_ROWS: readonly Row[] = [
  {
    group: "handler fails",
    name: "preserve",
    phase: "preserving",
    // What a build took over is preserved anew when it is ready: that fails late, and again in the next update.
    run: async (scene) => {
      const { service } = scene;
      const middle = service.other;
      scene.fail(middle.label, "preserve");
      await scene.commits(middle);
      return await service.app.upgrade({ build: scene.build.entry });
    },
    expect: ["refused"],
    reason: /the device cannot preserve/,
    // What was not preserved is so again with the next update.
    afterwards: (scene) => scene.commits(scene.service.other),
  },
  {
    group: "handler fails",
    name: "freeze",
    phase: "freezing",
    prepare: (scene) => scene.fail(scene.service.label, "freeze"),
    expect: ["refused"],
    reason: /the device cannot freeze/,
    selected: true,
  },
  {
    group: "handler fails",
    name: "retrieve",
    phase: "retrieving",
    prepare: (scene) => scene.fail(scene.build.label, "retrieve"),
    expect: ["rolled-back"],
    reason: /the device cannot retrieve/,
    selected: true,
  },
  {
    group: "handler fails",
    name: "canFinish, for ever",
    phase: "probation",
    prepare: (scene) => scene.fail(scene.build.label, "canFinish"),
    expect: ["rolled-back"],
    reason: /EBUSY|not done/,
  },
  {
    group: "handler fails",
    name: "canFinish, and the build tries again",
    phase: "probation",
    build: {
      ready: `for (;;) {
  try { await live.ready(); break; } catch (error) { if (error.code !== "EBUSY") throw error; }
  Deno.removeSync(stage + "fail-" + LABEL + "-canFinish");
}`,
    },
    prepare: (scene) => scene.fail(scene.build.label, "canFinish"),
    expect: ["committed"],
  },
  {
    group: "handler fails",
    name: "finish",
    phase: "committed",
    prepare: (scene) => scene.fail(scene.build.label, "finish"),
    // After the commit there is no way back, and it may not fail: the update stands.
    expect: ["committed"],
  },
];
