/**
 * Runs the cases within the lab. A line of JSON for each, as soon as it has ended.
 *
 *     systemd-lab.sh deno run -A _systemd_lab.ts DIRECTORY [PART OF A NAME]
 *
 * @module
 */
import { freePort } from "../../testing/mod.ts";
import { CASES, writeBuild } from "./_systemd_cases.ts";
import { Unit } from "./_systemd_unit.ts";

/** How a case ended. */
export interface Verdict {
  /** The name of the case. */
  readonly name: string;
  /** What is not so, or null. */
  readonly problem: string | null;
}

if (import.meta.main) await main(Deno.args);

async function main([dir = "", part = ""]: string[]): Promise<void> {
  const build = await writeBuild(dir, "first");
  await Deno.symlink(build.slice(0, build.lastIndexOf("/")), `${dir}/current`);
  const unit = await Unit.install(dir, freePort());
  for (const { name, run } of CASES.filter((each) => each.name.includes(part))) {
    let problem: string | null = null;
    try {
      await run({ unit, dir });
    } catch (error) {
      const what = error instanceof Error ? error.stack ?? error.message : String(error);
      problem = `${what}\n\n${await unit.story()}`;
    }
    console.log(JSON.stringify({ name, problem } satisfies Verdict));
  }
  await unit.end();
}
