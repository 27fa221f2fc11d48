import { assert, assertEquals } from "@std/assert";
import { waitFor } from "../../testing/mod.ts";
import { makeFifo } from "../../sys/pipe.ts";
import {
  childApp,
  type Children,
  childrenOf,
  exists,
  holdings,
  stateOf,
  told,
  toldOf,
  untilEnded,
  WAITS,
} from "./_child_app.ts";
import { running, type Stage } from "./_kit.ts";

/** The children, by the time at which they end. */
const NAMES = ["unseen", "during", "killed", "after"];

/** While the state is saved nothing else runs, and what ends then nobody has noticed before the jump. */
const ENDS_UNSEEN = `
let quiesced = false;
live.on("quiesce", () => void (quiesced = true));
live.state("unseen", { version: 1, load() {}, save() {
  if (quiesced && !exists("saved")) {
    Deno.writeTextFileSync("saved", "");
    Deno.writeTextFileSync("unseen", "line\\n");
    const stat = "/proc/" + children.get("unseen")!.pid + "/stat";
    while (!/\\) Z /.test(Deno.readTextFileSync(stat)));
  }
  return null;
} });
function exists(path: string): boolean { try { Deno.statSync(path); return true; } catch { return false; } }
`;

function build(label: string, changes: Partial<Parameters<typeof childApp>[0]> = {}) {
  const children = Object.fromEntries(NAMES.map((name) => [name, WAITS(name)]));
  return childApp({ label, children, more: ENDS_UNSEEN, ...changes });
}

async function childrenIn(ask: Stage["ask"]): Promise<Children> {
  return JSON.parse(await ask("/children"));
}

/** Plays one update in which children end before, in and after the pause. */
async function play(ready: string, check: (dir: string, outcome: string | null) => void): Promise<void> {
  await using service = await running(childApp({ label: "v0", children: {} }));
  const { app, app: { dir }, ask } = service;
  for (const name of NAMES) makeFifo(`${dir}/${name}`);
  const file = (name: string) => `${dir}/${name}`;
  await service.commits(build("v1"));
  await waitFor(async () => Object.values(await childrenIn(ask)).every(({ pid }) => pid > 0), {
    what: "all children to be started",
  });
  const before = await childrenIn(ask);
  const pids = NAMES.map((name) => before[name]?.pid ?? 0);
  assertEquals(pids.map((pid) => stateOf(pid) !== null), NAMES.map(() => true));
  const verdict = service.upgrade(build("v2", { ready, holds: true }));
  await waitFor(() => exists(file("holds")), { what: "the new build to hold" });
  // Nobody looks: the one that has ended before is a zombie.
  assertEquals(stateOf(pids[0] ?? 0), "Z");
  Deno.writeTextFileSync(file("during"), "line\n");
  Deno.kill(pids[2] ?? 0, "SIGKILL");
  await waitFor(() => [1, 2].every((at) => stateOf(pids[at] ?? 0) === "Z"), {
    what: "the end of two children",
  });
  assertEquals(told(dir).filter(({ end }) => end !== undefined), []);
  Deno.writeTextFileSync(file("go"), "");
  const { outcome } = await verdict;
  await untilEnded(dir, 3);
  Deno.writeTextFileSync(file("after"), "line\n");
  await untilEnded(dir, 4);
  check(dir, outcome);
  for (const name of ["unseen", "during", "after"]) {
    assertEquals(toldOf(dir, name).out, "begins\ngot line\n");
  }
  assertEquals(toldOf(dir, "killed").out, "begins\n");
  await waitFor(() => pids.every((pid) => stateOf(pid) === null), { what: "all to be reaped" });
  await waitFor(() => childrenOf(app.pid).length === 0, { what: "no child to be left" });
  await waitFor(() => holdings(app).pidfds === 0, { what: "no process to be held" });
  // A good update, and everything starts anew.
  await Deno.remove(file("go"));
  await service.commits(build("v3"));
  await waitFor(
    async () => Object.values(await childrenIn(ask)).every(({ pid, isNew }) => pid > 0 && isNew),
    {
      what: "all children to be started anew",
    },
  );
}

for (
  const [who, wanted, label, ready] of [
    ["the new build", "committed", "v2", "await live.ready();"],
    ["the build that came back", "rolled-back", "v1", 'throw new Error("no luck");'],
  ] as const
) {
  Deno.test(`ends before, in and after the pause are told by ${who}, once, and reaped`, async () => {
    await play(ready, (dir, outcome) => {
      assertEquals(outcome, wanted);
      const seven = [[label, false, 7, null]];
      const killed = [[label, false, 137, "SIGKILL"]];
      assertEquals(NAMES.map((name) => toldOf(dir, name).ends), [seven, seven, killed, seven]);
    });
  });
}

Deno.test("ends around a recovery are told as far as the kernel knows them", async () => {
  const [major = 0, minor = 0] = Deno.osRelease().split(".").map(Number);
  const knows = major > 6 || (major === 6 && minor >= 15);
  await play('Deno.kill(Deno.pid, "SIGKILL");', (dir, outcome) => {
    assertEquals(outcome, "recovered");
    const seven = [["v1", false, 7, null]];
    const ends = NAMES.map((name) => toldOf(dir, name).ends);
    if (knows) {
      assertEquals(ends, [seven, seven, [["v1", false, 137, "SIGKILL"]], seven]);
    } else {
      const unknown = [["v1", false, null, null]];
      for (const end of ends) {
        assert([seven, unknown].some((one) => JSON.stringify(one) === JSON.stringify(end)));
      }
    }
  });
});
