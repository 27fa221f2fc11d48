import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseCommand, UsageError } from "./args.ts";

const COMMON = { socket: "/s", json: false };

function parse(...args: string[]) {
  return parseCommand(args, { HEIRLOOM_SOCKET: "/s" });
}

function refuse(args: string[], ...parts: string[]): void {
  const { message } = assertThrows(() => parse(...args), UsageError, undefined, args.join(" "));
  for (const part of parts) assert(message.includes(part), `${args.join(" ")}: ${message}`);
}

Deno.test("parseCommand upgrade has defaults and takes every flag", () => {
  assertEquals(parse("upgrade"), {
    command: "upgrade",
    ...COMMON,
    build: undefined,
    deno: undefined,
    heirloom: undefined,
    timeoutMs: 30_000,
    commitAfterMs: undefined,
    guardian: true,
  });
  const flags = "--build b --deno d --heirloom h --timeout 60 --commit-after 2.5 --no-guardian --json";
  assertEquals(parse("upgrade", ...flags.split(" ")), {
    command: "upgrade",
    socket: "/s",
    json: true,
    build: "b",
    deno: "d",
    heirloom: "h",
    timeoutMs: 60_000,
    commitAfterMs: 2500,
    guardian: false,
  });
});

Deno.test("parseCommand upgrade refuses bad values and words, with the flag that was probably meant", () => {
  refuse(["upgrade", "--timeout", "0"], '--timeout "0"', "at most 3600");
  refuse(["upgrade", "--timeout", "3601"], "at most 3600");
  refuse(["upgrade", "--build="], "not empty");
  refuse(["upgrade", "build", "./v2"], "did you mean --build?");
  refuse(["upgrade", "--biuld", "./v2"], "did you mean --build?");
  refuse(["upgrade", "--guardian"], "did you mean --no-guardian?");
  refuse(["upgrade", "--no-guardian=1"], "--no-guardian takes no value");
});

Deno.test("parseCommand check has defaults and takes every flag", () => {
  assertEquals(parse("check"), {
    command: "check",
    ...COMMON,
    build: undefined,
    deno: undefined,
    heirloom: undefined,
    timeoutMs: 30_000,
  });
  assertEquals(parse("check", ..."--build b --deno d --heirloom h --timeout 0.5 --json".split(" ")), {
    command: "check",
    socket: "/s",
    json: true,
    build: "b",
    deno: "d",
    heirloom: "h",
    timeoutMs: 500,
  });
  refuse(["check", "--timeout", "0"], '--timeout "0"', "at most 3600");
  refuse(["check", "./v2"], '"./v2"', "check takes no such word");
  refuse(["check", "--no-guardian"], "it goes with upgrade, rollback");
});

Deno.test("parseCommand rollback has defaults, and names no build", () => {
  const expected = { command: "rollback", ...COMMON, timeoutMs: 30_000, commitAfterMs: undefined };
  assertEquals(parse("rollback"), { ...expected, guardian: true });
  assertEquals(parse("rollback", ..."--timeout=5 --commit-after 4.999 --no-guardian --json".split(" ")), {
    command: "rollback",
    socket: "/s",
    json: true,
    timeoutMs: 5000,
    commitAfterMs: 4999,
    guardian: false,
  });
  refuse(["rollback", "--build", "x"], "it goes with check, upgrade");
  refuse(["rollback", "x"], "rollback takes no such word");
});

Deno.test("parseCommand refuses to commit at or after the deadline", () => {
  for (const command of ["upgrade", "rollback"]) {
    refuse(
      [command, "--commit-after", "30"],
      "Cannot commit after 30 s: the deadline is 30 s",
      "allowed is a --commit-after that is less than --timeout",
    );
    refuse([command, "--commit-after", "5.001", "--timeout", "5"], "after 5.001 s: the deadline is 5 s");
    refuse([command, "--commit-after", "0"], '--commit-after "0"', "seconds above 0");
    refuse([command, "--commit-after"], "its value S is missing");
    assertEquals(parse(command, "--commit-after", "29.999").command, command);
  }
});
