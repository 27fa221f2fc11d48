/**
 * What a guardian does when the service is gone: it becomes the previous build, or says why nobody can.
 *
 * Happy path: the reason goes into the journal, every descriptor onto its number, and this process jumps into the
 * previous build with the same segment.
 *
 * Unhappy paths, all of which end the process:
 * 1. Nothing was entrusted: the service has ended as any service does. Status 0, not a word.
 * 2. The service was asked to stop: nobody wants it back. Status 0.
 * 3. The previous build has said itself that the service is lost: nothing is added to that. Status 70.
 * 4. The previous build failed as well, or cannot be started, or not everything was entrusted: `lost`. The record of the
 *    update is left where the service's user will look for it. Status 70.
 *
 * @module
 */
import { closeFd, dupFd, SysError, writeAll } from "../../sys/mod.ts";
import { exitStatusOf, poll, POLLOUT } from "../../sys/guard.ts";
import { FAILED_EVENT } from "../abi/journal.ts";
import { Journal } from "../journal.ts";
import { jump } from "../jump.ts";
import { describeDeath, endService, inPhase, ownFailure } from "./ending.ts";
import { placeFds } from "./place.ts";
import type { LastWords, RecoveryPlan } from "./plan.ts";
import type { Watch } from "./watch.ts";

/** Exit status when nobody could bring the service back; the same as in the service itself. */
const LOST_STATUS = 70;

/**
 * Acts on the end of a watch. Does not return.
 *
 * @param watch what was entrusted
 * @param end whether the service died or is late
 * @param socket the guardian's end of the socket; closed
 * @param service pidfd of the service; closed
 */
export function act(watch: Watch, end: "died" | "late", socket: number, service: number): never {
  const { plan } = watch.entrusted;
  if (plan === null && watch.entrusted.fault === null && !watch.returning) Deno.exit(0);
  const { stop } = watch;
  if (end === "late") endService(service);
  const what = end === "late" ? "it ran past its deadline" : describeDeath(service);
  if (stop !== null) {
    say(`the service was asked to stop (${stop}) before its update was committed, and has ended: ${what}`);
    Deno.exit(0);
  }
  const memory = watch.entrusted.find(plan?.journal ?? null);
  const journal = memory === null ? null : Journal.adopt(dupFd(memory));
  const reason = `${what}${inPhase(journal)}`;
  const words = plan?.lastWords ?? null;
  if (watch.returning && exitStatusOf(service)?.code === LOST_STATUS) Deno.exit(LOST_STATUS);
  if (watch.returning) {
    const first = ownFailure(journal)?.note;
    const before = first === null || first === undefined ? "" : `; the new build had failed: ${first}`;
    lose(`the previous build failed as well: ${reason}${before}`, words, journal);
  }
  const fault = watch.entrusted.fault;
  if (plan === null || fault !== null) {
    lose(`${reason}, and its guardian cannot bring it back: ${fault}`, words, journal);
  }
  if (ownFailure(journal) === undefined) journal?.append(FAILED_EVENT, reason);
  say(`the new build failed: ${reason}; its guardian returns to the previous build, as process ${Deno.pid}`);
  const moves = watch.entrusted.moves;
  // From here on any number may come to mean something else: nothing is written to any of them.
  journal?.[Symbol.dispose]();
  try {
    closeFd(socket);
    closeFd(service);
    placeFds(moves);
    becomePrevious(plan);
  } catch (error) {
    const state = error instanceof Error ? error.message : String(error);
    lose(`${reason}, and the previous build cannot be started again: ${state}`, words, null);
  }
}

function becomePrevious(plan: RecoveryPlan): never {
  jump({
    image: plan.image,
    announcement: { fd: plan.segment, nonce: plan.nonce, role: "recovery" },
    crossing: plan.crossing.filter((fd) => fd > 2),
    runtime: plan.runtime,
  });
}

function lose(reason: string, words: LastWords | null, journal: Journal | null): never {
  journal?.append(FAILED_EVENT, reason);
  if (words !== null) leave(words, reason);
  say(`lost: ${reason}; the service ends here`);
  Deno.exit(LOST_STATUS);
}

/** Leaves the record whole or not at all: its readers do not wait for each other. */
function leave({ path, text }: LastWords, reason: string): void {
  const draft = `${path}.${Deno.pid}`;
  try {
    const record = { ...JSON.parse(text), outcome: "lost", reason };
    Deno.writeTextFileSync(draft, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    Deno.renameSync(draft, path);
  } catch (error) {
    say(`cannot leave the record of the update: ${error instanceof Error ? error.message : error}`);
    removeQuietly(draft);
  }
}

function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It was not there, or cannot be helped.
  }
}

/** Says something on stderr, but never waits for a reader: what there is to do is more urgent. */
function say(message: string): void {
  try {
    if (poll([{ fd: 2, events: POLLOUT }], 0)[0] !== POLLOUT) return;
    writeAll(2, new TextEncoder().encode(`heirloom: ${message}\n`));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}
