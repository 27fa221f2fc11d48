/**
 * The command line: parse, dispatch, exit code. Nothing else.
 *
 * Exit codes: 0 done (an update: only committed; a check: it would take over); 1 refused or failed; 2 wrong usage; 3 no
 * service at that socket; 4 no answer or no verdict in time.
 *
 * @module
 */
import { EXIT, isCommandName, parseCommand, type ParsedCommand, usage, UsageError } from "./service/args.ts";

/** Under `serve`, the boot module imports this module, and it is to behave as the main module. */
const BOOTED = Symbol.for("heirloom.booted");

/** Names of errors that leave open what the service does. */
const NO_ANSWER = ["NoAnswerError", "BrokenConnectionError"];

/**
 * Runs a command.
 *
 * @param args the arguments behind the program's name
 * @param booted does the boot module call?
 * @returns the exit status, or null when the program is to go on
 */
export async function main(args: readonly string[], booted = false): Promise<number | null> {
  try {
    const command = parseCommand(args, Deno.env.toObject());
    return await dispatch(command, args, booted);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`heirloom: ${error.message}\n\n${usage(args.find(isCommandName))}`);
      return EXIT.usage;
    }
    if (booted) throw error;
    const name = error instanceof Error ? error.name : "";
    console.error(`heirloom: ${error instanceof Error ? error.message : error}`);
    if (name === "NoServiceError") return EXIT.noService;
    return NO_ANSWER.includes(name) ? EXIT.noVerdict : EXIT.refused;
  }
}

async function dispatch(
  command: ParsedCommand,
  args: readonly string[],
  booted: boolean,
): Promise<number | null> {
  switch (command.command) {
    case "help":
      console.log(usage(command.topic));
      return EXIT.done;
    case "version": {
      const { VERSION } = await import("./live/version.ts");
      console.log(command.json ? JSON.stringify({ version: VERSION }) : `heirloom ${VERSION}`);
      return EXIT.done;
    }
    case "run":
      return await (await import("./service/run.ts")).run(command);
    case "serve": {
      const { launchServe, serve } = await import("./service/serve.ts");
      if (!booted) return await launchServe(command, args);
      await serve(command);
      return null;
    }
    case "status":
    case "sessions":
    case "history":
      return await (await import("./service/status.ts")).query(command);
    case "check":
      return await (await import("./service/check.ts")).check(command);
    case "rollback":
      return await (await import("./service/rollback.ts")).rollback(command);
    case "upgrade":
      return await (await import("./service/upgrade.ts")).upgrade(command);
    case "inspect":
      return await (await import("./service/inspect.ts")).inspect(command);
    case "doctor":
      return await (await import("./service/doctor.ts")).doctor(command);
    case "demo":
      return await (await import("./service/demo.ts")).demo(command);
  }
}

const booted = (globalThis as { [BOOTED]?: string })[BOOTED] === import.meta.url;
if (import.meta.main || booted) {
  const status = await main(Deno.args, booted);
  if (status !== null) Deno.exit(status);
}
