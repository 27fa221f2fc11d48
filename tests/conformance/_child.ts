/**
 * One scenario, in a process of its own: a bare application that uses the device, `reboot()` and `ready()`.
 *
 * Happy path: it runs the steps from where the progress stands. A `kexec` step is `reboot()`: the same program begins anew
 * in the same process, says `ready()`, and goes on with the next step.
 *
 * Unhappy paths: the first step that fails ends the scenario. When everything is closed and LUO still holds something, the
 * scenario fails as well.
 *
 * Arguments: the scenario, the progress, a folder in a tmpfs.
 *
 * @module
 */
import { ready } from "../../mod.ts";
import { orchestrator } from "../../luo/process.ts";
import type { Context } from "./_context.ts";
import { evaluate } from "./_evaluate.ts";
import { onlyMemfds } from "./_golden_handlers.ts";
import { arrived, kexec, startsOff } from "./_kexec.ts";
import { raiseLimit } from "./_limit.ts";
import { Memory } from "./_memory.ts";
import { OPERATIONS } from "./_operations.ts";
import { append, readProgress } from "./_progress.ts";
import type { StepResult } from "./_result.ts";
import { readRules } from "./_rules.ts";
import { parseScenario, type Scenario } from "./_scenario.ts";
import { World } from "./_world.ts";

await ready();
const [scenarioPath = "", progress = "", folder = ""] = Deno.args;
await run(parseScenario(JSON.parse(Deno.readTextFileSync(scenarioPath)), "Cannot read the scenario"));
append(progress, { end: true });
Deno.exit(0);

async function run(scenario: Scenario): Promise<void> {
  raiseLimit();
  onlyMemfds();
  const { results, jump } = readProgress(progress);
  const off = jump?.off ?? startsOff(scenario);
  if (off) Deno.env.set("HEIRLOOM", "off");
  const context: Context = {
    world: new World(),
    memory: new Memory(jump?.kexecs ?? 0, jump?.memory),
    folder,
    kexecs: jump?.kexecs ?? 0,
    off,
    wasOff: jump?.wasOff ?? off,
  };
  const rules = readRules(Object.keys(OPERATIONS));
  for (const [at, step] of scenario.steps.entries()) {
    if (at < results.length) continue;
    let result: StepResult;
    if (at === jump?.step) result = arrived(step, jump);
    else if (step.op === "kexec") result = await kexec(step, at, context, progress);
    else result = evaluate(step, at, context, rules);
    append(progress, { result });
    if (result.outcome === "failed") return;
  }
  context.world.endAll();
  const left = remains();
  if (left !== null) {
    const detail = `everything is closed, and LUO still holds ${left}`;
    append(progress, { result: { step: scenario.steps.length, op: "end", outcome: "failed", detail } });
  }
}

/** What is held although nothing is open, or null. */
function remains(): string | null {
  const luo = orchestrator();
  const outgoing = luo.sessions().filter(({ direction }) => direction === "outgoing");
  if (outgoing.length > 0) return `${outgoing.length} outgoing sessions`;
  const fds = luo.outgoing.fds();
  if (fds.length > 0) return `${fds.length} descriptors for the next image`;
  return luo.deviceOpen ? "the device" : null;
}
