/**
 * Check: the unit of the service, as systemd has it. `docs/heirloom.service` is a unit with which all of this is well.
 *
 * @module
 */
import { type Finding, note, ok, problem, warning } from "./finding.ts";
import { readText } from "./proc_text.ts";
import type { Subject } from "./subject.ts";

/** What is known of a unit. */
export interface UnitFacts {
  /** Its name, or null: not under systemd. */
  readonly unit: string | null;
  /** Can its processes tell systemd something? */
  readonly hasSocket: boolean;
  /** Its properties, or null where systemctl does not tell them. */
  readonly properties: ReadonlyMap<string, string> | null;
  /** The longest pause of an update so far, in milliseconds, or null. */
  readonly pauseMs: number | null;
}

const PROPERTIES = [
  "Type",
  "NotifyAccess",
  "KillMode",
  "FileDescriptorStoreMax",
  "WatchdogUSec",
  "OOMPolicy",
  "LimitNOFILE",
  "MemoryDenyWriteExecute",
  "TimeoutStopUSec",
  "Restart",
  "RuntimeDirectory",
  "RuntimeDirectoryPreserve",
  "StateDirectory",
];

/** How long systemctl may take, in milliseconds. */
const PATIENCE_MS = 5000;
/** The deadline of an update that says nothing of it, in milliseconds. */
const DEADLINE_MS = 30_000;
/** What `docs/heirloom.service` sets. */
const SHIPPED_NOFILE = 65_536;

