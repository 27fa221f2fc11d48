/**
 * A test that goes through updates: each of its stages runs in an image of its own of one real process.
 *
 * Happy path: in a test module, `const across = acrossUpdates(import.meta.url)`, then `await across("name", [() => {…},
 * () => {…}])`. The test starts that very module as a program; there the call with the name that is asked for runs the stage
 * whose turn it is, commits, and reboots into the next one. The test then looks at the process from outside: the same PID
 * in every stage, exit status 0, nothing on stderr.
 *
 * Unhappy paths: a stage that throws ends the program with status 1 and its stack on stderr, which the test shows. It is
 * committed first, so that the previous image does not come back and hide it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

import { takeover } from "../../live/takeover.ts";
import { ready, reboot } from "../../mod.ts";
import { runProgram } from "./_kernel_process.ts";

/** A way into the next image. */
export type Reboot = () => Promise<never>;

/** What happens in one image, with a device of its own if it needs one; gives another way on than the library's. */
export type Stage = () => void | Reboot | Promise<void | Reboot>;

/** First argument of a test module that runs as a program; the name of the test is the second. */
const MARK = "--stages-of";

/** Defines a test of several images, or runs one of them: its name, and a stage for each image, the cold start first. */
export type AcrossUpdates = (name: string, stages: readonly Stage[]) => Promise<void>;

/**
 * What a test module defines such tests with.
 *
 * @param module its `import.meta.url`
 */
export function acrossUpdates(module: string): AcrossUpdates {
  return async (name, stages) => {
    if (Deno.args[0] === MARK) {
      if (Deno.args[1] === name) await runStage(stages);
      return;
    }
    Deno.test(name, async () => {
      const { pid, code, lines, stderr } = await runProgram([new URL(module).pathname, MARK, name]);
      assertEquals(code, 0, stderr);
      assertEquals(lines, stages.map((_, stage) => ({ stage, pid })));
      assertEquals(stderr, "");
    });
  };
}

async function runStage(stages: readonly Stage[]): Promise<void> {
  // Not the device's number: there are tests in which the device cannot be opened. Where nothing at all can be read of
  // the handover, this is the end.
  const at = takeover.error === null
    ? Number(takeover.incoming?.record.metadata.count ?? 0n)
    : stages.length - 1;
  let goOn: Reboot = reboot;
  try {
    const stage = stages[at];
    if (stage === undefined) throw new Error(`there is no stage ${at}`);
    goOn = await stage() ?? reboot;
  } catch (error) {
    console.error(`stage ${at}:`, error);
    await ready();
    Deno.exit(1);
  }
  console.log(JSON.stringify({ stage: at, pid: Deno.pid }));
  await ready();
  if (at + 1 < stages.length) await goOn();
}
