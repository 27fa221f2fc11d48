/**
 * Check: do the clients that come in a pause find room in the backlog? Each listener says how many may wait; the history, how
 * long they have to.
 *
 * @module
 */
import { type Finding, note, ok, warning } from "./finding.ts";
import { netCounter, readNumber, readText } from "./proc_text.ts";
import type { Service, Subject } from "./subject.ts";

/** What is known of backlogs. */
export interface BacklogFacts {
  /** The TCP listeners: name or address, and how many may wait. */
  readonly listeners: readonly { readonly name: string; readonly limit: number; readonly waiting: number }[];
  /** The longest pause so far in milliseconds, or null. */
  readonly pauseMs: number | null;
  /** `net.core.somaxconn`, or null. */
  readonly somaxconn: number | null;
  /** `net.ipv4.tcp_abort_on_overflow`, or null. */
  readonly abortOnOverflow: number | null;
  /** Connections that found no room since the boot of the machine, or null. */
  readonly overflows: number | null;
  readonly drops: number | null;
}

/** So many new connections in a second are to find room, with the longest pause so far. */
export const ENOUGH_PER_SECOND = 1000;
/** The pause of an update when nothing is known of any, in milliseconds. */
const ASSUMED_PAUSE_MS = 250;
/** What `live` asks for when it listens. */
const ASKED = 4096;

/** Looks at the listeners and the kernel. */
export function gatherBacklog(subject: Subject | null, service: Service | null): BacklogFacts {
  const netstat = readText(`${subject?.proc ?? "/proc/self"}/net/netstat`) ?? "";
  // What is under /proc/sys/net is that of our own network namespace.
  const isOurs = subject === null || netOf(subject.proc) === netOf("/proc/self");
  const listeners = new Map<string, { name: string; limit: number; waiting: number }>();
  for (const { name, what, backlog, class: kind } of service?.status.fds ?? []) {
    if (backlog === null || kind !== "preserved") continue;
    const key = name ?? what;
    listeners.set(key, { name: key, ...backlog });
  }
  return {
    listeners: [...listeners.values()],
    pauseMs: longestPause(service),
    somaxconn: isOurs ? readNumber("/proc/sys/net/core/somaxconn") : null,
    abortOnOverflow: isOurs ? readNumber("/proc/sys/net/ipv4/tcp_abort_on_overflow") : null,
    overflows: netCounter(netstat, "TcpExt", "ListenOverflows"),
    drops: netCounter(netstat, "TcpExt", "ListenDrops"),
  };
}

/** Judges them. */
export function checkBacklog(facts: BacklogFacts): Finding[] {
  const { somaxconn, abortOnOverflow, overflows, drops } = facts;
  const findings = facts.listeners.map((listener) => checkListener(listener, facts));
  if (somaxconn !== null) {
    findings.push(
      somaxconn >= ASKED ? ok("somaxconn", `net.core.somaxconn is ${somaxconn}`) : note(
        "somaxconn",
        `net.core.somaxconn is ${somaxconn}: it caps every backlog, live asks for ${ASKED}`,
        `sysctl -w net.core.somaxconn=${ASKED}, and start the service anew.`,
      ),
    );
  }
  if (abortOnOverflow !== null) {
    findings.push(
      abortOnOverflow === 0 ? ok("abort_on_overflow", "net.ipv4.tcp_abort_on_overflow is 0") : warning(
        "abort_on_overflow",
        "net.ipv4.tcp_abort_on_overflow is 1: a client that finds the backlog full is reset instead of trying again",
        "sysctl -w net.ipv4.tcp_abort_on_overflow=0",
      ),
    );
  }
  if ((overflows ?? 0) > 0 || (drops ?? 0) > 0) {
    findings.push(
      note(
        "listen_overflows",
        `since the start of the machine ${overflows} connections found a backlog full (${drops} were dropped)`,
        "Look whether the numbers grow in an update: nstat -az TcpExtListenOverflows.",
      ),
    );
  } else if (overflows !== null) {
    findings.push(ok("listen_overflows", "no connection ever found a backlog full"));
  }
  return findings;
}

function checkListener(
  { name, limit, waiting }: BacklogFacts["listeners"][number],
  { pauseMs, somaxconn }: BacklogFacts,
): Finding {
  const pause = pauseMs ?? ASSUMED_PAUSE_MS;
  // One more than the limit fits (sk_acceptq_is_full of the kernel).
  const perSecond = Math.floor((limit + 1 - waiting) / (pause / 1000));
  const what = `"${name}": ${limit} may wait, ${waiting} do; in ${
    pauseMs === null ? "an assumed pause" : "the longest pause so far"
  } of ${Math.round(pause)} ms that holds ${perSecond} new connections a second`;
  if (perSecond >= ENOUGH_PER_SECOND) return ok("backlog", what);
  const isCapped = somaxconn !== null && limit >= somaxconn;
  return warning(
    "backlog",
    what,
    isCapped
      ? `Raise net.core.somaxconn (${somaxconn}) and start the service anew, or make the pause shorter.`
      : "Ask for a longer backlog where the socket is made, or make the pause shorter.",
  );
}

/** The longest pause of the updates so far in milliseconds, or null without any. */
export function longestPause(service: Service | null): number | null {
  const pauses = (service?.history ?? []).map(({ blackout_ms }) => blackout_ms).filter((ms) => ms !== null);
  return pauses.length === 0 ? null : Math.max(...pauses);
}

function netOf(proc: string): string | null {
  try {
    return Deno.readLinkSync(`${proc}/ns/net`);
  } catch {
    return null;
  }
}
