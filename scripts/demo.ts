/**
 * The demonstration: a service under load is updated three times, then a build that breaks is tried, and everything that
 * should have survived is looked at from outside. `heirloom demo` and `deno task demo` run it.
 *
 * Happy path: a line per phase while it runs, a table at the end (with `--json` one document instead), exit 0.
 *
 * Unhappy paths: something did not hold: exit 1, and what it was. It cannot be run at all: exit 1 with the reason. SIGINT,
 * SIGTERM and SIGHUP: everything is cleaned up, and the exit status is 128 and the signal's number. A second signal does
 * not wait.
 *
 * @module
 */
import { Narrator } from "./demo/narrator.ts";
import { reportLines } from "./demo/report.ts";
import { Stage } from "./demo/stage.ts";
import { play } from "./demo/story.ts";

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs the demonstration.
 *
 * @param args the arguments: `--json`, or none
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== "--json");
  if (unknown !== undefined) {
    console.error(`demo: Cannot understand "${unknown}": the only flag is --json`);
    return 2;
  }
  const json = args.includes("--json");
  const narrator = new Narrator(!json);
  const interrupted = Promise.withResolvers<number>();
  for (const [name, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(name as keyof typeof SIGNALS, () => {
      if (stage.closing) Deno.exit(128 + number);
      interrupted.resolve(128 + number);
    });
  }
  await using stage = new Stage();
  try {
    const report = await Promise.race([play(stage, narrator), interrupted.promise]);
    if (typeof report === "number") {
      narrator.stop();
      console.error("demo: interrupted; cleaning up");
      return report;
    }
    console.log(json ? JSON.stringify(report) : reportLines(report).join("\n"));
    if (!report.ok) complain(stage);
    return report.ok ? 0 : 1;
  } catch (error) {
    narrator.stop();
    console.error(`demo: ${error instanceof Error ? error.message : error}`);
    complain(stage);
    return 1;
  }
}

/** The service may know more about what went wrong. */
function complain(stage: Stage): void {
  const said = stage.complaints.trimEnd();
  if (said !== "") console.error(`demo: the service wrote:\n${said}`);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
