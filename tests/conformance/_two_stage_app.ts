/**
 * The kernel's two-stage kexec tests as one application without `open()`. Its first argument is the name of a test, the
 * second how many sessions or files a stress test has. The stage that is asked for is the module that was started,
 * `_two_stage_first.ts` or `_two_stage_second.ts`, as `--stage` is in the kernel; the third argument is the module to
 * reboot into.
 *
 * Happy path: the state session cannot be retrieved (`ENOENT`), so this is stage 1. It creates that session with a memfd
 * in it whose text is the next stage, does its half of the test, closes the device and reboots. In the next image the
 * state session is back and says "2"; everything is verified and finished. Each stage prints a line of JSON.
 *
 * Unhappy paths: another stage than the one asked for, a missing session, a wrong text: the reason on stderr, exit
 * status 1.
 *
 * The kernel's stage 1 leaves a child behind that sleeps and holds the sessions. Here they are the process's own, and
 * the process goes on, so there is nobody to leave behind.
 *
 * @module
 */
import { Device, LuoError, ready, reboot, type Session } from "../../mod.ts";
import { fdLink, listFds } from "../../sys/mod.ts";
import { MEMFD_NAME, preserveText, retrieveText, TESTS, type TwoStageTest } from "./_two_stage_bodies.ts";

/** What a stage says of itself, in a line of JSON. */
export interface StageLine {
  /** Which it is. */
  stage: number;
  /** The process. */
  pid: number;
  /** The liveupdate number. */
  number: number;
  /** How many sessions there are when it is done, in both directions. */
  sessions: number;
  /** How many files are in them. */
  files: number;
  /** How many memfds of the test the process still has open. */
  memfds: number;
}

/** Runs the stage that is asked for. */
export async function main(requested: number): Promise<void> {
  const [name = "", count = "0", next = ""] = Deno.args;
  try {
    const test = TESTS[name];
    if (test === undefined) throw new Error(`there is no test "${name}"`);
    const device = Device.open();
    const state = retrieveState(device, test);
    const stage = state === null ? 1 : Number(retrieveText(state, test.state[1]));
    if (stage !== requested) throw new Error(`stage ${requested} is asked for, this is stage ${stage}`);
    if (state === null) {
      preserveText(device.createSession(test.state[0]), test.state[1], "2");
      test.first(device, Number(count));
    } else {
      test.second(device, Number(count));
      state.finish();
      state[Symbol.dispose]();
    }
    await ready();
    console.log(JSON.stringify(lineOf(stage, device)));
    device[Symbol.dispose]();
    if (stage === 1) await reboot({ build: next });
  } catch (error) {
    console.error(error instanceof Error ? error.stack : error);
    // Given up as the kernel's test gives up: there is no way back to stage 1.
    await ready();
    Deno.exit(1);
  }
}

function retrieveState(device: Device, test: TwoStageTest): Session | null {
  try {
    return device.retrieveSession(test.state[0]);
  } catch (error) {
    if (error instanceof LuoError && error.code === "ENOENT") return null;
    throw error;
  }
}

function lineOf(stage: number, device: Device): StageLine {
  const sessions = device.sessions();
  return {
    stage,
    pid: Deno.pid,
    number: Number(device.number),
    sessions: sessions.length,
    files: sessions.reduce((sum, session) => sum + session.files().length, 0),
    memfds: listFds().filter((fd) => fdLink(fd).startsWith(`/memfd:${MEMFD_NAME}`)).length,
  };
}
