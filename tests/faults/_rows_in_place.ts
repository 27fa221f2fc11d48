/**
 * Files that change while a service runs from them, and a state directory without room for a copy of them.
 *
 * @module
 */
import { writeApp } from "../../testing/mod.ts";
import { buildFiles } from "./_application.ts";
import { quiet } from "./_look.ts";
import { KILLS_ITSELF, THROWS } from "./_misbehaviour.ts";
import type { Scene } from "./_scene.ts";
import { canMount } from "./_settings.ts";
import type { BadBuild, Row } from "./_types.ts";

/** Writes a build over the running one. */
async function overwrite(scene: Scene, bad: BadBuild, only?: string): Promise<void> {
  const { service, build } = scene;
  const files = Object.entries(buildFiles(build.label, bad)).filter(([name]) => (only ?? name) === name);
  await writeApp(`${service.builds}/${service.label}`, { files: Object.fromEntries(files) });
}

async function putBack({ service }: Scene): Promise<void> {
  for (const label of ["a", "b"]) {
    await writeApp(`${service.builds}/${label}`, { files: buildFiles(label) });
  }
}

/** Replaces one file of the running build. */
function replace(name: string, text: string): (scene: Scene) => Promise<void> {
  return async ({ service }) => {
    await writeApp(`${service.builds}/${service.label}`, { files: { [name]: text } });
  };
}

const IN_PLACE = {
  group: "overwritten in place",
  phase: "booting",
  needs: ["snapshot"],
  setAside: true,
  request: () => ({}),
  restore: putBack,
} as const;

const THROWING = `if (!Deno.env.has("HEIRLOOM_PREFLIGHT")) ${THROWS}\n`;

/** As `git pull` does it: the new version lies where the running one was started from. */
const OVERWRITTEN: readonly Row[] = [
  {
    ...IN_PLACE,
    name: "entry that throws",
    prepare: (scene) => overwrite(scene, { at: "import", code: THROWS }),
    expect: ["rolled-back"],
    reason: /no luck today/,
    cli: [],
    selected: true,
  },
  {
    ...IN_PLACE,
    name: "entry that kills itself",
    needs: ["snapshot", "guardian"],
    prepare: (scene) => overwrite(scene, { at: "ready", code: KILLS_ITSELF }),
    expect: ["recovered"],
  },
  {
    ...IN_PLACE,
    name: "entry that does not parse",
    phase: "loading",
    prepare: replace("main.ts", "const = ;\n"),
    expect: ["refused"],
    reason: /main\.ts/,
  },
  {
    ...IN_PLACE,
    name: "dependency that throws",
    prepare: replace("dependency.ts", `export const dependency = "new";\n${THROWING}`),
    expect: ["rolled-back"],
    reason: /no luck today/,
  },
  {
    ...IN_PLACE,
    name: "dependency that is gone",
    phase: "loading",
    prepare: ({ service }) => Deno.remove(`${service.builds}/${service.label}/dependency.ts`),
    expect: ["refused"],
    reason: /dependency\.ts/,
  },
  {
    ...IN_PLACE,
    name: "deno.json that is broken",
    phase: "loading",
    prepare: replace("deno.json", '{ "imports": '),
    expect: ["refused"],
  },
  {
    ...IN_PLACE,
    name: "deno.json that maps to a module that throws",
    prepare: async (scene) => {
      await replace("other/dependency.ts", `export const dependency = "new";\n${THROWING}`)(scene);
      await replace("deno.json", '{ "imports": { "own/": "./other/" } }\n')(scene);
    },
    expect: ["rolled-back"],
    reason: /no luck today/,
  },
  {
    ...IN_PLACE,
    name: "a good version",
    phase: "committed",
    prepare: (scene) => overwrite(scene, {}),
    expect: ["committed"],
    // The build that runs now lies where the old one was: another one comes first.
    restore: () => {},
    afterwards: async (scene) => {
      const label = scene.before === "a" ? "b" : "a";
      await scene.commits({ label, entry: scene.service.entry(label) });
      await putBack(scene);
    },
  },
  {
    ...IN_PLACE,
    name: "files that are gone, and a new build that throws",
    prepare: ({ service }) => Deno.remove(`${service.builds}/${service.label}`, { recursive: true }),
    build: { at: "import", code: THROWS },
    request: ({ build }) => ({ build: build.entry }),
    expect: ["rolled-back"],
    reason: /no luck today/,
  },
  {
    ...IN_PLACE,
    name: "runtime that is broken",
    phase: "loading",
    service: { ownRuntime: true },
    prepare: (scene) => replaceRuntime(scene, "exit 3"),
    expect: ["refused"],
    restore: (scene) => replaceRuntime(scene, null),
  },
  {
    ...IN_PLACE,
    name: "runtime that fails only for real",
    service: { ownRuntime: true },
    needs: ["snapshot", "guardian"],
    prepare: (scene) =>
      replaceRuntime(scene, `[ -n "$HEIRLOOM_HANDOVER" ] && exit 3\nexec ${Deno.execPath()} "$@"`),
    expect: ["recovered"],
    restore: async (scene) => {
      // A shell opens its script by name: what is started just now must not find a program there.
      await quiet(scene.service.app);
      await replaceRuntime(scene, null);
    },
  },
  {
    ...IN_PLACE,
    name: "runtime that is another one, and a new build that throws",
    service: { ownRuntime: true },
    prepare: (scene) => replaceRuntime(scene, null),
    build: { at: "ready", code: THROWS },
    request: ({ build }) => ({ build: build.entry }),
    expect: ["rolled-back"],
    reason: /no luck today/,
    restore: () => {},
  },
];

/** Puts a script, or a fresh copy of the real one, in the place of the runtime. */
async function replaceRuntime({ service }: Scene, script: string | null): Promise<void> {
  const path = `${service.builds}/deno`;
  if (script === null) await Deno.copyFile(Deno.execPath(), `${path}.new`);
  else await Deno.writeTextFile(`${path}.new`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  await Deno.rename(`${path}.new`, path);
}

const FULL: readonly Row[] = [
  {
    group: "limits",
    name: "ENOSPC: the state directory is full",
    phase: "loading",
    needs: ["snapshot"],
    service: { fullState: true },
    possible: canMount,
    expect: ["committed"],
  },
  {
    group: "limits",
    name: "ENOSPC: the state directory is full, and the running build was overwritten",
    phase: "loading",
    needs: ["snapshot"],
    service: { fullState: true },
    possible: canMount,
    prepare: (scene) => overwrite(scene, { at: "import", code: THROWS }),
    request: () => ({}),
    expect: ["refused"],
    reason: /changed on disk: no way back/,
    restore: putBack,
  },
];

/** Files that change. */
export const IN_PLACE_ROWS: readonly Row[] = [...OVERWRITTEN, ...FULL];