/** Asks systemctl. */
export async function gatherUnit(subject: Subject | null, pauseMs: number | null): Promise<UnitFacts> {
  const env = subject?.env ?? null;
  const hasSocket = env?.has("NOTIFY_SOCKET") ?? false;
  const nothing = { unit: null, hasSocket, properties: null, pauseMs };
  if (subject === null || !subject.isService || !(hasSocket || env?.has("INVOCATION_ID"))) return nothing;
  const path = unitPath(readText(`${subject.proc}/cgroup`) ?? "");
  if (path === null) return nothing;
  const unit = path.slice(path.lastIndexOf("/") + 1);
  return { unit, hasSocket, properties: await show(unit, /\/user@\d+\.service\//.test(path)), pauseMs };
}

/** Judges it. */
export function checkUnit({ unit, hasSocket, properties, pauseMs }: UnitFacts): Finding[] {
  if (unit === null) return [ok("systemd", "not under systemd")];
  if (properties === null) {
    return [
      note("systemd", `unit ${unit}; systemctl does not tell more`),
      ...(hasSocket ? [] : [checkNotify("none", false)]),
    ];
  }
  const of = (name: string): string => properties.get(name) ?? "";
  return [
    ok("systemd", `unit ${unit}`),
    checkNotify(of("NotifyAccess"), hasSocket),
    checkType(of("Type")),
    /^(control-group|mixed)$/.test(of("KillMode")) ? ok("kill_mode", `KillMode=${of("KillMode")}`) : warning(
      "kill_mode",
      `KillMode=${of("KillMode")}: a stop leaves the guardian, which brings the service back`,
      "Leave KillMode=control-group, or use mixed.",
    ),
    of("OOMPolicy") === "continue" ? ok("oom_policy", "OOMPolicy=continue") : warning(
      "oom_policy",
      `OOMPolicy=${of("OOMPolicy")}: a new build that is killed for want of memory takes the service along`,
      "Set OOMPolicy=continue: that build is the guardian's business.",
    ),
    of("MemoryDenyWriteExecute") === "yes"
      ? problem(
        "memory_deny_write_execute",
        "MemoryDenyWriteExecute=yes: the runtime compiles to machine code, and cannot start",
        "Remove MemoryDenyWriteExecute=.",
      )
      : ok("memory_deny_write_execute", "MemoryDenyWriteExecute=no"),
    checkStop(of("TimeoutStopUSec")),
    checkWatchdog(of("WatchdogUSec"), pauseMs),
    ...checkNotes(properties),
  ];
}

/** The unit of a process in its `/proc/PID/cgroup`, with its place in the tree, or null. */
export function unitPath(cgroup: string): string | null {
  const paths = [...cgroup.matchAll(/^\d+:[^:]*:(.*\.service)$/gm)].map(([, path = ""]) => path);
  // Any hierarchy knows it, and some only as far as its manager.
  return paths.sort((a, b) => b.length - a.length)[0] ?? null;
}

/** Reads a time as systemctl shows it, such as `1min 30s`. Null for none, 0 for off. */
export function parseSpan(text: string): number | null {
  if (text === "infinity") return null;
  const units: Readonly<Record<string, number>> = {
    us: 1e-3,
    ms: 1,
    s: 1e3,
    min: 6e4,
    h: 36e5,
    d: 864e5,
    w: 6048e5,
  };
  return [...text.matchAll(/([\d.]+)([a-z]*)/g)]
    .reduce((sum, [, value, unit = ""]) => sum + Number(value) * (units[unit] ?? 1e-3), 0);
}

function checkNotify(access: string, hasSocket: boolean): Finding {
  const what = `NotifyAccess=${access}`;
  if (access === "all" && hasSocket) return ok("notify_access", what);
  const advice = "Set NotifyAccess=all and start the service anew.";
  if (access === "all") {
    return warning(
      "notify_access",
      `${what}, but the service was started before it was set`,
      "Start the service anew.",
    );
  }
  return access === "main" && hasSocket
    ? warning(
      "notify_access",
      `${what}: the guardian can be announced, but nobody announces the service again when a guardian is killed`,
      advice,
    )
    : warning(
      "notify_access",
      `${what}: systemd ends the guardian together with a build that crashes`,
      advice,
    );
}

function checkType(type: string): Finding {
  if (type === "notify" || type === "notify-reload") {
    return note(
      "unit_type",
      `Type=${type}: the unit is started when somebody says READY=1, which only the application can`,
      "Type=exec, if the application does not say it.",
    );
  }
  return type === "forking" || type === "oneshot" || type === "dbus"
    ? warning("unit_type", `Type=${type}: systemd takes another process for the service`, "Set Type=exec.")
    : ok("unit_type", `Type=${type}`);
}

function checkStop(text: string): Finding {
  const ms = parseSpan(text);
  return ms === null || ms > DEADLINE_MS ? ok("timeout_stop", `TimeoutStopSec=${text}`) : warning(
    "timeout_stop",
    `TimeoutStopSec=${text}: a stop in the middle of an update waits for its verdict, up to ${
      DEADLINE_MS / 1000
    } s`,
    "Set TimeoutStopSec=45s, or more than the --timeout of your updates.",
  );
}

function checkWatchdog(text: string, pauseMs: number | null): Finding {
  const ms = parseSpan(text);
  if (ms === null || ms === 0) return ok("watchdog", "no watchdog");
  const pause = pauseMs ?? 1000;
  const what = `WatchdogSec=${text}, the longest pause of an update ${
    pauseMs === null ? "is not known" : `was ${Math.round(pauseMs)} ms`
  }`;
  return ms > 4 * pause ? note("watchdog", what) : warning(
    "watchdog",
    `${what}: nobody pings meanwhile, and a return to the old build takes two pauses`,
    "Set WatchdogSec= to more than four pauses.",
  );
}

function checkNotes(properties: ReadonlyMap<string, string>): Finding[] {
  const findings: Finding[] = [];
  const of = (name: string): string => properties.get(name) ?? "";
  const nofile = of("LimitNOFILE");
  const isMuch = nofile === "infinity" || Number(nofile) >= SHIPPED_NOFILE;
  findings.push(
    isMuch ? ok("limit_nofile", `LimitNOFILE=${nofile}`) : note(
      "limit_nofile",
      `LimitNOFILE=${nofile}`,
      `${SHIPPED_NOFILE} is enough for some 20000 connections: three for each.`,
    ),
  );
  const store = Number(of("FileDescriptorStoreMax") || 0);
  findings.push(
    store === 0 ? ok("fd_store", "FileDescriptorStoreMax=0") : note(
      "fd_store",
      `FileDescriptorStoreMax=${store}: descriptors in the store are the application's own business`,
    ),
  );
  if (of("Restart") === "no") {
    findings.push(
      note("restart", "Restart=no: a service that is lost stays away", "Set Restart=on-failure."),
    );
  }
  if (of("StateDirectory") === "") {
    findings.push(
      note("unit_state", "no StateDirectory=", "Set it: copies of the running build are kept there."),
    );
  }
  if (of("RuntimeDirectory") !== "" && of("RuntimeDirectoryPreserve") === "no") {
    findings.push(
      note(
        "unit_runtime",
        "RuntimeDirectoryPreserve=no: the last words of a service that is gone are removed",
        "Set RuntimeDirectoryPreserve=yes.",
      ),
    );
  }
  return findings;
}

async function show(unit: string, isUser: boolean): Promise<ReadonlyMap<string, string> | null> {
  try {
    const { success, stdout } = await new Deno.Command("systemctl", {
      args: [...(isUser ? ["--user"] : []), "show", `--property=${PROPERTIES.join(",")}`, "--", unit],
      stdin: "null",
      stderr: "null",
      signal: AbortSignal.timeout(PATIENCE_MS),
    }).output();
    const lines = new TextDecoder().decode(stdout).split("\n").filter((line) => line.includes("="));
    const pairs = lines.map((line) =>
      [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)] as const
    );
    const properties = new Map(pairs);
    return success && properties.has("Type") ? properties : null;
  } catch {
    return null;
  }
}
