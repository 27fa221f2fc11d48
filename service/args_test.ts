import { assert, assertEquals, assertThrows } from "@std/assert";
import { EXIT, parseCommand, UsageError } from "./args.ts";
import { COMMAND_NAMES, COMMANDS, COMMON_FLAGS } from "./args_table.ts";
import { splitWords } from "./args_words.ts";
import { DEFAULT_QUOTAS } from "./segments/quotas.ts";

const ENV = { HEIRLOOM_SOCKET: "/s" };
const COMMON = { socket: "/s", json: false };

function parse(...args: string[]) {
  return parseCommand(args, ENV);
}

function refuse(args: string[], ...parts: string[]): void {
  const { message } = assertThrows(() => parse(...args), UsageError, undefined, args.join(" "));
  for (const part of parts) assert(message.includes(part), `${args.join(" ")}: ${message}`);
}

Deno.test("EXIT has the documented codes", () => {
  assertEquals(EXIT, { done: 0, refused: 1, usage: 2, noService: 3, noVerdict: 4 });
});

Deno.test("parseCommand run takes its flags and leaves everything behind ENTRY to the app", () => {
  assertEquals(parse("run", "app.ts"), {
    command: "run",
    ...COMMON,
    denoArgs: [],
    hup: false,
    entry: "app.ts",
    args: [],
  });
  const appArgs = ["--json", "-h", "--deno-args", "x", "--", "", "--hup", "a b", "--version"];
  assertEquals(parse("run", "--deno-args", "-A --env-file='my env'", "--hup", "./app.ts", ...appArgs), {
    command: "run",
    ...COMMON,
    denoArgs: ["-A", "--env-file=my env"],
    hup: true,
    entry: "./app.ts",
    args: appArgs,
  });
});

Deno.test("parseCommand run takes -- before ENTRY, and an ENTRY that looks like a flag behind it", () => {
  const expected = {
    command: "run",
    ...COMMON,
    denoArgs: [],
    hup: true,
    entry: "-a.ts",
    args: ["--", "--hup"],
  };
  assertEquals(parse("run", "--hup", "--", "-a.ts", "--", "--hup"), { ...expected });
  assertEquals(parse("run", "--", "a.ts"), { ...expected, hup: false, entry: "a.ts", args: [] });
});

Deno.test("parseCommand run refuses a missing ENTRY, bad --deno-args and unknown flags", () => {
  refuse(["run"], "ENTRY is missing", "heirloom run [FLAG ...] ENTRY");
  refuse(["run", "--"], "ENTRY is missing");
  refuse(["run", ""], "ENTRY is missing");
  refuse(["run", "--deno-args", "'-A", "app.ts"], "--deno-args", "is not closed");
  refuse(["run", "--deno-args"], "its value ARGS is missing");
  refuse(["run", "--allow-net", "app.ts"], "--allow-net", "no such flag", "--deno-args");
  refuse(
    ["run", "--timeout", "3", "app.ts"],
    "it goes with status, sessions, history, check, upgrade, rollback, inspect, doctor",
  );
});

Deno.test("parseCommand serve has every default", () => {
  assertEquals(parse("serve"), {
    command: "serve",
    ...COMMON,
    http: { hostname: "127.0.0.1", port: 8787 },
    httpTokenFile: undefined,
    accessLog: undefined,
    quotas: DEFAULT_QUOTAS,
    hup: false,
  });
});

Deno.test("parseCommand serve takes every flag", () => {
  const flags = "--http [::1]:0 --http-token-file t --access-log=l --max-segments 1 --max-segment-bytes 2 " +
    "--max-total-bytes 3 --max-body-bytes=4 --hup --json --socket ./s";
  assertEquals(parse("serve", ...flags.split(" ")), {
    command: "serve",
    socket: "./s",
    json: true,
    http: { hostname: "::1", port: 0 },
    httpTokenFile: "t",
    accessLog: "l",
    quotas: { maxSegments: 1, maxSegmentBytes: 2, maxTotalBytes: 3, maxBodyBytes: 4 },
    hup: true,
  });
});

