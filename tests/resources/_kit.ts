/**
 * What the tests of resources share: one application with one resource more, carried through an update that commits, one that
 * is rolled back, and one from which the guardian brings the old build back under a new PID. After each of them the resource
 * is looked at from outside, and must be what it was.
 *
 * Happy path: {@linkcode carries} with the statements that take the resource, and a `look` that gives what can be seen of it.
 * Tests with ways of their own begin with {@linkcode running}.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import {
  type Descriptor,
  descriptors,
  freePort,
  startApp,
  type StartOptions,
  type TestApp,
  type UpdateRecord,
} from "../../testing/mod.ts";
import { type AppParts, builds, once, READY_IN_CHECK } from "../update/_fixtures.ts";

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
  const { before = "", use, routes = "", args = [] } = carried;
  const parts = { before, use, routes };
  await using stage = await running({ ...parts, args });
  const { app } = stage;
  await carried.prepare?.(stage);
  const seen = await carried.look(stage);
  let generation = 0;
  for (const [index, [outcome, ready]] of ENDS.entries()) {
    await t.step(`${outcome}${index === 3 ? " afterwards" : ""}`, async () => {
      await stage.ends(outcome, { ...parts, label: `v${index + 2}`, ready });
      if (outcome === "committed") generation++;
      assertEquals((await app.status()).generation, generation);
      assertEquals(await carried.look(stage), seen);
      await carried.works?.(stage, outcome);
    });
  }
}

/** A running application, and builds for it. */
export interface Running extends Stage, AsyncDisposable {
  /** Updates to a build. */
  upgrade(build: AppParts | string): Promise<UpdateRecord>;
  /** Updates to a build, which must end like that. */
  ends(outcome: UpdateRecord["outcome"], build: AppParts | string): Promise<UpdateRecord>;
  /** Updates to a build that must commit. */
  commits(build: AppParts | string): Promise<UpdateRecord>;
  /** Updates to a build that must be refused for a reason, before anything stands still. */
  refuses(build: AppParts | string, reason: RegExp): Promise<void>;
}

/** How an application is started, beside its pieces. */
export type RunOptions = Omit<StartOptions, "entry">;

/**
 * Starts an application, for tests that go their own ways through updates.
 *
 * @param parts its pieces
 * @param options how it is started; its arguments come behind the port
 */
export async function running(
  { args = [], ...parts }: AppParts & { readonly args?: readonly string[] },
  options: RunOptions = {},
): Promise<Running> {
  await using undo = new AsyncDisposableStack();
  const all = undo.use(builds());
  const port = freePort();
  const entry = await all.write("first", parts);
  const app = undo.use(await startApp({ ...options, entry, args: [String(port), ...args] }));
  const kept = undo.move();
  let count = 0;
  const upgrade = async (build: AppParts | string): Promise<UpdateRecord> =>
    await app.upgrade({ build: await all.write(`build-${count++}`, build) });
  const ends: Running["ends"] = async (outcome, build) => {
    const record = await upgrade(build);
    assertEquals(record.outcome, outcome, `${record.reason}\n${app.output().stderr}`);
    return record;
  };
  return {
    app,
    port,
    ask: (path) => once(port, path),
    upgrade,
    ends,
    async commits(build) {
      const record = await ends("committed", build);
      assertEquals(record.reason, null);
      return record;
    },
    async refuses(build, reason) {
      assertMatch((await ends("refused", build)).reason ?? "", reason);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A function for an application: the words of what something throws, as an answer. */
export const CATCHES = `const caught = async (make: () => Promise<unknown>): Promise<Response> => {
  try { await make(); return new Response("nothing"); } catch (error) {
    return new Response(\`\${(error as { code?: string }).code ?? (error as Error).name}: \${(error as Error).message}\`);
  }
};`;

/** What is in a file; nothing if it is not there. */
export function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
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
