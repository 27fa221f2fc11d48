/**
 * The jump that does not succeed, and limits that are reached.
 *
 * @module
 */
import { descriptors } from "../../testing/mod.ts";
import type { Scene } from "./_scene.ts";
import type { Row } from "./_types.ts";

/** A runtime by another name. With a handover it does something else first. */
function runtimePath(scene: Scene): string {
  return `${scene.service.builds}/runtime-${scene.build.label}`;
}

function writeRuntime(scene: Scene, withHandover = ":"): void {
  const script = `#!/bin/sh\nif [ -n "$HEIRLOOM_HANDOVER" ]; then ${withHandover}; fi\n`;
  Deno.writeTextFileSync(runtimePath(scene), `${script}exec ${Deno.execPath()} "$@"\n`, { mode: 0o755 });
}

const EXECVE = {
  group: "execve fails",
  phase: "jumping",
  prepare: (scene: Scene) => writeRuntime(scene),
  request: (scene: Scene) => ({ build: scene.build.entry, deno: runtimePath(scene) }),
  expect: ["refused"],
} as const;

const writers = new Set<Deno.FsFile>();

/** The runtime is looked at while the build is loaded; what is wrong afterwards only `execve` finds out. */
const JUMPS: readonly Row[] = [
  {
    ...EXECVE,
    name: "ENOENT: the runtime was removed",
    outside: { at: "quiescing", act: (scene) => Deno.removeSync(runtimePath(scene)) },
    reason: /ENOENT/,
  },
  {
    ...EXECVE,
    name: "EACCES: the runtime is not executable any more",
    outside: { at: "quiescing", act: (scene) => Deno.chmodSync(runtimePath(scene), 0o644) },
    reason: /EACCES/,
    selected: true,
  },
  {
    ...EXECVE,
    name: "ETXTBSY: the runtime is just being written",
    outside: {
      at: "quiescing",
      act: (scene) => void writers.add(Deno.openSync(runtimePath(scene), { write: true })),
    },
    reason: /ETXTBSY/,
    restore: () => {
      for (const file of writers) file.close();
      writers.clear();
    },
  },
  {
    ...EXECVE,
    name: "ENOEXEC: the runtime is no program any more",
    outside: {
      at: "quiescing",
      act: (scene) => Deno.writeTextFileSync(runtimePath(scene), "no program\n"),
    },
    reason: /ENOEXEC/,
  },
  {
    ...EXECVE,
    group: "runtime fails",
    name: "ends at once",
    phase: "booting",
    needs: ["guardian"],
    prepare: (scene) => writeRuntime(scene, "exit 3"),
    expect: ["recovered"],
  },
  {
    ...EXECVE,
    group: "runtime fails",
    name: "hangs",
    phase: "booting",
    needs: ["guardian"],
    prepare: (scene) => writeRuntime(scene, "exec sleep 600"),
    timeoutS: 3,
    expect: ["recovered"],
    reason: /deadline/,
  },
];

/** The limit of a service's descriptors as it was. */
const limits = new Map<number, string>();

/** Leaves a process so many descriptors more than it has; less than none: as before. */
async function leaveDescriptors({ service }: Scene, free: number): Promise<void> {
  const { pid } = service.app;
  const text = await Deno.readTextFile(`/proc/${pid}/limits`);
  const before = /^Max open files\s+(\d+)/m.exec(text)?.[1] ?? "1024";
  if (!limits.has(pid)) limits.set(pid, before);
  const soft = free < 0 ? limits.get(pid) : descriptors(pid).length + free;
  const { success, stderr } = await new Deno.Command("prlimit", {
    args: ["--pid", String(pid), `--nofile=${soft}:`],
  }).output();
  if (!success) throw new Error(`Cannot limit process ${pid}: ${new TextDecoder().decode(stderr)}`);
}

const LIMITS: readonly Row[] = [
  {
    group: "limits",
    name: "EMFILE: hardly a descriptor is left",
    phase: "requested",
    prepare: (scene) => leaveDescriptors(scene, 40),
    expect: ["refused"],
    reason: /RLIMIT_NOFILE/,
    restore: (scene) => leaveDescriptors(scene, -1),
  },
  {
    group: "limits",
    name: "EMFILE: none is left for the connections",
    phase: "preserving",
    outside: { at: "quiescing", act: (scene) => leaveDescriptors(scene, 4) },
    expect: ["refused"],
    reason: /EMFILE/,
    restore: (scene) => leaveDescriptors(scene, -1),
  },
];

/** The jump, and limits of descriptors. */
export const JUMP_ROWS: readonly Row[] = [...JUMPS, ...LIMITS];
