/**
 * Several updates in a row, versions both ways, the way back that fails as well, and builds that fail while they serve.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { UpdateRecord } from "../../testing/mod.ts";
import { KILLS_ITSELF, THROWS } from "./_misbehaviour.ts";
import type { Scene } from "./_scene.ts";
import type { BadBuild, Row } from "./_types.ts";

/** A first update that commits, and at once a second one. */
function chained(name: string, build: BadBuild, more: Pick<Row, "expect" | "needs" | "selected">): Row {
  return {
    group: "updates in a row",
    name,
    phase: "probation",
    build,
    run: async (scene) => {
      await scene.commits(scene.service.other);
      return await scene.service.app.upgrade({ build: scene.build.entry });
    },
    ...more,
  };
}

const CHAINED: readonly Row[] = [
  chained("the second one throws", { at: "ready", code: THROWS }, {
    expect: ["rolled-back"],
    selected: true,
  }),
  chained("the second one does not load", { text: "const = ;\n" }, { expect: ["refused"] }),
  chained("the second one kills itself", { at: "ready", code: KILLS_ITSELF }, {
    expect: ["recovered"],
    needs: ["guardian"],
  }),
  {
    group: "updates in a row",
    name: "three that throw",
    phase: "probation",
    build: { at: "open", code: THROWS },
    run: async ({ service, build }) => {
      for (let round = 0; round < 2; round++) {
        assertEquals((await service.app.upgrade({ build: build.entry })).outcome, "rolled-back");
      }
      return await service.app.upgrade({ build: build.entry });
    },
    expect: ["rolled-back"],
  },
];

/** The new build writes version 2; another one goes back to version 1; then the new build again. */
async function thereAndBack(scene: Scene, old: BadBuild): Promise<UpdateRecord> {
  const { service, build } = scene;
  await scene.commits(build);
  await scene.commits(await service.write(old));
  return await service.app.upgrade({ build: build.entry });
}

const VERSIONS: readonly Row[] = [
  {
    group: "versions both ways",
    name: "upgrade, downgrade, upgrade",
    phase: "committed",
    build: { state: { version: 2 } },
    run: (scene) => thereAndBack(scene, { state: { version: 1, reads: [1, 2] } }),
    expect: ["committed"],
    // The builds afterwards read version 1 only.
    afterwards: async (scene) =>
      scene.commits(await scene.service.write({ state: { version: 1, reads: [1, 2] } })),
  },
  {
    group: "versions both ways",
    name: "downgrade to a build that does not read the state",
    phase: "loading",
    needs: ["preflight"],
    build: { state: { version: 1, reads: [1, 1] } },
    run: async (scene) => {
      await scene.commits(await scene.service.write({ state: { version: 2 } }));
      return await scene.service.app.upgrade({ build: scene.build.entry });
    },
    expect: ["refused"],
    reason: /state "format".*version 2/,
    afterwards: async (scene) =>
      scene.commits(await scene.service.write({ state: { version: 1, reads: [1, 2] } })),
  },
  {
    group: "versions both ways",
    name: "rollback after an upgrade",
    phase: "committed",
    needs: ["rollback"],
    run: rollBack,
    expect: ["committed"],
    selected: true,
  },
  {
    group: "versions both ways",
    name: "rollback after an upgrade that failed",
    phase: "committed",
    needs: ["rollback"],
    run: async (scene) => {
      const bad = await scene.service.write({ at: "ready", code: THROWS });
      assertEquals((await scene.service.app.upgrade({ build: bad.entry })).outcome, "rolled-back");
      return await rollBack(scene);
    },
    expect: ["committed"],
  },
];

/** Updates to the row's build, twice, with another one in between; the second time by its history. */
async function rollBack(scene: Scene): Promise<UpdateRecord> {
  const { service, build } = scene;
  await scene.commits(build);
  await scene.commits(service.other);
  const { code, stdout, stderr } = await service.app.cli("rollback", ["--json"]);
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout) as UpdateRecord;
}

/** The old build finds this file and fails as well. */
const POISON = 'Deno.writeTextFileSync(stage + "poison", "");';

/** Old builds throw when they come back. */
const LOST = {
  group: "the old build fails as well",
  phase: "probation",
  expect: ["lost"],
  ends: {},
  cli: [],
  allowed: /refused|reset|closed|timeout|unsent|connect/,
  prepare: async (scene: Scene) => {
    const poisoned = 'if (REAL && there("poison")) throw new Error("poisoned");';
    await scene.commits(await scene.service.write({ at: "import", code: poisoned }));
  },
} as const;

const WORST: readonly Row[] = [
  {
    ...LOST,
    name: "after a new build that throws",
    needs: ["signals"],
    ends: { code: 70 },
    build: { at: "ready", code: `${POISON}\n${THROWS}` },
    reason: /failed as well/,
  },
  {
    ...LOST,
    name: "after a new build that kills itself",
    needs: ["guardian", "signals"],
    build: { at: "ready", code: `${POISON}\n${KILLS_ITSELF}` },
    reason: /failed as well/,
  },
];

const SERVING = {
  group: "fails while it serves",
  phase: "probation",
  needs: ["commit-after"],
  cli: ["--commit-after", "2"],
  allowed: /reset|closed/,
  path: "/",
} as const;

const BEFORE_COMMIT: readonly Row[] = [
  {
    ...SERVING,
    name: "throws",
    build: { ready: `void live.ready();\nif (REAL) setTimeout(() => { ${THROWS} }, 500);` },
    expect: ["rolled-back"],
    reason: /no luck today/,
  },
  {
    ...SERVING,
    name: "SIGKILL",
    needs: ["commit-after", "guardian"],
    build: { ready: `void live.ready();\nif (REAL) setTimeout(() => { ${KILLS_ITSELF} }, 500);` },
    expect: ["recovered"],
  },
  { ...SERVING, name: "nothing: it is healthy", expect: ["committed"] },
];

/** Several updates in a row. */
export const SEQUENCE_ROWS: readonly Row[] = [...CHAINED, ...VERSIONS, ...BEFORE_COMMIT, ...WORST];
