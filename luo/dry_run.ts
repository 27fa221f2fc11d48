/**
 * The dry run of a handover: every record is shown to the handler that would take the file back, and no descriptor is
 * touched. Part of a check; a service that runs never loads it.
 *
 * Happy path: {@linkcode DryRun.reader} stands in for the lookup of handlers while sessions are read; the sessions then
 * give out harmless descriptors, and {@linkcode DryRun.findings} says what would become of every file.
 *
 * Unhappy paths: no handler of that name, a version outside the range that the handler reads, a record that its `check`
 * throws at: the file is `unsupported`, with the reason. Nothing is thrown, so that one look finds everything.
 *
 * @module
 */
import { decodeDocument } from "../kho/abi/fields.ts";
import type { FileRecord } from "../kho/abi/luo.ts";
import { openFile, type OwnedFd } from "../sys/mod.ts";
import { reasonOf } from "./errors.ts";
import type { FlbRegistry } from "./flb.ts";
import type { CheckArgs, FileHandler, HandlerRegistry, IncomingHandover } from "./handler.ts";

/** What would become of a file. */
export interface Finding {
  /** The session it is in. */
  session: string;
  /** Its token. */
  token: bigint;
  /** The name of its handler. */
  compatible: string;
  /** Would it be taken back? */
  verdict: "ok" | "needs migration" | "unsupported";
  /** Why it is not simply `ok`, or null. */
  reason: string | null;
  /** Was it taken back in the dry run? */
  taken: boolean;
}

/** The dry run of one handover. */
export class DryRun {
  readonly #registry: HandlerRegistry;
  readonly #kho: Pick<IncomingHandover, "blob">;
  readonly #findings: Finding[] = [];

  /**
   * @param registry the handlers of this build
   * @param kho where records are read
   */
  constructor(registry: HandlerRegistry, kho: Pick<IncomingHandover, "blob">) {
    this.#registry = registry;
    this.#kho = kho;
  }

  /** What was found so far, in the order of the handover. */
  get findings(): readonly Finding[] {
    return this.#findings;
  }

  /** Stands in for the handler of a file: gives out an open `/dev/null`, or what the handler has for that. */
  reader(record: FileRecord, session: string): FileHandler {
    const { token, compatible } = record;
    const finding: Finding = { session, token, compatible, ...this.#judge(record, session), taken: false };
    this.#findings.push(finding);
    return {
      compatible,
      canPreserve: () => false,
      preserve: () => {},
      unpreserve: () => {},
      retrieve: () => {
        finding.taken = true;
        const handler = finding.verdict === "unsupported" ? undefined : this.#registry.get(compatible);
        return handler?.standIn?.(this.#args(handler, record, session)) ?? standIn();
      },
      finish: () => {},
    };
  }

  /**
   * What keeps the state that files share from being taken back.
   *
   * @param flbs the FLBs of this build, with the records that were handed over
   * @returns the first reason, or null
   */
  flbProblem(flbs: FlbRegistry): string | null {
    for (const { compatible, data } of flbs.incoming.records()) {
      const action = `Cannot take back FLB "${compatible}"`;
      const flb = flbs.get(compatible);
      if (flb === undefined) return `${action}: no FLB of that name is registered`;
      try {
        flb.check?.({ flb, data, kho: { blob: (handle) => this.#kho.blob(handle) } });
      } catch (error) {
        return `${action}: ${reasonOf(error)}`;
      }
    }
    return null;
  }

  #judge(record: FileRecord, session: string): Pick<Finding, "verdict" | "reason"> {
    const handler = this.#registry.get(record.compatible);
    if (handler === undefined) {
      return { verdict: "unsupported", reason: `no handler is called "${record.compatible}"` };
    }
    try {
      return judgeVersion(handler, this.#versionOf(handler, record, session));
    } catch (error) {
      return { verdict: "unsupported", reason: reasonOf(error) };
    }
  }

  #versionOf(handler: FileHandler, record: FileRecord, session: string): number | undefined {
    if (handler.check !== undefined) {
      return handler.check(this.#args(handler, record, session));
    }
    return handler.version === undefined ? undefined : this.#leadingVersion(record);
  }

  #args(handler: FileHandler, { data, token }: FileRecord, session: string): CheckArgs {
    const kho = { blob: (handle: bigint): Uint8Array => this.#kho.blob(handle) };
    return { handler, session, token, serializedData: data, kho };
  }

  /** A handler's blob starts with its version; what does not look like that says nothing about versions. */
  #leadingVersion(record: FileRecord): number | undefined {
    try {
      const value = decodeDocument(this.#kho.blob(record.data), record.compatible);
      return Array.isArray(value) && typeof value[0] === "number" ? value[0] : undefined;
    } catch {
      return undefined;
    }
  }
}

/** A descriptor that stands for one which only the real start of a build gets. */
export function standIn(): OwnedFd {
  return openFile("/dev/null", { read: true, write: true });
}

function judgeVersion(handler: FileHandler, found: number | undefined): Pick<Finding, "verdict" | "reason"> {
  if (found === undefined || handler.version === undefined) return { verdict: "ok", reason: null };
  const [lowest, highest] = handler.reads ?? [1, handler.version];
  if (found < lowest || found > highest) {
    return {
      verdict: "unsupported",
      reason:
        `its record has version ${found}, handler "${handler.compatible}" reads ${lowest} to ${highest}`,
    };
  }
  if (found === handler.version) return { verdict: "ok", reason: null };
  return { verdict: "needs migration", reason: `from version ${found} to ${handler.version}` };
}
