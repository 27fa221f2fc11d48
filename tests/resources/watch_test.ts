import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseWatches } from "../../sys/inotify.ts";
import { heirloomRoot, type TempDir, tempDir, waitFor } from "../../testing/mod.ts";
import { READY_IN_CHECK } from "../update/_fixtures.ts";
import { carries, CATCHES, fdInfoOf, type Running, running } from "./_kit.ts";
import { refusesSwapped, SWAP_ROUTE, SWAPPING } from "./_swap.ts";
import { USE_WATCH, WATCH_ROUTES } from "./_watch_app.ts";

const PARTS = { use: USE_WATCH, routes: WATCH_ROUTES };

/** A directory with another in it that is watched. */
async function watched(): Promise<{ dir: TempDir; path: string } & AsyncDisposable> {
  const dir = tempDir("heirloom-watched-");
  const path = `${dir.path}/config`;
  await Deno.mkdir(path);
  return { dir, path, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

/** The lines that the application has written. */
async function told(path: string): Promise<string[]> {
  return (await Deno.readTextFile(`${path}.log`)).split("\n").slice(0, -1);
}

async function untilTold(path: string, line: string): Promise<void> {
  await waitFor(async () => (await told(path)).includes(line), {
    what: `"${line}" to be told`,
    timeoutMs: 30_000,
  });
}

/** Renames new files into a directory until it is told to stop; gives their names in order. */
function editor(path: string, spare: string): { stop(): Promise<string[]> } {
  const names: string[] = [];
  let stopping = false;
  const done = (async () => {
    while (!stopping) {
      const name = `edit-${names.length}`;
      await Deno.writeTextFile(`${spare}/${name}`, "");
      await Deno.rename(`${spare}/${name}`, `${path}/${name}`);
      names.push(name);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return names;
  })();
  return {
    stop() {
      stopping = true;
      return done;
    },
  };
}

Deno.test("watches are the same after each update, and what happens at any moment is told once", async (t) => {
  await using here = await watched();
  const { path, dir } = here;
  let edits: ReturnType<typeof editor> | undefined;
  let count = 0;
  await carries(t, {
    ...PARTS,
    args: [path],
    prepare() {
      edits = editor(path, dir.path);
      return Promise.resolve();
    },
    look: ({ app }) => fdInfoOf(app, "config"),
    async works({ ask }) {
      assertEquals(JSON.parse(await ask("/paths")), [path]);
      const name = `after-${count++}`;
      await Deno.writeTextFile(`${dir.path}/${name}`, "");
      await Deno.rename(`${dir.path}/${name}`, `${path}/${name}`);
      await untilTold(path, name);
      if (count < 4) return;
      // While the service is there: what is queued when it ends is told to nobody.
      const names = await edits?.stop() ?? [];
      await untilTold(path, names.at(-1) ?? "");
      const lines = (await told(path)).filter((line) => line.startsWith("edit-"));
      assertEquals(lines.length, names.length);
      assertEquals(lines, names);
      assert(names.length > 100);
    },
  });
  await edits?.stop();
});

async function start(path: string): Promise<Running> {
  return await running({ ...PARTS, args: [path] });
}

Deno.test("a build that fails leaves the watches as they were", async () => {
  await using here = await watched();
  const { path, dir } = here;
  const file = `${path}/app.json`;
  await Deno.writeTextFile(file, "");
  await using service = await start(path);
  const wd = await service.ask(`/add?path=${file}&events=modify`);
  const before = parseWatches(await fdInfoOf(service.app, "config"));
  const use = `${USE_WATCH}
    watch.add(${JSON.stringify(file)}, ["delete_self"]);
    watch.add(${JSON.stringify(dir.path)}, ["create"]);
    for (const [wd, path] of watch.paths()) if (path === directory) watch.remove(wd);`;
  const ready = `${READY_IN_CHECK}Deno.writeTextFileSync(${
    JSON.stringify(`${dir.path}/from-the-failed`)
  }, ""); throw new Error("no luck");`;
  await service.ends("rolled-back", { ...PARTS, use, ready });
  assertEquals(parseWatches(await fdInfoOf(service.app, "config")), before);
  // One event: to write it anew would be a second one, told by itself if the first has been read by then.
  await Deno.writeTextFile(file, "edited", { append: true });
  await untilTold(path, `${file} modify `);
  assertEquals(await told(path), [`${file} modify `], "nothing of what the failed build watched");
  assertEquals(await service.ask(`/remove?wd=${wd}`), "true");
  await service.commits(PARTS);
  assertEquals(JSON.parse(await service.ask("/paths")), [path]);
});

Deno.test("a watched file that is gone ends its watch, and updates go on", async () => {
  await using here = await watched();
  const { path } = here;
  const file = `${here.dir.path}/app.json`;
  await Deno.writeTextFile(file, "");
  await using service = await start(path);
  await service.ask(`/add?path=${file}&events=delete_self`);
  const quiescing = `live.on("quiesce", () => Deno.removeSync(${JSON.stringify(file)}));`;
  await service.commits({ ...PARTS, use: USE_WATCH + quiescing });
  assertEquals(JSON.parse(await service.ask("/paths")), [file, path]);
  // The build that runs now removes the file when the connections stand still: the next one is told.
  await service.commits(PARTS);
  await untilTold(path, `${file} ignored `);
  assertEquals(await told(path), [`${file} delete_self `, `${file} ignored `]);
  assertEquals(JSON.parse(await service.ask("/paths")), [path]);
  assertMatch(await service.ask(`/add?path=${file}&events=modify`), /ENOENT/);
  await service.commits(PARTS);
});

Deno.test("watches that a build only keeps are the next one's, with their paths", async () => {
  await using here = await watched();
  const { path, dir } = here;
  await using service = await start(path);
  await service.commits({ use: 'live.keep("config"); live.keep("told");' });
  await Deno.writeTextFile(`${dir.path}/kept`, "");
  await Deno.rename(`${dir.path}/kept`, `${path}/kept`);
  const use = USE_WATCH.replace('watch.add(directory, ["moved_to", "onlydir"]);', "");
  await service.commits({ ...PARTS, use });
  assertEquals(JSON.parse(await service.ask("/paths")), [path]);
  await untilTold(path, "kept");
});

Deno.test("what is wrong with watches is refused, and the next update is good", async (t) => {
  await using here = await watched();
  const { path } = here;
  const routes = `${WATCH_ROUTES}${SWAP_ROUTE}
if (path === "/twice") return await caught(() => live.inherit("second", () => dupFd(watch.fd)));`;
  const before = `import { dupFd } from "file://${heirloomRoot()}/sys/mod.ts";\n${SWAPPING}\n${CATCHES}`;
  const parts = { ...PARTS, routes, before };
  await using service = await running({ ...parts, args: [path] });
  const good = async (): Promise<void> => {
    await service.commits(parts);
    assertEquals(JSON.parse(await service.ask("/paths")), [path]);
    assertEquals(parseWatches(await fdInfoOf(service.app, "config")).length, 1);
  };
  await t.step("a name of another kind", async () => {
    const calls = { 'segment("config", { size: 1 })': "a segment", 'epoll("config")': "an epoll" };
    for (const [call, kind] of Object.entries(calls)) {
      const reason = new RegExp(`Cannot take "config" as ${kind}: it was handed over as a watch`);
      await service.refuses({ use: `await live.${call};` }, reason);
    }
    await good();
  });
  await t.step("registered under two names", async () => {
    assertMatch(await service.ask("/twice"), /^EBUSY: .*the same resource is held already/);
    await good();
  });
  await t.step("changed kind behind our back", async () => {
    await refusesSwapped(service, "config", "memfd", "an inotify", parts);
    await good();
  });
});
