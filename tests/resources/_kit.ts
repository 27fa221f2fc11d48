/**
 * What the tests of resources share: one application with one resource more, carried through an update that commits, one that
 * is rolled back, and one from which the guardian brings the old build back under a new PID. After each of them the resource
 * is looked at from outside, and must be what it was.
 *
 * Happy path: {@linkcode carries} with the statements that take the resource, and a `look` that gives what can be seen of it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  type Descriptor,
  descriptors,
  freePort,
  type TestApp,
  type UpdateRecord,
} from "../../testing/mod.ts";
import { appText, builds, Client, READY_IN_CHECK } from "../update/_fixtures.ts";
import { startApp } from "../../testing/mod.ts";

/** The application, as a test sees it. */
export interface Stage {
  /** The service. */
  readonly app: TestApp;
  /** Its port. */
  readonly port: number;
  /** Asks over a connection of its own, and gives the text of a 200. */
  ask(path: string): Promise<string>;
}

/** What is carried, and how it is looked at. */
export interface Carried<Seen> {
  /** Imports and other statements before `open()`. */
  readonly before?: string;
  /** Statements after `open()`, which take the resource. They know `live`. */
  readonly use: string;
  /** Statements of the request handler, which know `request`, `path` and `query`. */
  readonly routes?: string;
  /** More arguments of the application, behind the port. */
  readonly args?: readonly string[];
  /** Gives the resource a state, once, before the first look. */
  readonly prepare?: (stage: Stage) => Promise<void>;
  /** Looks at it from outside. What this gives must be the same after each update as before it. */
  readonly look: (stage: Stage) => Promise<Seen> | Seen;
  /** Uses it after each update: does it still do what it is for? Must leave the state as the look wants it. */
  readonly works?: (stage: Stage, outcome: UpdateRecord["outcome"]) => Promise<void>;
}

/** How an update can end, and what the build does that leads there. */
const ENDS = [
  ["committed", "await live.ready();"],
  ["rolled-back", `${READY_IN_CHECK}throw new Error("no luck");`],
  ["recovered", `${READY_IN_CHECK}Deno.kill(Deno.pid, "SIGKILL");`],
  // What was brought back by the guardian must be able to go on.
  ["committed", "await live.ready();"],
] as const;

/**
 * Carries a resource through all three ends of an update.
 *
 * @param t the test, which gets a step for each
 * @param carried the resource
 */
export async function carries<Seen>(t: Deno.TestContext, carried: Carried<Seen>): Promise<void> {
  await using all = builds();
  const { before = "", use, routes = "" } = carried;
  const parts = { before, use, routes };
  const first = await all.write("first", parts);
  const port = freePort();
  await using app = await startApp({ entry: first, args: [String(port), ...carried.args ?? []] });
  const stage: Stage = {
    app,
    port,
    async ask(path) {
      using client = await Client.open(port);
      return await client.text(path);
    },
  };
  await carried.prepare?.(stage);
  const seen = await carried.look(stage);
  let generation = 0;
  for (const [index, [outcome, ready]] of ENDS.entries()) {
    await t.step(`${outcome}${index === 3 ? " afterwards" : ""}`, async () => {
      const build = await all.write(`build-${index}`, appText({ ...parts, label: `v${index + 2}`, ready }));
      const record = await app.upgrade({ build });
      assertEquals(record.outcome, outcome, `${record.reason}\n${app.output().stderr}`);
      if (outcome === "committed") generation++;
      assertEquals((await app.status()).generation, generation);
      assertEquals(await carried.look(stage), seen);
      await carried.works?.(stage, outcome);
    });
  }
}

/**
 * The duplicate that Heirloom holds of a resource.
 *
 * @param app the service
 * @param name the name that the application gave
 * @returns the descriptor, as `/proc` shows it from outside
 */
export async function descriptorOf(app: TestApp, name: string): Promise<Descriptor> {
  const files = (await app.sessions()).flatMap(({ files }) => files);
  const fd = files.find((file) => file.name === name)?.fd;
  const found = descriptors(app.pid).find((descriptor) => descriptor.fd === fd);
  if (found === undefined) throw new Error(`There is no descriptor behind "${name}"`);
  return found;
}

/**
 * What the kernel says of a resource, line by line.
 *
 * @param app the service
 * @param name the name that the application gave
 * @returns the text of `/proc/PID/fdinfo/FD`
 */
export async function fdInfoOf(app: TestApp, name: string): Promise<string> {
  const { fd } = await descriptorOf(app, name);
  return await Deno.readTextFile(`/proc/${app.pid}/fdinfo/${fd}`);
}
