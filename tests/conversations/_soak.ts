/**
 * Updates in a row, while clients of every shape talk all the time and look at every byte.
 *
 * Happy path: all updates commit, no client has seen anything.
 *
 * Unhappy paths: an update that does not commit, or a client that has seen a reset, a refused connection, a wrong byte, an
 * early close or nothing at all: all of it is in the report.
 *
 * @module
 */
import { type LoadReport, startLoad, type UpdateRecord, waitFor } from "../../testing/mod.ts";
import { type Kind, startHttp } from "./_http_app.ts";
import { complaints, reference } from "./_http_exact.ts";
import { type ClientReport, Clients, conversations } from "./_soak_clients.ts";

/** What a soak came to. */
export interface SoakReport {
  /** How the application serves. */
  readonly kind: Kind;
  /** The updates, in order. */
  readonly updates: readonly UpdateRecord[];
  /** The clients, by kind. */
  readonly clients: readonly ClientReport[];
  /** The clients that ask on a schedule, whatever happens; null where they cannot reach the service. */
  readonly load: LoadReport | null;
  /** What went wrong, in words. */
  readonly failures: readonly string[];
  /** How long it took. */
  readonly ms: number;
}

/** How many conversations of each kind have to be between two updates. */
const BETWEEN = 2;

/**
 * Updates a service under load.
 *
 * @param kind how the application serves
 * @param count how many updates
 * @param told hears of each update
 * @param stopped asked before each update: is it enough?
 */
export async function soak(
  kind: Kind,
  count: number,
  told: (update: number, record: UpdateRecord) => void = () => {},
  stopped: () => boolean = () => false,
): Promise<SoakReport> {
  const began = performance.now();
  await using service = await startHttp({ kind });
  const { target } = service;
  const gate = `${service.all.path}/gate`;
  await Deno.writeTextFile(gate, "");
  const all: Clients[] = [];
  for (const conversation of conversations(gate)) {
    const wanted = await reference(service, conversation.sends, conversation.ends);
    // What comes for the request that ends the conversation there is not asked for here.
    const last = conversation.ends ? 0 : (await reference(service, "")).length;
    all.push(new Clients(conversation, target, wanted.slice(0, wanted.length - last)));
  }
  await using load = typeof target === "number"
    ? startLoad({
      target: { hostname: "127.0.0.1", port: target },
      keepAlive: 4,
      keepAlivePeriodMs: 100,
      newPerSecond: 50,
    })
    : null;
  const running = all.map((clients) => clients.run());
  const updates: UpdateRecord[] = [];
  const failures: string[] = [];
  try {
    for (let update = 1; update <= count && !stopped(); update++) {
      const counts = all.map(({ report }) => report.done + report.failures.length);
      await waitFor(
        () => all.every(({ report }, at) => report.done + report.failures.length >= counts[at]! + BETWEEN),
        {
          what: "conversations between updates",
          timeoutMs: 60_000,
        },
      );
      const record = await service.upgrade(update % 2 === 1 ? "b" : "a");
      updates.push(record);
      told(update, record);
      if (record.outcome !== "committed") {
        failures.push(`update ${update} was ${record.outcome}: ${record.reason}`);
      }
      if (record.closed > 0) failures.push(`update ${update} closed ${record.closed} connections`);
    }
  } finally {
    for (const clients of all) clients.stop();
    await Promise.all(running);
  }
  const loaded = await load?.stop() ?? null;
  if (loaded !== null && loaded.failed > 0) failures.push(`scheduled clients: ${loaded}`);
  for (const { report } of all) {
    failures.push(...report.failures.map((failure) => `${report.name}: ${failure}`));
  }
  failures.push(...complaints(service.app.output().stderr));
  const clients = all.map(({ report }) => report);
  return { kind, updates, clients, load: loaded, failures, ms: performance.now() - began };
}
