/**
 * An application that is deployed into one directory, where the next version overwrites it in place.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { freePort, type StartOptions, type TestApp, type UpdateRecord, waitFor } from "../../testing/mod.ts";
import { type AppParts, appText, type Builds, builds, type Held, LIBRARY, startHeld } from "./_fixtures.ts";

/** Milliseconds without another process after which none is started any more by itself. */
const ALONE_MS = 300;

/** A configuration with an import map, as the application needs it. */
export function config(version: string, more: Record<string, unknown> = {}): string {
  const imports = { heirloom: LIBRARY, greeting: "./greeting.ts" };
  return JSON.stringify({ version, imports, ...more });
}

/** The entry of a version: `/greeting` answers with what the dependency and a file beside it say. */
export function entryText(label: string, parts: AppParts = {}): string {
  const { before = "", routes = "", ...rest } = parts;
  return appText({
    label,
    library: "heirloom",
    before: `import { greeting } from "greeting";
const asset = Deno.readTextFileSync(new URL("./asset.txt", import.meta.url)).trim();
${before}`,
    routes: `  if (path === "/greeting") return new Response(greeting + " " + asset);
${routes}`,
    ...rest,
  });
}

/** A version that fails where it takes over for real, and nowhere else. */
export function brokenEntry(message: string): string {
  return entryText("broken", {
    ready: `if (!live.checking) throw new Error("${message}");\nawait live.ready();`,
  });
}

/** The application, deployed and running. */
export interface Deployed extends AsyncDisposable {
  /** The service and a client. */
  readonly held: Held;
  /** Other builds, and files of the test. */
  readonly all: Builds;
  /** The directory. */
  readonly dir: string;
  /** The entry. */
  readonly entry: string;
  /** Overwrites a file in place: the same inode, other content. */
  overwrite(name: string, text: string): Promise<void>;
  /** Updates to what lies there now. */
  update(): Promise<UpdateRecord>;
  /** Checks that the build of that label runs, with the dependency that it came with. */
  runs(label: string, greeting: string, generation: number): Promise<void>;
  /** Waits until the build that runs has its snapshot. */
  snapshot(): Promise<string[]>;
}

/** Deploys version 1 and starts it; waits for its snapshot unless told that there will be none. */
export async function deploy(
  options: Partial<StartOptions> & { snapshot?: boolean } = {},
): Promise<Deployed> {
  const { snapshot: taken = true, ...start } = options;
  await using undo = new AsyncDisposableStack();
  const all = undo.use(builds());
  const entry = await all.write("app", entryText("v1"));
  const dir = `${all.path}/app`;
  await Deno.writeTextFile(`${dir}/greeting.ts`, 'export const greeting = "hello from v1";\n');
  await Deno.writeTextFile(`${dir}/asset.txt`, "asset");
  await Deno.writeTextFile(`${dir}/deno.json`, config("1.0.0"));
  const held = undo.use(await startHeld(entry, freePort(), start));
  const kept = undo.move();
  const deployed: Deployed = {
    held,
    all,
    dir,
    entry,
    async overwrite(name, text) {
      const { ino } = await Deno.stat(`${dir}/${name}`);
      await Deno.writeTextFile(`${dir}/${name}`, text);
      assertEquals((await Deno.stat(`${dir}/${name}`)).ino, ino, "that was not in place");
    },
    update: () => held.app.upgrade(),
    async runs(label, greeting, generation) {
      await held.holds(label, generation);
      assertEquals(await held.client.text("/greeting"), `${greeting} asset`);
      const { build } = await held.app.status();
      assertEquals(build.path, entry, "it is shown where it was deployed");
    },
    snapshot: () => untilSnapshot(held.app),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
  if (taken) assert((await deployed.snapshot()).length === 1);
  return deployed;
}

/** Waits until a service that was just started has a snapshot, and gives the paths of those that are there. */
export async function untilSnapshot(app: TestApp): Promise<string[]> {
  await waitFor(() => snapshotsOf(app).length > 0, { what: "the snapshot" });
  return snapshotsOf(app);
}

/** The paths of the snapshots that a service has now, whole ones. */
export function snapshotsOf(app: TestApp): string[] {
  return [...walk(`${app.dir}/state/heirloom`, 3)].filter((path) =>
    /\/builds\/[0-9a-f]{16}(-\d+)?$/.test(path)
  );
}

/** Waits until a service has had no other process for some time: a guardian has gone, and what comes after `ready()` is done. */
export async function untilAlone(app: TestApp): Promise<void> {
  let since = performance.now();
  await waitFor(() => {
    if (app.processes().length > 1) since = performance.now();
    return performance.now() - since >= ALONE_MS;
  }, { what: "the service to be alone" });
}

/** The directories below one, to some depth. */
function* walk(path: string, depth: number): Generator<string> {
  if (depth === 0) return;
  let entries: Deno.DirEntry[] = [];
  try {
    entries = [...Deno.readDirSync(path)];
  } catch {
    // It is not there yet.
  }
  for (const { name, isDirectory } of entries) {
    if (!isDirectory) continue;
    yield `${path}/${name}`;
    yield* walk(`${path}/${name}`, depth - 1);
  }
}
