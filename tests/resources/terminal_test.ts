import { assert, assertEquals } from "@std/assert";

import { children, waitFor } from "../../testing/mod.ts";
import { carries, type Stage } from "./_kit.ts";
import {
  lookFromOutside,
  output,
  PATIENCE_MS,
  shellOf,
  tapeOf,
  TERMINAL_ROUTES,
  terminalCode,
  type,
  untilSaid,
} from "./_terminal_app.ts";

/** Is this program here? Says so if not. */
function isMissing(program: string): boolean {
  try {
    new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync();
    return false;
  } catch {
    console.log(`ignored: ${program} is not here`);
    return true;
  }
}

const hasNoStty = isMissing("stty");

let asked = 0;

/** The shell has kept what it was told, and answers. */
async function answers(stage: Stage): Promise<void> {
  const marker = `answer-${++asked}`;
  await type(stage, `echo ${marker}-$KEPT\r`);
  await untilSaid(stage, `${marker}-value`);
}

/** Waits until the shell itself is in the foreground again, so that a look finds the same as before. */
async function untilIdle(stage: Stage): Promise<void> {
  const { pid } = await shellOf(stage);
  await waitFor(() => children(pid).length === 0, { what: "the shell to be idle", timeoutMs: PATIENCE_MS });
}

/** Ctrl-C ends what the shell runs, and not the shell. */
async function interrupts(stage: Stage): Promise<void> {
  const { pid } = await shellOf(stage);
  await type(stage, "sleep 1000\r");
  const isSleeping = () => children(pid).some(({ command, state }) => command === "sleep" && state === "S");
  await waitFor(isSleeping, { what: "the shell to sleep", timeoutMs: PATIENCE_MS });
  const from = (await tapeOf(stage)).length;
  await type(stage, "\x03");
  await untilIdle(stage);
  await type(stage, "echo code-$?\r");
  await untilSaid(stage, "code-130", from);
}

/** The program hears of another size. */
async function hearsOfSize(stage: Stage): Promise<void> {
  const { size: { columns, rows } } = await shellOf(stage);
  const from = (await tapeOf(stage)).length;
  await stage.ask("/resize?columns=77&rows=11");
  // dash runs its traps behind the next command.
  await type(stage, "\r");
  await untilSaid(stage, "winch-11 77", from);
  await stage.ask(`/resize?columns=${columns}&rows=${rows}`);
  await type(stage, "\r");
  await untilSaid(stage, `winch-${rows} ${columns}`, from);
  await untilIdle(stage);
}

Deno.test({
  name: "a terminal keeps its shell, its jobs, its settings and its size through every end of an update",
  ignore: hasNoStty,
  async fn(t) {
    await carries(t, {
      use: terminalCode(["sh", "-i"]),
      routes: TERMINAL_ROUTES,
      async prepare(stage) {
        const { path, size } = await shellOf(stage);
        assertEquals(size, { columns: 100, rows: 30 });
        await untilSaid(stage, "$ ");
        await type(stage, `KEPT=value; trap 'echo winch-$(stty size)' WINCH\r`);
        await type(stage, "sleep 1001 &\r");
        await output("stty", "-F", path, "cols", "132", "rows", "43", "-ixon", "erase", "^H");
        await answers(stage);
      },
      async look(stage) {
        const { pid, size } = await shellOf(stage);
        assertEquals(size, { columns: 132, rows: 43 });
        const jobs = children(pid).map(({ pid, command, startTicks }) => [pid, command, startTicks]);
        assertEquals(jobs.map(([, command]) => command), ["sleep"]);
        const seen = await lookFromOutside(stage) as { settings: string };
        assert(/rows 43; columns 132;.*erase = \^H;.*-ixon/s.test(seen.settings), seen.settings);
        return [seen, jobs];
      },
      works: answers,
    });
  },
});

Deno.test({
  name: "a terminal does what a terminal does after every end of an update: Ctrl-C and a new size arrive",
  ignore: hasNoStty,
  async fn(t) {
    await carries(t, {
      use: terminalCode(["sh", "-i"]),
      routes: TERMINAL_ROUTES,
      async prepare(stage) {
        await untilSaid(stage, "$ ");
        await type(stage, `KEPT=value; trap 'echo winch-$(stty size)' WINCH\r`);
        await answers(stage);
      },
      look: lookFromOutside,
      async works(stage) {
        await interrupts(stage);
        await hearsOfSize(stage);
        await answers(stage);
      },
    });
  },
});

Deno.test({
  name: "a terminal keeps bash with its line editor, in the middle of a line",
  ignore: hasNoStty || isMissing("bash"),
  async fn(t) {
    let line = 0;
    await carries(t, {
      use: terminalCode(["bash", "--norc", "--noprofile", "-i"]),
      routes: TERMINAL_ROUTES,
      async prepare(stage) {
        await untilSaid(stage, "$ ");
        await type(stage, "KEPT=value\r");
        await answers(stage);
        await type(stage, "echo line-0-$KE");
        await untilSaid(stage, "echo line-0-$KE");
      },
      look: lookFromOutside,
      async works(stage) {
        await type(stage, "PT\r");
        await untilSaid(stage, `line-${line}-value`);
        await type(stage, `echo line-${++line}-$KE`);
        await untilSaid(stage, `echo line-${line}-$KE`);
      },
    });
  },
});

Deno.test("a program that writes into a terminal without end loses nothing through updates", async (t) => {
  let read = 0;
  await carries(t, {
    use: terminalCode(["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; done"]),
    routes: TERMINAL_ROUTES,
    look: async (stage) => (await shellOf(stage)).pid,
    async works(stage) {
      // As far as it has come, everything is there once and in order; and it goes on.
      await untilSaid(stage, "\r\n", (await tapeOf(stage)).length);
      const lines = (await tapeOf(stage)).split("\r\n").slice(0, -1);
      assert(lines.length > read, `${lines.length} lines after ${read}`);
      read = lines.length;
      assertEquals(lines.findIndex((line, index) => line !== String(index + 1)), -1);
    },
  });
  assert(read > 1000, `${read} lines`);
});
