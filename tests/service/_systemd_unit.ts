/**
 * The shipped unit `docs/heirloom.service` under a real systemd, seen by the one who runs it. Works only within
 * `scripts/systemd-lab.sh`: it writes units, and covers the folders in which the unit keeps things.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Diagnosis } from "../../service/doctor.ts";
import { heirloomRoot, type UpdateRecord, waitFor } from "../../testing/mod.ts";
import { once, runCommand } from "../update/_fixtures.ts";

/** Where the shipped unit expects what. */
const PLACES = { deno: "/usr/bin/deno", heirloom: "/opt/heirloom", app: "/srv/app/main.ts" };

const UNIT = "heirloom.service";
const FOLDER = "/run/systemd/system";
const SOCKET = "/run/heirloom/control.sock";

/** Where the unit keeps its state. */
export const STATE = "/var/lib/heirloom";

/** Milliseconds until something has to be so. */
const PATIENCE_MS = 20_000;

/** How `heirloom upgrade` ended. */
export interface Upgrade {
  /** Its exit code. */
  readonly code: number;
  /** The record, or undefined when there is none. */
  readonly record: UpdateRecord | undefined;
  /** What it wrote to standard error. */
  readonly stderr: string;
}

/** The unit. */
export class Unit {
  readonly #text: string;
  readonly #port: number;

  private constructor(text: string, port: number) {
    this.#text = text;
    this.#port = port;
  }

  /**
   * Installs the unit with paths of this machine.
   *
   * @param dir a directory of builds, with the entry module of the first one at `current/main.ts`
   * @param port the argument of the application
   */
  static async install(dir: string, port: number): Promise<Unit> {
    for (const place of ["/var/lib", "/var/cache"]) await run("mount", "-t", "tmpfs", "tmpfs", place);
    const root = heirloomRoot();
    const text = (await Deno.readTextFile(`${root}/docs/heirloom.service`))
      .replaceAll(PLACES.deno, Deno.execPath())
      .replaceAll(PLACES.heirloom, root)
      .replaceAll(PLACES.app, `${dir}/current/main.ts ${port}`);
    // There is no network: what the applications import from elsewhere has to be there.
    await run("mkdir", "-p", "-m", "0700", "/var/cache/private");
    await run("cp", "-r", `${dir}/cache`, "/var/cache/private/heirloom");
    // A runtime or a tree in a home directory is the developer's, not the unit's.
    const visible = `ProtectHome=tmpfs\nBindReadOnlyPaths=${Deno.execPath()} ${root} ${dir}\n`;
    return new Unit(`${text}\n[Service]\n${visible}`, port);
  }

  /**
   * Starts it from nothing.
   *
   * @param settings more lines for its section `[Service]`
   */
  async start(...settings: string[]): Promise<void> {
    await this.end();
    await Deno.mkdir(FOLDER, { recursive: true });
    await Deno.writeTextFile(`${FOLDER}/${UNIT}`, `${this.#text}${settings.join("\n")}\n`);
    await run("systemctl", "daemon-reload");
    await run("systemctl", "start", UNIT);
    await waitFor(() => this.text("/"), { what: "the service", timeoutMs: PATIENCE_MS });
  }

  /** Ends it, however it is, and forgets what it left. */
  async end(): Promise<void> {
    await runCommand(["systemctl", "kill", "--signal=KILL", UNIT]);
    await runCommand(["systemctl", "stop", UNIT]);
    await runCommand(["systemctl", "reset-failed", UNIT]);
    await run("rm", "-rf", "/run/private/heirloom", "/var/lib/private/heirloom");
  }

  /** A property of the unit. */
  async property(name: string): Promise<string> {
    return (await run("systemctl", "show", "--value", "--property", name, UNIT)).trim();
  }

  /** Its main process in the eyes of systemd; 0 for none. */
  async main(): Promise<number> {
    return Number(await this.property("MainPID"));
  }

  /** Everything that runs in its control group. */
  async processes(): Promise<number[]> {
    const group = await this.property("ControlGroup");
    if (group === "") return [];
    try {
      const text = await Deno.readTextFile(`/sys/fs/cgroup${group}/cgroup.procs`);
      return text.split("\n").filter((line) => line !== "").map(Number).filter((pid) => pid !== 0);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** One request; the text of the answer. */
  text(path: string): Promise<string> {
    return once(this.#port, path);
  }

  /** Waits until the main process is another one, and gives it. */
  async mainOtherThan(pid: number): Promise<number> {
    return await waitFor(async () => {
      const main = await this.main();
      return main === pid ? 0 : main;
    }, { what: `a main process other than ${pid}`, timeoutMs: PATIENCE_MS });
  }

  /** Checks that this build serves as the main and only process, and that systemd never had to start it again. */
  async holds(label: string, pid: number): Promise<void> {
    assertEquals(await this.text("/"), label);
    const wanted = JSON.stringify(["active", pid, [pid], "0"]);
    let state = "";
    // A child that looks at the modules of a new build comes and goes, and the guardian goes when it was told to.
    await waitFor(async () => {
      const [active, main] = [await this.property("ActiveState"), await this.main()];
      state = JSON.stringify([active, main, await this.processes(), await this.property("NRestarts")]);
      return state === wanted;
    }, { what: "the service to be alone", timeoutMs: PATIENCE_MS }).catch(() => assertEquals(state, wanted));
    assertEquals(await this.text("/hash"), await this.text("/kept"), "the segment");
  }

  /** Runs `heirloom upgrade`. */
  async upgrade(build: string, ...args: string[]): Promise<Upgrade> {
    const main = `${heirloomRoot()}/main.ts`;
    const target = ["--socket", SOCKET, "--build", build, "--json", ...args];
    const { code, stdout, stderr } = await runCommand([
      Deno.execPath(),
      "run",
      "-A",
      main,
      "upgrade",
      ...target,
    ]);
    return { code, record: stdout === "" ? undefined : JSON.parse(stdout), stderr };
  }

  /** Runs `heirloom doctor`. */
  async doctor(): Promise<{ code: number; document: Diagnosis }> {
    const main = `${heirloomRoot()}/main.ts`;
    const command = [Deno.execPath(), "run", "-A", main, "doctor", "--socket", SOCKET, "--json"];
    const { code, stdout, stderr } = await runCommand(command);
    assertEquals(stderr, "");
    return { code, document: JSON.parse(stdout) };
  }

  /** `systemctl COMMAND` on this unit; its exit code. */
  async control(command: string, ...args: string[]): Promise<number> {
    return (await runCommand(["systemctl", command, ...args, UNIT])).code;
  }

  /** What systemd and the service say about what happened. */
  async story(): Promise<string> {
    const { stdout } = await runCommand(["systemctl", "status", "--no-pager", "--lines=30", UNIT]);
    return stdout;
  }
}

async function run(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand(argv);
  assertEquals(code, 0, `${argv.join(" ")}: ${stderr}`);
  return stdout;
}
