/**
 * A service for tests that go their own ways through updates: what {@linkcode carries} of the kit does not do.
 *
 * @module
 */
import { freePort, startApp, type TestApp, type UpdateRecord } from "../../testing/mod.ts";
import { type AppParts, appText, builds, once } from "../update/_fixtures.ts";

/** A running application, and builds for it. */
export interface Running extends AsyncDisposable {
  /** The service. */
  readonly app: TestApp;
  /** Asks over a connection of its own, and gives the text of a 200. */
  ask(path: string): Promise<string>;
  /** Updates to a build of this text. */
  upgrade(text: string): Promise<UpdateRecord>;
}

/**
 * Starts an application.
 *
 * @param parts its pieces, and its arguments behind the port
 */
export async function running(parts: AppParts & { args?: readonly string[] }): Promise<Running> {
  await using undo = new AsyncDisposableStack();
  const all = undo.use(builds());
  const port = freePort();
  const entry = await all.write("first", appText(parts));
  const app = undo.use(await startApp({ entry, args: [String(port), ...parts.args ?? []] }));
  const kept = undo.move();
  let count = 0;
  return {
    app,
    ask: (path) => once(port, path),
    upgrade: async (text) => await app.upgrade({ build: await all.write(`build-${count++}`, text) }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