Deno.test("parseCommand serve refuses bad values and words", () => {
  refuse(["serve", "--http", "8080"], '--http "8080"', "HOST:PORT");
  refuse(["serve", "--max-segments", "0"], '--max-segments "0"', "a whole number from 1");
  refuse(["serve", "--http-token-file="], "not empty");
  refuse(["serve", "app.ts"], '"app.ts"', "serve takes no such word");
});

Deno.test("parseCommand status, sessions and history wait ten seconds unless told otherwise", () => {
  for (const command of ["status", "sessions", "history"] as const) {
    assertEquals(parse(command), { command, ...COMMON, timeoutMs: 10_000, fds: false });
    assertEquals(parse(command, "--timeout", "0.5"), { command, ...COMMON, timeoutMs: 500, fds: false });
    refuse([command, "x"], "takes no such word");
  }
});

Deno.test("parseCommand status takes --fds, and nobody else does", () => {
  assertEquals(parse("status", "--fds"), { command: "status", ...COMMON, timeoutMs: 10_000, fds: true });
  refuse(["history", "--fds"], "it goes with status");
});

Deno.test("parseCommand doctor takes a build and a time", () => {
  assertEquals(parse("doctor"), { command: "doctor", ...COMMON, build: undefined, timeoutMs: 10_000 });
  const full = parse("doctor", "--build", "./v2", "--timeout", "3", "--json", "--socket", "./s");
  assertEquals(full, { command: "doctor", socket: "./s", json: true, build: "./v2", timeoutMs: 3000 });
  refuse(["doctor", "x"], "takes no such word");
  refuse(["doctor", "--build="], "not empty");
});

Deno.test("parseCommand inspect takes either FILE or --live", () => {
  assertEquals(parse("inspect", "f"), { command: "inspect", ...COMMON, live: false, file: "f" });
  assertEquals(parse("inspect", "-"), { command: "inspect", ...COMMON, live: false, file: "-" });
  assertEquals(parse("inspect", "--live"), { command: "inspect", ...COMMON, live: true, timeoutMs: 10_000 });
  const live = parse("inspect", "--timeout=3", "--live");
  assertEquals(live, { command: "inspect", ...COMMON, live: true, timeoutMs: 3000 });
  refuse(["inspect"], "neither FILE nor --live");
  refuse(["inspect", ""], "neither FILE nor --live");
  refuse(["inspect", "f", "--live"], "FILE and --live at once");
  refuse(["inspect", "f", "g"], '"g"');
  refuse(["inspect", "f", "--timeout", "1"], "--timeout with a FILE");
});

Deno.test("parseCommand demo takes the common flags only", () => {
  assertEquals(parse("demo", "--json"), { command: "demo", socket: "/s", json: true });
  refuse(["demo", "--build", "x"], "it goes with check, upgrade, doctor");
});

Deno.test("parseCommand help takes a command or none", () => {
  assertEquals(parse("help"), { command: "help", topic: undefined });
  assertEquals(parse("--help"), { command: "help", topic: undefined });
  assertEquals(parse("-h"), { command: "help", topic: undefined });
  for (const topic of COMMAND_NAMES) {
    assertEquals(parse("help", topic), { command: "help", topic });
    assertEquals(parse(topic, "--help"), { command: "help", topic });
    assertEquals(parse("-h", topic), { command: "help", topic });
  }
  refuse(["help", "upgarde"], "did you mean upgrade?");
  refuse(["help", "run", "serve"], '"serve"');
});

Deno.test("parseCommand gives help whatever else is wrong", () => {
  assertEquals(parse("upgrade", "--nonsense", "word", "-h", "--timeout=x"), {
    command: "help",
    topic: "upgrade",
  });
  assertEquals(parse("run", "--help"), { command: "help", topic: "run" });
});

Deno.test("parseCommand --version works alone and with a command", () => {
  assertEquals(parse("--version"), { command: "version", json: false });
  assertEquals(parse("status", "--version", "--json"), { command: "version", json: true });
});

Deno.test("parseCommand takes the common flags before the command too", () => {
  assertEquals(parse("--json", "--socket", "/other", "status", "--timeout", "1"), {
    command: "status",
    socket: "/other",
    json: true,
    timeoutMs: 1000,
    fds: false,
  });
  refuse(["--timeout", "5", "upgrade"], "--timeout", "after the command");
});

Deno.test("parseCommand refuses a flag given twice, wherever", () => {
  refuse(["upgrade", "--build", "a", "--build", "a"], "--build twice");
  refuse(["status", "--timeout=1", "--timeout=2"], "--timeout twice");
  refuse(["status", "--json", "--json"], "--json twice");
  refuse(["--socket", "/a", "status", "--socket", "/b"], "--socket twice");
});

Deno.test("parseCommand refuses a missing or unknown command", () => {
  refuse([], "no command is given", "run, serve, status");
  refuse(["--json"], "no command is given");
  refuse(["stauts"], "did you mean status?");
  refuse(["up"], "did you mean upgrade?");
  refuse(["rolback"], "did you mean rollback?");
  refuse(["toString"], "no such command");
  refuse([""], "no such command");
});

Deno.test("parseCommand refuses misspelled flags and says which are allowed", () => {
  refuse(["status", "-json"], "-json", "did you mean --json?", "--socket");
  refuse(["status", "-x"], "-x", "no such flag");
  refuse(["status", "--__proto__"], "--__proto__");
  refuse(["status", "--timeout"], "its value S is missing");
  refuse(["status", "--timeout", "--json"], "its value S is missing", "--json follows", "--timeout=--json");
  refuse(["status", "--json=yes"], "--json takes no value");
});

Deno.test("parseCommand finds the socket by flag, then by environment", () => {
  const socket = (env: Record<string, string>, ...args: string[]) => {
    const parsed = parseCommand(["status", ...args], env);
    return parsed.command === "status" ? parsed.socket : undefined;
  };
  assertEquals(socket({ HEIRLOOM_SOCKET: "/env" }, "--socket", "/flag"), "/flag");
  assertEquals(socket({ HEIRLOOM_SOCKET: "/env", XDG_RUNTIME_DIR: "/x" }), "/env");
  assertEquals(socket({ XDG_RUNTIME_DIR: "/x" }), "/x/heirloom/control.sock");
  assertEquals(socket({}), "/run/heirloom/control.sock");
  refuse(["status", "--socket", "x".repeat(108)], "108 bytes", "1 to 107 bytes");
});

Deno.test("parseCommand takes every flag of the table", () => {
  const sample: Record<string, string> = { S: "1", N: "1", ADDR: "h:1" };
  for (const name of COMMAND_NAMES) {
    for (const { name: flag, value } of [...COMMANDS[name].flags, ...COMMON_FLAGS]) {
      const args = value === undefined ? [`--${flag}`] : [`--${flag}`, sample[value] ?? "x"];
      if (name === "run") args.push("app.ts");
      if (name === "inspect") args.push(flag === "live" ? "--json" : flag === "timeout" ? "--live" : "f");
      const { command } = parse(name, ...args);
      const expected = flag === "help" || flag === "version" ? flag : name;
      assertEquals(command, expected, args.join(" "));
    }
  }
});

Deno.test("parseCommand takes every example of the help", () => {
  for (const name of COMMAND_NAMES) {
    for (const [line] of COMMANDS[name].examples) {
      const [program, ...args] = splitWords("the example", line);
      assertEquals([program, parse(...args).command], ["heirloom", name], line);
    }
  }
});
